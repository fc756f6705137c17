//! Putting: at once under the latch when the item is small, else by reserving a place for it.

use std::cell::Cell;
use std::ptr;
use std::slice;
use std::sync::atomic::Ordering::Relaxed;

use super::layout::{
    ARENA_END, Descriptor, ENDING, Ending, GETTERS, NEXT_NUMBER, PUTTERS, READY, REFUSED, RESERVED, State, TAKEN,
    Table, class_of,
};
use super::{Queue, SMALL_BYTES_MAX, SPINS};
use crate::channel::{Attempt, Latched, Manner, Slot};
use crate::error::Error;
use crate::memory::{FIRST, Memory};
use crate::patience::{Deadline, Patience};

/// So many items at most are put under one latch, so that others need not wait long.
const BATCH_ITEMS: usize = 128;
/// And about so many bytes.
const BATCH_BYTES: usize = 32 * 1024;

/// A place for an item in a queue, to be written and then committed. Dropped before that, it is undone. Who dies with
/// a reservation has put nothing.
#[derive(Debug)]
pub struct Reservation<'a> {
    queue: &'a Queue,
    slot: Slot,
    index: u32,
    length: usize,
    place: ptr::NonNull<u8>,
}

// SAFETY: the place is memory of the queue's mapping, which is shared between processes anyway; the reservation is the only
// one that may write to it.
unsafe impl Send for Reservation<'_> {}

/// One item at a time.
impl Queue {
    /// Puts an item at the end; waits while the queue is full.
    ///
    /// # Errors
    /// `Closed` and `Broken` when the queue has ended, `TooLarge`, `NoSpace` when the disk is full; nothing is put then.
    pub fn put(&self, item: &[u8]) -> Result<(), Error> {
        self.put_with(item, Patience::Block).map(drop)
    }

    /// False when the queue is full.
    pub fn try_put(&self, item: &[u8]) -> Result<bool, Error> {
        self.put_with(item, Patience::Try)
    }

    /// False when the queue has been full all the time.
    pub fn put_timeout(&self, item: &[u8], time: std::time::Duration) -> Result<bool, Error> {
        self.put_with(item, Patience::For(time))
    }

    /// False when the queue is full and the patience at its end.
    #[inline]
    pub fn put_with(&self, item: &[u8], patience: Patience) -> Result<bool, Error> {
        self.check_length(item.len() as u64)?;
        if self.is_put_at_once(item) {
            self.put_at_once(item, patience)
        } else {
            self.put_in_two(self.channel.me()?, item, patience)
        }
    }

    /// The same for a slot that this process speaks for.
    #[inline]
    pub fn put_as(&self, slot: Slot, item: &[u8], patience: Patience) -> Result<bool, Error> {
        self.check_length(item.len() as u64)?;
        if self.is_put_at_once(item) {
            self.put_at_once(item, patience)
        } else {
            self.put_in_two(slot, item, patience)
        }
    }

    /// A host that finds the channel busy between two steps could not take the first one back.
    #[inline]
    fn is_put_at_once(&self, item: &[u8]) -> bool {
        item.len() <= SMALL_BYTES_MAX || self.channel.manner() == Manner::Host
    }

    #[inline]
    fn put_at_once(&self, item: &[u8], patience: Patience) -> Result<bool, Error> {
        let put = self.when_there_is_room(patience, |table, latched| table.put(latched, item))?;
        Ok(put.is_some())
    }

    fn put_in_two(&self, slot: Slot, item: &[u8], patience: Patience) -> Result<bool, Error> {
        let Some(mut reservation) = self.reserve_as(slot, item.len(), patience)? else {
            return Ok(false);
        };
        reservation.write_at(0, item);
        reservation.commit()?;
        Ok(true)
    }

    /// Puts several items, in their order; says how many: all of them unless the patience has come to its end. The
    /// items of others may come in between.
    ///
    /// # Errors
    /// As for one. When the first of them cannot be put, nothing is; an error at a later one is told by the next call, with that item first.
    pub fn put_many<I: AsRef<[u8]>>(&self, items: &[I], patience: Patience) -> Result<usize, Error> {
        self.put_many_as(self.channel.me()?, items, patience)
    }

