//! A pool with work of its own: tasks come from its source, go to workers, and leave as results.
//!
//! ```text
//!  Waiting ─▶ Working ─▶ Closing ─▶ Ended      all tasks have ended; persistent workers get end-of-file
//!                └─▶ Ceasing ─▶ Ended          the run stops, or the pool cannot work
//! ```

mod pace;
mod print;
mod task;
mod worker;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::process::{End, State};
use super::touch::dependency;
use super::wait::{Judgement, judge_outcome};
use super::{Action, Because, Machine, Pool, PoolOutcome, Record, Stopped};
use crate::id::{PoolId, ProcessId, TaskId};
use crate::plan::{Condition, Dispatch, OnFailure, Party, TaskSource, Work, WorkerKind};
pub use pace::AHEAD_MAX;
use pace::Pace;
use task::Task;

/// How often a task whose worker died under it is given to another before it counts as failed:
/// often enough for accidents, and an end to a task that kills whoever takes it.
pub const DEATHS_MAX: u32 = 3;

/// How many lives of workers, for each of its workers, may end without one answer before a pool gives up.
const BARREN_LIVES_MAX: usize = 3;

/// How many results, beyond one a worker, may wait for their turn or for room where they go.
const RESULTS_KEPT_MAX: usize = 1024;

#[derive(Clone, Debug)]
pub(super) struct Crew {
    phase: Phase,
    started: bool,
    /// Tasks asked for and not yet given.
    asked: u32,
    source_ended: bool,
    /// The id of the next task to come.
    next: TaskId,
    /// All tasks that were taken and are not over.
    pub tasks: BTreeMap<TaskId, Task>,
    ready: VecDeque<TaskId>,
    /// By place in the pool: what each works on.
    pub workers: Vec<Worker>,
    /// Workers that could take a task.
    idle: BTreeSet<ProcessId>,
    busy: usize,
    /// Tasks that workers have been given ahead.
    ahead: usize,
    /// How many they may be given ahead.
    window: usize,
    backing_off: usize,
    /// Results that have not left.
    kept: usize,
    /// With `order: submitted`: all tasks before this one are over, or their results are on their way.
    deliver_next: TaskId,
    done: u64,
    failed: u64,
    /// Lives of workers in a row that ended without an answer.
    barren: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    /// What it works on.
    pub task: Option<TaskId>,
    /// What it works on next, in this order.
    ahead: VecDeque<TaskId>,
    /// Tasks answered in this life.
    served: u32,
    pace: Pace,
}

impl Worker {
    const NEW: Self = Self {
        task: None,
        ahead: VecDeque::new(),
        served: 0,
        pace: Pace::UNKNOWN,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Working,
    Closing,
    Ceasing(PoolOutcome),
    Ended(PoolOutcome),
}

impl Crew {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            phase: Phase::Waiting,
            started: false,
            asked: 0,
            source_ended: false,
            next: TaskId(0),
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            workers: vec![Worker::NEW; workers],
            idle: BTreeSet::new(),
            busy: 0,
            ahead: 0,
            window: 0,
            backing_off: 0,
            kept: 0,
            deliver_next: TaskId(0),
            done: 0,
            failed: 0,
            barren: 0,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// A task is tried again after a pause.
    pub(super) fn is_backing_off(&self) -> bool {
        self.backing_off > 0
    }

    pub(super) fn judge(&self, is: Condition) -> Judgement {
        let outcome = match self.phase {
            Phase::Waiting | Phase::Working | Phase::Closing | Phase::Ceasing(_) => None,
            Phase::Ended(outcome) => Some(outcome),
        };
        judge_outcome(self.started, outcome, is)
    }

    /// How many more tasks it could use now.
    fn wanted(&self, work: &Work) -> u32 {
        if self.phase != Phase::Working || self.source_ended || self.kept >= RESULTS_KEPT_MAX + self.workers.len() {
            return 0;
        }
        let (room, taken) = match work.dispatch {
            Dispatch::Sync => (1, self.ready.len() + self.busy + self.backing_off),
            Dispatch::Async => {
                // What lies in a queue may be for others too: take only what a worker is free for.
                let ahead = match (&work.source, work.worker) {
                    (TaskSource::Tasks(_), WorkerKind::Persistent) => self.workers.len() + self.window,
                    (TaskSource::Tasks(_), WorkerKind::Task) | (TaskSource::Queue(_), _) => 0,
                };
                let taken = self.ready.len() + self.busy + self.ahead;
                (self.workers.len() + ahead, taken)
            }
        };
        let room = u32::try_from(room.saturating_sub(taken)).unwrap_or(u32::MAX);
        room.saturating_sub(self.asked)
    }
}

impl Machine {
    fn crew(&mut self, pool: PoolId) -> Option<&mut Crew> {
        match &mut self.pools[pool.index()] {
            Pool::Crew(crew) => Some(crew),
            Pool::Slots(_) => None,
        }
    }

