//! Sheaves: many items that stand for one descriptor, for who reads or writes them as one stream of bytes anyway.
//!
//! In a sheaf each item ends with the same byte, which none of them contains. It is put as one step, taken as one, and acknowledged
//! from its front, so many items at a time. Whoever wants one item gets it: the first is *singled out* then, into a descriptor of its
//! own, and the rest stays where it is. Where no room is left for that, the whole sheaf is taken *by one*: its taker has the first item
//! where it stands, and the others come back when that is settled.

use std::ops::Range;
use std::ptr;

use super::layout::{
    BY_ONE_EVER, Contents, Descriptor, Ending, GETTERS, HEAD, INLINE_BYTES, PUTTERS, READY, SPLIT, SPLIT_INTO,
};
use super::layout::{State, TAIL, TAKEN, Table, class_of};
use super::{ItemId, Queue};
use crate::channel::{Channel, Slot};
use crate::error::Error;
use crate::patience::Patience;

/// No sheaf is longer: it is copied under the latch, and others need not wait long. Both numbers of what is gone of it fit one word.
const SHEAF_BYTES_MAX: usize = 1 << 20;

/// So many items at most, as many as a byte counts, are counted in one go: so that the compiler can count sixteen places at a time.
const COUNTED_AT_ONCE: usize = u8::MAX as usize;

/// So many bytes at a time are looked at to find where the first item ends.
const PIECE_BYTES: usize = 512;

const NO_SHEAF: &str = "a sheaf ends where its last item does, and has at most 1 MiB";

/// Some items, one behind the other, each with the same byte behind it.
#[derive(Clone, Copy, Debug)]
pub struct Sheaf<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    items: u32,
}

impl<'a> Sheaf<'a> {
    /// The items that `delimiter` ends in these bytes.
    ///
    /// # Errors
    /// `Nonsense` when the last byte ends no item, or there is more than 1 MiB.
    pub fn new(bytes: &'a [u8], delimiter: u8) -> Result<Self, Error> {
        if bytes.len() > SHEAF_BYTES_MAX || bytes.last().is_some_and(|last| *last != delimiter) {
            return Err(Error::Nonsense(NO_SHEAF));
        }
        let items = count(bytes, delimiter);
        Ok(Self::counted(bytes, delimiter, items))
    }

    /// The same where they have been counted already. A wrong count spoils the queue that it is put into.
    #[must_use]
    pub fn counted(bytes: &'a [u8], delimiter: u8, items: u32) -> Self {
        debug_assert_eq!(items, count(bytes, delimiter), "the items of a sheaf");
        Self {
            bytes,
            delimiter,
            items,
        }
    }

    /// The byte behind each.
    #[must_use]
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.items
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// All bytes, with those behind the items.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Each, without the byte behind it.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let delimiter = self.delimiter;
        self.bytes
            .split_inclusive(move |byte| *byte == delimiter)
            .map(|item| &item[..item.len() - 1])
    }

    /// The first so many, and the others.
    fn split(&self, items: u32) -> (Self, Self) {
        let end = if items < self.items {
            self.end_of(items)
        } else {
            self.bytes.len()
        };
        let (first, others) = self.bytes.split_at(end);
        let items = items.min(self.items);
        let delimiter = self.delimiter;
        (
            Self::counted(first, delimiter, items),
            Self::counted(others, delimiter, self.items - items),
        )
    }

    /// Where the first so many end.
    fn end_of(&self, items: u32) -> usize {
        let (mut left, mut end) = (items, 0);
        for piece in self.bytes.chunks(COUNTED_AT_ONCE) {
            let count = counted(piece, self.delimiter);
            if count >= left {
                let ends = piece.split_inclusive(|byte| *byte == self.delimiter).map(<[u8]>::len);
                return end + ends.take(left as usize).sum::<usize>();
            }
            left -= count;
            end += piece.len();
        }
        end
    }
}

fn count(bytes: &[u8], delimiter: u8) -> u32 {
    let pieces = bytes.chunks(COUNTED_AT_ONCE);
    pieces.map(|piece| counted(piece, delimiter)).sum()
}

