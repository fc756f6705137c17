//! The run as a whole: its start, its stop, its end.
//!
//! ```text
//!  Before ─▶ Going ─▶ Winding ─▶ Ended        nobody but daemons is left: these are stopped
//!              └─▶ Stopping ─▶ Killing ─▶ Ended
//! ```

use super::process::State;
use super::timer::Timer;
use super::{Action, Because, Machine, Record, Stopped, Verdict, Why};
use crate::id::{PoolId, ProcessId};
use crate::plan::{Dependency, OnDeadlock, Party};
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// The first input has not come.
    Before,
    /// It goes on.
    Going,
    /// Nobody but daemons is left; they are being stopped.
    Winding,
    /// All are being stopped, dependents before what they depend on.
    Stopping(Stopped),
    /// All are being killed.
    Killing(Stopped),
    /// It is over.
    Ended,
}

impl Machine {
    pub(super) fn start(&mut self) {
        if self.run != Run::Before {
            return;
        }
        self.run = Run::Going;
        self.tell(Record::RunStarted);
        if let Some(timeout) = self.plan.timeout {
            self.timers.set(Time::START.after(timeout), Timer::Run);
        }
        for (wait, timeout) in self.waits.with_timeout() {
            self.timers.set(Time::START.after(timeout), Timer::Wait(wait));
        }
        self.end_lonely_queues();
        for index in 0..self.pools.len() {
            self.begin_if_free(Party::Pool(PoolId::at(index)));
        }
        for index in 0..self.processes.len() {
            if self.plan.processes[index].worker_of.is_none() {
                self.begin_if_free(Party::Process(ProcessId::at(index)));
            }
        }
    }

    /// Begins a party that waits for nothing, or for what has come already.
    fn begin_if_free(&mut self, party: Party) {
        let places = self.waits.places(&self.plan, party);
        if places.is_empty() && self.is_waiting(party) {
            self.begin(party);
            return;
        }
        for place in places {
            self.judge_wait(place);
        }
    }

    pub(super) fn interrupt(&mut self, signal: i32) {
        match self.run {
            Run::Before | Run::Killing(_) | Run::Ended => {}
            Run::Going | Run::Winding => self.stop_run(Stopped::Signal(signal)),
            Run::Stopping(why) => self.kill_run(why),
        }
    }

    /// Some wait for each other for ever.
    pub(super) fn deadlocked(&mut self) {
        match self.plan.on_deadlock {
            OnDeadlock::Fail => self.stop_run(Stopped::Deadlock),
            // The others go on.
            OnDeadlock::Report => {}
        }
    }

    /// Begins the orderly stop: what has not started will not, what runs is stopped, dependents first.
    pub(super) fn stop_run(&mut self, why: Stopped) {
        if !matches!(self.run, Run::Going | Run::Winding) {
            return;
        }
        self.run = Run::Stopping(why);
        self.tell(Record::RunStopping { why });
        self.stop_all(|_, _| true, Because::RunStops);
    }

    fn kill_run(&mut self, why: Stopped) {
        self.run = Run::Killing(why);
        for index in 0..self.processes.len() {
            let id = ProcessId::at(index);
            self.stop(id, Why::RunStops);
            self.kill(id);
        }
    }

    /// Skips what has not started, and stops what runs, of the parties chosen.
    fn stop_all(&mut self, chosen: impl Fn(&Self, Party) -> bool, because: Because) {
        for index in 0..self.pools.len() {
            let party = Party::Pool(PoolId::at(index));
            if chosen(self, party) {
                if self.is_waiting(party) {
                    self.skip(party, because);
                } else {
                    self.cease_work(PoolId::at(index));
                }
            }
        }
        for index in 0..self.processes.len() {
            let party = Party::Process(ProcessId::at(index));
            if self.plan.processes[index].worker_of.is_none() && chosen(self, party) {
                self.stop_process(ProcessId::at(index), because);
            }
        }
        for index in 0..self.pools.len() {
            let party = Party::Pool(PoolId::at(index));
            if chosen(self, party) {
                self.stop_if_free(party);
            }
        }
    }