    /// The pool's crew and how it works; `None` for a pool that only lends slots.
    fn crew_and_work(&mut self, pool: PoolId) -> Option<(&mut Crew, &Work)> {
        match (&mut self.pools[pool.index()], &self.plan.pools[pool.index()].work) {
            (Pool::Crew(crew), Some(work)) => Some((crew, work)),
            (Pool::Crew(_) | Pool::Slots(_), _) => None,
        }
    }

    /// All conditions of a pool have come.
    pub(super) fn open_pool(&mut self, pool: PoolId) {
        let workers: Vec<ProcessId> = self.plan.pools[pool.index()].worker_ids().collect();
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return self.open_slots(pool);
        };
        crew.phase = Phase::Working;
        match work.worker {
            WorkerKind::Task => crew.idle = workers.into_iter().collect(),
            WorkerKind::Persistent => {
                for worker in workers {
                    self.begin_life(worker);
                }
            }
        }
        self.advance(pool);
    }

    /// Does whatever the pool can do now.
    fn advance(&mut self, pool: PoolId) {
        self.hand_out(pool);
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let count = crew.wanted(work);
        if count > 0 {
            crew.asked += count;
            self.act(Action::Take { pool, count });
        }
        self.close_if_done(pool);
        self.end_pool_if_empty(pool);
    }

    /// Gives tasks to workers that are free.
    fn hand_out(&mut self, pool: PoolId) {
        loop {
            let Some((crew, work)) = self.crew_and_work(pool) else {
                return;
            };
            let one_is_enough = work.dispatch == Dispatch::Sync && crew.busy > 0;
            if crew.phase != Phase::Working || one_is_enough {
                return;
            }
            let kind = work.worker;
            if crew.idle.is_empty() {
                return self.hand_out_ahead(pool);
            }
            let Some(task) = crew.ready.pop_front() else { return };
            let Some(worker) = crew.idle.pop_first() else { return };
            crew.busy += 1;
            if let Some(task) = crew.tasks.get_mut(&task) {
                task.state = task::TaskState::Running;
            }
            self.give(pool, worker, task, kind);
        }
    }

