//! Items between the pumps and the yard.

use std::collections::VecDeque;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::machine::Input;
use tokio::sync::oneshot;

use super::PumpId;
use super::asks::{Ask, Batch, Take};
use super::turn::Run;
use crate::stdio::receiver::TakeAnswer;
use crate::stdio::sender::PutAnswer;
use crate::yard::{ItemId, Reply, Request, Slot, Trouble};

/// A pump is given so many bytes at once, and what goes over it: a batch of the largest items would be a gigabyte.
const BATCH_BYTES: usize = 256 * 1024;

/// What the driver knows of queues besides the yard.
#[derive(Debug)]
pub struct Queues {
    tallies: Vec<Tally>,
    /// Broken queues in which no item has been seen that nobody will get.
    broken: Vec<QueueId>,
}

/// What is counted of a queue besides the yard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Items that came when nobody could take them any more.
    pub lost: u64,
    /// Items too large to be taken in by a pump.
    pub refused: u64,
}

impl Queues {
    pub(super) fn new(count: usize) -> Self {
        Self {
            tallies: vec![Tally::default(); count],
            broken: Vec::new(),
        }
    }

    /// The counts of one queue.
    pub(super) fn tally(&mut self, queue: QueueId) -> &mut Tally {
        &mut self.tallies[queue.index()]
    }

    /// The counts of all queues.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (QueueId, Tally)> {
        self.tallies
            .iter()
            .enumerate()
            .map(|(index, tally)| (QueueId::at(index), *tally))
    }
}

impl Run {
    /// No receiver is left.
    pub(super) fn break_queue(&mut self, queue: QueueId) {
        self.yard.break_queue(queue.0);
        self.queues.broken.push(queue);
    }

    /// Tells the machine of items that nobody will get, once a queue.
    pub(super) fn hear_of_leftovers(&mut self) {
        let mut broken = std::mem::take(&mut self.queues.broken);
        broken.retain(|&queue| {
            let has_left = self.yard.counts(queue.0).left + self.queues.tally(queue).lost > 0;
            if has_left {
                self.inputs.push_back(Input::QueueLeft { queue });
            }
            !has_left
        });
        self.queues.broken = broken;
    }

    /// A pump has items for a queue.
    pub(super) fn put(&mut self, queue: QueueId, items: Vec<Vec<u8>>, answer: oneshot::Sender<PutAnswer>) {
        let rest = VecDeque::from(items);
        self.put_rest(Batch { queue, rest, answer });
    }

    /// Puts what can be put at once; then waits for room.
    pub(super) fn put_rest(&mut self, mut batch: Batch) {
        while let Some(item) = batch.rest.pop_front() {
            let ticket = self.asks.draw();
            let put = Request::Put {
                queue: batch.queue.0,
                item,
            };
            match self.yard.ask(self.engine_slot(), ticket, put, true) {
                None => return self.asks.park(ticket, Ask::Put(batch)),
                Some(Reply::Broken | Reply::Closed) => return self.give_up(batch),
                Some(Reply::Failed(trouble)) => return self.put_failed(batch, &trouble),
                Some(_) => {}
            }
        }
        // A pump that has ended meanwhile needs no answer.
        let _ = batch.answer.send(PutAnswer::Done);
    }

    pub(super) fn give_up(&mut self, batch: Batch) {
        self.queues.tally(batch.queue).lost += 1 + batch.rest.len() as u64;
        // A pump that has ended meanwhile needs no answer.
        let _ = batch.answer.send(PutAnswer::Broken);
    }

    /// The items can be put nowhere.
    pub(super) fn put_failed(&mut self, batch: Batch, trouble: &Trouble) {
        let name = &self.plan.queues[batch.queue.index()].name;
        match trouble {
            // That has been told already.
            Trouble::Damaged => {}
            Trouble::NoSpace | Trouble::Other(_) => {
                self.fault(format!("items cannot be put into `{name}`: {trouble}").into())
            }
        }
        self.give_up(batch);
    }

    /// A pump wants items.
    pub(super) fn give(&mut self, take: Take) {
        let ticket = self.asks.draw();
        let request = Request::Take { queue: take.queue.0 };
        match self.yard.ask(Slot(take.process.0), ticket, request, true) {
            Some(reply) => self.given(take, reply),
            None => self.asks.park(ticket, Ask::Take(take)),
        }
    }

    /// A take has been answered.
    pub(super) fn given(&mut self, take: Take, reply: Reply) {
        let Take {
            process,
            queue,
            at_most,
            answer,
            ..
        } = take;
        let Reply::Item { id, bytes, .. } = reply else {
            // A pump that has ended meanwhile needs no answer.
            let _ = answer.send(TakeAnswer::Closed);
            return;
        };
        let mut total = bytes.len();
        let mut items = vec![(id, bytes)];
        while items.len() < at_most && total < BATCH_BYTES {
            let ticket = self.asks.draw();
            let request = Request::Take { queue: queue.0 };
            let Some(Reply::Item { id, bytes, .. }) = self.yard.ask(Slot(process.0), ticket, request, false) else {
                break;
            };
            total += bytes.len();
            items.push((id, bytes));
        }
        if let Err(TakeAnswer::Items(items)) = answer.send(TakeAnswer::Items(items)) {
            let unread = items.into_iter().map(|(item, _)| item).collect();
            self.settled(process, queue, Vec::new(), unread);
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
    pub(super) fn settled(&mut self, process: ProcessId, queue: QueueId, read: Vec<ItemId>, unread: Vec<ItemId>) {
        if !read.is_empty() {
            self.acknowledge(Slot(process.0), queue, &read);
        }
        if !unread.is_empty() {
            self.give_back(Slot(process.0), queue, &unread);
        }
    }

    pub(super) fn acknowledge(&mut self, slot: Slot, queue: QueueId, items: &[ItemId]) {
        if self.yard.ack(slot, queue.0, items).is_err() {
            tracing::error!("an item of a queue was acknowledged that was not taken");
        }
    }

    pub(super) fn give_back(&mut self, slot: Slot, queue: QueueId, items: &[ItemId]) {
        if self.yard.give_back(slot, queue.0, items).is_err() {
            tracing::error!("an item of a queue was given back that was not taken");
        }
    }
}
