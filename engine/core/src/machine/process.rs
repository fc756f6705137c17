//! The life of a process.
//!
//! ```text
//!  Pending ─▶ Queued ─▶ Acquiring ─▶ Starting ─▶ Running (─▶ Ready) ───┐
//!     │ ▲    (its pool)  (its holds)     │          └─▶ Stopping ──┐   │ exit
//!     │ │                                │ could not               ▼   ▼
//!     │ │                                ▼                        Leaving
//!     │ └──(pause)─── Backoff ◀──────── or ◀────── Settling ◀───────┘ tree empty
//!     │                  │ run stops     │ last life
//!     └── skipped ───────┴──────────▶ Ended
//! ```
//! The meaning of an end is certain in `Settling`, at once but after a death by SIGPIPE. Whoever is restarted goes round
//! by `Backoff`, in a group by way of `Regrouping` ([`super::restart`], [`super::group`]). `Ready` is for those who are looked at
//! ([`super::ready`]).
//! A pool's worker goes round: from the end of a life it returns to `Pending`, and is `Ended` with its pool.

use super::restart::Next;
use super::timer::Timer;
use super::touch::dependency;
use super::wait::Judgement;
use super::{Action, Because, Exit, Machine, Outcome, Pool, Record, Run, Stopped, Why};
use crate::id::ProcessId;
use crate::plan::{Dependency, OnFailure, Party};
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub state: State,
    /// Which life this is, from 1; 0 before the first.
    pub attempt: u32,
    /// When this life began.
    pub since: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its conditions; a worker: for work.
    Pending,
    /// It waits for a slot of its pool.
    Queued,
    /// So many of its holds are granted, and the next one is asked for.
    Acquiring { granted: usize },
    /// It is being started; `stop`: and is to be stopped as soon as it runs.
    Starting { stop: Option<Why> },
    /// It runs; one that is looked at is not ready yet.
    Running,
    /// It runs, and has been seen to be ready.
    Ready { since: Time },
    /// It has been asked to stop.
    Stopping { why: Why },
    /// Its first process has ended; others of its tree, or output, are left.
    Leaving { exit: Exit, stopped: Option<Why> },
    /// It is gone, and what that means is being found out: of a death by SIGPIPE that may take a moment.
    Settling { exit: Exit },
    /// It will be started again after a pause.
    Backoff,
    /// It will be started again together with others of its group, and these have not all gone.
    Regrouping,
    /// Nothing more will happen.
    Ended(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    Failed,
    /// It could not be started: a failure.
    NotStarted,
    /// By its run, or as a daemon that nobody needs.
    Stopped,
    /// It never started.
    Skipped,
    /// It never started since a wait took too long: a failure.
    Late,
}

impl Process {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Pending,
            attempt: 0,
            since: Time::START,
        }
    }

    /// Whether the operating system knows it, or soon will.
    pub(super) const fn is_alive(&self) -> bool {
        match self.state {
            State::Starting { .. }
            | State::Running
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Leaving { .. } => true,
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => false,
        }
    }
}

impl Machine {
    pub(super) fn set_state(&mut self, id: ProcessId, state: State) {
        self.processes[id.index()].state = state;
    }

    /// All conditions have come.
    pub(super) fn begin(&mut self, party: Party) {
        match party {
            Party::Process(process) => match self.plan.processes[process.index()].slot_in {
                Some(pool) => self.ask_slot(pool, process),
                None => self.begin_life(process),
            },
            Party::Pool(pool) => self.open_pool(pool),
        }
    }

    /// A new life: first what it holds, then the process itself.
    pub(super) fn begin_life(&mut self, id: ProcessId) {
        self.processes[id.index()].attempt += 1;
        self.acquire_next(id, 0);
    }

    fn acquire_next(&mut self, id: ProcessId, granted: usize) {
        let attempt = self.process(id).attempt;
        if let Some(hold) = self.plan.processes[id.index()].holds.get(granted).copied() {
            self.set_state(id, State::Acquiring { granted });
            self.act(Action::Acquire {
                process: id,
                attempt,
                hold,
            });
        } else {
            self.set_state(id, State::Starting { stop: None });
            let task = self.task_of(id);
            self.act(Action::Spawn {
                process: id,
                attempt,
                task,
            });
        }
    }

    pub(super) fn acquired(&mut self, id: ProcessId, attempt: u32) {
        if let Process {
            state: State::Acquiring { granted },
            attempt: current,
            ..
        } = *self.process(id)
            && current == attempt
        {
            self.acquire_next(id, granted + 1);
        }
    }

