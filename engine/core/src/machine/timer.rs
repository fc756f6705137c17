//! Timers: an ordered set of moments. Nothing is ever cancelled: a timer that fires finds out
//! from the state and the attempt whether it still matters.

use std::collections::BTreeSet;

use super::{Because, Machine, Run, Stopped, Why};
use crate::id::{PoolId, ProcessId, TaskId};
use crate::plan::Party;
use crate::time::Time;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The run's `timeout`.
    Run,
    /// The `timeout` of a wait, by its place among all waits.
    Wait(usize),
    /// A process's `timeout`; of a persistent worker: that of the task it works on.
    Timeout {
        process: ProcessId,
        attempt: u32,
        task: Option<TaskId>,
    },
    /// The end of the grace after a stop signal.
    Grace { process: ProcessId, attempt: u32 },
    /// A persistent worker that got end-of-file has had time to leave.
    Dismissed { process: ProcessId, attempt: u32 },
    /// A death by SIGPIPE has waited long enough for its receivers.
    Settle { process: ProcessId, attempt: u32 },
    /// A failed task may be tried again.
    Retry { pool: PoolId, task: TaskId },
    /// The pause before a process is started again is over.
    Restart { process: ProcessId, attempt: u32 },
    /// A process has had its time to become ready.
    Ready { process: ProcessId, attempt: u32 },
}

/// All timers that are set.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    set: BTreeSet<(Time, Timer)>,
    announced: Option<Time>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Time, timer: Timer) {
        self.set.insert((at, timer));
    }

    /// Takes out the first timer that is due at `now`.
    fn due(&mut self, now: Time) -> Option<Timer> {
        let (at, _) = self.set.first()?;
        if *at > now {
            return None;
        }
        self.set.pop_first().map(|(_, timer)| timer)
    }

    /// Announces the moment of the next timer, if it differs from the one announced last.
    pub(super) fn announce(&mut self) -> Option<Time> {
        let next = self.set.first().map(|(at, _)| *at);
        if next == self.announced {
            return None;
        }
        self.announced = next;
        next
    }

    pub(super) fn contains(&self, wanted: impl Fn(&Timer) -> bool) -> bool {
        self.set.iter().any(|(_, timer)| wanted(timer))
    }
}

impl Machine {
    /// Handles all timers that are due.
    pub(super) fn wake(&mut self) {
        // A wake has used up the announcement: the same moment may have to be announced again.
        self.timers.announced = None;
        while let Some(timer) = self.timers.due(self.now) {
            match timer {
                Timer::Run => {
                    if matches!(self.run, Run::Going) {
                        self.stop_run(Stopped::Timeout);
                    }
                }
                Timer::Wait(wait) => self.waited_too_long(wait),
                Timer::Timeout { process, attempt, task } => self.timed_out(process, attempt, task),
                Timer::Grace { process, attempt } => self.grace_over(process, attempt),
                Timer::Dismissed { process, attempt } => self.dismissal_over(process, attempt),
                Timer::Settle { process, attempt } => self.settled(process, attempt),
                Timer::Retry { pool, task } => self.retry_due(pool, task),
                Timer::Restart { process, attempt } => self.restart_due(process, attempt),
                Timer::Ready { process, attempt } => self.readiness_due(process, attempt),
            }
        }
    }

    fn timed_out(&mut self, id: ProcessId, attempt: u32, task: Option<TaskId>) {
        if self.process(id).attempt == attempt && self.task_of(id) == task {
            self.stop(id, Why::Timeout);
        }
    }

    pub(super) fn waited_too_long(&mut self, wait: usize) {
        let Some((party, declared)) = self.waits.still_open(wait) else {
            return;
        };
        // A member of a group that waits anew for others has all the time it takes them.
        let waits_anew = matches!(party, Party::Process(id) if self.has_lived(id));
        if !self.is_waiting(party) || waits_anew {
            return;
        }
        match declared.otherwise {
            crate::plan::Otherwise::Start => self.wait_met(wait),
            crate::plan::Otherwise::Skip => self.skip_late(party, declared.on, false),
            crate::plan::Otherwise::Fail => self.skip_late(party, declared.on, true),
        }
    }

    fn skip_late(&mut self, party: Party, on: crate::plan::Dependency, failed: bool) {
        self.skip(party, Because::WaitedTooLong { on, failed });
    }
}
