//! Nothing waits, over any number of steps, for itself.
//!
//! Waits are followed instance by instance, so that `count.1` may wait for `count.0`. A node for
//! "all instances of a process" keeps a wait of m instances for n others at m + n edges.

use std::collections::{BTreeMap, VecDeque};

use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Findings, Subject, codes, related};
use crate::diagnostic::Related;
use crate::graph::{Resolved, waits};
use crate::source::Span;
use crate::spec::target::{Role, Target};
use crate::spec::{Body, Condition, Otherwise, Workflow};

/// How many steps of one cycle are shown.
const STEPS_MAX: usize = 64;

/// Something that happens, and must happen before something else can.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A process instance comes as far as is waited for.
    Instance(usize),
    /// All instances of the process whose first is this one do.
    All(usize),
    /// A pool begins: what stands in its `after` has come.
    Begin(usize),
    /// A pool comes as far as is waited for.
    Pool(usize),
    /// A queue is drained.
    Queue(usize),
}

/// Why one step needs another.
#[derive(Clone, Copy)]
enum Need {
    /// It is written in `after`, here.
    After(Span),
    /// Who sends to a queue, as is written here, must end before it is drained.
    Sender(Span),
    /// A whole needs its parts.
    Part,
}

type Needs = DiGraph<Step, Need, u32>;

pub(super) fn are_none(subject: &Subject, findings: &mut Findings) {
    if each_waits_for_earlier(subject) {
        return;
    }
    let needs = Builder::new(subject).build();
    if !is_cyclic(&needs) {
        return;
    }
    let components = kosaraju_scc(&needs);
    // The component of each node, so that a search can stay inside one.
    let mut member_of = vec![0; needs.node_count()];
    for (number, component) in components.iter().enumerate() {
        for node in component {
            member_of[node.index()] = number;
        }
    }
    for component in components {
        let start = component.into_iter().min_by_key(|node| needs[*node]);
        if let Some(cycle) = start.and_then(|start| shortest_cycle(&needs, &member_of, start)) {
            report(subject.workflow, &cycle, findings);
        }
    }
}

/// Whether each process waits only for some that stand before it in the file, as most programs write them: then no graph
/// of perhaps a million of them needs to be made.
fn each_waits_for_earlier(subject: &Subject) -> bool {
    let workflow = subject.workflow;
    let is_earlier = |index: usize, target: &Target| match target {
        Target::Processes(range) => range.end as usize <= index,
        Target::Absent | Target::Event(_) => true,
        Target::Pool(_)
        | Target::Queue(_)
        | Target::Pipe(_)
        | Target::End(..)
        | Target::Lock(_)
        | Target::Semaphore(_)
        | Target::Template
        | Target::Group => false,
    };
    let mut processes = workflow.processes.iter().enumerate();
    workflow.pools.is_empty()
        && processes.all(|(index, process)| {
            let mut waits = waits(&process.body, subject.touches.of_process(index));
            waits.all(|(_, target)| is_earlier(index, target))
        })
}

/// Whether something is left when again and again what needs nothing more is taken away (Kahn, 1962).
fn is_cyclic(needs: &Needs) -> bool {
    let mut missing: Vec<u32> = vec![0; needs.node_count()];
    for edge in needs.raw_edges() {
        missing[edge.source().index()] += 1;
    }
    let mut ready: Vec<_> = needs.node_indices().filter(|node| missing[node.index()] == 0).collect();
    let mut taken = 0;
    while let Some(node) = ready.pop() {
        taken += 1;
        for edge in needs.edges_directed(node, Direction::Incoming) {
            let left = &mut missing[edge.source().index()];
            *left -= 1;
            if *left == 0 {
                ready.push(edge.source());
            }
        }
    }
    taken < needs.node_count()
}

/// The graph of needs in the making. Its nodes are all instances, then each pool twice, as it begins and as it ends,
/// then all queues, and then the wholes that are waited for.
struct Builder<'a> {
    subject: &'a Subject<'a>,
    graph: Needs,
    wholes: BTreeMap<usize, NodeIndex<u32>>,
}

