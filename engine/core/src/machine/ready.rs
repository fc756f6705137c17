//! Readiness: a process that is looked at runs first, and is ready later, or is stopped for being late.

use std::time::Duration;

use super::process::State;
use super::timer::Timer;
use super::{Machine, Record, Why};
use crate::id::ProcessId;
use crate::plan::Dependency;

impl Machine {
    /// A life has begun: it has so much time to become ready.
    pub(super) fn await_readiness(&mut self, id: ProcessId, attempt: u32) {
        self.deadlines.remove(&id);
        if let Some(patience) = self.plan.processes[id.index()].ready {
            self.timers
                .set(self.now.after(patience), Timer::Ready { process: id, attempt });
        }
    }

    /// It has been seen to be ready.
    pub(super) fn became_ready(&mut self, id: ProcessId, attempt: u32) {
        let process = *self.process(id);
        let is_awaited = self.plan.processes[id.index()].ready.is_some();
        if process.state != State::Running || process.attempt != attempt || !is_awaited {
            return;
        }
        self.set_state(id, State::Ready { since: self.now });
        self.tell(Record::Ready {
            process: id,
            attempt,
            took: self.now.since(process.since),
        });
        self.progress.push_back(Dependency::Process(id));
    }

    /// It asks for more time: so much from now on, where that is later than the time it has.
    pub(super) fn extended(&mut self, id: ProcessId, attempt: u32, by: Duration) {
        if self.process(id).attempt == attempt && self.process(id).state == State::Running {
            let until = self.now.after(by);
            let deadline = self.deadlines.entry(id).or_insert(until);
            *deadline = until.max(*deadline);
        }
    }

    /// Its time to become ready is over, if it has not got more.
    pub(super) fn readiness_due(&mut self, id: ProcessId, attempt: u32) {
        if self.process(id).attempt != attempt || self.process(id).state != State::Running {
            return;
        }
        match self.deadlines.get(&id) {
            Some(until) if *until > self.now => self.timers.set(*until, Timer::Ready { process: id, attempt }),
            Some(_) | None => self.stop(id, Why::NotReady),
        }
    }

    /// It has not been seen to be ready, and nobody looks any more.
    pub(super) fn not_ready(&mut self, id: ProcessId, attempt: u32) {
        if self.process(id).attempt == attempt && self.process(id).state == State::Running {
            self.stop(id, Why::NotReady);
        }
    }

    /// It is seen not to be alive, though it runs.
    pub(super) fn not_live(&mut self, id: ProcessId, attempt: u32) {
        if self.process(id).attempt == attempt {
            self.stop(id, Why::NotLive);
        }
    }
}
