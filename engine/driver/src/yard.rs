//! The yard of a run: its queues, locks, semaphores and events, and who waits for them.
//!
//! Each channel is a mapped file in the run's directory. Programs that were handed a channel act on it by themselves; the engine acts
//! for all others, and for its own pumps and pools: for each it has a *proxy* in every channel that it uses, which holds what it holds. What
//! cannot be had at once is parked here, in the order in which it was asked for, and tried again when a program opens a gate and
//! rings the bell. So nothing here ever waits: [`Yard::ask`] answers at once or parks the request, and whatever later call makes the answer
//! possible leaves it to be collected by [`Yard::replies`].
//!
//! Channels are numbered per kind, in the order of the [`Layout`]; a number outside of it is a
//! mistake of the caller and panics.

mod bell;
mod commons;
mod deaths;
mod event;
mod layout;
mod lock;
mod post;
mod queue;
mod request;
mod semaphore;
#[cfg(test)]
mod tests;
mod waiting;
mod waits;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forkyard_ipc::channel::{Channel, Shape};
pub use forkyard_ipc::queue::ItemId;
use forkyard_ipc::queue::Sheaf;
use tokio::sync::oneshot;

use bell::Bell;
pub use commons::{Commons, Handful, Part, Piece};
use deaths::Deaths;
use event::Event;
pub use layout::{Layout, LockKind, QueueLimits};
use lock::Lock;
use post::{Making, Post};
use queue::Queue;
pub use queue::QueueCounts;
pub use request::{Held, Refusal, Reply, Request, Slot, Ticket, Trouble};
use semaphore::Semaphore;
pub use waiting::Place;
use waiting::Waiting;
pub use waits::{Parked, Sleeper};

/// A channel has room for so many processes besides those of the workflow: workers that a program starts and that
/// each use it.
const CLIENTS_MIN: u32 = 1024;

/// And for so many of each process of the workflow.
const CLIENTS_EACH: u32 = 4;

/// No channel has room for more.
const SLOTS_MAX: u32 = 65_535;

/// A channel of the yard, numbered within its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// A queue.
    Queue(u32),
    /// A lock.
    Lock(u32),
    /// A semaphore.
    Semaphore(u32),
    /// An event.
    Event(u32),
}

impl From<Held> for Station {
    fn from(held: Held) -> Self {
        match held {
            Held::Lock(lock) => Self::Lock(lock),
            Held::Semaphore(semaphore) => Self::Semaphore(semaphore),
        }
    }
}

/// What a process is given to use a channel by itself.
#[derive(Debug)]
pub struct Handed {
    /// The channel's file.
    pub file: OwnedFd,
    /// The eventfd(2) by which the engine is woken.
    pub bell: OwnedFd,
    /// Which process it is, in the slots of the channel.
    pub party: u32,
}

/// Something happened in the yard that others than its waiters want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The event was clear and is set. Whether a program that uses the event by itself sets it once more is not told.
    EventSet(u32),
    /// The queue is closed or broken, and has no item left that anybody will get, neither in it nor taken and
    /// unacknowledged. Once for each queue.
    Drained(u32),
    /// A program has overwritten the memory of this channel: nobody can use it any more. Once for each.
    Damaged(Station),
}

/// The yard. See the [module](self).
#[derive(Debug)]
pub struct Yard {
    directory: PathBuf,
    queues: Vec<Queue>,
    locks: Vec<Lock>,
    semaphores: Vec<Semaphore>,
    events: Vec<Event>,
    waiting: Waiting,
    changes: Vec<Change>,
    bell: Bell,
    deaths: Deaths,
    /// Tickets for those who listen for their reply.
    listened: u64,
}

/// Tickets of those who listen have this bit set; others leave it clear.
const LISTEN_BIT: u64 = 1 << 62;

