//! Pools and the queues that feed them: tasks are taken, done and delivered.

use std::time::Duration;

use super::super::agenda::Event;
use super::super::cause::{Cause, How};
use super::super::life::{Phase, exit};
use super::super::reader::Feed;
use super::World;
use crate::id::{PoolId, ProcessId, QueueId, TaskId};
use crate::machine::Input;

impl World<'_> {
    /// A life begins to put its share into queues, each item at the same distance from the next; only in its first life.
    pub(super) fn put_evenly(&mut self, process: ProcessId, attempt: u32, lasts: Duration) {
        let shares = match self.shares.get(&process) {
            Some(shares) if attempt == 1 => shares.clone(),
            Some(_) | None => return,
        };
        for (queue, share) in shares.into_iter().filter(|(_, share)| *share > 0) {
            let nanos = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
            let event = Event::Put {
                process,
                attempt,
                queue,
                left: share - 1,
                every: nanos / share,
            };
            self.agenda
                .add(self.now.after(Duration::from_nanos(nanos / share)), event);
        }
    }

    /// Puts one item. Who has ended of itself meanwhile puts all that it has left; who was stopped puts no more.
    pub(super) fn put_next(&mut self, process: ProcessId, attempt: u32, queue: QueueId, left: u64, every: u64) {
        let life = self.lives[process.index()];
        if life.attempt != attempt || !matches!(life.phase, Phase::Running | Phase::Due | Phase::Leaving) {
            return;
        }
        self.cause = Cause::of(How::Item(queue), life.span);
        if life.phase == Phase::Leaving {
            return self.put(queue, 1 + left);
        }
        self.put(queue, 1);
        if left > 0 {
            let event = Event::Put {
                process,
                attempt,
                queue,
                left: left - 1,
                every,
            };
            self.agenda.add(self.now.after(Duration::from_nanos(every)), event);
        }
    }

    /// So many items more lie in the queue, if they are tasks for somebody; other readers take theirs at once.
    fn put(&mut self, queue: QueueId, count: u64) {
        let items = &mut self.items[queue.index()];
        if !items.pools.is_empty() && !items.finished {
            items.count += count;
            self.serve(queue);
        }
    }

    /// Gives items to the pools that want some.
    fn serve(&mut self, queue: QueueId) {
        for place in 0..self.items[queue.index()].pools.len() {
            let pool = self.items[queue.index()].pools[place];
            let source = &mut self.sources[pool.index()];
            let items = &mut self.items[queue.index()];
            let count = u32::try_from(items.count.min(u64::from(source.credit))).unwrap_or(u32::MAX);
            if count > 0 && !source.ended {
                source.credit -= count;
                items.count -= u64::from(count);
                self.answer_late(Input::Taken { pool, count });
            }
        }
        self.finish_queue(queue);
    }

    pub(super) fn close_queue(&mut self, queue: QueueId) {
        self.items[queue.index()].closed = true;
        self.finish_queue(queue);
    }

    pub(super) fn break_queue(&mut self, queue: QueueId) {
        self.items[queue.index()].broken = true;
        self.finish_queue(queue);
    }

    /// Tells that the queue has ended, once it has.
    fn finish_queue(&mut self, queue: QueueId) {
        let items = &mut self.items[queue.index()];
        let is_empty = items.count == 0;
        if items.finished || !(items.broken || items.closed && is_empty) {
            return;
        }
        items.finished = true;
        let pools = items.pools.clone();
        let cause = Cause::of(How::Queue(queue), self.cause.by);
        let input = if is_empty {
            Input::QueueDrained { queue }
        } else {
            Input::QueueLeft { queue }
        };
        self.tell_after(self.scenario.latencies.answer, input, cause);
        for pool in pools {
            if self.sources[pool.index()].credit > 0 {
                self.source_ended(pool);
            }
        }
        self.feed_ended(Feed::Queue(queue), cause);
    }

    pub(super) fn take(&mut self, pool: PoolId, count: u32) {
        let source = &mut self.sources[pool.index()];
        if source.ended {
            return;
        }
        if let Some(queue) = source.queue {
            source.credit = source.credit.saturating_add(count);
            if self.items[queue.index()].finished {
                self.source_ended(pool);
            } else {
                self.serve(queue);
            }
            return;
        }
        let count = u32::try_from(source.left.min(u64::from(count))).unwrap_or(u32::MAX);
        source.left -= u64::from(count);
        let is_last = source.left == 0;
        if count > 0 {
            self.answer_late(Input::Taken { pool, count });
        }
        if is_last {
            self.source_ended(pool);
        }
    }

    fn source_ended(&mut self, pool: PoolId) {
        let source = &mut self.sources[pool.index()];
        if !std::mem::replace(&mut source.ended, true) {
            self.answer_late(Input::SourceEnded { pool });
        }
    }

    pub(super) fn stop_taking(&mut self, pool: PoolId) {
        let source = &mut self.sources[pool.index()];
        (source.ended, source.credit) = (true, 0);
    }

    /// The result goes on its way, as an item if there is a queue for it.
    pub(super) fn deliver(&mut self, pool: PoolId, task: TaskId) {
        let results = self.plan.pools[pool.index()]
            .work
            .as_ref()
            .and_then(|work| work.results);
        if let Some(queue) = results {
            let before = self.cause;
            self.cause = Cause::of(How::Item(queue), before.by);
            self.put(queue, 1);
            self.cause = before;
        }
        self.answer_late(Input::Delivered { pool, task });
    }

    /// A persistent worker gets a task, behind those that it has.
    pub(super) fn assign(&mut self, process: ProcessId, attempt: u32, task: TaskId) {
        if !self.lives[process.index()].runs(attempt) {
            return;
        }
        let Some(bench) = self.benches.get_mut(&process) else {
            return;
        };
        bench.tasks.push_back(task);
        if bench.tasks.len() == 1 {
            if let Some(pool) = self.plan.processes[process.index()].worker_of {
                self.chronicle.slot_taken(self.now, pool);
            }
            self.begin_task(process, attempt, self.cause);
        }
    }

    fn begin_task(&mut self, process: ProcessId, attempt: u32, cause: Cause) {
        let span = self.chronicle.begin(self.now, process, true, cause);
        if let Some(bench) = self.benches.get_mut(&process) {
            bench.span = Some(span);
        }
        let lasts = self.scenario.lasts[process.index()].unwrap_or_default();
        self.agenda
            .add(self.now.after(lasts), Event::Answer { process, attempt });
    }

    /// A persistent worker answers the first of its tasks, or dies of it.
    pub(super) fn answer(&mut self, process: ProcessId, attempt: u32) -> Option<Input> {
        if !self.lives[process.index()].runs(attempt) {
            return None;
        }
        let span = self.benches.get(&process)?.span?;
        self.chronicle.at(span).ended = self.now;
        self.cause = Cause::of(How::Worker, Some(span));
        if self.fails(process) {
            let by = self.cause;
            self.bench_cleared(process);
            self.leave(process, exit(&self.plan.processes[process.index()], true), Some(by));
            return None;
        }
        self.set_events(process);
        let bench = self.benches.get_mut(&process)?;
        bench.tasks.pop_front();
        if bench.tasks.is_empty() {
            let is_closed = bench.stdin_closed;
            self.bench_cleared(process);
            if is_closed {
                self.leave_at_end_of_file(process);
            }
        } else {
            self.begin_task(process, attempt, self.cause);
        }
        Some(Input::Answered { process, attempt })
    }

    /// The worker has no task any more.
    pub(super) fn bench_cleared(&mut self, process: ProcessId) {
        let Some(bench) = self.benches.get_mut(&process) else {
            return;
        };
        let had_task = bench.span.take().is_some();
        bench.tasks.clear();
        if let Some(pool) = self.plan.processes[process.index()].worker_of.filter(|_| had_task) {
            self.chronicle.slot_left(self.now, pool);
        }
    }

    pub(super) fn close_stdin(&mut self, process: ProcessId, attempt: u32) {
        if !self.lives[process.index()].runs(attempt) {
            return;
        }
        let Some(bench) = self.benches.get_mut(&process) else {
            return;
        };
        bench.stdin_closed = true;
        if bench.tasks.is_empty() {
            self.leave_at_end_of_file(process);
        }
    }

    fn leave_at_end_of_file(&mut self, process: ProcessId) {
        let by = self.cause;
        self.leave(process, exit(&self.plan.processes[process.index()], false), Some(by));
    }
}
