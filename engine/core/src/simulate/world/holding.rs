//! What is held while a process runs: slots, locks, permits; and how long was waited for them.

use super::super::cause::{Cause, How, SpanId};
use super::super::life::{Moments, Phase};
use super::World;
use crate::id::{PoolId, ProcessId};
use crate::machine::Input;
use crate::plan::{Condition, Dependency, Hold};
use crate::time::Time;

impl World<'_> {
    /// A new life begins, if that has not been noted: by its first hold, or its start.
    pub(super) fn begin(&mut self, process: ProcessId, attempt: u32) {
        let life = &mut self.lives[process.index()];
        if life.attempt == attempt && life.phase == Phase::Beginning {
            return;
        }
        let before = life.span;
        life.attempt = attempt;
        life.phase = Phase::Beginning;
        life.granted = 0;
        life.in_line = false;
        let because = self.refined(process, before);
        let span = self.chronicle.begin(self.now, process, false, because);
        self.lives[process.index()].span = Some(span);
        if let Some(pool) = self.plan.processes[process.index()].slot_in {
            self.slot_lent(process, pool, attempt);
        }
    }

    fn slot_lent(&mut self, process: ProcessId, pool: PoolId, attempt: u32) {
        self.lives[process.index()].in_slot = true;
        self.chronicle.slot_taken(self.now, pool);
        self.pool_moments[pool.index()].started.get_or_insert(self.now);
        // When the pause before a restart was over is not known here.
        let waited = self.now.since(self.free_since(process, pool));
        if attempt == 1 && !waited.is_zero() {
            self.chronicle.pools[pool.index()].waited(waited, process);
            self.chronicle.waited(waited, process, None);
        }
    }

    /// When all that it waits for had come, but for a slot.
    fn free_since(&self, process: ProcessId, pool: PoolId) -> Time {
        let own = &self.plan.processes[process.index()].after;
        let pools = &self.plan.pools[pool.index()].after;
        let moments = own.iter().chain(pools).map(|wait| {
            let came = self.came(wait.on, wait.is);
            let patience = wait.timeout.map(|timeout| Time::START.after(timeout));
            match (came, patience) {
                (Some(came), Some(patience)) => came.min(patience),
                (Some(moment), None) | (None, Some(moment)) => moment,
                (None, None) => self.now,
            }
        });
        moments.max().unwrap_or(Time::START)
    }

    fn came(&self, on: Dependency, is: Condition) -> Option<Time> {
        let of = |moments: &Moments| match is {
            Condition::Started => moments.started,
            Condition::Ready => moments.ready,
            Condition::Succeeded | Condition::Failed | Condition::Finished | Condition::Set | Condition::Drained => {
                moments.ended
            }
        };
        match on {
            Dependency::Process(process) => of(&self.moments[process.index()]),
            Dependency::Pool(pool) => of(&self.pool_moments[pool.index()]),
            Dependency::Event(event) => self.set[event.index()],
            Dependency::Queue(queue) => self.drained[queue.index()],
        }
    }

    /// What let a life begin, by name: an end may be that of somebody for whom it waited, or only have left a slot.
    fn refined(&self, process: ProcessId, before: Option<SpanId>) -> Cause {
        let Cause { how, by } = self.cause;
        match (how, by) {
            (How::Clock, None) => Cause::of(How::Clock, before),
            (How::Ended, Some(span)) => {
                let other = self.chronicle.spans[span.index()].process;
                let (own, its) = (
                    &self.plan.processes[process.index()],
                    &self.plan.processes[other.index()],
                );
                let is_awaited = own.after.iter().any(|wait| wait.on == Dependency::Process(other));
                match own.slot_in {
                    Some(pool) if its.slot_in == Some(pool) && !is_awaited => Cause::of(How::Slot(pool), by),
                    Some(_) | None if own.worker_of.is_some() && own.worker_of == its.worker_of => {
                        Cause::of(How::Worker, by)
                    }
                    Some(_) | None => self.cause,
                }
            }
            (
                How::Began
                | How::Started
                | How::Ready
                | How::Ended
                | How::Slot(_)
                | How::Held(_)
                | How::Set(_)
                | How::Item(_)
                | How::Worker
                | How::Queue(_)
                | How::Pipe(_)
                | How::Clock,
                _,
            ) => self.cause,
        }
    }

    pub(super) fn acquire(&mut self, process: ProcessId, attempt: u32, hold: Hold) {
        self.begin(process, attempt);
        if self.yard.ask(self.now, process, attempt, hold) {
            self.lives[process.index()].granted += 1;
            self.answer_late(Input::Acquired { process, attempt });
        } else {
            self.lives[process.index()].in_line = true;
        }
    }

    /// All that it holds, or had asked for, is free; so is its slot.
    pub(super) fn let_go(&mut self, process: ProcessId) {
        let life = &mut self.lives[process.index()];
        let by = life.span;
        let (granted, in_line) = (life.granted as usize, life.in_line);
        let has_run = !matches!(life.phase, Phase::Absent | Phase::Beginning);
        let in_slot = std::mem::take(&mut life.in_slot);
        (life.granted, life.in_line, life.phase) = (0, false, Phase::Absent);
        if has_run {
            self.chronicle.running.give(self.now, 1);
            if let Some(pool) = self.task_pool(process) {
                self.chronicle.slot_left(self.now, pool);
            }
        }
        if let Some(pool) = self.plan.processes[process.index()].slot_in.filter(|_| in_slot) {
            self.chronicle.slot_left(self.now, pool);
        }
        let holds = &self.plan.processes[process.index()].holds;
        for hold in &holds[..granted] {
            self.yard.give(self.now, *hold);
        }
        // Who stood first in a line may have kept others out.
        for hold in &holds[..holds.len().min(granted + usize::from(in_line))] {
            self.grant(*hold, by);
        }
    }

    fn grant(&mut self, hold: Hold, by: Option<SpanId>) {
        loop {
            let lives = &self.lives;
            let granted = self.yard.next(self.now, hold.resource, by, |waiter| {
                let life = &lives[waiter.process.index()];
                life.attempt == waiter.attempt && life.in_line
            });
            let Some(granted) = granted else { return };
            let life = &mut self.lives[granted.process.index()];
            (life.in_line, life.granted) = (false, life.granted + 1);
            if let Some(span) = life.span {
                let span = self.chronicle.at(span);
                span.because = granted.cause;
                let waited = self.now.since(granted.since);
                self.chronicle.waited(waited, granted.process, Some(hold.resource));
            }
            let (process, attempt) = (granted.process, granted.attempt);
            self.tell_after(
                self.scenario.latencies.answer,
                Input::Acquired { process, attempt },
                granted.cause,
            );
        }
    }
}