impl Yard {
    /// Makes the files of all channels in a directory that is there, and empty.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn create(directory: &Path, layout: Layout) -> io::Result<Self> {
        if layout.has_channels() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let slots = layout
            .slots
            .saturating_add(layout.slots.saturating_mul(CLIENTS_EACH).max(CLIENTS_MIN))
            .min(SLOTS_MAX);
        let making = |name: String, kind| Making {
            path: directory.join(&name),
            shape: Shape {
                slots,
                hosted: true,
                ..Shape::new(kind)
            },
            party: layout.slots + 1,
            name,
        };
        let queues = each(layout.queues, |(name, limits)| Queue::make(name, limits, making));
        let locks = each(layout.locks, |(name, kind)| Lock::make(name, kind, making));
        let semaphores = each(layout.semaphores, |(name, permits)| {
            Semaphore::make(name, permits, making)
        });
        let events = each(layout.events, |(name, set)| Event::make(name, set, making));
        Ok(Self {
            directory: directory.to_owned(),
            queues: queues?,
            locks: locks?,
            semaphores: semaphores?,
            events: events?,
            waiting: Waiting::default(),
            changes: Vec::new(),
            bell: Bell::new()?,
            deaths: Deaths::default(),
            listened: LISTEN_BIT,
        })
    }

    /// Removes the files of the channels; who has them mapped keeps them.
    pub fn remove(&self) {
        for station in self.stations() {
            // Somebody may have removed the directory already.
            let _ = fs::remove_file(self.directory.join(self.post(station).name()));
        }
    }
}

/// Requests.
impl Yard {
    /// Asks for something on behalf of `slot`. `None`: the request is parked, and its reply comes by
    /// [`Yard::replies`]; only when it may `block`.
    pub fn ask(&mut self, slot: Slot, ticket: Ticket, request: Request, block: bool) -> Option<Reply> {
        let place = request.place();
        let lined_up = match request {
            Request::Put { queue, item } => self.queues[queue as usize].line_up_put(slot, ticket, item),
            Request::Take { queue } => self.queues[queue as usize].line_up_take(slot, ticket),
            Request::Acquire { held, permits } => match held {
                Held::Lock(lock) => self.locks[lock as usize].line_up(slot, ticket, permits),
                Held::Semaphore(semaphore) => self.semaphores[semaphore as usize].line_up(slot, ticket, permits),
            },
            Request::Wait { event } => self.events[event as usize].line_up(slot, ticket),
        };
        if let Err(reply) = lined_up {
            return Some(reply);
        }
        self.waiting.park(ticket, slot, place);
        self.settle(place.station());
        if let Some(reply) = self.waiting.take_reply(ticket) {
            return Some(reply);
        }
        if block {
            return None;
        }
        self.cancel(ticket);
        Some(Reply::WouldBlock)
    }

    /// The same for somebody who waits for the reply by himself.
    ///
    /// # Errors
    /// When it is parked: its ticket, and where the reply comes.
    fn ask_and_listen(&mut self, slot: Slot, request: Request) -> Result<Reply, (Ticket, oneshot::Receiver<Reply>)> {
        self.listened += 1;
        let ticket = Ticket(self.listened);
        self.ask(slot, ticket, request, true)
            .ok_or_else(|| (ticket, self.waiting.listen(ticket)))
    }

    /// Puts as many items as there is room for, unless others wait for room; says how many.
    ///
    /// # Errors
    /// Why the first of them cannot be put.
    fn put_many(&mut self, slot: Slot, queue: u32, items: &[&[u8]]) -> Result<usize, Reply> {
        let put = self.queues[queue as usize].put_many(slot, items);
        self.settle(Station::Queue(queue));
        put
    }

    /// Puts all items of a sheaf, for somebody who waits for that by himself: `Done`, `Broken` or `Closed`.
    ///
    /// # Errors
    /// As [`Yard::ask_and_listen`].
    fn put_and_listen(
        &mut self,
        slot: Slot,
        queue: u32,
        sheaf: &Sheaf<'_>,
    ) -> Result<Reply, (Ticket, oneshot::Receiver<Reply>)> {
        let rest = self.queues[queue as usize].put_at_once(slot, sheaf);
        if rest.is_empty() {
            self.settle(Station::Queue(queue));
            return Ok(Reply::Done);
        }
        self.listened += 1;
        let ticket = Ticket(self.listened);
        if let Err(reply) = self.queues[queue as usize].line_up_sheaf(slot, ticket, &rest) {
            return Ok(reply);
        }
        self.waiting.park(ticket, slot, Place::Put(queue));
        self.settle(Station::Queue(queue));
        let reply = self.waiting.take_reply(ticket);
        reply.ok_or_else(|| (ticket, self.waiting.listen(ticket)))
    }

