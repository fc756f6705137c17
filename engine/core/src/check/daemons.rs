//! Daemons serve others: nobody waits for their end by mistake, and they live until they have taken what they are sent.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;

use super::order::parties;
use super::{Findings, Subject, codes, related};
use crate::graph::{Edge, Flow, Kind, waits};
use crate::spec::target::{Role, Target};
use crate::spec::{After, Body, Condition, Declared};

type Node = NodeIndex<u32>;

/// The end of a daemon may be waited for, and it is then waited for; but who waits for a name alone, or for the end of
/// what says when it is ready, hardly means its end.
pub(super) fn are_not_waited_for_by_mistake(subject: &Subject, findings: &mut Findings) {
    if !subject.bodies().any(|(_, body)| body.daemon) {
        return;
    }
    for (declared, body, touches) in subject.touching() {
        for (after, target) in waits(body, touches).filter(|(after, _)| after.timeout.is_none()) {
            if let Some(served) = body_of(subject, target)
                && served.daemon
                && waits_for_end(after)
                && (after.is.is_none() || served.ready.is_some())
            {
                served_for_ever(declared, after, served, findings);
            }
        }
    }
}

fn waits_for_end(after: &After) -> bool {
    match after.is {
        None | Some(Condition::Succeeded | Condition::Failed | Condition::Finished) => true,
        Some(Condition::Started | Condition::Ready | Condition::Set | Condition::Drained) => false,
    }
}

fn body_of<'a>(subject: &Subject<'a>, target: &Target) -> Option<&'a Body> {
    let process = target.process_ids().next()?;
    Some(&subject.workflow.processes[process.index()].body)
}

fn served_for_ever(waiter: &Declared, after: &After, served: &Body, findings: &mut Findings) {
    let (waiter, daemon) = (&waiter.name, &after.on.name);
    let message = format!("`{waiter}` waits for the end of `{daemon}`, which is a daemon");
    let finding = findings.warning(codes::WAITS_FOR_SERVICE, after.on.place, message);
    let instead = if served.ready.is_some() { "ready" } else { "started" };
    finding.help = Some(if after.is.is_none() {
        format!(
            "a name alone is its success: write `{{{daemon}: {instead}}}`, or `{{{daemon}: finished}}` if its end is meant"
        )
    } else {
        format!("write `{{{daemon}: {instead}}}`")
    });
}

/// Daemons are stopped as soon as nobody else runs, also when there is something left in the queue or pipe that they
/// read.
pub(super) fn take_all_that_is_sent(subject: &Subject, findings: &mut Findings) {
    let daemons = daemons(subject);
    if daemons.is_empty() {
        return;
    }
    let nodes = subject.graph.nodes();
    let deliveries: Vec<Delivery> = nodes
        .filter(|(_, node)| matches!(node.kind, Kind::Queue | Kind::Pipe) && !subject.is_duplex(&node.name))
        .filter_map(|(index, _)| delivery(subject, index, &daemons))
        .collect();
    if deliveries.is_empty() || have_company(subject, &deliveries, &daemons) {
        return;
    }
    for delivery in deliveries {
        not_kept(subject, &delivery, findings);
    }
}

/// What is sent to daemons alone.
struct Delivery<'a> {
    channel: Node,
    /// One who sends and is no daemon.
    sender: (Node, &'a Edge),
    receiver: (Node, &'a Edge),
}

fn delivery<'a>(subject: &'a Subject, channel: Node, daemons: &BTreeSet<&str>) -> Option<Delivery<'a>> {
    let graph = &subject.graph;
    let is_data = |(_, edge): &(Node, &Edge)| edge.flow() == Flow::Data;
    let is_daemon = |node: Node| daemons.contains(graph.node(node).name.as_str());
    let sender = graph
        .into_node(channel)
        .filter(is_data)
        .find(|(sender, _)| !is_daemon(*sender))?;
    let receivers: Vec<_> = graph.out_of_node(channel).filter(is_data).collect();
    let is_waited_for = graph.out_of_node(channel).any(|(_, edge)| edge.role == Role::After)
        || receivers.iter().any(|(receiver, _)| has_waiter(subject, *receiver));
    let to_daemons = receivers.iter().all(|(receiver, _)| is_daemon(*receiver));
    let receiver = receivers.into_iter().next().filter(|_| to_daemons && !is_waited_for)?;
    Some(Delivery {
        channel,
        sender,
        receiver,
    })
}

/// Whether there is a process that may live longer than all those that lead to what is sent.
fn have_company(subject: &Subject, deliveries: &[Delivery], daemons: &BTreeSet<&str>) -> bool {
    let graph = &subject.graph;
    let mut open: Vec<Node> = deliveries.iter().map(|delivery| delivery.channel).collect();
    let mut upstream: BTreeSet<Node> = open.iter().copied().collect();
    while let Some(node) = open.pop() {
        open.extend(
            graph
                .into_node(node)
                .map(|(from, _)| from)
                .filter(|from| upstream.insert(*from)),
        );
    }
    let mut works = graph
        .nodes()
        .filter(|(_, node)| matches!(node.kind, Kind::Process | Kind::Pool));
    works.any(|(index, node)| !upstream.contains(&index) && !daemons.contains(node.name.as_str()))
}

fn not_kept(subject: &Subject, delivery: &Delivery, findings: &mut Findings) {
    let graph = &subject.graph;
    let channel = graph.node(delivery.channel);
    let (name, daemon) = (&channel.name, &graph.node(delivery.receiver.0).name);
    let message =
        format!("`{daemon}` is a daemon, and may be stopped before it has taken all that is sent to `{name}`");
    let finding = findings.warning(codes::DAEMON_NOT_KEPT, delivery.receiver.1.place, message);
    finding.help = Some(if channel.kind == Kind::Queue {
        format!(
            "make it no daemon, since `{name}` ends with its senders; or let a process wait for `{{{name}: drained}}`"
        )
    } else {
        format!("make it no daemon: `{name}` ends with its writer")
    });
    let message = format!("`{}` sends here", graph.node(delivery.sender.0).name);
    finding.related.push(related(delivery.sender.1.place, message));
}

/// The names of all daemons.
fn daemons<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    let parties = parties(subject.workflow);
    let daemons = parties.filter(|party| party.body(subject.workflow).daemon);
    daemons.map(|party| party.name(subject.workflow)).collect()
}

/// Whether somebody waits for its end: then it is not stopped before.
fn has_waiter(subject: &Subject, node: Node) -> bool {
    let mut waits = subject
        .graph
        .out_of_node(node)
        .filter(|(_, edge)| edge.role == Role::After);
    waits.any(|(_, edge)| !matches!(edge.is, Some(Condition::Started | Condition::Ready)))
}
