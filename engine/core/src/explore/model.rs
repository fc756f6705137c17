//! What is explored: a plan, and what each of its processes may do by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inside::{Act, Program};
use crate::id::{EventId, PoolId, ProcessId, QueueId};
use crate::plan::{Condition, Dependency, Grant, OnFailure, Party, Plan, Process, Resource, Side, TaskSource, Wire};

/// Who acts: a process by its number, or a pool by its own behind those of all processes.
pub(super) type Actor = usize;

/// What is assumed of the end of daemons. Both are looked at: something may hang because one ends, and because one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Daemons {
    /// They may end at any time, as everybody else.
    MayEnd,
    /// They run until they are stopped, and keep what they were given before their start: slots, and what they hold.
    Stay,
}

/// A queue, or one way of a pipe, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// How many items fit; `None`: any number.
    pub capacity: Option<u32>,
    /// Who may put into it.
    pub senders: Vec<Actor>,
    /// Who may get from it.
    pub receivers: Vec<Actor>,
    /// Somebody waits until it is drained.
    pub is_awaited: bool,
}

/// A plan with all that is derived from it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub plan: Arc<Plan>,
    pub programs: Vec<Program>,
    /// Queues, then two for each pipe.
    pub ways: Vec<Way>,
    /// Of each lock, then of each semaphore.
    pub permits: Vec<u32>,
    /// Who may acquire each.
    pub users: Vec<Vec<Actor>>,
    /// Who may set each event.
    pub setters: Vec<Vec<Actor>>,
    /// Whether it is tried what follows from a failure of this process: somebody asks how it ended.
    pub fails: Vec<bool>,
    /// Whether a failure of this process may count as a success because of a receiver that is not in this model.
    pub breaks: Vec<bool>,
    /// By actor: whether it is a daemon that stays, or a part of a pool that is a daemon; empty where daemons may end.
    daemons: Vec<bool>,
    /// Whether somebody waits for this event.
    pub heard: Vec<bool>,
    /// Processes that are alike, as lists; who is like no other is in none.
    pub alike: Vec<Vec<Actor>>,
    /// The list of each process in `alike`.
    pub class: Vec<Option<usize>>,
    /// For each party, the slot pools whose line somebody may enter because this party began or ended.
    pub lines: Vec<Vec<PoolId>>,
    /// For each slot pool, those whose beginning or end may let somebody enter its line.
    pub line_makers: BTreeMap<PoolId, Vec<Actor>>,
}

impl Model {
    pub fn actors(&self) -> usize {
        self.plan.processes.len() + self.plan.pools.len()
    }

    pub fn pool_actor(&self, pool: PoolId) -> Actor {
        pool_actor(&self.plan, pool)
    }

    /// The pool that this actor is; `None` for a process.
    pub fn pool_of_actor(&self, actor: Actor) -> Option<PoolId> {
        actor.checked_sub(self.plan.processes.len()).map(PoolId::at)
    }

    pub fn party(&self, actor: Actor) -> Party {
        match self.pool_of_actor(actor) {
            Some(pool) => Party::Pool(pool),
            None => Party::Process(ProcessId::at(actor)),
        }
    }

    /// All who have a part in this party: the process itself, or the pool with its workers or lodgers.
    pub fn members(&self, on: Dependency) -> Vec<Actor> {
        match on {
            Dependency::Process(process) => vec![process.index()],
            Dependency::Pool(pool) => {
                let mut members = members_of(&self.plan, pool);
                members.push(self.pool_actor(pool));
                members
            }
            Dependency::Event(event) => self.setters[event.index()].clone(),
            Dependency::Queue(queue) => {
                let way = &self.ways[queue.index()];
                way.senders.iter().chain(&way.receivers).copied().collect()
            }
        }
    }

    /// All who touch what this act touches.
    pub fn touching(&self, act: Act) -> Vec<Actor> {
        match act {
            Act::Acquire { resource, .. } | Act::Release { resource, .. } => self.users[resource].clone(),
            Act::Put(way) | Act::Get(way) => {
                let way = &self.ways[way];
                way.senders.iter().chain(&way.receivers).copied().collect()
            }
            Act::Wait(event) | Act::Set(event) => self.setters[event].clone(),
        }
    }

