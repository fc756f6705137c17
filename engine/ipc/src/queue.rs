//! A queue: many put, many get, first in, first out; an item is gone only when it is acknowledged.
//!
//! Items stand in a table of descriptors, large ones in blocks behind it; the line of ready items and the stacks of free
//! descriptors are linked through the table. All steps are done under the channel's latch but for the copying of large items. How
//! each step survives the death of whoever does it is in docs/design/yard.md.

mod audit;
mod layout;
mod line;
mod mend;
mod pace;
mod put;
mod sheaf;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use layout::{ENDING, Ending, GETTERS, JOINERS, PUTTERS, READY, RESERVED, TAKEN, Table, table_bytes};
use pace::Pace;
pub use put::Reservation;
pub use sheaf::{Sheaf, TakenSheaf};
pub use take::{Got, Taken, TakenItem};

use crate::channel::{Attempt, Channel, Gate, Kind, Latched, Place, Rules, Shape};
use crate::error::Error;
use crate::face::face;
use crate::patience::{Deadline, Patience};
use crate::readiness::Readiness;

/// Items up to this length are copied under the latch; longer ones get a place first and are copied then.
const SMALL_BYTES_MAX: usize = 4096;

/// How often a queue in which nothing can be done is looked at before sleeping.
const SPINS: u32 = 7;

/// No item is longer: 1 TiB.
const ITEM_BYTES_MAX: u64 = 1 << layout::CLASS_MAX;

static RULES: Rules = Rules {
    kind: Kind::Queue,
    mend: mend::mend,
    bury: mend::bury,
};

/// The name of an item that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// Items are counted as they are put, from 0.
    pub number: u64,
    /// Where it stands in the queue's table.
    pub index: u32,
}

/// Where the items of a queue are, and where they went: what was put is got, ready or taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items that were put.
    pub put: u64,
    /// Items that were acknowledged.
    pub got: u64,
    /// How often an item that was taken has come back.
    pub returned: u64,
    /// Items in the queue; in one that is broken, those that nobody will get.
    pub ready: u64,
    /// Items that were taken and not yet acknowledged.
    pub taken: u64,
    /// Places for items that are being written.
    pub reserved: u64,
    /// Items that were too large.
    pub refused: u64,
}

/// A queue between processes.
///
/// ```
/// use forkyard_ipc::{Queue, channel::Place};
///
/// let queue = Queue::create(&Place::Memory, 100, 1 << 20)?;
/// queue.put(b"one")?;
/// queue.put(b"two")?;
/// assert_eq!(queue.get()?, b"one");
///
/// let taken = queue.take()?;
/// assert_eq!(taken.to_vec(), b"two");
/// drop(taken); // not acknowledged, so it is back
/// assert_eq!(queue.try_get()?, Some(b"two".to_vec()));
///
/// queue.close()?;
/// assert!(queue.get().is_err(), "nothing is left, and nothing will come");
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    channel: Arc<Channel>,
    pace: Arc<Pace>,
}

face!(Queue);

/// Making.
impl Queue {
    /// Makes a queue for `capacity` items (0: as many as the disk holds, up to 33 million) of up to `max_item` bytes each.
    ///
    /// What was taken and not yet acknowledged does not count for the capacity; what comes back may exceed it.
    pub fn create(place: &Place<'_>, capacity: u64, max_item: u64) -> Result<Self, Error> {
        Self::make(place, capacity, max_item, Shape::new(Kind::Queue))
    }

    /// The same with a shape that says more; its kind and lengths are set here.
    pub fn make(place: &Place<'_>, capacity: u64, max_item: u64, shape: Shape) -> Result<Self, Error> {
        if capacity > layout::CAPACITY_MAX {
            return Err(Error::Nonsense("a queue has room for 33488896 items at most"));
        }
        if max_item > ITEM_BYTES_MAX {
            return Err(Error::Nonsense("an item of a queue has at most 1 TiB"));
        }
        let shape = Shape {
            kind: Kind::Queue,
            first: capacity,
            second: max_item,
            body: table_bytes(capacity),
            ..shape
        };
        let channel = Channel::create(place, shape, &RULES)?;
        Ok(Self::on(channel))
    }

    fn on(channel: Arc<Channel>) -> Self {
        let pace = Arc::default();
        Self { channel, pace }
    }

    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        let shape = channel.shape();
        if shape.body != table_bytes(shape.first) || shape.second > ITEM_BYTES_MAX {
            return Err(channel.damaged());
        }
        Ok(Self::on(channel))
    }

    #[inline]
    fn table(&self) -> Table<'_> {
        Table::of(&self.channel)
    }
}

