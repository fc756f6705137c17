//! The way of a worker: `task` workers live for one task, `persistent` ones for as many as there are.

use super::super::process::{Process, State};
use super::super::timer::Timer;
use super::super::{Action, Exit, Machine, Outcome, Record, Why};
use super::pace::Pace;
use super::task::{Miss, TaskState};
use super::{BARREN_LIVES_MAX, Phase};
use crate::id::{PoolId, ProcessId, TaskId};
use crate::plan::WorkerKind;

impl Machine {
    /// The worker's place in its pool.
    fn place(&self, pool: PoolId, worker: ProcessId) -> usize {
        (worker.0 - self.plan.pools[pool.index()].workers.start) as usize
    }

    /// The task that a worker has; `None` for a process that is no worker.
    pub(in crate::machine) fn task_of(&self, id: ProcessId) -> Option<TaskId> {
        let pool = self.plan.processes[id.index()].worker_of?;
        match &self.pools[pool.index()] {
            super::Pool::Crew(crew) => crew.workers[self.place(pool, id)].task,
            super::Pool::Slots(_) => None,
        }
    }

    /// A worker that is free gets a task.
    pub(super) fn give(&mut self, pool: PoolId, worker: ProcessId, task: TaskId, kind: WorkerKind) {
        let (place, now) = (self.place(pool, worker), self.now);
        if let Some(crew) = self.crew(pool) {
            crew.workers[place].task = Some(task);
            crew.workers[place].pace.begin(now);
        }
        match kind {
            WorkerKind::Task => self.begin_life(worker),
            WorkerKind::Persistent => {
                self.assign(worker, task);
                self.limit(worker, task);
            }
        }
    }

    fn assign(&mut self, worker: ProcessId, task: TaskId) {
        let attempt = self.process(worker).attempt;
        self.act(Action::Assign {
            process: worker,
            attempt,
            task,
        });
    }

    /// The worker has so much time for the task from now on.
    fn limit(&mut self, worker: ProcessId, task: TaskId) {
        if let Some(timeout) = self.plan.processes[worker.index()].timeout {
            let timer = Timer::Timeout {
                process: worker,
                attempt: self.process(worker).attempt,
                task: Some(task),
            };
            self.timers.set(self.now.after(timeout), timer);
        }
    }

    /// A worker that has a task gets as many ahead as it is fast, and lives for.
    pub(super) fn give_ahead(&mut self, pool: PoolId, worker: ProcessId) {
        let place = self.place(pool, worker);
        let running = self.process(worker).state == State::Running;
        loop {
            let Some((crew, work)) = self.crew_and_work(pool) else {
                return;
            };
            let known = &crew.workers[place];
            let life = work.recycle.unwrap_or(u32::MAX).saturating_sub(known.served) as usize;
            let room = known.pace.window().min(life.saturating_sub(1));
            if !running || known.task.is_none() || known.ahead.len() >= room {
                return;
            }
            let Some(task) = crew.ready.pop_front() else { return };
            crew.workers[place].ahead.push_back(task);
            crew.ahead += 1;
            if let Some(task) = crew.tasks.get_mut(&task) {
                task.state = TaskState::Ahead;
            }
            self.assign(worker, task);
        }
    }

    /// The worker has no more to do with its task, and begins the next one that lies before it.
    fn next_task(&mut self, pool: PoolId, worker: ProcessId) -> Option<TaskId> {
        let task = self.unassign(pool, worker)?;
        let (place, now) = (self.place(pool, worker), self.now);
        let crew = self.crew(pool)?;
        if let Some(next) = crew.workers[place].ahead.pop_front() {
            crew.ahead -= 1;
            crew.busy += 1;
            crew.workers[place].task = Some(next);
            crew.workers[place].pace.begin(now);
            if let Some(next) = crew.tasks.get_mut(&next) {
                next.state = TaskState::Running;
            }
            self.limit(worker, next);
        }
        Some(task)
    }

