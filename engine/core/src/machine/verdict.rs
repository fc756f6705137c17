//! What the end of a process means, above all when it ended because a receiver was gone.

use std::time::Duration;

use super::process::{End, Process, State};
use super::queue::QueueState;
use super::restart::Next;
use super::timer::Timer;
use super::wait::Judgement;
use super::{Exit, Machine, Outcome, Record, Stopped};
use crate::id::{GroupId, ProcessId, QueueId};
use crate::plan::{Condition, Dependency, OnFailure, Party};

/// SIGPIPE, and the exit code with which a shell reports it.
const SIGPIPE: i32 = 13;
const SHELL_SIGPIPE: i32 = 128 + SIGPIPE;

/// How long a death by SIGPIPE waits for the receivers to end: they close their descriptors a moment before they
/// are seen to have ended, so milliseconds are enough for all but a machine under great load.
const SETTLE_MAX: Duration = Duration::from_secs(1);

impl Machine {
    pub(super) fn verdict_by_exit(&mut self, id: ProcessId, exit: Exit) {
        if self.is_success(id, exit) {
            self.verdict(id, exit, Outcome::Succeeded);
            return;
        }
        match self.broken_pipe(id, exit) {
            Judgement::Met => self.verdict(id, exit, Outcome::BrokenPipe),
            Judgement::Never => self.verdict(id, exit, Outcome::Failed),
            Judgement::Open => {
                let attempt = self.process(id).attempt;
                self.settling.push(id);
                self.timers
                    .set(self.now.after(SETTLE_MAX), Timer::Settle { process: id, attempt });
                self.progress.push_back(Dependency::Process(id));
            }
        }
    }

    /// Whether a failure is only that the receivers had ended well.
    ///
    /// Death by SIGPIPE tells of it even before they have ended. Any other failure counts as one after
    /// EPIPE only when they already have: the engine cannot see into the kernel's pipe.
    fn broken_pipe(&self, id: ProcessId, exit: Exit) -> Judgement {
        if self.plan.pipefail {
            return Judgement::Never;
        }
        let by_signal = matches!(exit, Exit::Signal(SIGPIPE) | Exit::Code(SHELL_SIGPIPE));
        if !by_signal && matches!(exit, Exit::Signal(_) | Exit::Unknown) {
            return Judgement::Never;
        }
        let Some(touch) = self.touches.of(Party::Process(id)) else {
            return Judgement::Never;
        };
        let pipes = touch.pipes.iter().map(|pipe| {
            let receivers = &self.plan.pipes[pipe.index()].receivers;
            self.ended_well(receivers.iter().map(|receiver| self.plan.party_of(*receiver)))
        });
        let broken = touch.sends.iter().filter(|queue| self.is_broken(**queue));
        let queues = broken.map(|queue| self.ended_well(self.plan.queues[queue.index()].receivers.iter().copied()));
        let judged = pipes.chain(queues).min_by_key(|judgement| match judgement {
            Judgement::Met => 0,
            Judgement::Open => 1,
            Judgement::Never => 2,
        });
        match judged {
            Some(Judgement::Open) if !by_signal => Judgement::Never,
            Some(judgement) => judgement,
            None => Judgement::Never,
        }
    }

    fn ended_well(&self, mut receivers: impl Iterator<Item = Party>) -> Judgement {
        let mut judgement = Judgement::Met;
        if receivers.any(|receiver| match self.ended_party(receiver) {
            Judgement::Met => false,
            Judgement::Open => {
                judgement = Judgement::Open;
                false
            }
            Judgement::Never => true,
        }) {
            return Judgement::Never;
        }
        judgement
    }