    pub(super) fn spawned(&mut self, id: ProcessId, attempt: u32) {
        let State::Starting { stop } = self.process(id).state else {
            return;
        };
        if self.process(id).attempt != attempt {
            return;
        }
        self.processes[id.index()].since = self.now;
        self.set_state(id, State::Running);
        let task = self.task_of(id);
        self.tell(Record::Started {
            process: id,
            attempt,
            task,
        });
        if let Some(timeout) = self.plan.processes[id.index()].timeout
            && (self.plan.processes[id.index()].worker_of.is_none() || task.is_some())
        {
            self.timers.set(
                self.now.after(timeout),
                Timer::Timeout {
                    process: id,
                    attempt,
                    task,
                },
            );
        }
        self.await_readiness(id, attempt);
        match self.plan.party_of(id) {
            Party::Pool(pool) => self.worker_runs(pool, id),
            Party::Process(_) => self.progress.push_back(Dependency::Process(id)),
        }
        if let Some(why) = stop {
            self.stop(id, why);
        }
    }

    pub(super) fn not_spawned(&mut self, id: ProcessId, attempt: u32) {
        let State::Starting { stop } = self.process(id).state else {
            return;
        };
        if self.process(id).attempt != attempt {
            return;
        }
        self.act(Action::LetGo { process: id });
        match self.plan.party_of(id) {
            Party::Pool(pool) => {
                self.tell(Record::NotStarted { process: id, attempt });
                self.worker_not_started(pool, id);
            }
            Party::Process(_) if stop == Some(Why::Group) && self.run == Run::Going => {
                self.free_slot_of(id);
                self.regroup(id);
            }
            Party::Process(_) if stop.is_some() => {
                self.tell(Record::NotStarted { process: id, attempt });
                self.end(id, End::Skipped);
            }
            Party::Process(_) => self.life_not_begun(id, attempt),
        }
    }

    /// An own process could not be started: a failure.
    fn life_not_begun(&mut self, id: ProcessId, attempt: u32) {
        self.note_up(id);
        let next = self.next_life(id, None, true);
        if next == Next::Again {
            self.free_slot_of(id);
            return self.again(id);
        }
        self.tell(Record::NotStarted { process: id, attempt });
        match next {
            Next::Escalate(group) => return self.escalate(id, group),
            Next::GiveUp => self.gave_up(id, None),
            Next::Again | Next::End => {}
        }
        let ignored = self.on_failure(id) == OnFailure::Ignore;
        self.end(id, if ignored { End::Succeeded } else { End::NotStarted });
    }

    /// Asks a process to stop, unless it has been asked before or has ended anyway.
    pub(super) fn stop(&mut self, id: ProcessId, why: Why) {
        match self.process(id).state {
            State::Starting { stop: None } => self.set_state(id, State::Starting { stop: Some(why) }),
            State::Running | State::Ready { .. } => {
                self.note_up(id);
                self.set_state(id, State::Stopping { why });
                self.tell(Record::Stopping { process: id, why });
                self.terminate(id);
            }
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Starting { stop: Some(_) }
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => {}
        }
    }

    fn terminate(&mut self, id: ProcessId) {
        let attempt = self.process(id).attempt;
        self.act(Action::Terminate { process: id, attempt });
        let grace = self.plan.processes[id.index()].grace;
        self.timers
            .set(self.now.after(grace), Timer::Grace { process: id, attempt });
        if matches!(self.run, Run::Killing(_)) {
            self.kill(id);
        }
    }

    pub(super) fn grace_over(&mut self, id: ProcessId, attempt: u32) {
        if self.process(id).attempt == attempt {
            self.kill(id);
        }
    }

    /// SIGKILL to the whole tree.
    pub(super) fn kill(&mut self, id: ProcessId) {
        if matches!(self.process(id).state, State::Stopping { .. } | State::Leaving { .. }) {
            let attempt = self.process(id).attempt;
            self.tell(Record::Killing { process: id });
            self.act(Action::Kill { process: id, attempt });
        }
    }

