//! The way of a task.
//!
//! ```text
//!  taken ─▶ Ready ─(Ahead)─▶ Running ─▶ Done ─▶ Delivering ─▶ over
//!             ▲                 │ failed, or its worker died
//!             ├─────────────────┤
//!             └──── Backoff ────┴─▶ lost: failed for good
//! ```

use super::super::timer::Timer;
use super::super::{Action, Machine, Record, Stopped};
use super::{Crew, DEATHS_MAX, Phase};
use crate::id::{PoolId, ProcessId, TaskId};
use crate::plan::{OnFailure, Order};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) struct Task {
    pub state: TaskState,
    /// How often its process failed.
    failures: u32,
    /// How often its worker died under it.
    deaths: u32,
}

impl Task {
    /// All of it in one word.
    pub(super) fn word(&self) -> u64 {
        u64::from(self.failures) << 32 | u64::from(self.deaths) << 8 | self.state as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum TaskState {
    /// It waits for a worker.
    Ready,
    /// It lies before a worker that works on another one.
    Ahead,
    /// A worker has it.
    Running,
    /// It failed, and waits to be tried again.
    Backoff,
    /// It is done; its result waits for its turn.
    Done,
    /// Its result is on its way.
    Delivering,
}

/// How a task came to nothing this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Its process said so.
    Failure,
    /// Its worker died under it.
    Death,
}

impl Crew {
    /// The next task whose result may leave.
    fn deliverable(&mut self, order: Order) -> Option<TaskId> {
        match order {
            Order::Completed => None,
            Order::Submitted => {
                while self.deliver_next < self.next {
                    match self.tasks.get(&self.deliver_next).map(|task| task.state) {
                        Some(TaskState::Done) => return Some(self.deliver_next),
                        None | Some(TaskState::Delivering) => self.deliver_next.0 += 1,
                        Some(TaskState::Ready | TaskState::Ahead | TaskState::Running | TaskState::Backoff) => {
                            return None;
                        }
                    }
                }
                None
            }
        }
    }
}

impl Machine {
    pub(in crate::machine) fn taken(&mut self, pool: PoolId, count: u32) {
        let Some(crew) = self.crew(pool) else { return };
        crew.asked = crew.asked.saturating_sub(count);
        for _ in 0..count {
            let task = crew.next;
            crew.next.0 += 1;
            crew.tasks.insert(
                task,
                Task {
                    state: TaskState::Ready,
                    failures: 0,
                    deaths: 0,
                },
            );
            crew.ready.push_back(task);
        }
        self.advance(pool);
    }

    pub(in crate::machine) fn source_ended(&mut self, pool: PoolId) {
        let Some(crew) = self.crew(pool) else { return };
        crew.source_ended = true;
        crew.asked = 0;
        self.advance(pool);
    }

    /// The tasks that cannot be read have failed, though nobody knows how many they are: so has the pool.
    pub(in crate::machine) fn source_failed(&mut self, pool: PoolId) {
        let Some(crew) = self.crew(pool) else { return };
        crew.source_ended = true;
        crew.asked = 0;
        self.give_up(pool);
    }

    pub(super) fn task_done(&mut self, pool: PoolId, id: TaskId, worker: ProcessId) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let order = work.order;
        let Some(task) = crew.tasks.get_mut(&id) else { return };
        task.state = TaskState::Done;
        crew.done += 1;
        crew.kept += 1;
        // When a pool ceases, results do not wait for those that will never come.
        let at_once = order == Order::Completed || crew.phase != Phase::Working;
        self.act(Action::Complete { pool, task: id });
        self.tell(Record::TaskDone {
            pool,
            task: id,
            process: worker,
        });
        if at_once {
            self.deliver(pool, id);
        } else {
            self.deliver_in_order(pool);
        }
    }

    fn deliver_in_order(&mut self, pool: PoolId) {
        loop {
            let Some((crew, work)) = self.crew_and_work(pool) else {
                return;
            };
            let order = work.order;
            let Some(task) = crew.deliverable(order) else { return };
            self.deliver(pool, task);
        }
    }

    /// Sends off every result there is, in or out of turn.
    pub(super) fn deliver_all(&mut self, pool: PoolId) {
        let Some(crew) = self.crew(pool) else { return };
        let done = crew
            .tasks
            .iter()
            .filter(|(_, task)| task.state == TaskState::Done)
            .map(|(id, _)| *id);
        for task in done.collect::<Vec<_>>() {
            self.deliver(pool, task);
        }
    }

    fn deliver(&mut self, pool: PoolId, id: TaskId) {
        if let Some(task) = self.crew(pool).and_then(|crew| crew.tasks.get_mut(&id)) {
            task.state = TaskState::Delivering;
            self.act(Action::Deliver { pool, task: id });
        }
    }

    pub(in crate::machine) fn delivered(&mut self, pool: PoolId, id: TaskId) {
        let Some(crew) = self.crew(pool) else { return };
        if crew
            .tasks
            .get(&id)
            .is_some_and(|task| task.state == TaskState::Delivering)
        {
            crew.tasks.remove(&id);
            crew.kept -= 1;
            self.advance(pool);
        }
    }

    /// A task came to nothing this time: it is tried again, or has failed for good.
    pub(super) fn task_missed(&mut self, pool: PoolId, id: TaskId, worker: ProcessId, miss: Miss) {
        let Some((crew, work)) = self.crew_and_work(pool) else {
            return;
        };
        let (retry_max, backoff) = (work.retry_max, work.retry_backoff);
        let Some(task) = crew.tasks.get_mut(&id) else { return };
        let again = match miss {
            Miss::Failure => {
                task.failures += 1;
                task.failures <= retry_max
            }
            Miss::Death => {
                task.deaths += 1;
                task.deaths < DEATHS_MAX
            }
        };
        if !again || crew.phase != Phase::Working {
            self.task_lost(pool, id, worker);
            return;
        }
        let tries = task.failures + task.deaths;
        if miss == Miss::Failure && !backoff.is_zero() {
            task.state = TaskState::Backoff;
            crew.backing_off += 1;
            self.timers
                .set(self.now.after(backoff), Timer::Retry { pool, task: id });
        } else {
            task.state = TaskState::Ready;
            crew.ready.push_front(id);
        }
        self.act(Action::Retry { pool, task: id });
        self.tell(Record::TaskRetried {
            pool,
            task: id,
            process: worker,
            tries,
        });
    }

    pub(in crate::machine) fn retry_due(&mut self, pool: PoolId, id: TaskId) {
        let Some(crew) = self.crew(pool) else { return };
        let Some(task) = crew.tasks.get_mut(&id) else { return };
        if task.state == TaskState::Backoff {
            task.state = TaskState::Ready;
            crew.backing_off -= 1;
            crew.ready.push_front(id);
            self.advance(pool);
        }
    }

    /// A task has failed for good.
    pub(super) fn task_lost(&mut self, pool: PoolId, id: TaskId, worker: ProcessId) {
        let Some(crew) = self.crew(pool) else { return };
        if let Some(task) = crew.tasks.remove(&id) {
            crew.backing_off -= usize::from(task.state == TaskState::Backoff);
        }
        crew.ready.retain(|ready| *ready != id);
        crew.failed += 1;
        self.act(Action::Discard { pool, task: id });
        self.tell(Record::TaskFailed {
            pool,
            task: id,
            process: worker,
        });
        self.deliver_in_order(pool);
        if self.plan.pools[pool.index()].on_failure == OnFailure::Stop {
            self.failed = true;
            self.stop_run(Stopped::Failure);
        }
    }
}