    /// The same for a slot that this process speaks for.
    pub fn put_many_as<I: AsRef<[u8]>>(&self, slot: Slot, items: &[I], patience: Patience) -> Result<usize, Error> {
        let deadline = Deadline::of(patience);
        let mut put = 0;
        while let Some(item) = items.get(put).map(AsRef::as_ref) {
            let batch = if item.len() > SMALL_BYTES_MAX {
                self.put_as(slot, item, deadline.left()).map(usize::from)
            } else {
                let rest = &items[put..];
                self.check_length(item.len() as u64)
                    .and_then(|()| {
                        self.when_there_is_room(deadline.left(), |table, latched| table.put_batch(latched, rest))
                    })
                    .map(Option::unwrap_or_default)
            };
            match batch {
                Ok(0) => break,
                Ok(count) => put += count,
                Err(_) if put > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(put)
    }

    #[inline]
    pub(super) fn when_there_is_room<T>(
        &self,
        patience: Patience,
        mut put: impl FnMut(Table<'_>, &Latched<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let table = self.table();
        let capacity = self.capacity();
        let soon = || table.has_room(capacity) || table.get(ENDING) != 0;
        self.channel
            .wait_at(PUTTERS, Deadline::of(patience), SPINS, soon, |latched| {
                match table.ending()? {
                    Ending::Open => {}
                    Ending::Closed => return Err(Error::Closed),
                    Ending::Broken => return Err(Error::Broken),
                }
                if !table.has_room(capacity) {
                    let on_somebody = table.get(RESERVED) > 0;
                    return Ok(Attempt::Wait { on_somebody });
                }
                let done = put(table, latched)?;
                if table.has_room(capacity) {
                    latched.open(&self.channel, PUTTERS);
                }
                Ok(Attempt::Done(done))
            })
    }

    #[inline]
    fn check_length(&self, length: u64) -> Result<(), Error> {
        let max = self.max_item();
        if length > max {
            self.table().u64(REFUSED).add(1);
            return Err(Error::TooLarge { max });
        }
        Ok(())
    }
}

/// Places for items.
impl Queue {
    /// A place for an item of that length, to be written without copying it once more; waits while the queue is full. The
    /// item gets its number when it is committed.
    pub fn reserve(&self, length: usize) -> Result<Reservation<'_>, Error> {
        loop {
            if let Some(reservation) = self.reserve_with(length, Patience::Block)? {
                return Ok(reservation);
            }
        }
    }

    /// `None` when the queue is full and the patience at its end.
    pub fn reserve_with(&self, length: usize, patience: Patience) -> Result<Option<Reservation<'_>>, Error> {
        self.reserve_as(self.channel.me()?, length, patience)
    }

    /// The same for a slot that this process speaks for.
    pub fn reserve_as(&self, slot: Slot, length: usize, patience: Patience) -> Result<Option<Reservation<'_>>, Error> {
        self.check_length(length as u64)?;
        let is_new = Cell::new(false);
        let reserved = self.when_there_is_room(patience, |table, _| {
            let end = table.u64(ARENA_END).load(Relaxed);
            let index = table.provide_for(class_of(length as u64))?;
            let descriptor = table.descriptor(index);
            let place = table.or_back(index, descriptor.place(length as u64))?;
            is_new.set(table.u64(ARENA_END).load(Relaxed) != end);
            descriptor.set_length(length as u64);
            descriptor.commit(State::Reserved(slot), 0);
            table.enlist(index, RESERVED)?;
            Ok(Reservation {
                queue: self,
                slot,
                index,
                length,
                place,
            })
        })?;
        if let Some(reservation) = reserved.as_ref().filter(|_| is_new.get() && length as u64 >= FIRST) {
            Memory::populate(reservation.place, length as u64);
        }
        Ok(reserved)
    }
}