    pub(super) fn exited(&mut self, id: ProcessId, attempt: u32, exit: Exit, left: bool) {
        if self.process(id).attempt != attempt {
            return;
        }
        let stopped = match self.process(id).state {
            State::Running | State::Ready { .. } => None,
            State::Stopping { why } => Some(why),
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Starting { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => return,
        };
        self.note_up(id);
        self.set_state(id, State::Leaving { exit, stopped });
        // Who is being stopped has had its signal already, and its tree with it.
        if left && stopped.is_none() {
            self.tell(Record::LeftBehind { process: id });
            self.terminate(id);
        }
    }

    pub(super) fn gone(&mut self, id: ProcessId, attempt: u32) {
        let State::Leaving { exit, stopped } = self.process(id).state else {
            return;
        };
        if self.process(id).attempt != attempt {
            return;
        }
        self.act(Action::LetGo { process: id });
        match self.plan.party_of(id) {
            Party::Pool(pool) => self.worker_gone(pool, id, exit, stopped),
            party @ Party::Process(_) => {
                self.free_slot_of(id);
                self.set_state(id, State::Settling { exit });
                if !self.is_restartable(id) {
                    self.act(Action::Forsake { process: id });
                    self.party_left(party);
                }
                self.life_over(id, exit, stopped);
            }
        }
    }

    /// A life of an own process is over.
    fn life_over(&mut self, id: ProcessId, exit: Exit, stopped: Option<Why>) {
        match stopped {
            Some(Why::Timeout) => self.verdict(id, exit, Outcome::TimedOut),
            Some(Why::NotReady) => self.verdict(id, exit, Outcome::NotReady),
            Some(Why::NotLive) => self.verdict(id, exit, Outcome::NotLive),
            Some(Why::Group) if self.run == Run::Going => {
                self.tell_exit(id, exit, Outcome::Restarts);
                self.regroup(id);
            }
            Some(Why::RunStops | Why::NotNeeded | Why::Group) if !self.is_success(id, exit) => {
                self.verdict(id, exit, Outcome::Stopped);
            }
            Some(Why::RunStops | Why::NotNeeded | Why::Group) | None => self.verdict_by_exit(id, exit),
        }
    }

    pub(super) fn is_success(&self, id: ProcessId, exit: Exit) -> bool {
        exit.is_among(&self.plan.processes[id.index()].success)
    }

    pub(super) fn on_failure(&self, id: ProcessId) -> OnFailure {
        self.plan.processes[id.index()].on_failure
    }

    /// An own process (no worker) has come to its end, or will never begin.
    pub(super) fn end(&mut self, id: ProcessId, end: End) {
        let party = Party::Process(id);
        // Who got as far as `Settling` in its only life has left its channels already.
        let has_left = matches!(self.process(id).state, State::Settling { .. }) && !self.is_restartable(id);
        if !has_left {
            self.free_slot_of(id);
        }
        self.set_state(id, State::Ended(end));
        if !has_left {
            self.act(Action::Forsake { process: id });
            self.party_left(party);
        }
        self.unended -= 1;
        if !self.plan.processes[id.index()].daemon {
            self.needed -= 1;
        }
        self.member_ended(id, end);
        self.member_left(id);
        self.progress.push_back(dependency(party));
        if matches!(end, End::Failed | End::NotStarted | End::Late) {
            self.failed = true;
            if self.on_failure(id) == OnFailure::Stop {
                self.stop_run(Stopped::Failure);
            }
        }
        self.dependencies_freed(party);
    }

    /// The party will not run.
    pub(super) fn skip(&mut self, party: Party, because: Because) {
        let id = match party {
            Party::Process(id) => id,
            Party::Pool(pool) => return self.skip_pool(pool, because),
        };
        if matches!(self.process(id).state, State::Acquiring { .. }) {
            self.act(Action::LetGo { process: id });
        }
        self.leave_line(id);
        if self.has_lived(id) {
            self.tell(Record::NotRestarted { process: id, because });
            return self.end(id, End::Stopped);
        }
        self.tell(Record::Skipped { process: id, because });
        let late = matches!(because, Because::WaitedTooLong { failed: true, .. });
        let ignored = self.on_failure(id) == OnFailure::Ignore;
        self.end(id, if late && !ignored { End::Late } else { End::Skipped });
    }

    /// Whether the party still waits for its conditions.
    pub(super) fn is_waiting(&self, party: Party) -> bool {
        match party {
            Party::Process(process) => self.process(process).state == State::Pending,
            Party::Pool(pool) => self.pools[pool.index()].is_waiting(),
        }
    }
}

impl Pool {
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Self::Slots(slots) => slots.is_waiting(),
            Self::Crew(crew) => crew.is_waiting(),
        }
    }

    pub(super) fn judge(&self, is: crate::plan::Condition) -> Judgement {
        match self {
            Self::Slots(slots) => slots.judge(is),
            Self::Crew(crew) => crew.judge(is),
        }
    }
}
