//! Pipes have one writer and one reader, queues somebody at either side.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;

use super::{Findings, Subject, codes, related};
use crate::diagnostic::Related;
use crate::graph::{Edge, Flow, Graph, Kind, Node};
use crate::source::Span;
use crate::spec::Condition;
use crate::spec::target::{Role, Side};

/// Who is at one end of a channel, each process or pool once.
struct End<'a> {
    takers: BTreeMap<NodeIndex<u32>, &'a Edge>,
}

impl<'a> End<'a> {
    /// Of several touches by one process (stdout and stderr, say), the one with the most instances.
    fn of(edges: impl Iterator<Item = (NodeIndex<u32>, &'a Edge)>) -> Self {
        let mut takers: BTreeMap<NodeIndex<u32>, &Edge> = BTreeMap::new();
        for (taker, edge) in edges.filter(|(_, edge)| edge.flow() == Flow::Data) {
            let kept = takers.entry(taker).or_insert(edge);
            if edge.count > kept.count {
                *kept = edge;
            }
        }
        Self { takers }
    }

    fn is_open(&self) -> bool {
        self.takers.is_empty()
    }

    /// The place of each taker, with a few words about it.
    fn related(&self, graph: &Graph, does: &str) -> Vec<Related> {
        let told = |(taker, edge): (&NodeIndex<u32>, &&Edge)| {
            related(edge.place, format!("`{}` {does} it here", graph.node(*taker).name))
        };
        self.takers.iter().map(told).collect()
    }
}

/// The two ends of a channel: where data goes in, where it comes out. Of a duplex pipe: left and right.
fn ends(graph: &Graph, channel: NodeIndex<u32>) -> (End<'_>, End<'_>) {
    (End::of(graph.into_node(channel)), End::of(graph.out_of_node(channel)))
}

pub(super) fn pipes_have_two_ends(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    let nodes = graph.nodes().filter(|(_, node)| node.kind == Kind::Pipe);
    for ((index, node), pipe) in nodes.zip(&subject.workflow.pipes) {
        let (writers, readers) = ends(graph, index);
        if writers.is_open() && readers.is_open() {
            // A pipe that nobody touches is merely unused.
            continue;
        }
        if pipe.duplex {
            duplex_end_is_taken(graph, node, Side::Left, &writers, &readers, findings);
            duplex_end_is_taken(graph, node, Side::Right, &readers, &writers, findings);
        } else if writers.is_open() {
            pipe_without_writer(graph, node, &readers, findings);
        } else if readers.is_open() {
            pipe_without_reader(graph, node, &writers, findings);
        }
    }
}

pub(super) fn pipe_ends_are_taken_once(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    let nodes = graph.nodes().filter(|(_, node)| node.kind == Kind::Pipe);
    let pipes = nodes.zip(&subject.workflow.pipes);
    for ((index, node), pipe) in pipes.filter(|((_, node), _)| subject.doubt(&node.name).is_none()) {
        let (writers, readers) = ends(graph, index);
        let (sending, receiving) = if pipe.duplex {
            ("`.left` end", "`.right` end")
        } else {
            ("writing end", "reading end")
        };
        end_is_taken_once(graph, node, &writers, sending, findings);
        end_is_taken_once(graph, node, &readers, receiving, findings);
        both_ends_differ(graph, node, &writers, &readers, findings);
    }
}

fn pipe_without_writer(graph: &Graph, node: &Node, readers: &End, findings: &mut Findings) {
    let name = &node.name;
    let message = format!("nothing writes to the pipe `{name}`");
    let finding = findings.error(codes::PIPE_WITHOUT_WRITER, node.place, message);
    finding.help = Some(format!("let a process write to it: `stdout: {name}`"));
    finding.related = readers.related(graph, "reads");
}

fn pipe_without_reader(graph: &Graph, node: &Node, writers: &End, findings: &mut Findings) {
    let name = &node.name;
    let message = format!("nothing reads the pipe `{name}`");
    let finding = findings.error(codes::PIPE_WITHOUT_READER, node.place, message);
    finding.help = Some(format!("let a process read it: `stdin: {name}`"));
    finding.related = writers.related(graph, "writes to");
}

fn duplex_end_is_taken(graph: &Graph, node: &Node, side: Side, end: &End, other: &End, findings: &mut Findings) {
    if !end.is_open() {
        return;
    }
    let part = match side {
        Side::Left => format!("{}.left", node.name),
        Side::Right => format!("{}.right", node.name),
    };
    let message = format!("nobody takes the end `{part}`");
    let finding = findings.error(codes::DUPLEX_END_OPEN, node.place, message);
    finding.help = Some(format!("let a process take it: `connects: [{part}]`"));
    finding.related = other.related(graph, "takes the other end of");
}

/// Bytes of several writers would mix, and those for several readers would go to whoever is first.
fn end_is_taken_once(graph: &Graph, node: &Node, end: &End, which: &str, findings: &mut Findings) {
    let name = &node.name;
    let mut takers: Vec<_> = end.takers.iter().collect();
    takers.sort_by_key(|(_, edge)| edge.place);
    let [(first, edge), others @ ..] = takers.as_slice() else {
        return;
    };
    let first = &graph.node(**first).name;
    if others.is_empty() && edge.count > 1 {
        let message = format!("{} instances of `{first}` share the {which} of `{name}`", edge.count);
        let finding = findings.warning(codes::PIPE_END_SHARED, edge.place, message);
        finding.help = Some("bytes of a pipe are not kept apart; a queue hands each line to one of them".to_owned());
    }
    for (other, taken) in others {
        let other = &graph.node(**other).name;
        let message = format!("`{other}` takes the {which} of `{name}`, which `{first}` has");
        let finding = findings.error(codes::PIPE_END_TAKEN_TWICE, taken.place, message);
        finding.help = Some("a pipe has one process at each end; use a queue for several".to_owned());
        finding
            .related
            .push(related(edge.place, format!("`{first}` takes it here")));
    }
}

fn both_ends_differ(graph: &Graph, node: &Node, writers: &End, readers: &End, findings: &mut Findings) {
    for (taker, edge) in &writers.takers {
        if let Some(other) = readers.takers.get(taker) {
            let (taker, name) = (&graph.node(*taker).name, &node.name);
            let message = format!("`{taker}` is at both ends of the pipe `{name}`, and will never see its end");
            let finding = findings.warning(codes::PIPE_TO_ITSELF, other.place, message);
            finding.help = Some("let another process take one of the ends".to_owned());
            finding.related.push(related(edge.place, "the other end"));
        }
    }
}

pub(super) fn queues_have_both_sides(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    for (index, node) in graph.nodes().filter(|(_, node)| node.kind == Kind::Queue) {
        let name = &node.name;
        let (senders, receivers) = ends(graph, index);
        if senders.is_open() && !receivers.is_open() {
            let message = format!("nothing is put into the queue `{name}`");
            let finding = findings.error(codes::QUEUE_WITHOUT_SENDER, node.place, message);
            finding.help = Some(format!(
                "let a process send to it: `stdout: {name}` or `sends: [{name}]`"
            ));
            finding.related = receivers.related(graph, "receives from");
        } else if receivers.is_open() && !senders.is_open() {
            let message = format!("nothing is taken from the queue `{name}`");
            let finding = findings.error(codes::QUEUE_WITHOUT_RECEIVER, node.place, message);
            let receive = format!("let a process receive from it: `stdin: {name}` or `receives: [{name}]`");
            finding.help = Some(receive);
            finding.related = senders.related(graph, "sends to");
        }
    }
}

/// Who reads what only it sends waits for itself: the queue ends with its senders.
pub(super) fn queues_are_not_read_by_their_writers(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    for (index, node) in graph.nodes().filter(|(_, node)| node.kind == Kind::Queue) {
        let (senders, _) = ends(graph, index);
        let Some((sender, sent)) = senders.takers.first_key_value().filter(|_| senders.takers.len() == 1) else {
            continue;
        };
        let is_stream = |edge: &Edge| matches!(edge.role, Role::Stdin | Role::Receive(_));
        let mut read = graph
            .out_of_node(index)
            .filter(|(reader, edge)| reader == sender && is_stream(edge));
        if let Some((_, read)) = read.next() {
            let (name, queue) = (&graph.node(*sender).name, &node.name);
            let message = format!("`{name}` reads the queue `{queue}` that only it fills, and will never see its end");
            let finding = findings.warning(codes::READS_ITS_OWN, read.place, message);
            finding.help = Some(format!(
                "let another process fill `{queue}`, or take items by `receives: {queue}` and end when there are no more"
            ));
            finding.related.push(related(sent.place, "it is filled here"));
        }
    }
}

/// A pipe holds little: a writer whose reader is yet to start blocks once it is full.
pub(super) fn pipe_peers_run_together(subject: &Subject, findings: &mut Findings) {
    let graph = &subject.graph;
    for (index, node) in graph.nodes().filter(|(_, node)| node.kind == Kind::Pipe) {
        let (writers, readers) = ends(graph, index);
        for (late, peers) in [(&readers, &writers), (&writers, &readers)] {
            for taker in late.takers.keys() {
                let waits = graph
                    .into_node(*taker)
                    .filter(|(peer, _)| peers.takers.contains_key(peer));
                for (peer, wait) in waits.filter(|(_, wait)| waits_for_end(wait)) {
                    apart(graph.node(*taker), graph.node(peer), node, wait.place, findings);
                }
            }
        }
    }
}

fn waits_for_end(edge: &Edge) -> bool {
    matches!(
        edge.is,
        Some(Condition::Succeeded | Condition::Failed | Condition::Finished)
    )
}

fn apart(late: &Node, peer: &Node, pipe: &Node, wait: Span, findings: &mut Findings) {
    if late.name == peer.name {
        return;
    }
    let (late, peer, pipe_name) = (&late.name, &peer.name, &pipe.name);
    let message = format!("`{late}` starts after `{peer}` has ended, but the pipe `{pipe_name}` is between them");
    let finding = findings.warning(codes::WAITS_FOR_PEER, wait, message);
    finding.help = Some(format!(
        "`{peer}` may block at the pipe for ever; wait for `{{{peer}: started}}`, or use a file"
    ));
    finding.related.push(related(pipe.place, "the pipe"));
}