    /// Takes up to a handful of items, unless others wait for some; says how much it was.
    ///
    /// # Errors
    /// Why none can be taken, for good.
    fn take_many(
        &mut self,
        slot: Slot,
        queue: u32,
        handful: Handful,
        each: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Handful, Reply> {
        let taken = self.queues[queue as usize].take_many(slot, handful, each);
        self.settle(Station::Queue(queue));
        taken
    }

    /// Withdraws a request. True: it was parked and is gone, no reply will come. False: it is
    /// answered already (the answer stands, whether collected or not), or was never asked.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some((slot, place)) = self.waiting.forget(ticket) else {
            return false;
        };
        match place {
            Place::Put(queue) | Place::Take(queue) => self.queues[queue as usize].cancel(ticket),
            Place::Acquire(Held::Lock(lock)) => self.locks[lock as usize].cancel(ticket),
            Place::Acquire(Held::Semaphore(semaphore)) => self.semaphores[semaphore as usize].cancel(slot, ticket),
            Place::Wait(event) => self.events[event as usize].cancel(ticket),
        }
        self.settle(place.station());
        true
    }

    /// Counts an item that was too large to be offered at all: whoever carries items need not read a
    /// huge one to its end to have it refused.
    pub fn refuse(&mut self, queue: u32) -> Reply {
        self.queues[queue as usize].refuse()
    }

    /// Counts items that can be put nowhere: they came when nobody could take them any more.
    pub fn lose(&mut self, queue: u32, items: u64) {
        self.queues[queue as usize].lose(items);
    }

    /// Acknowledges items that `slot` has taken: they are done with and gone.
    ///
    /// # Errors
    /// When it has not taken one of them; those before it are acknowledged.
    pub fn ack(&mut self, slot: Slot, queue: u32, items: &[ItemId]) -> Result<(), Refusal> {
        let acked = self.queues[queue as usize].ack(slot, items);
        self.settle(Station::Queue(queue));
        acked
    }

    /// The same for items from the front of a sheaf.
    fn ack_part(&mut self, slot: Slot, queue: u32, part: Part) -> Result<(), Refusal> {
        let acked = self.queues[queue as usize].ack_part(slot, part);
        self.settle(Station::Queue(queue));
        acked
    }

    /// Puts items that `slot` has taken back to where they were, before all that were put after them.
    ///
    /// # Errors
    /// As for [`Yard::ack`].
    pub fn give_back(&mut self, slot: Slot, queue: u32, items: &[ItemId]) -> Result<(), Refusal> {
        let returned = self.queues[queue as usize].give_back(slot, items);
        self.settle(Station::Queue(queue));
        returned
    }

    /// Releases a lock once, or so many permits.
    ///
    /// # Errors
    /// When the slot does not hold that, or not so many.
    pub fn release(&mut self, slot: Slot, held: Held, permits: u32) -> Result<(), Refusal> {
        let released = match held {
            Held::Lock(lock) => self.locks[lock as usize].release(slot),
            Held::Semaphore(semaphore) => self.semaphores[semaphore as usize].release(slot, permits),
        };
        self.settle(held.into());
        released
    }

    /// Sets an event and wakes all who wait for it.
    pub fn set(&mut self, event: u32) {
        self.events[event as usize].set();
        self.settle(Station::Event(event));
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
        self.queues[queue as usize].close();
        self.settle(Station::Queue(queue));
    }

    /// No receiver is left: senders are told `Broken`; the items in the queue stay there and are counted as left.
    pub fn break_queue(&mut self, queue: u32) {
        self.queues[queue as usize].break_off();
        self.settle(Station::Queue(queue));
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
        // What its programs did by themselves comes before the end of it.
        self.look();
        self.waiting.forget_slot(slot);
        for station in self.stations() {
            let left = match station {
                Station::Queue(queue) => self.queues[queue as usize].let_go(slot, orphaned),
                Station::Lock(lock) => self.locks[lock as usize].let_go(slot, orphaned),
                Station::Semaphore(semaphore) => self.semaphores[semaphore as usize].let_go(slot, orphaned),
                Station::Event(event) => self.events[event as usize].let_go(slot),
            };
            if left {
                self.settle(station);
            }
        }
    }
}

/// What is to be known.
impl Yard {
    /// The replies to parked requests that are ready, in the order in which they became so.
    pub fn replies(&mut self) -> Vec<(Ticket, Reply)> {
        self.waiting.collect()
    }

    /// What has changed since the last call, in order.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether there are replies or changes to be collected.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.waiting.has_replies() || !self.changes.is_empty()
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
    #[must_use]
    pub fn holders(&self, semaphore: u32) -> Vec<(Slot, u32)> {
        self.semaphores[semaphore as usize].holders()
    }

