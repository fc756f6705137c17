//! The yard of one run: its queues, locks, semaphores and events, and who waits for them.
//!
//! It is sans-IO and single-threaded: [`Yard::ask`] answers at once or parks the request, and
//! whatever later call makes the answer possible leaves it to be collected by [`Yard::replies`].
//! All who wait for one thing are served in the order in which they asked.
//!
//! Channels are numbered per kind, in the order of the [`Layout`]; a number outside of it is a
//! mistake of the caller and panics.

mod event;
mod handed;
mod lock;
mod queue;
mod semaphore;
#[cfg(test)]
mod tests;
mod waiting;

use event::Event;
pub use handed::{Handed, Station};
use lock::Lock;
use queue::Queue;
pub use queue::QueueCounts;
use semaphore::Semaphore;
use waiting::{Place, Waiting};

/// The identity of a supervised process in the yard: whatever is held or taken bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The number of a request that may have to wait, chosen by the caller and not used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The number of an item in its queue, ascending in the order in which items were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// What there is in a yard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The limits of each queue.
    pub queues: Vec<QueueLimits>,
    /// The kind of each lock.
    pub locks: Vec<LockKind>,
    /// How many permits each semaphore has.
    pub semaphores: Vec<u32>,
    /// Whether each event is set from the start.
    pub events: Vec<bool>,
}

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// In items; 0 is unbounded.
    pub capacity: u64,
    /// In bytes, of one item.
    pub max_item: u64,
}

/// Whether the owner of a lock may acquire it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// It may not: it would wait for itself.
    Plain,
    /// It may, and releases it as often as it has acquired it.
    Reentrant,
}

/// Something that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A lock.
    Lock(u32),
    /// Permits of a semaphore.
    Semaphore(u32),
}

/// A request that may have to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Put an item at the end of a queue: `Done`, `Broken`, `Closed` or `TooLarge`; waits while the queue is full.
    Put {
        /// Which.
        queue: u32,
        /// Its bytes.
        item: Vec<u8>,
    },
    /// Take the item at the front of a queue: `Item` or `Closed`; waits while there is none, at a closed queue as
    /// long as other slots have items of it that may come back. The item is gone when it is acknowledged by
    /// [`Yard::ack`].
    Take {
        /// Which.
        queue: u32,
    },
    /// Acquire a lock or permits: `Granted` or `TooMany`.
    Acquire {
        /// Of what.
        held: Held,
        /// How many permits, all at once; 1 for a lock.
        permits: u32,
    },
    /// Wait until an event is set: `Done`.
    Wait {
        /// Which.
        event: u32,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The item is put; the event is set.
    Done,
    /// The item taken.
    Item {
        /// To acknowledge it or to give it back.
        id: ItemId,
        /// Its bytes.
        bytes: Vec<u8>,
        /// How often it has been handed out, this time included: above 1 it has been returned before.
        deliveries: u32,
    },
    /// The lock or the permits are held now.
    Granted {
        /// The holder before has died with it: what it guards may be half done.
        orphaned: bool,
    },
    /// It would have to wait, and was not to.
    WouldBlock,
    /// Of a take: the queue has no senders and no items. Of a put: its senders have all ended.
    Closed,
    /// Of a put: the queue has no receivers.
    Broken,
    /// The item is larger than the queue's `max_item`.
    TooLarge {
        /// That limit, in bytes.
        max: u64,
    },
    /// More permits were asked for than there are.
    TooMany {
        /// How many there are; 1 for a lock.
        permits: u32,
    },
}

/// Why [`Yard::ack`] or [`Yard::release`] did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The slot does not hold that (or not so many).
    NotHeld,
}

/// Something happened in the yard that others than its waiters want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The event was clear and is set.
    EventSet(u32),
    /// The queue is closed or broken, and has no item left, neither in it nor taken and
    /// unacknowledged. Once for each queue.
    Drained(u32),
}

/// The yard. See the [module](self).
#[derive(Debug)]
pub struct Yard {
    queues: Vec<Queue>,
    locks: Vec<Lock>,
    semaphores: Vec<Semaphore>,
    events: Vec<Event>,
    waiting: Waiting,
    changes: Vec<Change>,
}

