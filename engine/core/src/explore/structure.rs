//! The structural proof: who may wait for whom at all, whatever the order of things, in time linear in the size of the plan.
//!
//! The nodes of the graph are *needs*: a lock, room in a queue, an item in it, an event, the end of a process. An edge leads from a need
//! to each need that somebody who could meet the first may be kept by. In a deadlock everybody who waits has a helper who waits too,
//! so there is a way through this graph without an end, and that is a cycle. Where there is no cycle, there is no deadlock.
//!
//! A queue is not full and empty at once: from "room in `q`" a way leads to the receivers of `q`, and on to all that these may wait
//! for but items of `q` itself. So no way goes back where it came from, and any tree of queues is free of cycles.
//! A lock that is held over nothing else that waits has no way out of it.

mod layout;

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::inside::{Act, Program, Step};
use super::model::{Actor, Daemons, pool_actor, resource_index};
use crate::id::{PoolId, QueueId};
use crate::plan::{Dependency, Dispatch, Party, Plan, TaskSource, Wait, WorkerKind};
pub(super) use layout::Layout;
use layout::node;

/// A node of the graph.
pub(super) type Node = u32;

/// No process.
const NOBODY: u32 = u32::MAX;

/// The graph of needs.
pub(super) struct Structure {
    pub layout: Layout,
    /// By node: whose list of needs it is a part of.
    owner: Vec<u32>,
    edges: Vec<(Node, Node)>,
    /// By actor: all that it may wait for.
    all: Vec<Option<Node>>,
    /// By actor: whether anybody waits for its beginning or its end.
    is_awaited: Vec<bool>,
    /// By node: whether a cycle can be reached from it.
    core: Vec<bool>,
}

/// The needs of one actor as two chains: from each place all that follow, and all that come before.
struct Chain {
    after: Node,
    before: Node,
    needs: Vec<Node>,
}

impl Chain {
    /// From this place on.
    fn from(&self, place: usize) -> Option<Node> {
        (place < self.needs.len()).then(|| node(self.after, place))
    }

    /// Up to this place, exclusive.
    fn until(&self, place: usize) -> Option<Node> {
        place.checked_sub(1).map(|last| node(self.before, last))
    }
}

impl Structure {
    pub fn of(plan: &Plan, programs: &[Program]) -> Self {
        let layout = Layout::of(plan);
        let mut structure = Self {
            layout,
            owner: reserved(vec![NOBODY; layout.end as usize], 4 * plan.processes.len()),
            edges: reserved(Vec::new(), 12 * plan.processes.len()),
            all: vec![None; plan.processes.len() + plan.pools.len()],
            is_awaited: awaited(plan),
            core: Vec::new(),
        };
        for (actor, program) in programs.iter().enumerate() {
            structure.enter_process(plan, actor, program);
        }
        let members = members_by_pool(plan);
        for (index, members) in members.iter().enumerate() {
            structure.enter_pool(plan, PoolId::at(index), members);
        }
        structure.enter_drained(plan);
        structure.enter_unsure(plan, programs);
        structure.core = structure.find_core();
        structure
    }

    /// All of `kept`, which daemons may keep for ever, become cycles of their own.
    fn enter_kept(&mut self, kept: &[Node]) {
        for need in kept {
            let step = node(0, self.owner.len());
            self.owner.push(NOBODY);
            self.edges.push((*need, step));
            self.edges.push((step, *need));
        }
        self.core = self.find_core();
    }

    /// Whether there is no cycle at all.
    pub fn is_free_of_cycles(&self) -> bool {
        !self.core.contains(&true)
    }

