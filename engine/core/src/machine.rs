//! The machine decides. It is pure: time is an argument, inputs come in, actions and records go out.
//!
//! ```text
//!            Input                       Action
//!  driver ─────────▶ Machine::step(now) ─────────▶ driver
//!                           │
//!                           └────────▶ Record ───▶ reporters
//! ```
//!
//! The machine knows ids, never names, paths, pids or bytes, and payload never passes through it.
//! A step handles one input, then lets what that changed run through the graph with a worklist, so
//! that a chain of any length needs no recursion. In debug builds every step ends with
//! [`invariant`], which derives all that is kept twice again from scratch and compares.

mod crew;
mod group;
mod invariant;
mod message;
mod print;
mod process;
mod queue;
mod ready;
mod restart;
mod run;
mod slots;
#[cfg(test)]
mod tests;
mod timer;
mod touch;
mod verdict;
mod wait;
mod why;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::id::{EventId, PoolId, ProcessId};
use crate::plan::{Dependency, Plan};
use crate::time::Time;
pub use crew::AHEAD_MAX;
use crew::Crew;
pub use message::*;
pub use print::{Print, Stand};
use process::Process;
use queue::Queue;
use restart::Restarts;
use run::Run;
use slots::Slots;
use timer::Timers;
use touch::Touches;
use wait::Waits;
pub use why::Standing;

/// The state of a run, and the rules by which it changes.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    now: Time,
    run: Run,
    processes: Vec<Process>,
    pools: Vec<Pool>,
    queues: Vec<Queue>,
    events: Vec<Event>,
    waits: Waits,
    /// What never changes; copies of a machine share it.
    touches: Arc<Touches>,
    timers: Timers,
    restarts: Restarts,
    /// Until when those who asked for more time to become ready have it.
    deadlines: BTreeMap<ProcessId, Time>,
    /// Processes and pools that are no daemons and have not ended: while there is one, the run goes on.
    needed: usize,
    /// Processes, workers excepted, that have not ended.
    unended: usize,
    /// Pools with work that have not ended.
    crews_unended: usize,
    /// Processes that died of SIGPIPE and wait for the verdict on their receivers.
    settling: Vec<ProcessId>,
    /// Whether anything failed that is not ignored.
    failed: bool,
    /// What has changed and has not yet been passed on to those who wait for it.
    progress: VecDeque<Dependency>,
    out: Outbox,
}

/// A pool either lends slots or has work of its own.
#[derive(Clone, Debug)]
enum Pool {
    Slots(Slots),
    Crew(Crew),
}

/// What the machine knows of an event; whether it is set now is the yard's affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    /// It was set at least once.
    seen: bool,
    /// Those who may set it and have not ended.
    setters_left: u32,
}

impl Machine {
    /// A machine for `plan`, before its start: the first input must be [`Input::Start`].
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let processes = plan.processes.iter().map(|_| Process::new()).collect();
        let pools = plan
            .pools
            .iter()
            .zip(0..)
            .map(|(pool, id)| Pool::new(&plan, pool, PoolId(id)))
            .collect();
        let queues = plan.queues.iter().map(Queue::new).collect();
        let own = plan
            .processes
            .iter()
            .filter(|process| process.worker_of.is_none() && !process.daemon)
            .count();
        let crews = plan
            .pools
            .iter()
            .filter(|pool| pool.work.is_some() && !pool.daemon)
            .count();
        let touches = Touches::new(&plan);
        Self {
            now: Time::START,
            run: Run::Before,
            processes,
            pools,
            queues,
            events: touches.events(&plan),
            waits: Waits::new(&plan),
            touches: Arc::new(touches),
            timers: Timers::default(),
            restarts: Restarts::new(plan.groups.len()),
            deadlines: BTreeMap::new(),
            needed: own + crews,
            unended: plan
                .processes
                .iter()
                .filter(|process| process.worker_of.is_none())
                .count(),
            crews_unended: plan.pools.iter().filter(|pool| pool.work.is_some()).count(),
            settling: Vec::new(),
            failed: false,
            progress: VecDeque::new(),
            out: Outbox::default(),
            plan,
        }
    }

    /// Handles one input at time `now` and appends what follows from it to `out`.
    ///
    /// Time never runs back: an earlier `now` counts as the latest one seen. After [`Action::End`]
    /// inputs have no effect.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Outbox) {
        if matches!(self.run, Run::Ended) {
            return;
        }
        self.now = self.now.max(now);
        self.take(input);
        self.settle();
        if !matches!(self.run, Run::Before | Run::Ended)
            && let Some(at) = self.timers.announce()
        {
            self.out.actions.push(Action::WakeAt { at });
        }
        if cfg!(debug_assertions) {
            self.assert_invariants();
        }
        out.actions.append(&mut self.out.actions);
        out.records.append(&mut self.out.records);
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Start => self.start(),
            Input::Acquired { process, attempt } => self.acquired(process, attempt),
            Input::Spawned { process, attempt } => self.spawned(process, attempt),
            Input::NotSpawned { process, attempt } => self.not_spawned(process, attempt),
            Input::Exited {
                process,
                attempt,
                exit,
                left,
            } => self.exited(process, attempt, exit, left),
            Input::Gone { process, attempt } => self.gone(process, attempt),
            Input::EventSet { event } => self.event_set(event),
            Input::QueueDrained { queue } => self.queue_drained(queue),
            Input::QueueLeft { queue } => self.queue_left(queue),
            Input::Taken { pool, count } => self.taken(pool, count),
            Input::SourceEnded { pool } => self.source_ended(pool),
            Input::SourceFailed { pool } => self.source_failed(pool),
            Input::Answered { process, attempt } => self.answered(process, attempt),
            Input::Unfit { process, attempt, task } => self.unfit(process, attempt, task),
            Input::Delivered { pool, task } => self.delivered(pool, task),
            Input::Wake => self.wake(),
            Input::Interrupt { signal } => self.interrupt(signal),
            Input::Fault => self.stop_run(Stopped::Fault),
            Input::Seed { seed } => self.restarts.seed(seed),
            Input::Ready { process, attempt } => self.became_ready(process, attempt),
            Input::NotReady { process, attempt } => self.not_ready(process, attempt),
            Input::Extend { process, attempt, by } => self.extended(process, attempt, by),
            Input::NotLive { process, attempt } => self.not_live(process, attempt),
            Input::Deadlocked => self.deadlocked(),
        }
    }

    /// Passes changes on until nothing changes any more.
    fn settle(&mut self) {
        loop {
            while let Some(dependency) = self.progress.pop_front() {
                self.tell_dependents(dependency);
            }
            self.settle_broken_pipes();
            if self.progress.is_empty() && !self.conclude() {
                return;
            }
        }
    }

    fn event_set(&mut self, event: EventId) {
        self.events[event.index()].seen = true;
        self.progress.push_back(Dependency::Event(event));
    }

    fn process(&self, id: ProcessId) -> &Process {
        &self.processes[id.index()]
    }

    fn act(&mut self, action: Action) {
        self.out.actions.push(action);
    }

    fn tell(&mut self, record: Record) {
        self.out.records.push(record);
    }
}

impl Pool {
    fn new(plan: &Plan, pool: &crate::plan::Pool, id: PoolId) -> Self {
        match &pool.work {
            None => {
                let members = plan
                    .processes
                    .iter()
                    .filter(|process| process.slot_in == Some(id))
                    .count();
                Self::Slots(Slots::new(pool.size, members))
            }
            Some(_) => Self::Crew(Crew::new(pool.workers.len())),
        }
    }
}
