//! Getting: taking and acknowledging, at once or apart.

use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;
use std::time::Duration;

use super::layout::{
    BY_ONE_EVER, Descriptor, ENDING, Ending, FRESH, GETTERS, JOINERS, PUTTERS, READY, RESERVED, State, TAKEN, Table,
};
use super::{ItemId, Queue, SMALL_BYTES_MAX, SPINS};
use crate::channel::{Attempt, Latched, Slot};
use crate::error::Error;
use crate::patience::{Deadline, Patience};

/// So many items at most are handed out under one latch.
const BATCH_ITEMS: usize = 128;

/// An item that this process has taken: it is in the queue no more, and not yet gone. Dropped, it goes back.
#[derive(Debug)]
pub struct Taken<'a> {
    queue: &'a Queue,
    handed: Handed,
    length: usize,
    place: ptr::NonNull<u8>,
}

// SAFETY: the place is memory of the queue's mapping, which nobody writes to as long as the item is taken.
unsafe impl Send for Taken<'_> {}

/// What one is told of an item that one has taken.
#[derive(Clone, Copy, Debug)]
struct Handed {
    item: ItemId,
    slot: Slot,
    deliveries: u32,
}

/// An item that was taken for a slot, with a copy of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenItem {
    /// To acknowledge it or to give it back.
    pub item: ItemId,
    /// How often it has been handed out, this time included.
    pub deliveries: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How an item was got.
#[derive(Debug)]
pub enum Got<'a> {
    /// It was small: its bytes are in the buffer that was given, and it is acknowledged.
    Copied,
    /// It is large: it is taken, to be copied to where it is wanted, and acknowledged then.
    Taken(Taken<'a>),
}