    fn chain(&mut self, actor: Actor, needs: Vec<Node>) -> Chain {
        let first = node(0, self.owner.len());
        let owner = node(0, actor);
        if let [only] = needs.as_slice() {
            // All that follow and all that come before are the same.
            self.owner.push(owner);
            self.edges.push((first, *only));
            self.all[actor] = Some(first);
            return Chain {
                after: first,
                before: first,
                needs,
            };
        }
        self.owner.resize(self.owner.len() + 2 * needs.len(), owner);
        let before = node(first, needs.len());
        for (place, need) in needs.iter().enumerate() {
            self.edges.push((node(first, place), *need));
            self.edges.push((node(before, place), *need));
            if place > 0 {
                self.edges.push((node(first, place - 1), node(first, place)));
                self.edges.push((node(before, place), node(before, place - 1)));
            }
        }
        self.all[actor] = (!needs.is_empty()).then_some(first);
        Chain {
            after: first,
            before,
            needs,
        }
    }

    fn lead(&mut self, from: Node, to: Option<Node>) {
        self.edges.extend(to.map(|to| (from, to)));
    }

    /// From `need` to all that the actor of `chain` may be kept by but `without`.
    fn lead_to_all_but(&mut self, need: Node, chain: &Chain, without: Node) {
        let mut places = chain.needs.iter().enumerate().filter(|(_, known)| **known == without);
        match (places.next(), places.next()) {
            (None, _) => self.lead(need, chain.from(0)),
            (Some(_), Some(_)) => {
                for other in chain.needs.iter().filter(|known| **known != without) {
                    self.lead_by_step(need, chain, *other);
                }
            }
            (Some((place, _)), None) => {
                self.lead(need, chain.until(place));
                self.lead(need, chain.from(place + 1));
            }
        }
    }

    /// By a node of its own, so that it is known whose need it is.
    fn lead_by_step(&mut self, from: Node, chain: &Chain, to: Node) {
        let step = node(0, self.owner.len());
        self.owner.push(self.owner[chain.after as usize]);
        self.edges.push((from, step));
        self.edges.push((step, to));
    }

    fn enter_process(&mut self, plan: &Plan, actor: Actor, program: &Program) {
        let layout = self.layout;
        let process = &plan.processes[actor];
        let mut needs: Vec<Node> = waits(plan, layout, &process.after);
        needs.extend(process.slot_in.map(|pool| layout.slot(pool)));
        let lent = needs.len();
        let holds = process
            .holds
            .iter()
            .map(|hold| Layout::resource(resource_index(plan, hold.resource)));
        needs.extend(holds);
        let begun = needs.len();
        let mut held_over: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
        match program {
            Program::Free { acquires, acts } => {
                let lasting = acquires.iter().chain(acts).filter(|act| program.lasts(**act));
                needs.extend(lasting.filter_map(|act| layout.act(*act)));
                for (place, act) in acquires.iter().enumerate() {
                    let (resource, _) = act.demand().expect("it acquires something");
                    held_over.push((resource, begun + place + 1..needs.len()));
                }
            }
            Program::Exact { steps, held } => exact_needs(layout, steps, held, &mut needs, &mut held_over),
        }
        if let Some(pool) = process.worker_of
            && is_kept_by_its_pool(plan, pool)
        {
            needs.push(layout.over(pool_actor(plan, pool)));
        }
        let chain = self.chain(actor, needs);
        if self.is_awaited[actor] {
            self.lead(layout.over(actor), chain.from(0));
            self.lead(layout.begun(actor), chain.until(begun));
        }
        if let Some(pool) = process.slot_in {
            self.lead(layout.slot(pool), chain.from(lent));
        }
        for (place, hold) in process.holds.iter().enumerate() {
            let resource = Layout::resource(resource_index(plan, hold.resource));
            self.lead(resource, chain.from(lent + place + 1));
        }
        self.lead_held(&chain, program, &held_over);
        match program {
            Program::Free { acts, .. } => self.lead_touched(&chain, acts),
            Program::Exact { .. } => self.lead_touched(&chain, &program.acts()),
        }
        for grant in &plan.launches[actor].grants {
            if let crate::plan::Grant::Set(event) = grant {
                self.lead(layout.event(event.index()), chain.from(0));
            }
        }
    }

    fn lead_held(&mut self, chain: &Chain, program: &Program, held_over: &[(usize, std::ops::Range<usize>)]) {
        for (resource, range) in held_over {
            let resource = Layout::resource(*resource);
            if program.is_free() {
                self.lead(resource, chain.from(range.start));
            } else {
                for need in chain.needs.get(range.clone()).unwrap_or_default() {
                    self.lead_by_step(resource, chain, *need);
                }
            }
        }
    }