impl Yard {
    /// A yard in which nothing has happened yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self {
            queues: layout.queues.into_iter().map(Queue::new).collect(),
            locks: layout.locks.into_iter().map(Lock::new).collect(),
            semaphores: layout.semaphores.into_iter().map(Semaphore::new).collect(),
            events: layout.events.into_iter().map(Event::new).collect(),
            waiting: Waiting::default(),
            changes: Vec::new(),
        }
    }

    /// Asks for something on behalf of `slot`. `None`: the request is parked, and its reply comes by
    /// [`Yard::replies`]; only when it may `block`.
    pub fn ask(&mut self, slot: Slot, ticket: Ticket, request: Request, block: bool) -> Option<Reply> {
        let waiting = &mut self.waiting;
        let (place, reply) = match request {
            Request::Put { queue, item } => {
                let to = &mut self.queues[queue as usize];
                (Place::Put(queue), to.put(slot, ticket, item, block, waiting))
            }
            Request::Take { queue } => {
                let from = &mut self.queues[queue as usize];
                (Place::Take(queue), from.take(slot, ticket, block, waiting))
            }
            Request::Acquire { held, permits } => {
                let reply = match held {
                    Held::Lock(lock) => self.locks[lock as usize].acquire(slot, ticket, permits, block),
                    Held::Semaphore(semaphore) => {
                        self.semaphores[semaphore as usize].acquire(slot, ticket, permits, block)
                    }
                };
                (Place::Acquire(held), reply)
            }
            Request::Wait { event } => (
                Place::Wait(event),
                self.events[event as usize].wait(slot, ticket, block),
            ),
        };
        if reply.is_none() {
            self.waiting.park(ticket, slot, place);
        }
        self.check(place);
        reply
    }

    /// Withdraws a request. True: it was parked and is gone, no reply will come. False: it is
    /// answered already (the answer stands, whether collected or not), or was never asked.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some((_, place)) = self.waiting.forget(ticket) else {
            return false;
        };
        match place {
            Place::Put(queue) | Place::Take(queue) => self.queues[queue as usize].cancel(ticket),
            Place::Acquire(Held::Lock(lock)) => self.locks[lock as usize].cancel(ticket),
            Place::Acquire(Held::Semaphore(semaphore)) => {
                self.semaphores[semaphore as usize].cancel(ticket, &mut self.waiting);
            }
            Place::Wait(event) => self.events[event as usize].cancel(ticket),
        }
        self.look_for_drained(place);
        self.check(place);
        true
    }

    /// Counts an item that was too large to be offered at all: whoever carries items need not read a
    /// huge one to its end to have it refused.
    pub fn refuse(&mut self, queue: u32) -> Reply {
        self.queues[queue as usize].refuse()
    }

    /// Acknowledges an item that `slot` has taken: it is done with and gone.
    pub fn ack(&mut self, slot: Slot, queue: u32, item: ItemId) -> Result<(), Refusal> {
        let acked = self.queues[queue as usize].ack(slot, item, &mut self.waiting);
        self.settled(queue);
        acked
    }

    /// Puts an item that `slot` has taken back to where it was, before all that were put after it.
    pub fn give_back(&mut self, slot: Slot, queue: u32, item: ItemId) -> Result<(), Refusal> {
        let returned = self.queues[queue as usize].give_back(slot, item, &mut self.waiting);
        self.settled(queue);
        returned
    }

    /// Releases a lock once, or so many permits.
    pub fn release(&mut self, slot: Slot, held: Held, permits: u32) -> Result<(), Refusal> {
        let released = match held {
            Held::Lock(lock) => self.locks[lock as usize].release(slot, &mut self.waiting),
            Held::Semaphore(semaphore) => self.semaphores[semaphore as usize].release(slot, permits, &mut self.waiting),
        };
        self.check(Place::Acquire(held));
        released
    }

    /// Sets an event and wakes all who wait for it.
    pub fn set(&mut self, event: u32) {
        if self.events[event as usize].set(&mut self.waiting) {
            self.changes.push(Change::EventSet(event));
        }
        self.check(Place::Wait(event));
    }

    /// Clears an event.
    pub fn clear(&mut self, event: u32) {
        self.events[event as usize].clear();
    }

    /// Whether an event is set.
    #[must_use]
    pub fn is_set(&self, event: u32) -> bool {
        self.events[event as usize].is_set()
    }

    /// No sender is left: whoever takes from the queue is told `Closed` once it is empty and nothing can come back
    /// to it from another slot. What was parked to be put before is still put.
    pub fn close(&mut self, queue: u32) {
        self.queues[queue as usize].close(&mut self.waiting);
        self.settled(queue);
    }

    /// No receiver is left: senders are told `Broken`; the items in the queue are dropped and
    /// counted as left.
    pub fn break_queue(&mut self, queue: u32) {
        self.queues[queue as usize].break_off(&mut self.waiting);
        self.settled(queue);
    }

    /// The slot's process has ended in order: its requests are cancelled (no reply comes for any of its
    /// tickets, not even one that was ready to be collected), what it holds is released, and the
    /// items that it took and did not acknowledge are back in their places.
    pub fn let_go(&mut self, slot: Slot) {
        self.depart(slot, false);
    }

    /// As [`Yard::let_go`] for a process that was killed or crashed: the next holder of each thing it
    /// held is told that it was orphaned.
    pub fn died(&mut self, slot: Slot) {
        self.depart(slot, true);
    }

    fn depart(&mut self, slot: Slot, orphaned: bool) {
        self.waiting.forget_slot(slot);
        for event in &mut self.events {
            event.let_go(slot);
        }
        for lock in &mut self.locks {
            lock.let_go(slot, orphaned, &mut self.waiting);
        }
        for semaphore in &mut self.semaphores {
            semaphore.let_go(slot, orphaned, &mut self.waiting);
        }
        for queue in 0..u32::try_from(self.queues.len()).unwrap_or(u32::MAX) {
            self.queues[queue as usize].let_go(slot, &mut self.waiting);
            self.settled(queue);
        }
    }

    /// The replies to parked requests that are ready, in the order in which they became so.
    pub fn replies(&mut self) -> Vec<(Ticket, Reply)> {
        self.waiting.collect()
    }

    /// What has changed since the last call, in order.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Where the items of a queue are and went.
    #[must_use]
    pub fn counts(&self, queue: u32) -> QueueCounts {
        self.queues[queue as usize].counts()
    }

    /// Who holds a lock.
    #[must_use]
    pub fn owner(&self, lock: u32) -> Option<Slot> {
        self.locks[lock as usize].owner()
    }

    /// Who holds how many permits of a semaphore, by slot.
    pub fn holders(&self, semaphore: u32) -> impl Iterator<Item = (Slot, u32)> + '_ {
        self.semaphores[semaphore as usize].holders()
    }

    /// How many permits of a semaphore nobody holds.
    #[must_use]
    pub fn free(&self, semaphore: u32) -> u32 {
        self.semaphores[semaphore as usize].free()
    }

    fn settled(&mut self, queue: u32) {
        let place = Place::Take(queue);
        self.look_for_drained(place);
        self.check(place);
    }

    fn look_for_drained(&mut self, place: Place) {
        if let Place::Put(queue) | Place::Take(queue) = place
            && self.queues[queue as usize].notice_drained()
        {
            self.changes.push(Change::Drained(queue));
        }
    }

    /// Derives in debug builds what must hold of the channel just touched from scratch.
    fn check(&self, place: Place) {
        if cfg!(debug_assertions) {
            match place {
                Place::Put(queue) | Place::Take(queue) => self.queues[queue as usize].check(),
                Place::Acquire(Held::Lock(lock)) => self.locks[lock as usize].check(),
                Place::Acquire(Held::Semaphore(semaphore)) => self.semaphores[semaphore as usize].check(),
                Place::Wait(event) => self.events[event as usize].check(),
            }
        }
    }
}