/// How many of at most [`COUNTED_AT_ONCE`] bytes are this one.
fn counted(piece: &[u8], delimiter: u8) -> u32 {
    let is_one = |byte: &u8| u8::from(*byte == delimiter);
    piece
        .iter()
        .fold(0_u8, |count, byte| count.wrapping_add(is_one(byte)))
        .into()
}

/// What is left of a sheaf that was taken for a slot: its bytes are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenSheaf {
    /// To acknowledge its items, or to give them back.
    pub item: ItemId,
    /// How many there are.
    pub items: u32,
    /// The byte behind each.
    pub delimiter: u8,
}

/// Whole sheaves.
impl Queue {
    /// Puts the items of a sheaf in their order, as many as there is room for now; returns the others.
    ///
    /// # Errors
    /// As [`Queue::put`] for the first that cannot be put; nothing is put then.
    pub fn put_sheaf<'a>(&self, sheaf: &Sheaf<'a>) -> Result<Sheaf<'a>, Error> {
        let max = self.max_item();
        // Whatever is in a short sheaf is short itself.
        if sheaf.bytes.len() as u64 > max && sheaf.iter().any(|item| item.len() as u64 > max) {
            return Err(Error::TooLarge { max });
        }
        if sheaf.bytes.len() > SHEAF_BYTES_MAX {
            return Err(Error::Nonsense(NO_SHEAF));
        }
        if sheaf.is_empty() {
            return Ok(*sheaf);
        }
        let others = self.when_there_is_room(Patience::Try, |table, latched| {
            let room = u32::try_from(table.room(self.capacity())).unwrap_or(u32::MAX);
            let (first, others) = sheaf.split(room.max(1));
            table.put_sheaf(&first)?;
            latched.open(&self.channel, GETTERS);
            Ok(others)
        })?;
        Ok(others.unwrap_or(*sheaf))
    }

    /// Takes what is left of the sheaf that is next in the line, and appends its bytes to `buffer`. `None` when there is none, or a
    /// single item is the next.
    pub fn take_sheaf_as(&self, slot: Slot, buffer: &mut Vec<u8>) -> Result<Option<TakenSheaf>, Error> {
        let table = self.table();
        let latched = self.channel.latch()?;
        if table.ending()? == Ending::Broken {
            return Ok(None);
        }
        let Some((index, status)) = table.first()? else {
            return Ok(None);
        };
        let descriptor = table.descriptor(index);
        let Some(sheaf) = descriptor.sheaf()? else {
            return Ok(None);
        };
        let place = descriptor.place_in_block(sheaf.length)?;
        let left = sheaf.left(&self.channel)?;
        buffer.try_reserve(left.len()).map_err(Error::memory)?;
        descriptor.set_by_one(false);
        descriptor.commit(State::Taken(slot), status.deliveries.saturating_add(1));
        table.advance(index);
        table.enlist(index, TAKEN)?;
        latched.open(&self.channel, PUTTERS);
        if table.get(READY) > 0 {
            latched.open(&self.channel, GETTERS);
        }
        drop(latched);
        let end = buffer.len();
        // SAFETY: the range lies within the place, and the buffer has room for as many bytes more. Nobody writes to the place as long as
        // the sheaf is taken, and if a process that breaks the rules does, any bytes are valid.
        unsafe {
            ptr::copy_nonoverlapping(place.as_ptr().add(left.start), buffer.as_mut_ptr().add(end), left.len());
            buffer.set_len(end + left.len());
        }
        Ok(Some(TakenSheaf {
            item: descriptor.item(index),
            items: sheaf.items - sheaf.gone_items,
            delimiter: sheaf.delimiter,
        }))
    }

    /// So many items from the front of a sheaf that was taken for a slot are done with; they have so many bytes together, with those
    /// behind them. The rest stays taken.
    ///
    /// # Errors
    /// `NotHeld` when the slot has not taken it, or not so many are left.
    pub fn ack_from_sheaf_as(&self, slot: Slot, item: ItemId, items: u32, bytes: u64) -> Result<(), Error> {
        let table = self.table();
        let latched = self.channel.latch()?;
        let descriptor = table.taken_by(slot, item)?;
        let sheaf = descriptor.sheaf()?.ok_or(Error::NotHeld)?;
        let left = sheaf.items - sheaf.gone_items;
        let gone_bytes = sheaf.gone_bytes.saturating_add(bytes);
        if descriptor.is_by_one() || items > left || items < left && gone_bytes >= sheaf.length {
            return Err(Error::NotHeld);
        }
        if items == left {
            descriptor.commit(State::Free, 0);
            table.delist(item.index, TAKEN)?;
            table.push(item.index)?;
        } else {
            descriptor.commit_gone(sheaf.gone_items + items, gone_bytes);
            table.count_down(TAKEN, items);
        }
        self.open_after_settling(table, &latched, items as usize);
        Ok(())
    }
}