    /// Whether this party ended well; being stopped in order is no failure, never having run is.
    fn ended_party(&self, party: Party) -> Judgement {
        match party {
            Party::Pool(pool) if self.pools[pool.index()].is_waiting() => Judgement::Never,
            Party::Pool(pool) => self.pools[pool.index()].judge(Condition::Succeeded),
            Party::Process(process) => match self.process(process).state {
                State::Ended(End::Succeeded | End::Stopped) => Judgement::Met,
                // Who has not begun cannot have closed anything.
                State::Ended(End::Failed | End::NotStarted | End::Skipped | End::Late)
                | State::Pending
                | State::Queued
                | State::Acquiring { .. }
                | State::Starting { .. } => Judgement::Never,
                State::Running
                | State::Ready { .. }
                | State::Stopping { .. }
                | State::Leaving { .. }
                | State::Settling { .. }
                | State::Backoff
                | State::Regrouping => Judgement::Open,
            },
        }
    }

    /// Looks again at those who died of SIGPIPE.
    pub(super) fn settle_broken_pipes(&mut self) {
        for id in std::mem::take(&mut self.settling) {
            let State::Settling { exit } = self.process(id).state else {
                continue;
            };
            match self.broken_pipe(id, exit) {
                Judgement::Open => self.settling.push(id),
                Judgement::Met => self.verdict(id, exit, Outcome::BrokenPipe),
                Judgement::Never => self.verdict(id, exit, Outcome::Failed),
            }
        }
    }

    /// A receiver has closed its end and lives on: that is its right, and no failure of the sender.
    pub(super) fn settled(&mut self, id: ProcessId, attempt: u32) {
        if let State::Settling { exit } = self.process(id).state
            && self.process(id).attempt == attempt
        {
            self.settling.retain(|other| *other != id);
            self.verdict(id, exit, Outcome::BrokenPipe);
        }
    }

    /// Only a queue without receivers gives EPIPE to its senders.
    fn is_broken(&self, queue: QueueId) -> bool {
        match self.queues[queue.index()].state {
            QueueState::Open | QueueState::Closed => false,
            QueueState::Broken | QueueState::Drained | QueueState::Left => {
                self.queues[queue.index()].receivers_left == 0
            }
        }
    }

    /// What the end of a life of an own process (no worker) means.
    pub(super) fn verdict(&mut self, id: ProcessId, exit: Exit, outcome: Outcome) {
        let next = self.next_life(id, Some(exit), outcome.is_failure());
        let outcome = match next {
            Next::Again => {
                self.tell_exit(id, exit, Outcome::Restarts);
                return self.again(id);
            }
            Next::End => outcome,
            // Even if it ended well every time.
            Next::GiveUp => Outcome::Failed,
            Next::Escalate(group) => {
                self.tell_exit(id, exit, Outcome::Failed);
                return self.escalate(id, group);
            }
        };
        let outcome = if outcome.is_failure() && self.on_failure(id) == OnFailure::Ignore {
            Outcome::Ignored
        } else {
            outcome
        };
        self.tell_exit(id, exit, outcome);
        if next == Next::GiveUp {
            self.gave_up(id, None);
        }
        self.end(
            id,
            match outcome {
                Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored => End::Succeeded,
                Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => End::Failed,
                Outcome::Stopped | Outcome::Restarts => End::Stopped,
            },
        );
    }

    /// Its group has been restarted too often: that is a failure of the run, whatever else its failures do.
    pub(super) fn escalate(&mut self, id: ProcessId, group: GroupId) {
        self.gave_up(id, Some(group));
        self.end(id, End::Failed);
        self.stop_run(Stopped::Failure);
    }

    /// It has been restarted too often.
    pub(super) fn gave_up(&mut self, process: ProcessId, group: Option<GroupId>) {
        self.tell(Record::GaveUp { process, group });
    }

    pub(super) fn tell_exit(&mut self, id: ProcessId, exit: Exit, outcome: Outcome) {
        let Process { attempt, since, .. } = *self.process(id);
        let lasted = self.now.since(since);
        self.tell(Record::Exited {
            process: id,
            attempt,
            exit,
            lasted,
            outcome,
        });
    }
}

impl Outcome {
    /// Whether it is one unless `on_failure` says otherwise.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::TimedOut | Self::NotReady | Self::NotLive => true,
            Self::Succeeded | Self::BrokenPipe | Self::Ignored | Self::Stopped | Self::Restarts => false,
        }
    }
}