    /// How many permits of a semaphore nobody holds.
    #[must_use]
    pub fn free(&self, semaphore: u32) -> u32 {
        self.semaphores[semaphore as usize].free()
    }

    /// The name of a channel.
    #[must_use]
    pub fn name(&self, station: Station) -> &str {
        self.post(station).name()
    }

    /// The channel's file and the bell, to be handed to the process of that slot.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn hand_out(&self, slot: Slot, station: Station) -> io::Result<Handed> {
        Ok(Handed {
            file: self.channel(station).descriptor().try_clone_to_owned()?,
            bell: self.bell.eventfd()?,
            party: slot.party(),
        })
    }
}

/// Programs that act by themselves.
impl Yard {
    /// Readable when it is time to [`Yard::look`].
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// A program stands still in the middle of something: it is to be looked again after a few milliseconds.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.stations().any(|station| self.post(station).is_busy())
    }

    /// Looks what programs have done by themselves, and which of them have ended.
    pub fn look(&mut self) {
        // Where there is no channel nobody has done anything, and most processes end in such a run.
        if self.stations().next().is_none() {
            return;
        }
        self.bell.hush();
        for station in self.stations() {
            if self.channel(station).was_rung() || self.post(station).is_busy() {
                self.meet(station);
                self.settle(station);
            }
        }
        loop {
            let ended = self.bell.ended();
            if ended.is_empty() {
                return;
            }
            for life in ended {
                for (station, slot) in self.deaths.bury(&self.bell, life) {
                    self.post_mut(station).bury(slot, life);
                    self.settle(station);
                }
            }
        }
    }

    /// Watches over those who have come to a channel, each as long as it lives.
    fn meet(&mut self, station: Station) {
        let channel = Arc::clone(self.channel(station));
        for client in self.deaths.strangers(&channel, station) {
            match self.deaths.watch(&self.bell, &channel, station, client) {
                Ok(true) => {}
                Ok(false) => self.post_mut(station).bury(client.slot, client.life),
                Err(error) => {
                    tracing::debug!("a client cannot be watched now: {error}");
                    self.post_mut(station).look_again();
                }
            }
        }
    }

    /// Does what can be done at a channel now.
    fn settle(&mut self, station: Station) {
        let (waiting, changes) = (&mut self.waiting, &mut self.changes);
        match station {
            Station::Queue(queue) => self.queues[queue as usize].settle(queue, waiting, changes),
            Station::Lock(lock) => self.locks[lock as usize].settle(waiting),
            Station::Semaphore(semaphore) => self.semaphores[semaphore as usize].settle(waiting),
            Station::Event(event) => self.events[event as usize].settle(event, waiting, changes),
        }
        if self.post_mut(station).take_damage() {
            self.changes.push(Change::Damaged(station));
        }
    }

    fn stations(&self) -> impl Iterator<Item = Station> + use<> {
        let numbers = |count: usize| 0..u32::try_from(count).unwrap_or(u32::MAX);
        let queues = numbers(self.queues.len()).map(Station::Queue);
        let locks = numbers(self.locks.len()).map(Station::Lock);
        let semaphores = numbers(self.semaphores.len()).map(Station::Semaphore);
        let events = numbers(self.events.len()).map(Station::Event);
        queues.chain(locks).chain(semaphores).chain(events)
    }

    fn channel(&self, station: Station) -> &Arc<Channel> {
        self.post(station).channel()
    }

    fn post(&self, station: Station) -> &Post {
        match station {
            Station::Queue(queue) => self.queues[queue as usize].post(),
            Station::Lock(lock) => self.locks[lock as usize].post(),
            Station::Semaphore(semaphore) => self.semaphores[semaphore as usize].post(),
            Station::Event(event) => self.events[event as usize].post(),
        }
    }

    fn post_mut(&mut self, station: Station) -> &mut Post {
        match station {
            Station::Queue(queue) => self.queues[queue as usize].post_mut(),
            Station::Lock(lock) => self.locks[lock as usize].post_mut(),
            Station::Semaphore(semaphore) => self.semaphores[semaphore as usize].post_mut(),
            Station::Event(event) => self.events[event as usize].post_mut(),
        }
    }
}

/// Makes each, until one cannot be made.
fn each<T, U>(wanted: Vec<T>, make: impl FnMut(T) -> io::Result<U>) -> io::Result<Vec<U>> {
    wanted.into_iter().map(make).collect()
}