/// What it is and how it stands.
impl Queue {
    /// How many items it holds; 0 is as many as the disk does.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.channel.shape().first
    }

    /// The largest item, in bytes.
    #[inline]
    #[must_use]
    pub fn max_item(&self) -> u64 {
        self.channel.shape().second
    }

    /// How many items wait to be got, now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.table().get(READY).into()
    }

    /// Whether no item waits to be got, now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a put would have to wait, now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.table().has_room(self.capacity())
    }

    /// Whether it has ended: nothing more can be put.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.table().get(ENDING) != 0
    }

    /// Where its items are and where they went, at one moment.
    pub fn counts(&self) -> Result<Counts, Error> {
        let _latched = self.channel.latch()?;
        Ok(self.table().counts())
    }

    /// The same without taking part: the numbers may be of different moments.
    #[must_use]
    pub fn glance(&self) -> Counts {
        self.table().counts()
    }
}

/// The end of it.
impl Queue {
    /// Nothing more can be put: who gets is told so once it is empty and nothing can come back.
    pub fn close(&self) -> Result<(), Error> {
        self.end(Ending::Closed)
    }

    /// Nobody will get any more: who puts is told so, the items in it stay where they are.
    pub fn break_off(&self) -> Result<(), Error> {
        self.end(Ending::Broken)
    }

    fn end(&self, ending: Ending) -> Result<(), Error> {
        let latched = self.channel.latch()?;
        let table = self.table();
        if (table.ending()? as u32) < ending as u32 {
            table.u32(ENDING).commit(ending as u32);
        }
        for gate in [GETTERS, PUTTERS, JOINERS] {
            latched.open_wide(&self.channel, gate);
        }
        Ok(())
    }

    /// Waits until nothing is in it that anybody will get, taken and not acknowledged, or being put.
    pub fn join(&self) -> Result<(), Error> {
        while !self.join_with(Patience::Block)? {}
        Ok(())
    }

    /// False when there was something all the time.
    pub fn join_with(&self, patience: Patience) -> Result<bool, Error> {
        self.wait_until(JOINERS, patience, nothing_is_left)
    }
}

/// Waiting without doing anything.
impl Queue {
    /// Waits until an item is there, or never will be: getting will not have to wait, unless others are faster. False when the
    /// patience is at its end.
    pub fn wait_for_item(&self, patience: Patience) -> Result<bool, Error> {
        self.wait_until(GETTERS, patience, |table| {
            table.get(READY) > 0 || table.get(ENDING) != 0
        })
    }

    /// Waits until there is room, or never will be: the same for putting.
    pub fn wait_for_room(&self, patience: Patience) -> Result<bool, Error> {
        let capacity = self.capacity();
        self.wait_until(PUTTERS, patience, |table| {
            table.has_room(capacity) || table.get(ENDING) != 0
        })
    }

    /// A descriptor that is readable when [`Queue::wait_for_item`] would not have to wait.
    pub fn item_readiness(&self) -> Result<Readiness, Error> {
        let queue = self.clone();
        Readiness::new(move |patience| queue.wait_for_item(patience))
    }

    /// A descriptor that is readable when [`Queue::wait_for_room`] would not have to wait.
    pub fn room_readiness(&self) -> Result<Readiness, Error> {
        let queue = self.clone();
        Readiness::new(move |patience| queue.wait_for_room(patience))
    }

    /// Who was woken, and only looked, opens the gate for the next.
    fn wait_until(&self, gate: Gate, patience: Patience, is_so: impl Fn(Table<'_>) -> bool) -> Result<bool, Error> {
        let table = self.table();
        let look = |latched: &Latched<'_>| {
            if is_so(table) {
                latched.open(&self.channel, gate);
                return Ok(Attempt::Done(()));
            }
            let on_somebody = table.get(TAKEN) > 0 || table.get(RESERVED) > 0;
            Ok(Attempt::Wait { on_somebody })
        };
        let deadline = Deadline::of(patience);
        let waited = self.channel.wait_at(gate, deadline, SPINS, || is_so(table), look)?;
        Ok(waited.is_some())
    }
}

fn nothing_is_left(table: Table<'_>) -> bool {
    table.is_done()
}