    fn lead_touched(&mut self, chain: &Chain, acts: &[Act]) {
        let layout = self.layout;
        for act in acts {
            match *act {
                Act::Put(way) => self.lead_to_all_but(layout.item(way), chain, layout.room(way)),
                Act::Get(way) => self.lead_to_all_but(layout.room(way), chain, layout.item(way)),
                Act::Acquire { .. } | Act::Release { .. } | Act::Wait(_) | Act::Set(_) => {}
            }
        }
    }

    /// A queue is drained when its senders have ended and its receivers have got all.
    fn enter_drained(&mut self, plan: &Plan) {
        for queue in queues_awaited(plan) {
            let touches = &plan.queues[queue.index()];
            for party in touches.senders.iter().chain(&touches.receivers) {
                let actor = match party {
                    Party::Process(process) => process.index(),
                    Party::Pool(pool) => pool_actor(plan, *pool),
                };
                self.edges.push((self.layout.drained(queue), self.layout.over(actor)));
            }
        }
    }

    /// An event that is perhaps never set keeps its waiters even where nobody is kept by anybody: that is for the search to tell.
    fn enter_unsure(&mut self, plan: &Plan, programs: &[Program]) {
        let mut is_sure: Vec<bool> = plan.events.iter().map(|event| event.set).collect();
        for program in programs {
            for event in program.surely_set() {
                is_sure[event] = true;
            }
        }
        if !is_sure.contains(&false) {
            return;
        }
        for (actor, program) in programs.iter().enumerate() {
            for act in program.waits() {
                if let Act::Wait(event) = act
                    && !is_sure[event]
                {
                    let need = self.layout.event(event);
                    let step = node(0, self.owner.len());
                    self.owner.push(node(0, actor));
                    self.edges.push((need, step));
                    self.edges.push((step, need));
                }
            }
        }
    }

    fn enter_pool(&mut self, plan: &Plan, pool: PoolId, members: &[Actor]) {
        let layout = self.layout;
        let actor = pool_actor(plan, pool);
        let entry = &plan.pools[pool.index()];
        let mut needs = waits(plan, layout, &entry.after);
        let begun = needs.len();
        let source = entry.work.as_ref().and_then(|work| match work.source {
            TaskSource::Queue(queue) => Some(queue.index()),
            TaskSource::Tasks(_) => None,
        });
        let results = entry.work.as_ref().and_then(|work| work.results).map(QueueId::index);
        needs.extend(source.map(|way| layout.item(way)));
        needs.extend(results.map(|way| layout.room(way)));
        // All workers are alike.
        let shown = if entry.work.is_some() { 1 } else { members.len() };
        needs.extend(members.iter().take(shown).filter_map(|member| self.all[*member]));
        let chain = self.chain(actor, needs);
        self.lead(layout.over(actor), chain.from(0));
        self.lead(layout.begun(actor), chain.until(begun));
        // Who waits for a slot may wait for the pool to open.
        if entry.work.is_none() {
            self.lead(layout.slot(pool), chain.until(begun));
        }
        let mut acts: Vec<Act> = source.map(Act::Get).into_iter().collect();
        acts.extend(results.map(Act::Put));
        self.lead_touched(&chain, &acts);
    }

    /// The nodes from which a cycle can be reached: what is left when those that lead nowhere are taken away, and then those that
    /// lead only to such, and so on.
    fn find_core(&self) -> Vec<bool> {
        let nodes = self.owner.len();
        let mut out = vec![0_u32; nodes];
        let mut first = vec![0_u32; nodes + 1];
        for (from, to) in &self.edges {
            out[*from as usize] += 1;
            first[*to as usize + 1] += 1;
        }
        for place in 0..nodes {
            first[place + 1] += first[place];
        }
        let mut back = vec![0_u32; self.edges.len()];
        let mut fill = first.clone();
        for (from, to) in &self.edges {
            back[fill[*to as usize] as usize] = *from;
            fill[*to as usize] += 1;
        }
        let mut core = vec![true; nodes];
        let mut ends: Vec<Node> = (0..node(0, nodes)).filter(|place| out[*place as usize] == 0).collect();
        while let Some(end) = ends.pop() {
            core[end as usize] = false;
            let from = first[end as usize] as usize..first[end as usize + 1] as usize;
            for before in &back[from] {
                out[*before as usize] -= 1;
                if out[*before as usize] == 0 {
                    ends.push(*before);
                }
            }
        }
        core
    }