    /// Whether this process never ends by itself: what it was given before its start it keeps.
    pub fn stays(&self, actor: Actor) -> bool {
        let process = self.plan.processes.get(actor);
        self.is_daemon(actor) && process.is_some_and(|process| process.worker_of.is_none())
    }

    /// Whether this one is a daemon, where these stay.
    pub fn is_daemon(&self, actor: Actor) -> bool {
        self.daemons.get(actor).copied().unwrap_or(false)
    }

    /// What is assumed of the end of daemons.
    pub fn assumed(&self) -> Daemons {
        if self.daemons.is_empty() {
            Daemons::MayEnd
        } else {
            Daemons::Stay
        }
    }

    pub fn new(mut plan: Arc<Plan>, programs: Vec<Program>, breaks: Vec<bool>, daemons: Vec<bool>) -> Self {
        let has_lives = |process: &Process| process.restart.is_some() || process.ready.is_some();
        if plan.processes.iter().any(has_lives) {
            live_once(Arc::make_mut(&mut plan));
        }
        let mut model = Self {
            ways: ways(&plan),
            permits: permits(&plan),
            users: vec![Vec::new(); plan.locks.len() + plan.semaphores.len()],
            setters: vec![Vec::new(); plan.events.len()],
            fails: vec![false; plan.processes.len()],
            breaks,
            daemons,
            heard: vec![false; plan.events.len()],
            alike: Vec::new(),
            class: vec![None; plan.processes.len()],
            lines: vec![Vec::new(); plan.processes.len() + plan.pools.len()],
            line_makers: BTreeMap::new(),
            programs,
            plan,
        };
        model.enter_touches();
        model.enter_waits();
        model.enter_lines();
        model.find_alike();
        model.fit_capacities();
        for (fails, process) in model.fails.iter_mut().zip(&model.plan.processes) {
            // A failure that counts as a success is none, and one that stops the run ends all waiting.
            *fails &= process.on_failure == OnFailure::Fail;
        }
        model
    }

    fn enter_touches(&mut self) {
        for actor in 0..self.plan.processes.len() {
            for hold in &self.plan.processes[actor].holds {
                self.users[resource_index(&self.plan, hold.resource)].push(actor);
            }
            for act in self.programs[actor].acts() {
                match act {
                    Act::Acquire { resource, .. } => self.users[resource].push(actor),
                    Act::Release { .. } => {}
                    Act::Put(way) => self.ways[way].senders.push(actor),
                    Act::Get(way) => self.ways[way].receivers.push(actor),
                    Act::Wait(event) => self.heard[event] = true,
                    Act::Set(event) => self.setters[event].push(actor),
                }
            }
            // Who may set an event may be waited for to do so, whether or not its protocol has it.
            for grant in &self.plan.launches[actor].grants {
                if let Grant::Set(event) = grant {
                    self.setters[event.index()].push(actor);
                }
            }
        }
        for (index, pool) in self.plan.pools.iter().enumerate() {
            let actor = pool_actor(&self.plan, PoolId::at(index));
            if let Some(work) = &pool.work {
                if let TaskSource::Queue(queue) = work.source {
                    self.ways[queue.index()].receivers.push(actor);
                }
                if let Some(queue) = work.results {
                    self.ways[queue.index()].senders.push(actor);
                }
            }
        }
        for list in self.users.iter_mut().chain(&mut self.setters) {
            list.sort_unstable();
            list.dedup();
        }
        for way in &mut self.ways {
            for list in [&mut way.senders, &mut way.receivers] {
                list.sort_unstable();
                list.dedup();
            }
        }
    }

    fn enter_waits(&mut self) {
        let plan = Arc::clone(&self.plan);
        let of_processes = plan.processes.iter().flat_map(|process| &process.after);
        for wait in of_processes.chain(plan.pools.iter().flat_map(|pool| &pool.after)) {
            let asks_how = matches!(wait.is, Condition::Succeeded | Condition::Failed);
            match wait.on {
                Dependency::Process(process) => self.fails[process.index()] |= asks_how,
                Dependency::Pool(pool) => {
                    for member in members_of(&plan, pool) {
                        self.fails[member] |= asks_how;
                    }
                }
                Dependency::Event(event) => self.heard[event.index()] = true,
                Dependency::Queue(queue) => self.ways[queue.index()].is_awaited = true,
            }
        }
    }