impl<'a> Builder<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let workflow = subject.workflow;
        let mut graph = Needs::with_capacity(workflow.processes.len(), workflow.processes.len());
        let instances = (0..workflow.processes.len()).map(Step::Instance);
        let pools = (0..workflow.pools.len()).flat_map(|pool| [Step::Begin(pool), Step::Pool(pool)]);
        let queues = (0..workflow.queues.len()).map(Step::Queue);
        for step in instances.chain(pools).chain(queues) {
            graph.add_node(step);
        }
        Self {
            subject,
            graph,
            wholes: BTreeMap::new(),
        }
    }

    fn build(mut self) -> Needs {
        let workflow = self.subject.workflow;
        for (index, process) in workflow.processes.iter().enumerate() {
            let touches = self.subject.touches.of_process(index);
            self.waits(Step::Instance(index), &process.body, touches);
            // The pool is the last of a process's touches.
            let placed = touches.last().filter(|last| last.touch.role == Role::InPool);
            if let Some(pool) = placed.and_then(|placed| placed.target.as_ref()?.pool()) {
                self.need(Step::Instance(index), Step::Begin(pool.index()), Need::Part);
                self.need(Step::Pool(pool.index()), Step::Instance(index), Need::Part);
            }
        }
        for (index, pool) in workflow.pools.iter().enumerate() {
            self.waits(Step::Begin(index), &pool.body, self.subject.touches.of_pool(index));
            self.need(Step::Pool(index), Step::Begin(index), Need::Part);
        }
        self.senders();
        self.graph
    }

    fn waits(&mut self, waiter: Step, body: &Body, touches: &[Resolved]) {
        for (after, target) in waits(body, touches) {
            // A wait that ends by starting all the same holds nobody up for ever.
            let passes = after.timeout.is_some() && after.otherwise == Otherwise::Start;
            if let Some(needed) = self.step(target, after.is)
                && !passes
                && after
                    .is
                    .is_none_or(|is| (is == Condition::Drained) == matches!(needed, Step::Queue(_)))
            {
                self.need(waiter, needed, Need::After(after.on.place));
            }
        }
    }

    /// The step a wait for `target` is for; `None` for what needs nobody, or whose setter is not known.
    fn step(&mut self, target: &Target, is: Option<Condition>) -> Option<Step> {
        match target {
            // A pool has started with its first worker or process, so none of them in particular is needed.
            Target::Pool(pool) if is == Some(Condition::Started) => Some(Step::Begin(pool.index())),
            Target::Processes(range) if range.len() == 1 => Some(Step::Instance(range.start as usize)),
            Target::Processes(range) => {
                let first = range.start as usize;
                let all = Step::All(first);
                if !self.wholes.contains_key(&first) {
                    for instance in range.clone() {
                        self.need(all, Step::Instance(instance as usize), Need::Part);
                    }
                }
                Some(all)
            }
            Target::Pool(pool) => Some(Step::Pool(pool.index())),
            Target::Queue(queue) => Some(Step::Queue(queue.index())),
            Target::Absent
            | Target::Pipe(_)
            | Target::End(..)
            | Target::Lock(_)
            | Target::Semaphore(_)
            | Target::Event(_)
            | Target::Template
            | Target::Group => None,
        }
    }

    /// A queue is drained only after all who send to it have ended.
    fn senders(&mut self) {
        let workflow = self.subject.workflow;
        for index in 0..workflow.processes.len() {
            for resolved in self.subject.touches.of_process(index) {
                self.sender(Step::Instance(index), resolved);
            }
        }
        for index in 0..workflow.pools.len() {
            for resolved in self.subject.touches.of_pool(index) {
                self.sender(Step::Pool(index), resolved);
            }
        }
    }

    fn sender(&mut self, sender: Step, resolved: &Resolved) {
        let Resolved { touch, target } = resolved;
        let sends = matches!(touch.role, Role::Stdout | Role::Stderr | Role::Send(_) | Role::Sends);
        if sends && let Some(queue) = target.as_ref().and_then(Target::queue) {
            self.need(Step::Queue(queue.index()), sender, Need::Sender(touch.on.place));
        }
    }

    fn need(&mut self, step: Step, needed: Step, why: Need) {
        let (from, to) = (self.node(step), self.node(needed));
        self.graph.add_edge(from, to, why);
    }

    fn node(&mut self, step: Step) -> NodeIndex<u32> {
        let workflow = self.subject.workflow;
        let (pools, queues) = (workflow.processes.len(), 2 * workflow.pools.len());
        let graph = &mut self.graph;
        match step {
            Step::Instance(index) => NodeIndex::new(index),
            Step::Begin(pool) => NodeIndex::new(pools + 2 * pool),
            Step::Pool(pool) => NodeIndex::new(pools + 2 * pool + 1),
            Step::Queue(queue) => NodeIndex::new(pools + queues + queue),
            Step::All(first) => *self.wholes.entry(first).or_insert_with(|| graph.add_node(step)),
        }
    }
}

