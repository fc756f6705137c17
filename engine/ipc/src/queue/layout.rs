//! Where the words of a queue stand, and what one descriptor says.
//!
//! True are the descriptors, the state, the number of the next item and how many descriptors have been used; all other
//! words follow from these.

use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

use super::ItemId;
use crate::channel::{Channel, Gate, OWN, Slot};
use crate::error::Error;
use crate::memory::{RECORD, Record, Records, Word32, Word64};

/// The first of the ready items; links are an index and 1, 0 is none.
pub(super) const HEAD: u64 = OWN;
pub(super) const TAIL: u64 = OWN + 4;
pub(super) const READY: u64 = OWN + 8;
pub(super) const RESERVED: u64 = OWN + 12;
pub(super) const TAKEN: u64 = OWN + 16;
/// An [`Ending`].
pub(super) const ENDING: u64 = OWN + 20;
/// Descriptors from this one on have never been used.
pub(super) const FRESH: u64 = OWN + 24;
/// So many have a place on the disk.
pub(super) const PROVIDED: u64 = OWN + 28;
/// The number of the next item.
pub(super) const NEXT_NUMBER: u64 = OWN + 32;
/// The first of those that are reserved or taken.
pub(super) const BUSY: u64 = OWN + 40;
/// Where the next block of the arena begins.
pub(super) const ARENA_END: u64 = OWN + 48;
/// Up to here the arena has a place on the disk.
pub(super) const ARENA_PROVIDED: u64 = OWN + 56;
pub(super) const RETURNED: u64 = OWN + 64;
/// Items too large to be put.
pub(super) const REFUSED: u64 = OWN + 72;
/// The descriptor of an item that is being returned, and what the count of such is then.
pub(super) const INTENT: u64 = OWN + 80;
pub(super) const INTENT_RETURNED: u64 = OWN + 88;
/// The descriptor of a sheaf whose first item is being taken out of it, and the one that the item gets.
pub(super) const SPLIT: u64 = OWN + 84;
pub(super) const SPLIT_INTO: u64 = FREE + 4 * (CLASS_MAX as u64 + 1);
/// Not 0: a sheaf has been taken for its first item. Only then somebody may have others in its hand that it has not taken.
pub(super) const BY_ONE_EVER: u64 = SPLIT_INTO + 4;
/// The stacks of free descriptors: one for each length of a block.
pub(super) const FREE: u64 = OWN + 96;

/// Who waits for items.
pub(super) const GETTERS: Gate = Gate::First;
/// Who waits for room.
pub(super) const PUTTERS: Gate = Gate::Second;
/// Who waits until all has been acknowledged.
pub(super) const JOINERS: Gate = Gate::Third;

/// The length of a descriptor.
pub(super) const DESCRIPTOR: u64 = RECORD;
const STATE: u64 = 0;
const NUMBER: u64 = 8;
const LENGTH: u64 = 16;
const BLOCK: u64 = 24;
const NEXT: u64 = 32;
const PREVIOUS: u64 = 36;
const INLINE: u64 = 40;
/// Of a sheaf, which always has a block, so that the bytes of short items are free: items and bytes that are gone from its front.
const GONE: u64 = 40;
/// Of a sheaf: how many items were put in it.
const ITEMS: u64 = 48;

/// In the word of the length: it is a sheaf, and from bit 48 on stands the byte that its items end with.
const SHEAF: u64 = 1 << 63;
/// In the same word: who takes the sheaf takes its first item only, and stands in the way of the others until that is settled.
const BY_ONE: u64 = 1 << 62;
const DELIMITER_AT: u32 = 48;
const SHEAF_LENGTH: u64 = (1 << DELIMITER_AT) - 1;

/// Items up to this length stand in their descriptor.
pub(super) const INLINE_BYTES: u64 = DESCRIPTOR - INLINE;

/// The shortest block: a cache line.
const CLASS_MIN: u32 = 6;
/// The longest: 1 TiB, more than any item.
pub(super) const CLASS_MAX: u32 = 40;

/// A queue never has more descriptors: 2 GiB of addresses.
const DESCRIPTORS_MAX: u64 = 1 << 25;
/// So many more than the capacity, for items that are taken and not acknowledged.
const DESCRIPTORS_TAKEN: u64 = 1 << 16;

/// No queue has a larger capacity: 33 million items.
pub(super) const CAPACITY_MAX: u64 = DESCRIPTORS_MAX - DESCRIPTORS_TAKEN;

