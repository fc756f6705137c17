//! A queue: many senders, many receivers, first in, first out.
//!
//! Flow is by credit, not by pausing: a put that finds the queue full is parked with its item, and a
//! take that finds it empty is parked too, so a queue never holds more than its capacity (but for
//! items given back). An item that was taken stays with the queue until it is acknowledged.

use std::collections::{BTreeMap, VecDeque};

use super::waiting::Waiting;
use super::{ItemId, QueueLimits, Refusal, Reply, Slot, Ticket};

/// Where the items of a queue are and went. At any time `put == got + taken + left`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Accepted, in all.
    pub put: u64,
    /// Taken and acknowledged.
    pub got: u64,
    /// How often a taken item came back.
    pub returned: u64,
    /// Not got: in the queue now, or dropped from it when it broke.
    pub left: u64,
    /// Never accepted, since larger than `max_item`.
    pub refused: u64,
    /// Taken now, and not acknowledged yet.
    pub taken: u64,
    /// Requests that wait for room.
    pub waiting_put: u64,
    /// Requests that wait for an item.
    pub waiting_take: u64,
    /// In the queue now.
    pub len: u64,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    limits: QueueLimits,
    state: State,
    /// Ascending by id: what comes back goes to its old place.
    items: VecDeque<Item>,
    taken: BTreeMap<ItemId, (Slot, Item)>,
    putters: VecDeque<Putter>,
    takers: VecDeque<(Ticket, Slot)>,
    put: u64,
    got: u64,
    returned: u64,
    dropped: u64,
    refused: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Without senders.
    Closed,
    /// Without receivers.
    Broken,
    /// Closed or broken, and without items for good.
    Drained(Ended),
}

/// How a queue has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    Broken,
}

#[derive(Debug)]
struct Item {
    id: ItemId,
    bytes: Vec<u8>,
    deliveries: u32,
}

#[derive(Debug)]
struct Putter {
    ticket: Ticket,
    slot: Slot,
    item: Vec<u8>,
}

impl Queue {
    pub(super) const fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            state: State::Open,
            items: VecDeque::new(),
            taken: BTreeMap::new(),
            putters: VecDeque::new(),
            takers: VecDeque::new(),
            put: 0,
            got: 0,
            returned: 0,
            dropped: 0,
            refused: 0,
        }
    }

    pub(super) fn counts(&self) -> QueueCounts {
        let len = self.items.len() as u64;
        QueueCounts {
            put: self.put,
            got: self.got,
            returned: self.returned,
            left: self.dropped + len,
            refused: self.refused,
            taken: self.taken.len() as u64,
            waiting_put: self.putters.len() as u64,
            waiting_take: self.takers.len() as u64,
            len,
        }
    }

    const fn has_room(&self, len: u64) -> bool {
        self.limits.capacity == 0 || len < self.limits.capacity
    }
}

/// Requests.
impl Queue {
    pub(super) fn put(
        &mut self,
        slot: Slot,
        ticket: Ticket,
        item: Vec<u8>,
        block: bool,
        waiting: &mut Waiting,
    ) -> Option<Reply> {
        if item.len() as u64 > self.limits.max_item {
            self.refused += 1;
            return Some(Reply::TooLarge {
                max: self.limits.max_item,
            });
        }
        match self.state {
            State::Open => {}
            State::Closed | State::Drained(Ended::Closed) => return Some(Reply::Closed),
            State::Broken | State::Drained(Ended::Broken) => return Some(Reply::Broken),
        }
        if self.putters.is_empty() && self.has_room(self.items.len() as u64) {
            self.accept(item);
            self.settle(waiting);
            return Some(Reply::Done);
        }
        if !block {
            return Some(Reply::WouldBlock);
        }
        self.putters.push_back(Putter { ticket, slot, item });
        None
    }

    pub(super) const fn refuse(&mut self) -> Reply {
        self.refused += 1;
        Reply::TooLarge {
            max: self.limits.max_item,
        }
    }

    pub(super) fn take(&mut self, slot: Slot, ticket: Ticket, block: bool, waiting: &mut Waiting) -> Option<Reply> {
        if let Some(item) = self.items.pop_front() {
            let reply = self.hand_out(item, slot);
            self.settle(waiting);
            return Some(reply);
        }
        match self.state {
            State::Closed if !self.others_have_taken(slot) => Some(Reply::Closed),
            State::Open | State::Closed if block => {
                self.takers.push_back((ticket, slot));
                None
            }
            State::Open | State::Closed => Some(Reply::WouldBlock),
            State::Broken | State::Drained(_) => Some(Reply::Closed),
        }
    }

    /// Whether an item may come back that another slot would have to get. What a slot has taken itself it need not
    /// wait for: it would wait for its own acknowledgement.
    fn others_have_taken(&self, slot: Slot) -> bool {
        self.taken.values().any(|(taker, _)| *taker != slot)
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.putters.retain(|putter| putter.ticket != ticket);
        self.takers.retain(|(taker, _)| *taker != ticket);
    }

    fn accept(&mut self, bytes: Vec<u8>) {
        self.items.push_back(Item {
            id: ItemId(self.put),
            bytes,
            deliveries: 0,
        });
        self.put += 1;
    }

    /// The queue keeps the bytes: whoever takes them may die.
    fn hand_out(&mut self, mut item: Item, slot: Slot) -> Reply {
        item.deliveries = item.deliveries.saturating_add(1);
        let reply = Reply::Item {
            id: item.id,
            bytes: item.bytes.clone(),
            deliveries: item.deliveries,
        };
        self.taken.insert(item.id, (slot, item));
        reply
    }