    fn stop_process(&mut self, id: ProcessId, because: Because) {
        match self.process(id).state {
            State::Pending | State::Queued | State::Acquiring { .. } | State::Backoff | State::Regrouping => {
                self.skip(Party::Process(id), because);
            }
            State::Starting { .. } | State::Running | State::Ready { .. } => self.stop_if_free(Party::Process(id)),
            State::Stopping { .. } | State::Leaving { .. } | State::Settling { .. } | State::Ended(_) => {}
        }
    }

    /// Stops a party on which nobody who is alive depends; the others follow when these have gone.
    fn stop_if_free(&mut self, party: Party) {
        let on = super::touch::dependency(party);
        if self.waits.dependents(on).any(|dependent| self.is_alive(dependent)) {
            return;
        }
        let why = if self.run == Run::Winding {
            Why::NotNeeded
        } else {
            Why::RunStops
        };
        match party {
            Party::Process(process) => self.stop(process, why),
            Party::Pool(pool) => {
                for worker in self.plan.pools[pool.index()].worker_ids() {
                    self.stop(worker, why);
                }
            }
        }
    }

    /// The party has ended: while things are being stopped, what it depended on may be next.
    pub(super) fn dependencies_freed(&mut self, party: Party) {
        if !matches!(self.run, Run::Stopping(_) | Run::Winding) {
            return;
        }
        let waits: Vec<Dependency> = self.waits.of(&self.plan, party).map(|wait| wait.on).collect();
        for on in waits {
            let party = match on {
                Dependency::Process(process) => Party::Process(process),
                Dependency::Pool(pool) => Party::Pool(pool),
                Dependency::Event(_) | Dependency::Queue(_) => continue,
            };
            if self.run != Run::Winding || self.is_daemon(party) {
                self.stop_if_free(party);
            }
        }
    }

    fn is_alive(&self, party: Party) -> bool {
        match party {
            Party::Process(process) => self.process(process).is_alive(),
            Party::Pool(pool) => self.plan.pools[pool.index()]
                .worker_ids()
                .any(|worker| self.process(worker).is_alive()),
        }
    }

    pub(super) fn is_daemon(&self, party: Party) -> bool {
        match party {
            Party::Process(process) => self.plan.processes[process.index()].daemon,
            Party::Pool(pool) => self.plan.pools[pool.index()].daemon && self.plan.pools[pool.index()].work.is_some(),
        }
    }

    /// Ends what is to end because nothing else happens; whether that changed anything.
    pub(super) fn conclude(&mut self) -> bool {
        match self.run {
            Run::Before | Run::Ended => return false,
            Run::Going | Run::Winding | Run::Stopping(_) | Run::Killing(_) => {}
        }
        if self.needed == 0 && self.run == Run::Going {
            self.run = Run::Winding;
            self.stop_all(Self::is_daemon, Because::NotNeeded);
            return true;
        }
        if self.unended > 0 || self.crews_unended > 0 {
            return false;
        }
        let verdict = self.final_verdict();
        self.run = Run::Ended;
        self.tell(Record::RunEnded { verdict });
        self.act(Action::End { verdict });
        false
    }

    fn final_verdict(&self) -> Verdict {
        match self.run {
            Run::Stopping(why) | Run::Killing(why) => match why {
                Stopped::Signal(signal) => Verdict::Signal(signal),
                Stopped::Timeout => Verdict::TimedOut,
                Stopped::Failure => Verdict::Failed,
                Stopped::Fault => Verdict::Fault,
                Stopped::Deadlock => Verdict::Deadlock,
            },
            Run::Before | Run::Going | Run::Winding | Run::Ended if self.failed => Verdict::Failed,
            Run::Before | Run::Going | Run::Winding | Run::Ended => Verdict::Succeeded,
        }
    }
}
