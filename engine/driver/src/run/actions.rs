//! What the machine decides is carried out here.

use std::collections::VecDeque;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::machine::{Action, Exit, Input};
use forkyard_core::plan::{Hold, Resource};
use forkyard_ipc::yard::{Held, ItemId, Reply, Request, Slot, Ticket};
use tokio::sync::oneshot;

use super::PumpId;
use super::asks::{Ask, Batch};
use super::lives::Fate;
use super::turn::Run;
use crate::stdio::receiver::TakeAnswer;
use crate::stdio::sender::PutAnswer;

impl Run {
    /// Carries out one action.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Acquire { process, attempt, hold } => self.acquire(process, attempt, hold),
            Action::LetGo { process } => self.let_go(process),
            Action::Spawn { process, attempt, task } => self.spawn(process, attempt, task, 0),
            Action::Terminate { process, attempt } => self.terminate(process, attempt),
            Action::Kill { process, attempt } => self.kill(process, attempt),
            Action::Forsake { process } => self.pipes.let_go(process),
            Action::CloseQueue { queue } => self.yard.close(queue.0),
            Action::BreakQueue { queue } => self.yard.break_queue(queue.0),
            Action::Take { pool, count } => self.take(pool, count),
            Action::StopTaking { pool } => self.stop_taking(pool),
            Action::Assign { process, attempt, task } => self.assign(process, attempt, task),
            Action::CloseStdin { process, attempt } => self.close_stdin(process, attempt),
            Action::Complete { pool, task } => self.acknowledge_task(pool, task),
            Action::Discard { pool, task } => self.discard(pool, task),
            Action::Retry { pool, task } => self.forget_result(pool, task),
            Action::Deliver { pool, task } => self.deliver(pool, task),
            Action::WakeAt { at } => self.wake = Some(at),
            Action::End { verdict } => self.verdict = Some(verdict),
        }
    }

    fn acquire(&mut self, process: ProcessId, attempt: u32, hold: Hold) {
        let ticket = self.asks.draw();
        let request = Request::Acquire {
            held: held(hold.resource),
            permits: hold.permits,
        };
        match self.yard.ask(Slot(process.0), ticket, request, true) {
            Some(reply) => self.hold_answered(process, attempt, &reply),
            None => self.asks.park(ticket, Ask::Hold { process, attempt }),
        }
    }

    fn hold_answered(&mut self, process: ProcessId, attempt: u32, reply: &Reply) {
        if matches!(reply, Reply::Granted { .. }) {
            self.inputs.push_back(Input::Acquired { process, attempt });
        } else {
            let name = &self.plan.processes[process.index()].name;
            self.fault(format!("what `{name}` holds can never be granted: it asks for more than there is").into());
        }
    }

    /// Whoever gets what a killed process held is told so.
    fn let_go(&mut self, process: ProcessId) {
        let slot = Slot(process.0);
        match self.exits.remove(&process) {
            Some(Exit::Signal(_)) => self.yard.died(slot),
            Some(Exit::Code(_)) | None => self.yard.let_go(slot),
        }
    }

    fn terminate(&mut self, process: ProcessId, attempt: u32) {
        let Some(body) = self.lives.body(process, attempt) else {
            return;
        };
        body.fate.set(Fate::Stop);
        let launch = &self.plan.launches[process.index()];
        let failed = match &launch.stop_command {
            Some(command) => self.stop_command(process, attempt, command).err(),
            None => return body.tree.terminate(launch.stop_signal),
        };
        if let Some(reason) = failed {
            let name = &self.plan.processes[process.index()].name;
            tracing::warn!("the stop command of `{name}` cannot be run: {reason}; the signal is sent instead");
            body.tree.terminate(launch.stop_signal);
        }
    }

    fn kill(&mut self, process: ProcessId, attempt: u32) {
        let Some(body) = self.lives.body(process, attempt) else {
            return;
        };
        body.fate.set(Fate::Die);
        // The watch over the life goes on with it until nobody is left.
        let _ = body.tree.kill();
        self.child_ended.notify_waiters();
    }

    fn close_stdin(&mut self, process: ProcessId, attempt: u32) {
        if let Some(life) = self.lives.get_mut(process).filter(|life| life.attempt == attempt) {
            life.feed = None;
        }
    }

    /// A pump has items for a queue.
    pub(super) fn put(&mut self, queue: QueueId, items: Vec<Vec<u8>>, answer: oneshot::Sender<PutAnswer>) {
        let rest = VecDeque::from(items);
        self.put_rest(Batch { queue, rest, answer });
    }

    /// Puts what can be put at once; then waits for room.
    fn put_rest(&mut self, mut batch: Batch) {
        while let Some(item) = batch.rest.pop_front() {
            let ticket = self.asks.draw();
            let put = Request::Put {
                queue: batch.queue.0,
                item,
            };
            match self.yard.ask(self.engine_slot(), ticket, put, true) {
                None => return self.asks.park(ticket, Ask::Put(batch)),
                Some(Reply::Broken | Reply::Closed) => return self.give_up(batch),
                Some(_) => {}
            }
        }
        // A pump that has ended meanwhile needs no answer.
        let _ = batch.answer.send(PutAnswer::Done);
    }

    fn give_up(&mut self, batch: Batch) {
        self.tallies[batch.queue.index()].lost += 1 + batch.rest.len() as u64;
        // A pump that has ended meanwhile needs no answer.
        let _ = batch.answer.send(PutAnswer::Broken);
    }

    /// A pump wants items.
    pub(super) fn give(&mut self, pump: PumpId, queue: QueueId, at_most: usize, answer: oneshot::Sender<TakeAnswer>) {
        let ticket = self.asks.draw();
        match self
            .yard
            .ask(self.engine_slot(), ticket, Request::Take { queue: queue.0 }, true)
        {
            Some(reply) => self.given(queue, at_most, answer, reply),
            None => self.asks.park(
                ticket,
                Ask::Take {
                    pump,
                    queue,
                    at_most,
                    answer,
                },
            ),
        }
    }

    fn given(&mut self, queue: QueueId, at_most: usize, answer: oneshot::Sender<TakeAnswer>, reply: Reply) {
        let Reply::Item { id, bytes, .. } = reply else {
            // A pump that has ended meanwhile needs no answer.
            let _ = answer.send(TakeAnswer::Closed);
            return;
        };
        let mut items = vec![(id, bytes)];
        while items.len() < at_most {
            let ticket = self.asks.draw();
            let take = Request::Take { queue: queue.0 };
            let Some(Reply::Item { id, bytes, .. }) = self.yard.ask(self.engine_slot(), ticket, take, false) else {
                break;
            };
            items.push((id, bytes));
        }
        if let Err(TakeAnswer::Items(items)) = answer.send(TakeAnswer::Items(items)) {
            self.settled(queue, Vec::new(), items.into_iter().map(|(item, _)| item).collect());
        }
    }

    /// A pump does not want items any more.
    pub(super) fn withdraw(&mut self, pump: PumpId) {
        if let Some(ticket) = self.asks.of_pump(pump)
            && self.yard.cancel(ticket)
        {
            self.asks.remove(ticket);
        }
    }

    /// What has become of items that a pump took.
    pub(super) fn settled(&mut self, queue: QueueId, read: Vec<ItemId>, unread: Vec<ItemId>) {
        for item in read {
            self.acknowledge(self.engine_slot(), queue, item);
        }
        for item in unread {
            self.give_back(self.engine_slot(), queue, item);
        }
    }

    pub(super) fn acknowledge(&mut self, slot: Slot, queue: QueueId, item: ItemId) {
        if self.yard.ack(slot, queue.0, item).is_err() {
            tracing::error!("an item of a queue was acknowledged that was not taken");
        }
    }

    pub(super) fn give_back(&mut self, slot: Slot, queue: QueueId, item: ItemId) {
        if self.yard.give_back(slot, queue.0, item).is_err() {
            tracing::error!("an item of a queue was given back that was not taken");
        }
    }

    /// A reply of the yard to a request that had to wait.
    pub(super) fn replied(&mut self, ticket: Ticket, reply: Reply) {
        match self.asks.remove(ticket) {
            Some(Ask::Hold { process, attempt }) => self.hold_answered(process, attempt, &reply),
            Some(Ask::Put(batch)) => match reply {
                Reply::Broken | Reply::Closed => self.give_up(batch),
                Reply::Done
                | Reply::Item { .. }
                | Reply::Granted { .. }
                | Reply::WouldBlock
                | Reply::TooLarge { .. }
                | Reply::TooMany { .. } => self.put_rest(batch),
            },
            Some(Ask::Take {
                queue, at_most, answer, ..
            }) => self.given(queue, at_most, answer, reply),
            Some(Ask::Task { pool, queue }) => self.task_arrived(pool, queue, reply),
            Some(Ask::Result { pool, task }) => self.result_put(pool, task, &reply),
            None => tracing::error!("the yard answered a request that nobody has made"),
        }
    }

    /// The slot of the pumps: they act for processes, and see to it themselves that nothing of the dead stays taken.
    pub(super) fn engine_slot(&self) -> Slot {
        Slot(ProcessId::at(self.plan.processes.len() + self.plan.pools.len()).0)
    }
}

const fn held(resource: Resource) -> Held {
    match resource {
        Resource::Lock(lock) => Held::Lock(lock.0),
        Resource::Semaphore(semaphore) => Held::Semaphore(semaphore.0),
    }
}