    /// All workers have a task: those that are fast get some ahead.
    fn hand_out_ahead(&mut self, pool: PoolId) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        if work.worker != WorkerKind::Persistent || work.dispatch == Dispatch::Sync || crew.ahead >= crew.window {
            return;
        }
        for worker in self.plan.pools[pool.index()].worker_ids() {
            self.give_ahead(pool, worker);
        }
    }

    fn close_if_done(&mut self, pool: PoolId) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        if crew.phase != Phase::Working || !crew.source_ended || !crew.tasks.is_empty() {
            return;
        }
        crew.phase = Phase::Closing;
        if work.worker == WorkerKind::Persistent {
            for worker in std::mem::take(&mut crew.idle) {
                self.dismiss(worker);
            }
        }
        self.recall_acquiring(pool);
    }

    /// Workers that have not got what they hold need not any more.
    fn recall_acquiring(&mut self, pool: PoolId) {
        for worker in self.plan.pools[pool.index()].worker_ids() {
            if matches!(self.process(worker).state, State::Acquiring { .. }) {
                self.act(Action::LetGo { process: worker });
                self.set_state(worker, State::Pending);
                self.unassign(pool, worker);
            }
        }
    }

    /// The run stops, or nobody needs the pool: it takes no more tasks and gives none out.
    pub(super) fn cease_work(&mut self, pool: PoolId) {
        self.cease(pool, PoolOutcome::Stopped);
    }

    fn cease(&mut self, pool: PoolId, outcome: PoolOutcome) {
        let Some(crew) = self.crew(pool) else { return };
        if crew.phase != Phase::Working {
            return;
        }
        crew.phase = Phase::Ceasing(outcome);
        crew.source_ended = true;
        self.act(Action::StopTaking { pool });
        self.recall_acquiring(pool);
        self.deliver_all(pool);
        self.end_pool_if_empty(pool);
    }

    /// Its workers cannot work: what it has taken and not begun has failed, the rest is never taken.
    fn give_up(&mut self, pool: PoolId) {
        let workers: Vec<ProcessId> = self.plan.pools[pool.index()].worker_ids().collect();
        let Some(crew) = self.crew(pool) else { return };
        if crew.phase != Phase::Working {
            return;
        }
        let unbegun: Vec<TaskId> = crew
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task.state, task::TaskState::Ready | task::TaskState::Backoff))
            .map(|(id, _)| *id)
            .collect();
        for task in unbegun {
            self.task_lost(pool, task, workers[0]);
        }
        self.cease(pool, PoolOutcome::Failed);
        for worker in workers {
            self.dismiss(worker);
        }
    }

    fn end_pool_if_empty(&mut self, pool: PoolId) {
        let Some(crew) = self.crew(pool) else { return };
        let outcome = match crew.phase {
            Phase::Closing if crew.failed > 0 => PoolOutcome::Failed,
            Phase::Closing => PoolOutcome::Succeeded,
            Phase::Ceasing(outcome) => outcome,
            Phase::Waiting | Phase::Working | Phase::Ended(_) => return,
        };
        let busy = crew.kept > 0;
        if busy
            || self.plan.pools[pool.index()]
                .worker_ids()
                .any(|worker| self.process(worker).state != State::Pending)
        {
            return;
        }
        let ignored = self.plan.pools[pool.index()].on_failure == OnFailure::Ignore;
        let outcome = if outcome == PoolOutcome::Failed && ignored {
            PoolOutcome::Ignored
        } else {
            outcome
        };
        self.end_pool(pool, outcome);
    }

    fn end_pool(&mut self, pool: PoolId, outcome: PoolOutcome) {
        let Some(crew) = self.crew(pool) else { return };
        crew.phase = Phase::Ended(outcome);
        let (done, failed) = (crew.done, crew.failed);
        if outcome != PoolOutcome::Skipped {
            self.tell(Record::PoolEnded {
                pool,
                outcome,
                done,
                failed,
            });
        }
        for worker in self.plan.pools[pool.index()].worker_ids() {
            self.set_state(
                worker,
                State::Ended(if outcome == PoolOutcome::Skipped {
                    End::Skipped
                } else {
                    End::Succeeded
                }),
            );
            self.act(Action::Forsake { process: worker });
        }
        let party = Party::Pool(pool);
        self.party_left(party);
        self.crews_unended -= 1;
        if !self.plan.pools[pool.index()].daemon {
            self.needed -= 1;
        }
        self.progress.push_back(dependency(party));
        if outcome == PoolOutcome::Failed {
            self.pool_failed(pool);
        }
        self.dependencies_freed(party);
    }

    fn pool_failed(&mut self, pool: PoolId) {
        match self.plan.pools[pool.index()].on_failure {
            OnFailure::Ignore => {}
            OnFailure::Fail => self.failed = true,
            OnFailure::Stop => {
                self.failed = true;
                self.stop_run(Stopped::Failure);
            }
        }
    }

    /// The pool will not work.
    pub(super) fn skip_pool(&mut self, pool: PoolId, because: Because) {
        if self.crew(pool).is_none() {
            return self.skip_slots(pool, because);
        }
        self.tell(Record::PoolSkipped { pool, because });
        self.end_pool(pool, PoolOutcome::Skipped);
        if matches!(because, Because::WaitedTooLong { failed: true, .. }) {
            self.pool_failed(pool);
        }
    }
}

impl Pool {
    /// Whether it has work, and is not done with it.
    pub(super) fn is_unended_crew(&self) -> bool {
        match self {
            Self::Slots(_) => false,
            Self::Crew(crew) => !crew.is_ended(),
        }
    }
}

impl Crew {
    /// Every task is in exactly one place, and the counters are what counting gives.
    pub(super) fn assert_sound(&self) {
        let in_state = |state| self.tasks.values().filter(|task| task.state == state).count();
        let busy = self.workers.iter().filter(|worker| worker.task.is_some()).count();
        assert_eq!(self.busy, busy, "busy workers");
        let ahead: usize = self.workers.iter().map(|worker| worker.ahead.len()).sum();
        assert_eq!(self.ahead, ahead, "tasks given ahead");
        let window: usize = self.workers.iter().map(|worker| worker.pace.window()).sum();
        assert_eq!(self.window, window, "tasks that may be given ahead");
        let behind_none = |worker: &Worker| worker.task.is_none() && !worker.ahead.is_empty();
        assert!(!self.workers.iter().any(behind_none), "a task lies ahead of none");
        assert_eq!(
            self.backing_off,
            in_state(task::TaskState::Backoff),
            "tasks that wait to be tried again"
        );
        assert_eq!(
            self.kept,
            in_state(task::TaskState::Done) + in_state(task::TaskState::Delivering),
            "results kept"
        );
        if self.phase == Phase::Working {
            assert_eq!(
                self.ready.len(),
                in_state(task::TaskState::Ready),
                "tasks that wait for a worker"
            );
            assert_eq!(busy, in_state(task::TaskState::Running), "tasks at work");
            assert_eq!(
                ahead,
                in_state(task::TaskState::Ahead),
                "tasks that lie before a worker"
            );
        }
    }
}