/// Getting: the item is gone with it.
impl Queue {
    /// The next item; waits while there is none.
    ///
    /// # Errors
    /// `Closed` when there is none and none will come.
    pub fn get(&self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(item) = self.get_with(Patience::Block)? {
                return Ok(item);
            }
        }
    }

    /// `None` when there is none now.
    pub fn try_get(&self) -> Result<Option<Vec<u8>>, Error> {
        self.get_with(Patience::Try)
    }

    /// `None` when there was none all the time.
    pub fn get_timeout(&self, time: Duration) -> Result<Option<Vec<u8>>, Error> {
        self.get_with(Patience::For(time))
    }

    /// `None` when there is none and the patience is at its end.
    pub fn get_with(&self, patience: Patience) -> Result<Option<Vec<u8>>, Error> {
        let mut item = Vec::new();
        Ok(self.get_into(&mut item, patience)?.then_some(item))
    }

    /// The same, appended to a buffer, which can be used again; false when there is none.
    #[inline]
    pub fn get_into(&self, buffer: &mut Vec<u8>, patience: Patience) -> Result<bool, Error> {
        match self.get_or_take(buffer, patience)? {
            None => Ok(false),
            Some(Got::Copied) => Ok(true),
            Some(Got::Taken(taken)) => {
                taken.copy_to(buffer);
                taken.ack()?;
                Ok(true)
            }
        }
    }

    /// Copies a small item to the end of `buffer`; a large one is taken, so that it can be copied once to where it is wanted.
    #[inline]
    pub fn get_or_take(&self, buffer: &mut Vec<u8>, patience: Patience) -> Result<Option<Got<'_>>, Error> {
        self.when_there_is_one(None, patience, |table, latched, index, deliveries| {
            let descriptor = table.descriptor(index);
            let length = descriptor.length_alone()?;
            if length <= SMALL_BYTES_MAX as u64 {
                table.hand_over(descriptor, index, length, buffer)?;
                self.open_after_removal(table, latched);
                return Ok(Got::Copied);
            }
            self.take_one(table, latched, index, (latched.me(), deliveries))
                .map(Got::Taken)
        })
    }

    /// Up to `max` items; waits for the first only.
    pub fn get_many(&self, max: usize, patience: Patience) -> Result<Vec<Vec<u8>>, Error> {
        let mut items = Vec::new();
        let large = self.when_there_is_one(None, patience, |table, latched, first, deliveries| {
            let mut next = Some((first, deliveries));
            while let Some((index, deliveries)) = next {
                let descriptor = table.descriptor(index);
                let length = descriptor.length_alone()?;
                if length > SMALL_BYTES_MAX as u64 {
                    if !items.is_empty() {
                        break;
                    }
                    return self
                        .take_one(table, latched, index, (latched.me(), deliveries))
                        .map(Some);
                }
                let mut item = Vec::new();
                table.hand_over(descriptor, index, length, &mut item)?;
                items.push(item);
                next = table.next_of_batch(items.len(), max)?;
            }
            self.open_after_removal(table, latched);
            Ok(None)
        })?;
        if let Some(Some(taken)) = large {
            items.push(taken.to_vec());
            taken.ack()?;
        }
        Ok(items)
    }

    /// For a slot that this process speaks for, or for its own.
    #[inline]
    fn when_there_is_one<T>(
        &self,
        slot: Option<Slot>,
        patience: Patience,
        mut get: impl FnMut(Table<'_>, &Latched<'_>, u32, u32) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let table = self.table();
        let soon = || table.get(READY) > 0 || table.get(ENDING) != 0;
        self.channel
            .wait_at(GETTERS, Deadline::of(patience), SPINS, soon, |latched| {
                let ending = table.ending()?;
                if ending == Ending::Broken {
                    return Err(Error::Closed);
                }
                if let Some((index, status)) = table.first()? {
                    let index = table.single(index, status.deliveries)?;
                    let got = get(table, latched, index, status.deliveries)?;
                    if table.get(READY) > 0 {
                        latched.open(&self.channel, GETTERS);
                    }
                    return Ok(Attempt::Done(got));
                }
                if table.get(BY_ONE_EVER) != 0 && table.has_more_in_hand(slot.unwrap_or(latched.me()))? {
                    return Err(Error::NoSpace);
                }
                if ending == Ending::Closed && !table.may_get_more(slot.unwrap_or(latched.me()))? {
                    return Err(Error::Closed);
                }
                let on_somebody = table.get(TAKEN) > 0 || table.get(RESERVED) > 0;
                Ok(Attempt::Wait { on_somebody })
            })
    }

    /// An item has gone: there is room, and perhaps it was the last.
    #[inline]
    pub(super) fn open_after_removal(&self, table: Table<'_>, latched: &Latched<'_>) {
        latched.open(&self.channel, PUTTERS);
        self.open_after_end(table, latched);
    }

    /// An item has gone for good: who waits for the last one, or at a queue that has ended, may go on.
    #[inline]
    fn open_after_end(&self, table: Table<'_>, latched: &Latched<'_>) {
        if table.is_done() {
            latched.open(&self.channel, JOINERS);
        }
        if table.get(ENDING) != 0 {
            latched.open_wide(&self.channel, GETTERS);
        }
    }

    /// Takes the first item of the line. Where it stands is found out first: who cannot map that must not have taken it.
    #[inline]
    fn take_one(
        &self,
        table: Table<'_>,
        latched: &Latched<'_>,
        index: u32,
        (slot, deliveries): (Slot, u32),
    ) -> Result<Taken<'_>, Error> {
        let descriptor = table.descriptor(index);
        let (length, place) = if descriptor.is_sheaf() {
            table.first_in_place(descriptor)?
        } else {
            let length = descriptor.length()?;
            (length, descriptor.place(length)?)
        };
        let length = usize::try_from(length).map_err(|_| self.channel.damaged())?;
        let handed = table.take(index, slot, deliveries)?;
        latched.open(&self.channel, PUTTERS);
        Ok(Taken {
            queue: self,
            handed,
            length,
            place,
        })
    }
}

