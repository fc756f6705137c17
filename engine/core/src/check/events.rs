//! Events that are waited for are set by somebody, and the other way round.

use super::{Findings, Subject, codes, related};
use crate::graph::Kind;

pub(super) fn are_set_and_waited_for(subject: &Subject, findings: &mut Findings) {
    let nodes = subject.graph.nodes().filter(|(_, node)| node.kind == Kind::Event);
    for ((index, node), event) in nodes.zip(&subject.workflow.events) {
        let setter = subject.graph.into_node(index).next();
        let waiters: Vec<_> = subject.graph.out_of_node(index).collect();
        match (setter, waiters.first()) {
            (None, Some((_, wait))) if !event.set => {
                let message = format!("nobody sets the event `{}`, so this waits for ever", node.name);
                let finding = findings.error(codes::EVENT_NEVER_SET, wait.place, message);
                finding.help = Some(format!("let a process set it: `sets: [{}]`", node.name));
                let others = waiters.iter().skip(1);
                finding
                    .related
                    .extend(others.map(|(_, wait)| related(wait.place, "waited for here too")));
                finding.related.push(related(node.place, "declared here"));
            }
            (Some((_, set)), None) if subject.is_whole() => {
                let message = format!("nobody waits for the event `{}`", node.name);
                let finding = findings.warning(codes::EVENT_NEVER_WAITED_FOR, node.place, message);
                finding.help = Some(format!(
                    "wait for it with `after: {0}` or `waits: [{0}]`, or remove it",
                    node.name
                ));
                finding.related.push(related(set.place, "set here"));
            }
            (None | Some(_), Some(_) | None) => {}
        }
    }
}