    /// What lay before a worker that has gone is as if it had never been given.
    fn take_back(&mut self, pool: PoolId, worker: ProcessId, outcome: Outcome) {
        let place = self.place(pool, worker);
        let Some(crew) = self.crew(pool) else { return };
        let ahead = std::mem::take(&mut crew.workers[place].ahead);
        crew.ahead -= ahead.len();
        crew.window -= crew.workers[place].pace.window();
        crew.workers[place].pace = Pace::UNKNOWN;
        crew.window += crew.workers[place].pace.window();
        match (crew.phase, outcome) {
            (Phase::Working, _) => {
                for id in ahead.into_iter().rev() {
                    if let Some(task) = crew.tasks.get_mut(&id) {
                        task.state = TaskState::Ready;
                    }
                    crew.ready.push_front(id);
                }
            }
            // They are neither done nor failed, they are left.
            (_, Outcome::Stopped) => {}
            (Phase::Waiting | Phase::Closing | Phase::Ceasing(_) | Phase::Ended(_), _) => {
                for task in ahead {
                    self.task_lost(pool, task, worker);
                }
            }
        }
    }

    /// Takes the worker's task from it, without a word about the task.
    pub(super) fn unassign(&mut self, pool: PoolId, worker: ProcessId) -> Option<TaskId> {
        let place = self.place(pool, worker);
        let crew = self.crew(pool)?;
        let task = crew.workers[place].task.take();
        crew.busy -= usize::from(task.is_some());
        task
    }

    /// A worker has been started.
    pub(in crate::machine) fn worker_runs(&mut self, pool: PoolId, worker: ProcessId) {
        let place = self.place(pool, worker);
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let persistent = work.worker == WorkerKind::Persistent;
        let first = !std::mem::replace(&mut crew.started, true);
        crew.workers[place].served = 0;
        let working = crew.phase == Phase::Working;
        if persistent && working {
            crew.idle.insert(worker);
        }
        if first {
            self.progress.push_back(crate::plan::Dependency::Pool(pool));
        }
        if persistent && !working {
            self.dismiss(worker);
        }
        self.advance(pool);
    }

    /// Tells a persistent worker that no task will come. One that does not leave by itself is stopped.
    pub(super) fn dismiss(&mut self, worker: ProcessId) {
        if self.process(worker).state == State::Running {
            let attempt = self.process(worker).attempt;
            self.act(Action::CloseStdin {
                process: worker,
                attempt,
            });
            let grace = self.plan.processes[worker.index()].grace;
            self.timers.set(
                self.now.after(grace),
                Timer::Dismissed {
                    process: worker,
                    attempt,
                },
            );
        }
    }

    pub(in crate::machine) fn dismissal_over(&mut self, worker: ProcessId, attempt: u32) {
        if self.process(worker).attempt == attempt {
            self.stop(worker, Why::NotNeeded);
        }
    }

    /// A persistent worker has answered.
    pub(in crate::machine) fn answered(&mut self, worker: ProcessId, attempt: u32) {
        let Some(pool) = self.plan.processes[worker.index()].worker_of else {
            return;
        };
        if self.process(worker).attempt != attempt || !self.process(worker).is_alive() {
            return;
        }
        let (place, now) = (self.place(pool, worker), self.now);
        if let Some(crew) = self.crew(pool)
            && crew.workers[place].task.is_some()
        {
            crew.barren = 0;
            crew.workers[place].served += 1;
            crew.window -= crew.workers[place].pace.window();
            crew.workers[place].pace.answered(now);
            crew.window += crew.workers[place].pace.window();
        }
        let Some(task) = self.next_task(pool, worker) else {
            return;
        };
        let running = self.process(worker).state == State::Running;
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let retire = crew.phase != Phase::Working || work.recycle == Some(crew.workers[place].served);
        let rests = running && crew.workers[place].task.is_none();
        if rests && !retire {
            crew.idle.insert(worker);
        }
        self.task_done(pool, task, worker);
        if rests && retire {
            self.dismiss(worker);
        }
        self.advance(pool);
    }

    /// The task cannot be given to a persistent worker: it has failed for good, and the worker is free for another.
    pub(in crate::machine) fn unfit(&mut self, worker: ProcessId, attempt: u32, task: TaskId) {
        let Some(pool) = self.plan.processes[worker.index()].worker_of else {
            return;
        };
        if self.process(worker).attempt != attempt || !self.process(worker).is_alive() {
            return;
        }
        let place = self.place(pool, worker);
        let running = self.process(worker).state == State::Running;
        if self.task_of(worker) == Some(task) {
            self.next_task(pool, worker);
        } else if !self.drop_ahead(pool, worker, task) {
            return;
        }
        if let Some(crew) = self.crew(pool)
            && running
            && crew.workers[place].task.is_none()
        {
            if crew.phase == Phase::Working {
                crew.idle.insert(worker);
            } else {
                self.dismiss(worker);
            }
        }
        self.task_lost(pool, task, worker);
        self.advance(pool);
    }