    /// Who waits with `after` and runs in a slot enters a line when the last of those waits comes.
    fn enter_lines(&mut self) {
        let plan = Arc::clone(&self.plan);
        for process in &plan.processes {
            let Some(pool) = process.slot_in else { continue };
            let mut makers: Vec<Actor> = process.after.iter().flat_map(|wait| self.members(wait.on)).collect();
            let mut next = 0;
            // A wait that can no longer come skips, and so on: whoever is before is a maker too.
            while let Some(&maker) = makers.get(next) {
                next += 1;
                for wait in waits_of(&plan, self.party(maker)) {
                    for before in self.members(wait.on) {
                        if !makers.contains(&before) {
                            makers.push(before);
                        }
                    }
                }
            }
            for maker in makers {
                if !self.lines[maker].contains(&pool) {
                    self.lines[maker].push(pool);
                    self.line_makers.entry(pool).or_default().push(maker);
                }
            }
        }
    }

    fn find_alike(&mut self) {
        let mut groups: BTreeMap<String, Vec<Actor>> = BTreeMap::new();
        for actor in 0..self.plan.processes.len() {
            groups.entry(self.likeness(actor)).or_default().push(actor);
        }
        for group in groups.into_values().filter(|group| group.len() > 1) {
            for actor in &group {
                self.class[*actor] = Some(self.alike.len());
            }
            self.alike.push(group);
        }
    }

    /// All that tells one process from another, but its name: who waits for it, and what it touches, included.
    fn likeness(&self, actor: Actor) -> String {
        let process = &self.plan.processes[actor];
        let id = ProcessId::at(actor);
        let waiters: Vec<_> = (self.plan.processes.iter().map(|process| &process.after))
            .chain(self.plan.pools.iter().map(|pool| &pool.after))
            .enumerate()
            .flat_map(|(place, waits)| {
                let on_it = waits.iter().filter(|wait| wait.on == Dependency::Process(id));
                on_it.map(move |wait| (place, wait.is, wait.timeout, wait.otherwise as u8))
            })
            .collect();
        let sends: Vec<bool> = (self.plan.queues.iter())
            .map(|queue| queue.senders.contains(&Party::Process(id)))
            .collect();
        let receives: Vec<bool> = (self.plan.queues.iter())
            .map(|queue| queue.receivers.contains(&Party::Process(id)))
            .collect();
        format!(
            "{:?} {:?} {:?} {:?} {} {:?} {waiters:?} {sends:?} {receives:?} {:?} {}",
            process.worker_of,
            process.after,
            process.holds,
            process.slot_in,
            self.is_daemon(actor),
            process.on_failure,
            self.programs[actor],
            self.breaks[actor],
        )
    }

    /// A queue that any number of items may be put into can be filled whatever its capacity is: the smallest shows as much.
    fn fit_capacities(&mut self) {
        let pipes = self.plan.queues.len();
        for index in 0..self.ways.len() {
            let declared = self.plan.queues.get(index).map_or(1, |queue| queue.capacity);
            let free = |actor: &Actor| self.programs.get(*actor).is_none_or(Program::is_free);
            let is_free = self.ways[index].senders.iter().any(free) || index >= pipes;
            let least = if is_free { 1 } else { ITEMS_MAX };
            self.ways[index].capacity = match declared {
                0 => None,
                _ => Some(u32::try_from(declared).map_or(least, |declared| declared.min(least))),
            };
        }
    }
}

/// By actor: whether it is a daemon, or a part of a pool that is one.
pub(super) fn daemons(plan: &Plan) -> Vec<bool> {
    let of_pool = |pool: PoolId| plan.pools[pool.index()].daemon;
    let processes = plan.processes.iter();
    let processes = processes.map(|process| process.worker_of.map_or(process.daemon, of_pool));
    processes.chain(plan.pools.iter().map(|pool| pool.daemon)).collect()
}

/// More items than this at once are not told apart.
pub(super) const ITEMS_MAX: u32 = 64;

pub(super) fn pool_actor(plan: &Plan, pool: PoolId) -> Actor {
    plan.processes.len() + pool.index()
}

