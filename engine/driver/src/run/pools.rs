//! Tasks between their sources, the workers and where results go.

use std::rc::Rc;
use std::sync::Arc;

use crate::yard::{Reply, Request, Slot};
use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use forkyard_core::machine::Input;
use forkyard_core::plan::{Framing, WorkerKind};

use super::asks::Ask;
use super::turn::Run;
use crate::stdio::framing::{fits, framed};
use crate::tasks::{Pulled, RESULT_BYTES_MAX, Source, Tasks};

/// A task as it stands on a worker's stdin.
pub fn framed_task(tasks: &Tasks, task: TaskId) -> Option<Vec<u8>> {
    Some(framed(tasks.framing, &tasks.get(task)?.payload))
}

impl Run {
    /// The machine wants more tasks.
    pub(super) fn take(&mut self, pool: PoolId, count: u32) {
        let tasks = self.pools.of(pool);
        tasks.credit = tasks.credit.saturating_add(count);
        if let Source::Queue(queue) = tasks.source {
            if self.asks.of_pool(pool).is_none() {
                self.ask_for_task(pool, queue);
            }
            return;
        }
        match tasks.pull() {
            Ok(Pulled { count, ended }) => {
                if count > 0 {
                    self.inputs.push_back(Input::Taken { pool, count });
                }
                if ended {
                    self.inputs.push_back(Input::SourceEnded { pool });
                }
            }
            Err(error) => {
                self.failures.insert(pool, error.to_string().into());
                self.inputs.push_back(Input::SourceFailed { pool });
            }
        }
    }

    /// Takes tasks from a queue until it is empty or enough are taken; then waits for the next.
    fn ask_for_task(&mut self, pool: PoolId, queue: QueueId) {
        while self.pools.of(pool).credit > 0 {
            let ticket = self.asks.draw();
            let take = Request::Take { queue: queue.0 };
            let slot = self.pool_slot(pool);
            match self.yard.with(|yard| yard.ask(slot, ticket, take, true)) {
                Some(reply) => self.task_taken(pool, reply),
                None => return self.asks.park(ticket, Ask::Task { pool, queue }),
            }
        }
    }

    /// The reply to a take that had to wait.
    pub(super) fn task_arrived(&mut self, pool: PoolId, queue: QueueId, reply: Reply) {
        self.task_taken(pool, reply);
        if matches!(self.pools.of(pool).source, Source::Queue(_)) {
            self.ask_for_task(pool, queue);
        }
    }

    fn task_taken(&mut self, pool: PoolId, reply: Reply) {
        let slot = self.pool_slot(pool);
        let tasks = self.pools.of(pool);
        match (reply, &tasks.source) {
            (Reply::Item { id, bytes, .. }, Source::Queue(_)) => {
                tasks.add(bytes, Some(id));
                self.inputs.push_back(Input::Taken { pool, count: 1 });
            }
            // Taken in the very moment when no more were wanted.
            (Reply::Item { id, .. }, _) => {
                if let Some(queue) = self.source_queue(pool) {
                    self.give_back(slot, queue, &[id]);
                }
            }
            (Reply::Closed, Source::Queue(_)) => {
                tasks.source = Source::Ended;
                tasks.credit = 0;
                self.inputs.push_back(Input::SourceEnded { pool });
            }
            (Reply::Failed(trouble), Source::Queue(_)) => {
                tasks.source = Source::Ended;
                tasks.credit = 0;
                self.failures.insert(pool, trouble.to_string().into());
                self.inputs.push_back(Input::SourceFailed { pool });
            }
            (
                Reply::Closed
                | Reply::Failed(_)
                | Reply::Done
                | Reply::Granted { .. }
                | Reply::WouldBlock
                | Reply::Broken
                | Reply::TooLarge { .. }
                | Reply::TooMany { .. },
                _,
            ) => {}
        }
    }

    /// No more tasks are wanted.
    pub(super) fn stop_taking(&mut self, pool: PoolId) {
        let ticket = self.asks.of_pool(pool);
        let tasks = self.pools.of(pool);
        tasks.credit = 0;
        tasks.stop();
        if let Some(ticket) = ticket
            && self.yard.with(|yard| yard.cancel(ticket))
        {
            self.asks.remove(ticket);
        }
    }

    /// A persistent worker gets its task.
    pub(super) fn assign(&mut self, process: ProcessId, attempt: u32, task: TaskId) {
        let Some(pool) = self.plan.processes[process.index()].worker_of else {
            return;
        };
        let tasks = self.pools.of(pool);
        let Some(payload) = tasks.get(task).map(|task| Rc::clone(&task.payload)) else {
            return;
        };
        if !fits(tasks.framing, &payload) {
            return self.inputs.push_back(Input::Unfit { process, attempt, task });
        }
        let bytes = framed(tasks.framing, &payload);
        let Some(life) = self.lives.get_mut(process).filter(|life| life.attempt == attempt) else {
            return;
        };
        life.tasks.push_back(task);
        if let Some(feed) = &life.feed {
            // A worker that reads no more is noticed by its exit; the task is tried again then.
            let _ = feed.try_send(bytes);
        }
    }

    /// A persistent worker has answered some of its tasks.
    pub(super) fn answered(&mut self, process: ProcessId, attempt: u32, answers: Vec<Option<Vec<u8>>>) {
        for answer in answers {
            self.answered_one(process, attempt, answer);
        }
    }