    /// Each strongly connected part of the graph that has a cycle, with all that its processes may wait for and from which a cycle can
    /// be reached.
    pub fn knots(&self) -> Vec<Knot> {
        let core = Core::of(self);
        let components = core.components();
        let knots = components.map(|nodes| self.knot(&core, nodes, Daemons::MayEnd));
        knots.collect()
    }

    /// The same where daemons stay and keep `kept`, of the parts that have any of it. All who may wait because of those in such a part belong to
    /// it: daemons that wait for ever do no harm by themselves.
    pub fn knots_of_daemons(mut self, kept: &[Node]) -> Vec<Knot> {
        self.enter_kept(kept);
        let core = Core::of(&self);
        let kept: BTreeSet<NodeIndex<u32>> = kept.iter().map(|need| core.index(*need)).collect();
        let components = core.components();
        let components = components.filter(|nodes| nodes.iter().any(|node| kept.contains(node)));
        let knots = components.map(|nodes| self.knot(&core, core.upstream(nodes), Daemons::Stay));
        knots.collect()
    }

    fn knot(&self, core: &Core, mut todo: Vec<NodeIndex<u32>>, daemons: Daemons) -> Knot {
        let mut knot = Knot {
            daemons,
            actors: BTreeSet::new(),
            needs: BTreeSet::new(),
        };
        while let Some(at) = todo.pop() {
            let place = core.places[at.index()];
            if !knot.needs.insert(node(0, place)) {
                continue;
            }
            todo.extend(core.graph.neighbors(at));
            let owner = self.owner[place];
            if owner != NOBODY && knot.actors.insert(owner as usize) {
                // All that it may wait for counts, from its beginning on.
                let all = self.all[owner as usize].filter(|all| self.core[*all as usize]);
                todo.extend(all.map(|all| core.index(all)));
            }
        }
        knot
    }
}

/// The nodes from which a cycle can be reached, as a graph of their own.
struct Core {
    /// By number here: the node.
    places: Vec<usize>,
    /// By node: its number here.
    number: Vec<u32>,
    graph: DiGraph<(), (), u32>,
}

impl Core {
    fn of(structure: &Structure) -> Self {
        let is_inside = |place: usize| structure.core[place];
        let places: Vec<usize> = (0..structure.core.len()).filter(|place| is_inside(*place)).collect();
        let mut number = vec![0_u32; structure.core.len()];
        for (at, place) in places.iter().enumerate() {
            number[*place] = node(0, at);
        }
        let edges: Vec<(u32, u32)> = (structure.edges.iter())
            .filter(|(from, to)| is_inside(*from as usize) && is_inside(*to as usize))
            .map(|(from, to)| (number[*from as usize], number[*to as usize]))
            .collect();
        let mut graph = DiGraph::with_capacity(places.len(), edges.len());
        for _ in &places {
            graph.add_node(());
        }
        graph.extend_with_edges(edges);
        Self { places, number, graph }
    }

    fn index(&self, node: Node) -> NodeIndex<u32> {
        NodeIndex::new(self.number[node as usize] as usize)
    }

    /// Those that have a cycle.
    fn components(&self) -> impl Iterator<Item = Vec<NodeIndex<u32>>> {
        let components = kosaraju_scc(&self.graph).into_iter();
        components.filter(|nodes| nodes.len() > 1)
    }