/// The workers of a pool, or the processes that run in its slots.
pub(super) fn members_of(plan: &Plan, pool: PoolId) -> Vec<Actor> {
    if plan.pools[pool.index()].work.is_some() {
        return plan.pools[pool.index()].worker_ids().map(ProcessId::index).collect();
    }
    let lodgers = plan.processes.iter().enumerate();
    let lodgers = lodgers.filter(|(_, process)| process.slot_in == Some(pool));
    lodgers.map(|(actor, _)| actor).collect()
}

pub(super) fn waits_of(plan: &Plan, party: Party) -> &[crate::plan::Wait] {
    match party {
        Party::Process(process) => &plan.processes[process.index()].after,
        Party::Pool(pool) => &plan.pools[pool.index()].after,
    }
}

/// Locks first, then semaphores.
pub(super) fn resource_index(plan: &Plan, resource: Resource) -> usize {
    match resource {
        Resource::Lock(lock) => lock.index(),
        Resource::Semaphore(semaphore) => plan.locks.len() + semaphore.index(),
    }
}

/// The way of a queue.
pub(super) fn queue_way(queue: QueueId) -> usize {
    queue.index()
}

/// The way of a pipe, from the end at this side.
pub(super) fn pipe_way(plan: &Plan, pipe: crate::id::PipeId, from: Side) -> usize {
    let way = plan.queues.len() + 2 * pipe.index();
    match from {
        Side::Left => way,
        Side::Right => way + 1,
    }
}

/// How many there are of each lock, then of each semaphore.
pub(super) fn permits(plan: &Plan) -> Vec<u32> {
    let locks = plan.locks.iter().map(|_| 1);
    locks.chain(plan.semaphores.iter().map(|it| it.permits)).collect()
}

fn ways(plan: &Plan) -> Vec<Way> {
    let way = Way {
        capacity: Some(1),
        senders: Vec::new(),
        receivers: Vec::new(),
        is_awaited: false,
    };
    vec![way; plan.queues.len() + 2 * plan.pipes.len()]
}

/// Where the descriptors and channels of a process lead, as acts that it may do.
pub(super) fn touches(plan: &Plan, actor: Actor) -> Vec<Act> {
    let launch = &plan.launches[actor];
    let mut acts = Vec::new();
    for wire in launch.fds.values() {
        match wire {
            Wire::ToQueue(queue) => acts.push(Act::Put(queue_way(*queue))),
            Wire::FromQueue(queue) => acts.push(Act::Get(queue_way(*queue))),
            Wire::PipeWriter(pipe) => acts.push(Act::Put(pipe_way(plan, *pipe, Side::Left))),
            Wire::PipeReader(pipe) => acts.push(Act::Get(pipe_way(plan, *pipe, Side::Left))),
            // What two programs say to each other over a duplex pipe is their own affair, unless a protocol tells.
            Wire::Duplex(..)
            | Wire::Null
            | Wire::Inherit
            | Wire::Log
            | Wire::Stdout
            | Wire::ReadFile(_)
            | Wire::WriteFile(_)
            | Wire::AppendFile(_)
            | Wire::Text(_)
            | Wire::Notify
            | Wire::Tasks
            | Wire::Results => {}
        }
    }
    for grant in &launch.grants {
        match grant {
            Grant::Put(queue) => acts.push(Act::Put(queue_way(*queue))),
            Grant::Get(queue) => acts.push(Act::Get(queue_way(*queue))),
            Grant::Set(EventId(event)) => acts.push(Act::Set(*event as usize)),
            Grant::Wait(EventId(event)) => acts.push(Act::Wait(*event as usize)),
            Grant::Acquire(_) => {}
        }
    }
    acts.sort_unstable();
    acts.dedup();
    acts
}

/// A restart only puts off what the end of a process brings, and one that is looked at is ready at some time after its start:
/// both are left out.
fn live_once(plan: &mut Plan) {
    let pools = plan.pools.iter_mut().map(|pool| &mut pool.after);
    let mut waits = Vec::new();
    for process in &mut plan.processes {
        process.restart = None;
        process.ready = None;
        waits.push(&mut process.after);
    }
    for wait in waits.into_iter().chain(pools).flatten() {
        if wait.is == Condition::Ready {
            wait.is = Condition::Started;
        }
    }
}