/// How long the table of a queue's descriptors is, in bytes.
pub(super) fn table_bytes(capacity: u64) -> u64 {
    let count = match capacity {
        0 => DESCRIPTORS_MAX,
        some => some.saturating_add(DESCRIPTORS_TAKEN).min(DESCRIPTORS_MAX),
    };
    (count * DESCRIPTOR).next_multiple_of(crate::memory::PAGE)
}

/// The logarithm of the length of the block for an item; 0 when it needs none.
pub(super) const fn class_of(length: u64) -> u32 {
    if length <= INLINE_BYTES {
        return 0;
    }
    let class = length.next_power_of_two().trailing_zeros();
    if class < CLASS_MIN { CLASS_MIN } else { class }
}

/// Whether a queue still takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Ending {
    Open = 0,
    /// Nothing more is put.
    Closed = 1,
    /// Nobody gets any more.
    Broken = 2,
}

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// Being written by a slot.
    Reserved(Slot),
    Ready,
    /// A slot has it.
    Taken(Slot),
}

/// What a descriptor's first word says: its state, and how often its item has been handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub state: State,
    pub deliveries: u32,
}

const TAG_BITS: u64 = 0xff;
const DELIVERIES_MAX: u32 = 0xff_ffff;

impl Status {
    #[inline]
    pub fn word(self) -> u64 {
        let (tag, slot) = match self.state {
            State::Free => (0, 0),
            State::Reserved(slot) => (1, slot.word()),
            State::Ready => (2, 0),
            State::Taken(slot) => (3, slot.word()),
        };
        tag | u64::from(self.deliveries.min(DELIVERIES_MAX)) << 8 | u64::from(slot) << 32
    }

    #[inline]
    fn of(word: u64) -> Option<Self> {
        let slot = Slot::from_word(u32::try_from(word >> 32).ok()?);
        let state = match word & TAG_BITS {
            0 => State::Free,
            1 => State::Reserved(slot),
            2 => State::Ready,
            3 => State::Taken(slot),
            _ => return None,
        };
        let deliveries = u32::try_from(word >> 8 & u64::from(DELIVERIES_MAX)).ok()?;
        Some(Self { state, deliveries })
    }
}

/// A queue's words, for whoever has the latch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub channel: &'a Channel,
    descriptors: Records<'a>,
}

impl<'a> Table<'a> {
    #[inline]
    pub fn of(channel: &'a Channel) -> Self {
        let shape = channel.shape();
        let count = u32::try_from(shape.body / DESCRIPTOR).unwrap_or(u32::MAX);
        Self {
            channel,
            descriptors: channel.memory().records(shape.body_at(), count),
        }
    }

    /// How many descriptors there may be.
    #[inline]
    pub fn count(self) -> u32 {
        self.descriptors.count()
    }

    #[inline]
    pub fn u32(self, at: u64) -> Word32<'a> {
        self.channel.u32(at)
    }

    #[inline]
    pub fn u64(self, at: u64) -> Word64<'a> {
        self.channel.u64(at)
    }

    #[inline]
    pub fn get(self, at: u64) -> u32 {
        self.u32(at).load(Relaxed)
    }

    #[inline]
    pub fn set(self, at: u64, value: u32) {
        self.u32(at).store(value, Relaxed);
    }

    /// Adds so many items to a count that follows from the descriptors.
    #[inline]
    pub fn count_up(self, at: u64, items: u32) {
        self.set(at, self.get(at).wrapping_add(items));
    }

    #[inline]
    pub fn count_down(self, at: u64, items: u32) {
        self.set(at, self.get(at).wrapping_sub(items));
    }

    /// The descriptor of that index, which must be one that has been used.
    #[inline]
    pub fn descriptor(self, index: u32) -> Descriptor<'a> {
        Descriptor {
            channel: self.channel,
            words: self.descriptors.at(index),
        }
    }

    /// What a link leads to.
    #[inline]
    pub fn follow(self, link: u32) -> Result<Option<u32>, Error> {
        if link == 0 {
            Ok(None)
        } else if link <= self.get(FRESH).min(self.count()) {
            Ok(Some(link - 1))
        } else {
            Err(self.channel.damaged())
        }
    }

    /// Gives further descriptors a place on the disk, so that `count` of them have one.
    pub fn provide(self, count: u32) -> Result<(), Error> {
        let from = self.get(PROVIDED);
        let bytes = u64::from(count.saturating_sub(from)) * DESCRIPTOR;
        let at = self.channel.shape().body_at() + u64::from(from) * DESCRIPTOR;
        self.channel.memory().provide_fixed(at, bytes)?;
        self.u32(PROVIDED).commit(count);
        Ok(())
    }

    #[inline]
    pub fn ending(self) -> Result<Ending, Error> {
        match self.get(ENDING) {
            0 => Ok(Ending::Open),
            1 => Ok(Ending::Closed),
            2 => Ok(Ending::Broken),
            _ => Err(self.channel.damaged()),
        }
    }

    /// The descriptors that have been used.
    pub fn used(self) -> impl Iterator<Item = (u32, Descriptor<'a>)> {
        let fresh = self.get(FRESH).min(self.count());
        (0..fresh).map(move |index| (index, self.descriptor(index)))
    }
}