impl Contents {
    /// Where the items stand that are not gone.
    fn left(&self, channel: &Channel) -> Result<Range<usize>, Error> {
        let in_memory = |at: u64| usize::try_from(at).map_err(|_| channel.damaged());
        Ok(in_memory(self.gone_bytes)?..in_memory(self.length)?)
    }
}

impl Table<'_> {
    /// Puts all of it.
    fn put_sheaf(self, sheaf: &Sheaf<'_>) -> Result<(), Error> {
        if let (1, Some(item)) = (sheaf.items, sheaf.iter().next()) {
            return self.put_one(item);
        }
        // The place for short items is needed for other words.
        let index = self.provide_for(class_of((sheaf.bytes.len() as u64).max(INLINE_BYTES + 1)))?;
        let descriptor = self.descriptor(index);
        self.or_back(index, descriptor.write_sheaf(sheaf.bytes, sheaf.delimiter, sheaf.items))?;
        self.make_ready(descriptor, sheaf.items, |table| table.append(index))
    }

    /// The first of the line as an item by itself.
    #[inline]
    pub(super) fn single(self, index: u32, deliveries: u32) -> Result<u32, Error> {
        if self.descriptor(index).is_sheaf() {
            self.single_or_sheaf(index, deliveries)
        } else {
            Ok(index)
        }
    }

    /// The sheaf itself where there is no room for its first item to stand alone: it is to be taken by one then.
    #[cold]
    fn single_or_sheaf(self, index: u32, deliveries: u32) -> Result<u32, Error> {
        match self.single_out(index, deliveries) {
            Err(Error::NoSpace) => Ok(index),
            single => single,
        }
    }

    /// The length and the place of the first item of a sheaf, which is about to be taken by one.
    pub(super) fn first_in_place(self, descriptor: Descriptor<'_>) -> Result<(u64, ptr::NonNull<u8>), Error> {
        let sheaf = descriptor.sheaf()?.ok_or_else(|| self.channel.damaged())?;
        let length = self.first_of(descriptor, &sheaf)?.len() as u64;
        let start = sheaf.left(self.channel)?.start;
        // SAFETY: what is left of a sheaf lies within its place.
        let place = unsafe { descriptor.place_in_block(sheaf.length)?.add(start) };
        self.set(BY_ONE_EVER, 1);
        descriptor.set_by_one(true);
        Ok((length, place))
    }

    /// Whether the slot has taken a sheaf by one, so that others come when it has settled that. It need not wait for itself.
    pub(super) fn has_more_in_hand(self, slot: Slot) -> Result<bool, Error> {
        let busy = self.busy()?;
        Ok(busy.iter().any(|(index, status)| {
            let descriptor = self.descriptor(*index);
            status.state == State::Taken(slot) && descriptor.is_by_one() && descriptor.weight() > 1
        }))
    }

    /// Gives the first item of the sheaf that is first in the line a descriptor of its own, before the sheaf.
    ///
    /// Two steps become true: the item has its own, and the sheaf has it no more. What is killed between them is finished by whoever
    /// mends, who is told by two words that are written before and wiped after.
    #[cold]
    fn single_out(self, index: u32, deliveries: u32) -> Result<u32, Error> {
        let descriptor = self.descriptor(index);
        let sheaf = descriptor.sheaf()?.ok_or_else(|| self.channel.damaged())?;
        let item = self.first_of(descriptor, &sheaf)?;
        let own = self.provide_for(class_of(item.len() as u64))?;
        let single = self.descriptor(own);
        self.or_back(own, single.write(&item))?;
        single.set_number(descriptor.first_number());
        self.u32(SPLIT_INTO).commit(own + 1);
        self.u32(SPLIT).commit(index + 1);
        single.commit(State::Ready, deliveries);
        let is_left = pass_first(descriptor, &sheaf, item.len() as u64);
        self.u32(SPLIT).commit(0);
        if is_left {
            single.set_next(index + 1);
        } else {
            single.set_next(descriptor.next());
            if self.get(TAIL) == index + 1 {
                self.set(TAIL, own + 1);
            }
            self.push(index)?;
        }
        self.set(HEAD, own + 1);
        Ok(own)
    }

    /// Somebody has died while he singled out an item: when it had its own descriptor already, the sheaf has it no more.
    pub(super) fn finish_split(self) -> Result<(), Error> {
        let (sheaf, single) = (self.follow(self.get(SPLIT))?, self.follow(self.get(SPLIT_INTO))?);
        if let (Some(index), Some(single)) = (sheaf, single) {
            let (descriptor, single) = (self.descriptor(index), self.descriptor(single));
            let are_ready = descriptor.status()?.state == State::Ready && single.status()?.state == State::Ready;
            if are_ready
                && let Some(sheaf) = descriptor.sheaf()?
                && single.number() == descriptor.first_number()
            {
                pass_first(descriptor, &sheaf, single.length()?);
            }
            self.u32(SPLIT).commit(0);
        }
        Ok(())
    }

    /// What was taken is gone: an item, or the first of a sheaf.
    #[inline]
    pub(super) fn acknowledge(self, descriptor: Descriptor<'_>, index: u32) -> Result<(), Error> {
        if descriptor.is_sheaf()
            && let Some(sheaf) = descriptor.sheaf()?
        {
            let first = self.first_of(descriptor, &sheaf)?;
            if sheaf.items - sheaf.gone_items > 1 {
                pass_first(descriptor, &sheaf, first.len() as u64);
                self.count_down(TAKEN, 1);
                if descriptor.is_by_one() {
                    // The others have never been handed out.
                    let deliveries = descriptor.status()?.deliveries.saturating_sub(1);
                    descriptor.commit(State::Ready, deliveries);
                    self.delist(index, TAKEN)?;
                    self.insert(index)?;
                }
                return Ok(());
            }
        }
        descriptor.commit(State::Free, 0);
        self.delist(index, TAKEN)?;
        self.push(index)
    }

    /// A copy of the first item of a sheaf. Its bytes are copied before they are looked at: others can change them at any time.
    fn first_of(self, descriptor: Descriptor<'_>, sheaf: &Contents) -> Result<Vec<u8>, Error> {
        let place = descriptor.place_in_block(sheaf.length)?;
        let mut left = sheaf.left(self.channel)?;
        let mut item = Vec::new();
        while !left.is_empty() {
            let (from, length) = (item.len(), left.len().min(PIECE_BYTES));
            item.resize(from + length, 0);
            // SAFETY: the range lies within the place, and the vector is so long; any bytes are valid.
            unsafe { ptr::copy_nonoverlapping(place.as_ptr().add(left.start), item[from..].as_mut_ptr(), length) };
            if let Some(end) = item[from..].iter().position(|byte| *byte == sheaf.delimiter) {
                item.truncate(from + end);
                return Ok(item);
            }
            left.start += length;
        }
        Err(self.channel.damaged())
    }
}

/// The first item of a sheaf is gone from it, which is free with the last one; whether others are left.
fn pass_first(descriptor: Descriptor<'_>, sheaf: &Contents, length: u64) -> bool {
    let is_left = sheaf.items - sheaf.gone_items > 1;
    if is_left {
        descriptor.commit_gone(sheaf.gone_items + 1, sheaf.gone_bytes + length + 1);
    } else {
        descriptor.commit(State::Free, 0);
    }
    is_left
}