    /// Takes away a task that lies before a worker; false when it does not.
    fn drop_ahead(&mut self, pool: PoolId, worker: ProcessId, task: TaskId) -> bool {
        let place = self.place(pool, worker);
        let Some(crew) = self.crew(pool) else { return false };
        let before = crew.workers[place].ahead.len();
        crew.workers[place].ahead.retain(|other| *other != task);
        let dropped = before - crew.workers[place].ahead.len();
        crew.ahead -= dropped;
        dropped > 0
    }

    pub(in crate::machine) fn worker_not_started(&mut self, pool: PoolId, worker: ProcessId) {
        self.set_state(worker, State::Pending);
        match self.unassign(pool, worker) {
            Some(task) => {
                self.rest(pool, worker);
                self.task_missed(pool, task, worker, Miss::Failure);
            }
            None => self.give_up(pool),
        }
        self.advance(pool);
    }

    /// A worker's life is over: what becomes of its task, and of it?
    pub(in crate::machine) fn worker_gone(
        &mut self,
        pool: PoolId,
        worker: ProcessId,
        exit: Exit,
        stopped: Option<Why>,
    ) {
        let Process { attempt, since, .. } = *self.process(worker);
        let success = self.is_success(worker, exit);
        let outcome = match stopped {
            // Nobody looks whether a worker is ready or alive, and none is in a group.
            Some(Why::Timeout | Why::NotReady | Why::NotLive | Why::Group) => Outcome::TimedOut,
            Some(Why::RunStops | Why::NotNeeded) if !success => Outcome::Stopped,
            Some(Why::RunStops | Why::NotNeeded) | None if success => Outcome::Succeeded,
            Some(Why::RunStops | Why::NotNeeded) | None => Outcome::Failed,
        };
        let lasted = self.now.since(since);
        self.tell(Record::Exited {
            process: worker,
            attempt,
            exit,
            lasted,
            outcome,
        });
        self.set_state(worker, State::Pending);
        let task = self.unassign(pool, worker);
        self.take_back(pool, worker, outcome);
        self.rest(pool, worker);
        self.settle_task(pool, worker, task, exit, outcome);
        self.renew(pool, worker);
        self.advance(pool);
    }

    /// A `task` worker is free again; a persistent one is no longer.
    fn rest(&mut self, pool: PoolId, worker: ProcessId) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        match work.worker {
            WorkerKind::Task => crew.idle.insert(worker),
            WorkerKind::Persistent => crew.idle.remove(&worker),
        };
    }

    fn settle_task(&mut self, pool: PoolId, worker: ProcessId, task: Option<TaskId>, exit: Exit, outcome: Outcome) {
        let place = self.place(pool, worker);
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let kind = work.worker;
        if kind == WorkerKind::Persistent && outcome != Outcome::Stopped && crew.workers[place].served == 0 {
            crew.barren += 1;
        }
        let Some(task) = task else { return };
        match (kind, outcome) {
            // It was stopped in order: the task is neither done nor failed, it is left.
            (_, Outcome::Stopped) => {}
            (WorkerKind::Task, Outcome::Succeeded) => self.task_done(pool, task, worker),
            (_, Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive | Outcome::Restarts) => {
                self.task_missed(pool, task, worker, Miss::Failure);
            }
            (WorkerKind::Task, Outcome::Failed | Outcome::Ignored | Outcome::BrokenPipe) => {
                let miss = if matches!(exit, Exit::Signal(_)) {
                    Miss::Death
                } else {
                    Miss::Failure
                };
                self.task_missed(pool, task, worker, miss);
            }
            (WorkerKind::Persistent, Outcome::Succeeded | Outcome::Failed | Outcome::Ignored | Outcome::BrokenPipe) => {
                self.task_missed(pool, task, worker, Miss::Death);
            }
        }
    }

    /// A persistent worker that has gone is replaced while there may be work.
    fn renew(&mut self, pool: PoolId, worker: ProcessId) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        if work.worker == WorkerKind::Task || crew.phase != Phase::Working {
            return;
        }
        if crew.barren >= BARREN_LIVES_MAX * crew.workers.len() {
            self.give_up(pool);
        } else if !(crew.source_ended && crew.tasks.is_empty()) {
            self.begin_life(worker);
        }
    }
}