/// Taking: the item is gone when it is acknowledged, and comes back when its taker dies before.
impl Queue {
    /// Takes the next item; waits while there is none.
    ///
    /// # Errors
    /// `Closed` when there is none and none will come.
    pub fn take(&self) -> Result<Taken<'_>, Error> {
        loop {
            if let Some(taken) = self.take_with(Patience::Block)? {
                return Ok(taken);
            }
        }
    }

    /// `None` when there is none now.
    pub fn try_take(&self) -> Result<Option<Taken<'_>>, Error> {
        self.take_with(Patience::Try)
    }

    /// `None` when there was none all the time.
    pub fn take_timeout(&self, time: Duration) -> Result<Option<Taken<'_>>, Error> {
        self.take_with(Patience::For(time))
    }

    /// `None` when there is none and the patience is at its end.
    pub fn take_with(&self, patience: Patience) -> Result<Option<Taken<'_>>, Error> {
        self.when_there_is_one(None, patience, |table, latched, index, deliveries| {
            self.take_one(table, latched, index, (latched.me(), deliveries))
        })
    }

    /// Takes for a slot that this process speaks for, with a copy of the bytes.
    pub fn take_as(&self, slot: Slot, patience: Patience) -> Result<Option<TakenItem>, Error> {
        Ok(self.take_many_as(slot, 1, 0, patience)?.pop())
    }

    /// Takes up to `items_max` items; after the first no more once they have `bytes_max` bytes together. Waits for the
    /// first only; empty when there is none and the patience is at its end.
    pub fn take_many_as(
        &self,
        slot: Slot,
        items_max: usize,
        bytes_max: usize,
        patience: Patience,
    ) -> Result<Vec<TakenItem>, Error> {
        let mut items = Vec::new();
        self.take_each_as(slot, items_max, bytes_max, patience, |taken| {
            items.push(TakenItem {
                item: taken.item(),
                deliveries: taken.deliveries(),
                bytes: taken.to_vec(),
            });
        })?;
        Ok(items)
    }

    /// The same for who copies each item to where it is wanted by himself; says how many there were. They stay taken.
    pub fn take_each_as(
        &self,
        slot: Slot,
        items_max: usize,
        bytes_max: usize,
        patience: Patience,
        mut each: impl FnMut(&Taken<'_>),
    ) -> Result<usize, Error> {
        let mut taken: Vec<ManuallyDrop<Taken<'_>>> = Vec::with_capacity(items_max.min(BATCH_ITEMS));
        self.when_there_is_one(Some(slot), patience, |table, latched, first, deliveries| {
            let mut next = Some((first, deliveries));
            let mut bytes = 0;
            while let Some((index, deliveries)) = next {
                let one = match self.take_one(table, latched, index, (slot, deliveries)) {
                    Ok(one) => one,
                    // It is told by the next call.
                    Err(_) if !taken.is_empty() => break,
                    Err(error) => return Err(error),
                };
                bytes += one.len();
                taken.push(ManuallyDrop::new(one));
                next = if bytes >= bytes_max || table.descriptor(index).is_sheaf() {
                    None
                } else {
                    table.next_of_batch(taken.len(), items_max)?
                };
            }
            Ok(())
        })?;
        for one in &taken {
            each(one);
        }
        Ok(taken.len())
    }
}

/// What becomes of items that were taken.
impl Queue {
    /// The item that this process has taken is done with.
    ///
    /// # Errors
    /// `NotHeld` when it has not taken it, or no longer has it.
    pub fn ack(&self, item: ItemId) -> Result<(), Error> {
        self.ack_as(self.channel.me()?, item)
    }

    /// The same for a slot that this process speaks for.
    pub fn ack_as(&self, slot: Slot, item: ItemId) -> Result<(), Error> {
        self.ack_many_as(slot, &[item])
    }

    /// The same for several items; those before the first that is not held are acknowledged.
    pub fn ack_many_as(&self, slot: Slot, items: &[ItemId]) -> Result<(), Error> {
        self.settle(slot, items, |table, descriptor, index| {
            table.acknowledge(descriptor, index)
        })
    }

    /// The item that this process has taken goes back to its old place, before all that were put after it.
    ///
    /// # Errors
    /// `NotHeld` as for [`Queue::ack`].
    pub fn nack(&self, item: ItemId) -> Result<(), Error> {
        self.nack_as(self.channel.me()?, item)
    }