    fn answered_one(&mut self, process: ProcessId, attempt: u32, answer: Option<Vec<u8>>) {
        let Some(life) = self.lives.get_mut(process).filter(|life| life.attempt == attempt) else {
            return;
        };
        let (Some(task), Some(pool)) = (life.tasks.pop_front(), self.plan.processes[process.index()].worker_of) else {
            let name = &self.plan.processes[process.index()].name;
            tracing::warn!("`{name}` wrote a line without having a task; it is dropped");
            return;
        };
        if answer.is_none()
            && let Some(queue) = self.pools.of(pool).results_to
        {
            self.oversized(process, queue, 1);
        }
        if let Some(task) = self.pools.of(pool).get_mut(task) {
            task.result = answer;
        }
        self.inputs.push_back(Input::Answered { process, attempt });
    }

    /// All that a worker of kind `task` wrote.
    pub(super) fn result(&mut self, process: ProcessId, result: Vec<u8>) {
        let (Some(task), Some(pool)) = (self.lives.task(process), self.plan.processes[process.index()].worker_of)
        else {
            return;
        };
        if let Some(task) = self.pools.of(pool).get_mut(task) {
            task.result = Some(result);
        }
    }

    /// The task is done, or has failed for good: its item is done with.
    pub(super) fn acknowledge_task(&mut self, pool: PoolId, task: TaskId) {
        let slot = self.pool_slot(pool);
        let item = self.pools.of(pool).get_mut(task).and_then(|task| task.item.take());
        if let (Some(item), Some(queue)) = (item, self.source_queue(pool)) {
            self.acknowledge(slot, queue, &[item]);
        }
    }

    pub(super) fn discard(&mut self, pool: PoolId, task: TaskId) {
        self.acknowledge_task(pool, task);
        self.pools.of(pool).discard(task);
    }

    pub(super) fn forget_result(&mut self, pool: PoolId, task: TaskId) {
        if let Some(task) = self.pools.of(pool).get_mut(task) {
            task.result = None;
        }
    }

    /// The result goes where results go.
    pub(super) fn deliver(&mut self, pool: PoolId, task: TaskId) {
        let slot = self.pool_slot(pool);
        let tasks = self.pools.of(pool);
        let to = tasks.results_to;
        let result = tasks.deliver(task);
        let (Some(QueueId(queue)), Some(item)) = (to, result) else {
            return self.inputs.push_back(Input::Delivered { pool, task });
        };
        let ticket = self.asks.draw();
        match self
            .yard
            .with(|yard| yard.ask(slot, ticket, Request::Put { queue, item }, true))
        {
            Some(reply) => self.result_put(pool, task, &reply),
            None => self.asks.park(ticket, Ask::Result { pool, task }),
        }
    }

    /// The result is in its queue, or cannot be; either way it has left.
    pub(super) fn result_put(&mut self, pool: PoolId, task: TaskId, reply: &Reply) {
        if !matches!(reply, Reply::Done) {
            let name = &self.plan.pools[pool.index()].name;
            let queue = self.pools.of(pool).results_to;
            tracing::warn!(
                "the result of task {} of pool `{name}` was not taken by its queue",
                task.0
            );
            if let (Some(queue), false) = (queue, matches!(reply, Reply::TooLarge { .. })) {
                self.yard.with(|yard| yard.lose(queue.0, 1));
            }
        }
        self.inputs.push_back(Input::Delivered { pool, task });
    }

    /// The payload of a worker's task.
    pub(super) fn payload(&mut self, process: ProcessId, task: Option<TaskId>) -> Option<Rc<[u8]>> {
        let pool = self.plan.processes[process.index()].worker_of?;
        Some(Rc::clone(&self.pools.of(pool).get(task?)?.payload))
    }

    /// The task's item in a few words, for reports.
    pub(super) fn task_shown(&mut self, pool: PoolId, task: TaskId) -> Option<Arc<str>> {
        let tasks = self.pools.of(pool);
        let payload = &tasks.get(task)?.payload;
        let shown = format!("its item is \"{}\"", shortened(payload));
        let work = self.plan.pools[pool.index()].work.as_ref()?;
        if work.worker == WorkerKind::Task || fits(tasks.framing, payload) {
            return Some(shown.into());
        }
        let unfit = match tasks.framing {
            Framing::Lines => {
                "which a persistent worker would read as several; use `worker: task`, or a queue with `framing: length`"
            }
            Framing::Nul | Framing::Length => "which does not fit the framing of its queue",
        };
        Some(format!("{shown}, {unfit}").into())
    }

    /// The largest result a worker may give.
    pub(super) fn result_bytes_max(&mut self, process: ProcessId) -> u64 {
        let pool = self.plan.processes[process.index()].worker_of;
        let to = pool.and_then(|pool| self.pools.of(pool).results_to);
        to.map_or(RESULT_BYTES_MAX, |queue| self.plan.queues[queue.index()].max_item)
    }

    /// Pools have slots behind those of the processes.
    pub(super) fn pool_slot(&self, pool: PoolId) -> Slot {
        Slot(ProcessId::at(self.plan.processes.len() + pool.index()).0)
    }

    fn source_queue(&self, pool: PoolId) -> Option<QueueId> {
        match self.plan.pools[pool.index()].work.as_ref()?.source {
            forkyard_core::plan::TaskSource::Queue(queue) => Some(queue),
            forkyard_core::plan::TaskSource::Tasks(_) => None,
        }
    }
}

/// The beginning of an item, as text that no terminal minds.
fn shortened(item: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 120;
    let text = String::from_utf8_lossy(&item[..item.len().min(SHOWN_BYTES_MAX)]);
    let dots = if item.len() > SHOWN_BYTES_MAX { "…" } else { "" };
    format!("{}{dots}", text.escape_debug())
}