/// One step of a cycle, and why it needs the next.
type Link = (Step, Need);

/// The shortest way from `start` back to itself, by breadth-first search in its component; `None` when there is none.
fn shortest_cycle(needs: &Needs, member_of: &[usize], start: NodeIndex<u32>) -> Option<Vec<Link>> {
    let inside = |node: NodeIndex<u32>| member_of[node.index()] == member_of[start.index()];
    // From which node, and why, each node was reached first.
    let mut reached: BTreeMap<NodeIndex<u32>, (NodeIndex<u32>, Need)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let edges = needs.edges_directed(node, Direction::Outgoing);
        for edge in edges.filter(|edge| inside(edge.target())) {
            if edge.target() == start {
                return Some(way_back(needs, &reached, start, (node, *edge.weight())));
            }
            reached.entry(edge.target()).or_insert_with(|| {
                queue.push_back(edge.target());
                (node, *edge.weight())
            });
        }
    }
    None
}

fn way_back(
    needs: &Needs,
    reached: &BTreeMap<NodeIndex<u32>, (NodeIndex<u32>, Need)>,
    start: NodeIndex<u32>,
    last: (NodeIndex<u32>, Need),
) -> Vec<Link> {
    let (mut node, mut why) = last;
    let mut cycle = vec![(needs[node], why)];
    while node != start {
        (node, why) = reached[&node];
        cycle.push((needs[node], why));
    }
    cycle.reverse();
    cycle
}

fn report(workflow: &Workflow, cycle: &[Link], findings: &mut Findings) {
    // A cycle of parts alone cannot be: a whole needs its parts, never the other way round but through `after`.
    let Some(place) = cycle.iter().find_map(|(_, why)| place(*why)) else {
        return;
    };
    let names = shown(workflow, cycle);
    if let [only] = names.as_slice() {
        let message = format!("`{only}` waits for itself");
        let finding = findings.error(codes::WAITS_FOR_ITSELF, place, message);
        finding.help = Some("remove it from `after`".to_owned());
        return;
    }
    let finding = findings.error(codes::CYCLE, place, format!("a cycle in `after`: {}", path(&names)));
    finding.help = Some("none of them can start; remove one of these waits".to_owned());
    finding.related = steps(workflow, cycle, place);
}

fn place(why: Need) -> Option<Span> {
    match why {
        Need::After(place) => Some(place),
        Need::Sender(_) | Need::Part => None,
    }
}

/// The names along a cycle, each once; wholes are shown by their parts and pools once.
fn shown(workflow: &Workflow, cycle: &[Link]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (step, _) in cycle {
        if !matches!(step, Step::All(_)) {
            names.push(name(workflow, *step));
        }
    }
    names.dedup();
    if names.len() > 1 && names.first() == names.last() {
        names.pop();
    }
    names
}

fn path(names: &[String]) -> String {
    let mut path: Vec<_> = names.iter().take(STEPS_MAX).map(|name| format!("`{name}`")).collect();
    if let Some(left_out) = names.len().checked_sub(STEPS_MAX + 1) {
        path.push(format!("({} more)", left_out + 1));
    }
    path.extend(names.first().map(|name| format!("`{name}`")));
    path.join(" → ")
}

fn name(workflow: &Workflow, step: Step) -> String {
    match step {
        Step::Instance(index) => workflow.processes[index].name(),
        Step::All(first) => workflow.processes[first].declared.name.clone(),
        Step::Begin(index) | Step::Pool(index) => workflow.pools[index].declared.name.clone(),
        Step::Queue(index) => workflow.queues[index].declared.name.clone(),
    }
}

/// Every edge of the cycle that stands in the file, but for the one where the finding itself stands.
fn steps(workflow: &Workflow, cycle: &[Link], first: Span) -> Vec<Related> {
    let next = cycle.iter().cycle().skip(1);
    let mut told = Vec::new();
    for ((step, why), (needed, _)) in cycle.iter().zip(next).take(STEPS_MAX) {
        let (from, to) = (name(workflow, *step), name(workflow, *needed));
        match why {
            Need::After(place) if *place != first => {
                told.push(related(*place, format!("`{from}` waits for `{to}`")));
            }
            Need::Sender(place) => told.push(related(*place, format!("`{from}` is drained after `{to}` has ended"))),
            Need::After(_) | Need::Part => {}
        }
    }
    told
}