    /// The same for a slot that this process speaks for.
    pub fn nack_as(&self, slot: Slot, item: ItemId) -> Result<(), Error> {
        self.nack_many_as(slot, &[item])
    }

    /// The same for several items.
    pub fn nack_many_as(&self, slot: Slot, items: &[ItemId]) -> Result<(), Error> {
        self.settle(slot, items, |table, descriptor, index| {
            table.return_item(descriptor, index)?;
            table.delist(index, TAKEN)?;
            table.insert(index)
        })
    }

    /// Acknowledges the oldest item that this process has taken; if it has none, the oldest that anybody has: what
    /// `multiprocessing.JoinableQueue.task_done` means.
    ///
    /// # Errors
    /// `NotHeld` when nobody has taken any.
    pub fn task_done(&self) -> Result<(), Error> {
        let me = self.channel.me()?;
        loop {
            let (slot, item) = {
                let _latched = self.channel.latch()?;
                self.table().oldest_taken(me)?.ok_or(Error::NotHeld)?
            };
            match self.ack_as(slot, item) {
                // Another thread has acknowledged just this one.
                Err(Error::NotHeld) => {}
                acked => return acked,
            }
        }
    }

    fn settle(
        &self,
        slot: Slot,
        items: &[ItemId],
        act: impl Fn(Table<'_>, Descriptor<'_>, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let table = self.table();
        for items in items.chunks(BATCH_ITEMS) {
            let latched = self.channel.latch()?;
            let settled = items.iter().try_for_each(|item| {
                let descriptor = table.taken_by(slot, *item)?;
                act(table, descriptor, item.index)
            });
            self.open_after_settling(table, &latched, items.len());
            settled?;
        }
        Ok(())
    }

    /// So many items that were taken are gone, or back.
    pub(super) fn open_after_settling(&self, table: Table<'_>, latched: &Latched<'_>, items: usize) {
        if table.get(READY) > 0 {
            latched.open(&self.channel, GETTERS);
        }
        // There has been room since they were taken, but for the table.
        if table.has_been_full(items) {
            latched.open(&self.channel, PUTTERS);
        }
        self.open_after_end(table, latched);
    }
}

impl Taken<'_> {
    /// Which item.
    #[must_use]
    pub fn item(&self) -> ItemId {
        self.handed.item
    }

    /// How often it has been handed out, this time included: above 1 somebody has had it before and has died, or
    /// has given it back.
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.handed.deliveries
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of its bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes);
        bytes
    }

    /// Appends a copy of its bytes.
    pub fn copy_to(&self, buffer: &mut Vec<u8>) {
        buffer.reserve(self.length);
        let end = buffer.len();
        // SAFETY: the place is `length` bytes long, and the vector has room for as many more, which are written before they count. Nobody
        // writes to the place as long as the item is taken, and if a process that breaks the rules does, any bytes are valid.
        unsafe {
            ptr::copy_nonoverlapping(self.place.as_ptr(), buffer.as_mut_ptr().add(end), self.length);
            buffer.set_len(end + self.length);
        }
    }

    /// Copies its bytes to a place of the same length.
    ///
    /// # Panics
    /// When the length is another.
    pub fn copy_to_slice(&self, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), self.length, "the item has another length");
        // SAFETY: the place is `length` bytes long; nobody writes to it as long as the item is taken, and if a process that
        // breaks the rules does, any bytes are valid.
        unsafe { ptr::copy_nonoverlapping(self.place.as_ptr(), bytes.as_mut_ptr(), self.length) };
    }

    /// Its bytes where they stand, without a copy.
    ///
    /// # Safety
    /// Processes that use this library leave them alone; the caller vouches that no other process that has mapped the queue
    /// writes to them.
    #[must_use]
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: the place is `length` bytes long, mapped as long as the queue lives, and nobody writes to it, as the
        // caller vouches.
        unsafe { slice::from_raw_parts(self.place.as_ptr(), self.length) }
    }

    /// It is done with.
    pub fn ack(self) -> Result<(), Error> {
        let (queue, slot) = (self.queue, self.handed.slot);
        queue.ack_as(slot, self.into_item())
    }

    /// It goes back to its old place.
    pub fn nack(self) -> Result<(), Error> {
        let (queue, slot) = (self.queue, self.handed.slot);
        queue.nack_as(slot, self.into_item())
    }

    /// It stays taken, to be acknowledged or given back by its number.
    #[must_use = "the item stays taken until it is acknowledged or given back"]
    pub fn into_item(self) -> ItemId {
        ManuallyDrop::new(self).handed.item
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // A channel that is damaged keeps what it has.
        let _ = self.queue.nack_as(self.handed.slot, self.handed.item);
    }
}

