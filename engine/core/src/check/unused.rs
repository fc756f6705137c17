//! What is declared and never used, and workflows in which nothing happens.

use super::{Findings, Subject, codes};
use crate::diagnostic::{Diagnostic, Severity};
use crate::graph::{Flow, Kind, Node};
use crate::source::Span;

pub(super) fn declarations(subject: &Subject, findings: &mut Findings) {
    for template in subject.workflow.templates.iter().filter(|template| !template.used) {
        unused("template", &template.declared.name, template.declared.place, findings);
    }
    for param in &subject.workflow.unused_params {
        unused("param", &param.name, param.place, findings);
    }
    for group in subject.workflow.groups.iter().filter(|group| group.members.is_empty()) {
        unused("group", &group.declared.name, group.declared.place, findings);
    }
    if subject.is_whole() {
        untouched(subject, findings);
        slots(subject, findings);
    }
}

/// Things that only others use, and nobody does.
fn untouched(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    for (index, node) in graph.nodes() {
        let touches = graph.into_node(index).chain(graph.out_of_node(index));
        if let Some(kind) = passive(node)
            && touches.count() == 0
        {
            unused(kind, &node.name, node.place, findings);
        }
    }
}

/// The word for a kind of thing that does nothing by itself.
const fn passive(node: &Node) -> Option<&'static str> {
    match node.kind {
        Kind::Process | Kind::Pool => None,
        Kind::Queue => Some("queue"),
        Kind::Pipe => Some("pipe"),
        Kind::Lock => Some("lock"),
        Kind::Semaphore => Some("semaphore"),
        Kind::Event => Some("event"),
    }
}

/// Pools of slots in which no process runs.
fn slots(subject: &Subject, findings: &mut Findings) {
    let nodes = subject.graph.nodes().filter(|(_, node)| node.kind == Kind::Pool);
    for ((index, node), pool) in nodes.zip(&subject.workflow.pools) {
        let taken = subject
            .graph
            .out_of_node(index)
            .any(|(_, edge)| edge.flow() == Flow::Slot);
        if pool.body.run.is_none() && !taken {
            let finding = unused("pool", &node.name, node.place, findings);
            finding.help = Some(format!(
                "put processes into its slots with `pool: {}`, or give it `run`",
                node.name
            ));
        }
    }
}

fn unused<'a>(kind: &str, name: &str, place: Span, findings: &'a mut Findings) -> &'a mut Diagnostic {
    let finding = findings.warning(codes::UNUSED, place, format!("the {kind} `{name}` is not used"));
    finding.help = Some("remove it, or use it".to_owned());
    finding
}

pub(super) fn there_is_work(subject: &Subject, findings: &mut Findings) {
    let workflow = subject.workflow;
    let runs = || subject.bodies().filter(|(_, body)| body.run.is_some());
    if runs().next().is_none() {
        let place = workflow.absent.first().map(|declared| declared.place);
        let message = "no process runs in this workflow".to_owned();
        let finding = findings.add(codes::NOTHING_TO_RUN, Severity::Warning, place, message);
        finding.help = Some("declare one under `processes` or `pools`".to_owned());
    } else if let Some((first, _)) = runs().next()
        && runs().all(|(_, body)| body.daemon)
    {
        let message = "every process is a daemon, so the run ends as soon as it begins".to_owned();
        let finding = findings.warning(codes::ONLY_DAEMONS, first.place, message);
        finding.help = Some("a daemon runs while others do: let one process be none".to_owned());
    }
}
