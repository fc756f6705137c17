//! Processes that must run together get what they hold for that: locks, permits and slots for all of them.
//!
//! Who reads the only writer's pipe or queue cannot go on without the writer. When the readers were given their
//! permits first and none is left for the writer, all of them wait for ever; so what a process and all who read from
//! it, over any number of channels, hold must be there at once.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;

use super::order::Party;
use super::{Findings, Subject, codes, related};
use crate::graph::{Edge, Flow, Kind};
use crate::source::Span;
use crate::spec::target::{Role, Target};

/// How many steps from writer to reader are looked at in all.
const STEPS_MAX: usize = 200_000;

type Node = NodeIndex<u32>;

/// A process, with all its instances, that holds some of one thing.
struct Holder {
    node: Node,
    /// What one instance holds.
    each: u64,
    /// What all hold.
    all: u64,
    place: Span,
}

pub(super) fn have_enough(subject: &Subject, findings: &mut Findings) {
    let readers = readers(subject);
    if readers.is_empty() {
        return;
    }
    let steps = Cell::new(STEPS_MAX);
    for (index, thing) in subject.graph.nodes() {
        let permits = match thing.kind {
            Kind::Lock | Kind::Semaphore | Kind::Pool => u64::from(thing.count),
            Kind::Process | Kind::Queue | Kind::Pipe | Kind::Event => continue,
        };
        let holders = holders(subject, index);
        if holders.len() < 2 || holders.values().map(|holder| holder.all).sum::<u64>() <= permits {
            continue;
        }
        let gangs = holders
            .values()
            .filter_map(|first| gang(&readers, &holders, first, &steps));
        let too_many = gangs.filter(|gang| demand(gang) > permits);
        if let Some(gang) = too_many.min_by_key(Vec::len) {
            tell(subject, index, permits, &gang, findings);
        }
    }
}

/// Who holds the lock or the permits, or runs in the slots of the pool; by the engine's doing.
fn holders(subject: &Subject, thing: Node) -> BTreeMap<Node, Holder> {
    let mut holders: BTreeMap<Node, Holder> = BTreeMap::new();
    let graph = &subject.graph;
    for (node, edge) in graph
        .out_of_node(thing)
        .filter(|(_, edge)| matches!(edge.role, Role::Holds | Role::InPool))
    {
        if graph.node(node).kind != Kind::Process {
            continue;
        }
        let holder = holders.entry(node).or_insert(Holder {
            node,
            each: 0,
            all: 0,
            place: edge.place,
        });
        let permits = u64::from(edge.permits);
        holder.each = holder.each.max(permits);
        holder.all += permits * u64::from(edge.count);
    }
    holders
}

/// Each process with those that read what only it writes; but for who starts after it has started, which others tell.
fn readers(subject: &Subject) -> BTreeMap<Node, Vec<Node>> {
    let graph = &subject.graph;
    let mut readers: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
    for (channel, node) in graph.nodes() {
        if !matches!(node.kind, Kind::Queue | Kind::Pipe) {
            continue;
        }
        let is_data = |(_, edge): &(Node, &Edge)| edge.flow() == Flow::Data;
        let writers: BTreeSet<Node> = graph
            .into_node(channel)
            .filter(is_data)
            .map(|(writer, _)| writer)
            .collect();
        let Some(writer) = writers.first().copied().filter(|_| writers.len() == 1) else {
            continue;
        };
        let streams = graph.out_of_node(channel);
        let streams = streams.filter(|(_, edge)| matches!(edge.role, Role::Stdin | Role::Receive(_)));
        for (reader, _) in streams.filter(|(reader, _)| *reader != writer) {
            let processes = [writer, reader].map(|node| graph.node(node).kind == Kind::Process);
            if processes == [true, true] && !starts_after(subject, reader, writer) {
                readers.entry(writer).or_default().push(reader);
            }
        }
    }
    readers
}

/// Whether the one starts after the other has started; also when it is not known.
fn starts_after(subject: &Subject, late: Node, early: Node) -> bool {
    let first = |node: Node| match subject.names.look_up(&subject.graph.node(node).name) {
        Some(Target::Processes(range)) => Some(Party::Process(range.start as usize)),
        Some(_) | None => None,
    };
    let (Some(late), Some(early)) = (first(late), first(early)) else {
        return true;
    };
    subject
        .before(late)
        .is_none_or(|facts| facts.has_started(early) || facts.has_ended(early))
}

/// `first` with all holders that read from it, over any number of channels.
fn gang<'h>(
    readers: &BTreeMap<Node, Vec<Node>>,
    holders: &'h BTreeMap<Node, Holder>,
    first: &'h Holder,
    steps: &Cell<usize>,
) -> Option<Vec<&'h Holder>> {
    let mut gang = vec![first];
    let mut seen = BTreeSet::from([first.node]);
    let mut open = vec![first.node];
    while let Some(node) = open.pop() {
        for reader in readers.get(&node).into_iter().flatten() {
            steps.set(steps.get().checked_sub(1)?);
            if seen.insert(*reader) {
                gang.extend(holders.get(reader));
                open.push(*reader);
            }
        }
    }
    Some(gang)
}

/// What a process and its readers hold at once: each instance of these, but one of the process itself.
fn demand(gang: &[&Holder]) -> u64 {
    let others = gang.iter().skip(1).map(|holder| holder.all);
    gang.first().map_or(0, |first| first.each) + others.sum::<u64>()
}

fn tell(subject: &Subject, thing: Node, permits: u64, gang: &[&Holder], findings: &mut Findings) {
    let [first, others @ ..] = gang else {
        return;
    };
    let graph = &subject.graph;
    let thing = graph.node(thing);
    let name = |holder: &Holder| format!("`{}`", graph.node(holder.node).name);
    let names: Vec<_> = gang.iter().map(|holder| name(holder)).collect();
    let names = match names.as_slice() {
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
        [] => return,
    };
    let (wanted, what) = (demand(gang), &thing.name);
    let (code, message, help) = match thing.kind {
        Kind::Pool => (
            codes::TOO_FEW_SLOTS,
            format!("{names} must run together and take {wanted} slots of `{what}`, which has {permits}"),
            format!("give `{what}` a `size` of at least {wanted}, or let them run outside of it"),
        ),
        Kind::Lock | Kind::Semaphore | Kind::Process | Kind::Queue | Kind::Pipe | Kind::Event => (
            codes::TOO_FEW_FOR_ALL,
            if thing.kind == Kind::Lock {
                format!("{names} must run together, but each holds the lock `{what}`")
            } else {
                format!("{names} must run together and hold {wanted} permits of `{what}`, which has {permits}")
            },
            format!("let only one of them hold `{what}`, or put a file between them and let one wait for the other"),
        ),
    };
    let finding = findings.error(code, first.place, message);
    finding.help = Some(help);
    for holder in others {
        let message = format!("{} reads what {} writes, and holds it too", name(holder), name(first));
        finding.related.push(related(holder.place, message));
    }
}