impl Table<'_> {
    /// The first item of the line becomes the slot's.
    #[inline]
    fn take(self, index: u32, slot: Slot, deliveries: u32) -> Result<Handed, Error> {
        let descriptor = self.descriptor(index);
        let deliveries = deliveries.saturating_add(1);
        descriptor.commit(State::Taken(slot), deliveries);
        self.advance(index);
        self.enlist(index, TAKEN)?;
        Ok(Handed {
            item: descriptor.item(index),
            slot,
            deliveries,
        })
    }

    /// The first item of the line is gone, and a copy is the caller's.
    #[inline]
    fn hand_over(self, descriptor: Descriptor<'_>, index: u32, length: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        descriptor.read(length, buffer)?;
        descriptor.commit(State::Free, 0);
        self.advance(index);
        self.push(index)
    }

    fn next_of_batch(self, count: usize, max: usize) -> Result<Option<(u32, u32)>, Error> {
        if count >= max.min(BATCH_ITEMS) {
            return Ok(None);
        }
        // A sheaf is left for the next time.
        let first = self.first()?.filter(|(index, _)| !self.descriptor(*index).is_sheaf());
        Ok(first.map(|(index, status)| (index, status.deliveries)))
    }

    /// Nothing is taken or reserved, nor ready for anybody who might get it.
    #[inline]
    pub(super) fn is_done(self) -> bool {
        let is_wanted = self.get(ENDING) != Ending::Broken as u32;
        (self.get(READY) == 0 || !is_wanted) && self.get(TAKEN) == 0 && self.get(RESERVED) == 0
    }

    /// Whether an item may still come to a closed queue that the slot would have to get: what it has taken itself it need not
    /// wait for, it would wait for its own acknowledgement.
    fn may_get_more(self, slot: Slot) -> Result<bool, Error> {
        if self.get(TAKEN) == 0 && self.get(RESERVED) == 0 {
            return Ok(false);
        }
        let busy = self.busy()?;
        Ok(busy.iter().any(|(_, status)| match status.state {
            State::Reserved(_) => true,
            State::Taken(taker) => taker != slot,
            State::Free | State::Ready => false,
        }))
    }

    fn oldest_taken(self, me: Slot) -> Result<Option<(Slot, ItemId)>, Error> {
        let busy = self.busy()?;
        let taken = busy.iter().filter_map(|(index, status)| match status.state {
            State::Taken(slot) => Some((slot, self.descriptor(*index).item(*index))),
            State::Free | State::Reserved(_) | State::Ready => None,
        });
        Ok(taken.min_by_key(|(slot, item)| (*slot != me, item.number)))
    }
}

impl<'a> Table<'a> {
    /// The descriptor of an item that the slot has taken.
    pub(super) fn taken_by(self, slot: Slot, item: ItemId) -> Result<Descriptor<'a>, Error> {
        if item.index >= self.get(FRESH).min(self.count()) {
            return Err(Error::NotHeld);
        }
        let descriptor = self.descriptor(item.index);
        let is_held = descriptor.item(item.index) == item && descriptor.status()?.state == State::Taken(slot);
        if is_held { Ok(descriptor) } else { Err(Error::NotHeld) }
    }
}