/// What a descriptor says of its sheaf: of its items, those at the front may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// All bytes that were put, in one block.
    pub length: u64,
    /// The byte that each item ends with.
    pub delimiter: u8,
    /// All items that were put.
    pub items: u32,
    pub gone_items: u32,
    pub gone_bytes: u64,
}

/// One descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor<'a> {
    channel: &'a Channel,
    words: Record<'a>,
}

impl Descriptor<'_> {
    #[inline]
    pub fn status(self) -> Result<Status, Error> {
        let word = self.words.u64(STATE).load(Relaxed);
        Status::of(word).ok_or_else(|| self.channel.damaged())
    }

    /// The step that becomes true.
    #[inline]
    pub fn commit(self, state: State, deliveries: u32) {
        let status = Status { state, deliveries };
        self.words.u64(STATE).commit(status.word());
    }

    #[inline]
    pub fn number(self) -> u64 {
        self.words.u64(NUMBER).load(Relaxed)
    }

    #[inline]
    pub fn set_number(self, number: u64) {
        self.words.u64(NUMBER).store(number, Relaxed);
    }

    #[inline]
    pub fn next(self) -> u32 {
        self.words.u32(NEXT).load(Relaxed)
    }

    #[inline]
    pub fn set_next(self, link: u32) {
        self.words.u32(NEXT).store(link, Relaxed);
    }

    #[inline]
    pub fn previous(self) -> u32 {
        self.words.u32(PREVIOUS).load(Relaxed)
    }

    #[inline]
    pub fn set_previous(self, link: u32) {
        self.words.u32(PREVIOUS).store(link, Relaxed);
    }

    /// Its block in the arena: where it begins, and its class; class 0 is none.
    #[inline]
    pub fn block(self) -> Result<(u64, u32), Error> {
        let word = self.words.u64(BLOCK).load(Relaxed);
        let class = (word & 0x3f) as u32;
        if class > CLASS_MAX || class != 0 && class < CLASS_MIN {
            return Err(self.channel.damaged());
        }
        Ok((word & !0x3f, class))
    }

    pub fn set_block(self, offset: u64, class: u32) {
        self.words.u64(BLOCK).commit(offset | u64::from(class));
    }

    #[inline]
    pub fn set_length(self, length: u64) {
        self.words.u64(LENGTH).store(length, Relaxed);
    }

    /// The item's length, if an item of this length can stand here.
    #[inline]
    pub fn length(self) -> Result<u64, Error> {
        let length = self.words.u64(LENGTH).load(Relaxed);
        let fits = length <= INLINE_BYTES || length <= 1 << self.block()?.1;
        if fits && length <= self.channel.shape().second {
            Ok(length)
        } else {
            Err(self.channel.damaged())
        }
    }

    /// Whether it stands for a sheaf.
    #[inline]
    pub fn is_sheaf(self) -> bool {
        self.words.u64(LENGTH).load(Relaxed) & SHEAF != 0
    }

    /// The length of an item that stands alone; of a sheaf more than any that is handed out at once.
    #[inline]
    pub fn length_alone(self) -> Result<u64, Error> {
        if self.is_sheaf() { Ok(u64::MAX) } else { self.length() }
    }

    /// What is to be known of its sheaf, if it stands for one.
    pub fn sheaf(self) -> Result<Option<Contents>, Error> {
        let word = self.words.u64(LENGTH).load(Relaxed);
        if word & SHEAF == 0 {
            return Ok(None);
        }
        let gone = self.words.u64(GONE).load(Relaxed);
        let sheaf = Contents {
            length: word & SHEAF_LENGTH,
            delimiter: (word >> DELIMITER_AT & 0xff) as u8,
            items: self.words.u32(ITEMS).load(Relaxed),
            gone_items: (gone & 0xffff_ffff) as u32,
            gone_bytes: gone >> 32,
        };
        let is_sound = sheaf.gone_items < sheaf.items && sheaf.gone_bytes < sheaf.length;
        if is_sound && sheaf.length <= 1 << self.block()?.1 {
            Ok(Some(sheaf))
        } else {
            Err(self.channel.damaged())
        }
    }

    /// Writes a sheaf, which fits its block.
    pub fn write_sheaf(self, bytes: &[u8], delimiter: u8, items: u32) -> Result<(), Error> {
        let length = bytes.len() as u64;
        let place = self.place_in_block(length)?;
        // SAFETY: as in `write`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place.as_ptr(), bytes.len()) };
        self.set_length(length | u64::from(delimiter) << DELIMITER_AT | SHEAF);
        self.words.u32(ITEMS).store(items, Relaxed);
        self.words.u64(GONE).store(0, Relaxed);
        Ok(())
    }

    /// The step by which so many items and bytes in all are gone from the front of a sheaf, and others are left.
    pub fn commit_gone(self, items: u32, bytes: u64) {
        self.words.u64(GONE).commit(bytes << 32 | u64::from(items));
    }

    /// How many items it stands for.
    #[inline]
    pub fn weight(self) -> u32 {
        if self.is_sheaf() { self.weight_of_sheaf() } else { 1 }
    }

    #[cold]
    fn weight_of_sheaf(self) -> u32 {
        let gone = (self.words.u64(GONE).load(Relaxed) & 0xffff_ffff) as u32;
        self.words.u32(ITEMS).load(Relaxed).wrapping_sub(gone)
    }

    /// The number of the first item that it stands for.
    pub fn first_number(self) -> u64 {
        let gone = if self.is_sheaf() {
            self.words.u64(GONE).load(Relaxed) & 0xffff_ffff
        } else {
            0
        };
        self.number().wrapping_add(gone)
    }

    /// Where an item of that length stands.
    #[inline]
    pub fn place(self, length: u64) -> Result<ptr::NonNull<u8>, Error> {
        if length <= INLINE_BYTES {
            Ok(self.words.place(INLINE, 8))
        } else {
            self.place_in_block(length)
        }
    }

    /// Where a sheaf, or an item that is not short, stands.
    pub fn place_in_block(self, length: u64) -> Result<ptr::NonNull<u8>, Error> {
        let (offset, class) = self.block()?;
        // It may not be the block whose length was looked at before: others can write here at any time.
        if length > 1 << class {
            return Err(self.channel.damaged());
        }
        let place = self.words.memory().block(offset, 1 << class);
        place.map_err(|error| match error {
            Error::Damaged => self.channel.damaged(),
            // This process has not enough of something; the channel is as good as before.
            other => other,
        })
    }

    /// Writes the item, which fits.
    #[inline]
    pub fn write(self, item: &[u8]) -> Result<(), Error> {
        let length = item.len() as u64;
        let place = self.place(length)?;
        // SAFETY: the place is at least as long as the item, and nobody else touches it: the descriptor is off all
        // lists under the latch, or reserved by this process.
        unsafe { ptr::copy_nonoverlapping(item.as_ptr(), place.as_ptr(), item.len()) };
        self.set_length(length);
        Ok(())
    }

    /// Appends the item, whose length has been asked for, to what the caller has.
    #[inline]
    pub fn read(self, length: u64, into: &mut Vec<u8>) -> Result<(), Error> {
        let place = self.place(length)?;
        let length = usize::try_from(length).map_err(|_| self.channel.damaged())?;
        into.try_reserve(length).map_err(Error::memory)?;
        let end = into.len();
        // SAFETY: the place holds `length` bytes, the vector has room for as many more; they do not overlap. A process
        // that breaks the rules may write meanwhile: any bytes are valid.
        unsafe {
            ptr::copy_nonoverlapping(place.as_ptr(), into.as_mut_ptr().add(end), length);
            into.set_len(end + length);
        }
        Ok(())
    }

    /// The item that its taker has. Of a whole sheaf it is the first that was put in it, whatever is gone of it.
    pub fn item(self, index: u32) -> ItemId {
        let number = if self.is_by_one() {
            self.first_number()
        } else {
            self.number()
        };
        ItemId { number, index }
    }

    /// Whether it stands for a sheaf of which the taker has the first item only.
    #[inline]
    pub fn is_by_one(self) -> bool {
        const BOTH: u64 = SHEAF | BY_ONE;
        self.words.u64(LENGTH).load(Relaxed) & BOTH == BOTH
    }

    /// Of a sheaf that is about to be taken: whether for its first item only.
    pub fn set_by_one(self, is_by_one: bool) {
        let word = self.words.u64(LENGTH).load(Relaxed) & !BY_ONE;
        self.set_length(if is_by_one { word | BY_ONE } else { word });
    }
}