    /// These, and all from which they can be reached.
    fn upstream(&self, nodes: Vec<NodeIndex<u32>>) -> Vec<NodeIndex<u32>> {
        let mut seen: BTreeSet<NodeIndex<u32>> = BTreeSet::new();
        let mut todo = nodes;
        while let Some(node) = todo.pop() {
            if seen.insert(node) {
                todo.extend(self.graph.neighbors_directed(node, Direction::Incoming));
            }
        }
        seen.into_iter().collect()
    }
}

/// Room for about as much as comes, so that it need not be copied again and again.
fn reserved<T>(mut list: Vec<T>, more: usize) -> Vec<T> {
    list.reserve(more);
    list
}

/// What is explored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Knot {
    /// What is assumed of daemons in it.
    pub daemons: Daemons,
    /// Those who may be a part of a deadlock, or gate it.
    pub actors: BTreeSet<Actor>,
    /// What they may wait for.
    pub needs: BTreeSet<Node>,
}

/// The waits of `after`; one with a time-out does not last.
fn waits(plan: &Plan, layout: Layout, after: &[Wait]) -> Vec<Node> {
    let lasting = after.iter().filter(|wait| wait.timeout.is_none());
    lasting.map(|wait| layout.wait(plan, *wait)).collect()
}

/// By actor: whether anybody waits for its beginning or its end; of a pool whose tasks it is to give, the pool does.
fn awaited(plan: &Plan) -> Vec<bool> {
    let mut awaited = vec![false; plan.processes.len()];
    awaited.resize(plan.processes.len() + plan.pools.len(), true);
    let of_processes = plan.processes.iter().flat_map(|process| &process.after);
    for wait in of_processes.chain(plan.pools.iter().flat_map(|pool| &pool.after)) {
        match wait.on {
            Dependency::Process(process) => awaited[process.index()] = true,
            Dependency::Queue(queue) => {
                let queue = &plan.queues[queue.index()];
                for party in queue.senders.iter().chain(&queue.receivers) {
                    if let Party::Process(process) = party {
                        awaited[process.index()] = true;
                    }
                }
            }
            Dependency::Pool(_) | Dependency::Event(_) => {}
        }
    }
    awaited
}

/// A persistent worker keeps what it holds while it waits for a task.
fn is_kept_by_its_pool(plan: &Plan, pool: PoolId) -> bool {
    let pool = &plan.pools[pool.index()];
    let holds = pool
        .worker_ids()
        .next()
        .is_some_and(|worker| !plan.processes[worker.index()].holds.is_empty());
    let work = pool.work.as_ref();
    holds && work.is_some_and(|work| work.worker == WorkerKind::Persistent || work.dispatch == Dispatch::Sync)
}

/// The needs of an exact program, and over which of them each resource is held.
fn exact_needs(
    layout: Layout,
    steps: &[Step],
    held: &[Vec<(usize, u32)>],
    needs: &mut Vec<Node>,
    held_over: &mut Vec<(usize, std::ops::Range<usize>)>,
) {
    for (step, held) in steps.iter().zip(held) {
        let Some(need) = step.waits().and_then(|act| layout.act(act)) else {
            continue;
        };
        for (resource, _) in held {
            held_over.push((*resource, needs.len()..needs.len() + 1));
        }
        needs.push(need);
    }
}

/// The workers or lodgers of each pool.
pub(super) fn members_by_pool(plan: &Plan) -> Vec<Vec<Actor>> {
    let mut members = vec![Vec::new(); plan.pools.len()];
    for (actor, process) in plan.processes.iter().enumerate() {
        for pool in process.worker_of.iter().chain(&process.slot_in) {
            members[pool.index()].push(actor);
        }
    }
    members
}

pub(super) fn queues_awaited(plan: &Plan) -> impl Iterator<Item = QueueId> + '_ {
    let of_processes = plan.processes.iter().flat_map(|process| &process.after);
    let waits = of_processes.chain(plan.pools.iter().flat_map(|pool| &pool.after));
    waits.filter_map(|wait| match wait.on {
        Dependency::Queue(queue) => Some(queue),
        Dependency::Process(_) | Dependency::Pool(_) | Dependency::Event(_) => None,
    })
}