impl Reservation<'_> {
    /// How long the item is, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the item has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes bytes of the item.
    ///
    /// # Panics
    /// When they do not lie within it.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= self.length);
        assert!(fits, "bytes outside of the item");
        // SAFETY: the range lies within the place, as just seen, and the place is ours until it is committed.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.place.as_ptr().add(offset), bytes.len()) };
    }

    /// The bytes of the item, to be written in place; at first they are what stood there before.
    ///
    /// # Safety
    /// Processes that use this library leave them alone; the caller vouches that no other process that has mapped the queue
    /// writes to them.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the place is `length` bytes long, mapped as long as the queue lives, and nobody else's, as the caller
        // vouches.
        unsafe { slice::from_raw_parts_mut(self.place.as_ptr(), self.length) }
    }

    /// Puts the item.
    ///
    /// # Errors
    /// `Broken` when the queue has lost its receivers meanwhile; a queue closed meanwhile still takes it.
    pub fn commit(self) -> Result<(), Error> {
        let reservation = std::mem::ManuallyDrop::new(self);
        reservation.end(|table, latched| {
            let (index, descriptor) = (reservation.index, table.descriptor(reservation.index));
            if table.ending()? == Ending::Broken {
                table.delist(index, RESERVED)?;
                table.free(descriptor, index)?;
                reservation.queue.open_after_removal(table, latched);
                return Err(Error::Broken);
            }
            descriptor.set_length(reservation.length as u64);
            table.make_ready(descriptor, 1, |table| {
                table.delist(index, RESERVED)?;
                table.append(index)
            })?;
            latched.open(&reservation.queue.channel, GETTERS);
            Ok(())
        })?;
        let queue = reservation.queue;
        if queue.pace.is_ahead(queue.table(), reservation.length as u64) {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Does what is to be done with it, under the latch, if it is still ours.
    fn end(&self, act: impl FnOnce(Table<'_>, &Latched<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let table = self.queue.table();
        let latched = self.queue.channel.latch()?;
        if table.descriptor(self.index).status()?.state != State::Reserved(self.slot) {
            return Err(Error::NotHeld);
        }
        act(table, &latched)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // A channel that is damaged keeps what it has.
        let _ = self.end(|table, latched| {
            table.delist(self.index, RESERVED)?;
            table.free(table.descriptor(self.index), self.index)?;
            latched.open(&self.queue.channel, PUTTERS);
            self.queue.open_after_removal(table, latched);
            Ok(())
        });
    }
}

impl Table<'_> {
    #[inline]
    pub(super) fn has_room(self, capacity: u64) -> bool {
        let held = self.get(READY).wrapping_add(self.get(RESERVED));
        // What is taken may come back, and must find its descriptor.
        let fits = held.wrapping_add(self.get(TAKEN)) < self.count();
        fits && (capacity == 0 || u64::from(held) < capacity)
    }

    /// How many more items there is room for.
    pub(super) fn room(self, capacity: u64) -> u64 {
        let held = u64::from(self.get(READY)) + u64::from(self.get(RESERVED));
        let in_table = u64::from(self.count()).saturating_sub(held + u64::from(self.get(TAKEN)));
        match capacity {
            0 => in_table,
            capacity => capacity.saturating_sub(held).min(in_table),
        }
    }

    /// Whether all descriptors may have been in use before so many were freed.
    pub(super) fn has_been_full(self, freed: usize) -> bool {
        let held = u64::from(self.get(READY)) + u64::from(self.get(RESERVED)) + u64::from(self.get(TAKEN));
        held + freed as u64 >= u64::from(self.count())
    }

    #[inline]
    fn put(self, latched: &Latched<'_>, item: &[u8]) -> Result<(), Error> {
        self.put_one(item)?;
        latched.open(self.channel, GETTERS);
        Ok(())
    }

    /// As many as there is room for, and as one latch should guard.
    #[inline]
    fn put_batch<I: AsRef<[u8]>>(self, latched: &Latched<'_>, items: &[I]) -> Result<usize, Error> {
        let shape = self.channel.shape();
        let (mut count, mut bytes) = (0, 0);
        for item in items.iter().take(BATCH_ITEMS).map(AsRef::as_ref) {
            let is_large = item.len() > SMALL_BYTES_MAX || item.len() as u64 > shape.second;
            if is_large || bytes > BATCH_BYTES || !self.has_room(shape.first) {
                break;
            }
            match self.put_one(item) {
                Ok(()) => {}
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
            bytes += item.len();
            count += 1;
        }
        latched.open(self.channel, GETTERS);
        Ok(count)
    }

    #[inline]
    pub(super) fn put_one(self, item: &[u8]) -> Result<(), Error> {
        let index = self.provide_for(class_of(item.len() as u64))?;
        let descriptor = self.descriptor(index);
        self.or_back(index, descriptor.write(item))?;
        self.make_ready(descriptor, 1, |table| table.append(index))
    }

    /// What came of using a free descriptor that is off its stack: when it is an error, it goes back there.
    #[inline]
    pub(super) fn or_back<T>(self, index: u32, used: Result<T, Error>) -> Result<T, Error> {
        if used.is_err() {
            self.push(index)?;
        }
        used
    }

    /// The step by which so many items are put that a descriptor stands for.
    #[inline]
    pub(super) fn make_ready(
        self,
        descriptor: Descriptor<'_>,
        items: u32,
        link: impl FnOnce(Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let number = self.u64(NEXT_NUMBER).load(Relaxed);
        descriptor.set_number(number);
        descriptor.commit(State::Ready, 0);
        self.u64(NEXT_NUMBER).commit(number.wrapping_add(items.into()));
        link(self)
    }
}