    /// Matches items with takers and room with putters until neither is possible.
    fn settle(&mut self, waiting: &mut Waiting) {
        loop {
            while !self.takers.is_empty()
                && let Some(item) = self.items.pop_front()
                && let Some((ticket, slot)) = self.takers.pop_front()
            {
                let reply = self.hand_out(item, slot);
                waiting.answer(ticket, slot, reply);
            }
            if !self.has_room(self.items.len() as u64) {
                return;
            }
            let Some(Putter { ticket, slot, item }) = self.putters.pop_front() else {
                return;
            };
            self.accept(item);
            waiting.answer(ticket, slot, Reply::Done);
        }
    }
}

/// What becomes of items that were taken.
impl Queue {
    pub(super) fn ack(&mut self, slot: Slot, id: ItemId, waiting: &mut Waiting) -> Result<(), Refusal> {
        self.untake(slot, id)?;
        self.got += 1;
        self.turn_takers_away(waiting);
        Ok(())
    }

    pub(super) fn give_back(&mut self, slot: Slot, id: ItemId, waiting: &mut Waiting) -> Result<(), Refusal> {
        let item = self.untake(slot, id)?;
        self.restore(item);
        self.settle(waiting);
        self.turn_takers_away(waiting);
        Ok(())
    }

    pub(super) fn let_go(&mut self, slot: Slot, waiting: &mut Waiting) {
        self.putters.retain(|putter| putter.slot != slot);
        self.takers.retain(|(_, taker)| *taker != slot);
        // All are back before anybody is served, so that the first in the line gets the oldest.
        let of_slot = self.taken.extract_if(.., |_, (taker, _)| *taker == slot);
        let items: Vec<Item> = of_slot.map(|(_, (_, item))| item).collect();
        for item in items {
            self.restore(item);
        }
        self.settle(waiting);
        self.turn_takers_away(waiting);
    }

    fn untake(&mut self, slot: Slot, id: ItemId) -> Result<Item, Refusal> {
        match self.taken.remove(&id) {
            Some((taker, item)) if taker == slot => Ok(item),
            Some(others) => {
                self.taken.insert(id, others);
                Err(Refusal::NotHeld)
            }
            None => Err(Refusal::NotHeld),
        }
    }

    fn restore(&mut self, item: Item) {
        self.returned += 1;
        match self.state {
            State::Open | State::Closed => {
                let place = self.items.partition_point(|other| other.id < item.id);
                self.items.insert(place, item);
            }
            State::Broken | State::Drained(_) => self.dropped += 1,
        }
    }
}

/// The end of a queue.
impl Queue {
    pub(super) fn close(&mut self, waiting: &mut Waiting) {
        if self.state == State::Open {
            self.state = State::Closed;
            self.turn_takers_away(waiting);
        }
    }

    pub(super) fn break_off(&mut self, waiting: &mut Waiting) {
        match self.state {
            State::Open | State::Closed => {}
            State::Broken | State::Drained(_) => return,
        }
        self.state = State::Broken;
        self.dropped += self.items.len() as u64;
        self.items.clear();
        for Putter { ticket, slot, .. } in std::mem::take(&mut self.putters) {
            waiting.answer(ticket, slot, Reply::Broken);
        }
        self.turn_takers_away(waiting);
    }

    /// Takers wait only while the queue is empty. When it has ended, nothing will be put into it any more: those
    /// are told for whom nothing can come back either.
    fn turn_takers_away(&mut self, waiting: &mut Waiting) {
        if self.state == State::Open || self.takers.is_empty() {
            return;
        }
        let (waits, told): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.takers)
            .into_iter()
            .partition(|(_, slot)| self.state == State::Closed && self.others_have_taken(*slot));
        self.takers = waits;
        for (ticket, slot) in told {
            waiting.answer(ticket, slot, Reply::Closed);
        }
    }

    /// True once: when the queue has ended and its last item has gone.
    pub(super) fn notice_drained(&mut self) -> bool {
        let ended = match self.state {
            State::Closed => Ended::Closed,
            State::Broken => Ended::Broken,
            State::Open | State::Drained(_) => return false,
        };
        // Who waits to put waits for room, so there are items as long as there are such.
        let drained = self.items.is_empty() && self.taken.is_empty();
        if drained {
            self.state = State::Drained(ended);
        }
        drained
    }

    pub(super) fn check(&self) {
        let counts = self.counts();
        assert_eq!(
            counts.put,
            counts.got + counts.taken + counts.left,
            "an item is lost or in two places"
        );
        assert!(
            self.takers.is_empty() || self.items.is_empty(),
            "somebody waits for an item that is there"
        );
        assert!(
            self.putters.is_empty() || !self.has_room(counts.len),
            "somebody waits for room that is there"
        );
        let may_wait = |slot| match self.state {
            State::Open => true,
            State::Closed => self.others_have_taken(slot),
            State::Broken | State::Drained(_) => false,
        };
        assert!(
            self.takers.iter().all(|(_, slot)| may_wait(*slot)),
            "somebody waits at a queue that has ended"
        );
        let over = counts.len.saturating_sub(self.limits.capacity);
        assert!(
            self.limits.capacity == 0 || over <= self.returned,
            "a queue is fuller than its capacity"
        );
    }
}
