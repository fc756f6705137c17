//! The first page of a channel: what it is, written once when it is made.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::memory::{self, PAGE};

/// The version of the layout. A channel of another version is refused.
pub const VERSION: u32 = 3;

const MAGIC: u64 = u64::from_le_bytes(*b"FORKYARD");

/// How long what is written once is, in bytes; the sum over the bytes before it stands at its end.
const WRITTEN: usize = 56;
const SUM: usize = 48;

/// Not zero: a process has found the words of the channel in a state that no step leaves.
pub(super) const DAMAGE: u64 = 56;
/// Who is in the middle of something: a slot, or 0.
pub(super) const LATCH: u64 = 64;
/// What the host wants to be rung for.
pub(super) const WATCH: u64 = 72;
/// The host has been rung and has not looked since.
pub(super) const RUNG: u64 = 76;

/// The gates: 8 bytes each.
pub(super) const GATES: u64 = 80;

/// Where the words of the kind begin; the slots stand behind them.
pub(crate) const OWN: u64 = 128;

/// The slots.
pub(super) const SLOTS: u64 = 1024;
/// The length of one of them: its life, its party, how many of its threads wait.
pub(super) const SLOT: u64 = 16;

/// So many processes may use one channel at once.
const SLOTS_MAX: u32 = 65_535;
const SLOTS_USUAL: u32 = 1024;

/// The longest body, in bytes: 4 GiB, of addresses, not of memory.
const BODY_MAX: u64 = 4 << 30;

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Items, first in, first out.
    Queue = 1,
    /// One holder.
    Lock = 2,
    /// Some holders.
    Semaphore = 3,
    /// Set or not set.
    Event = 4,
    /// A meeting of so many.
    Barrier = 5,
    /// A lock's waiting room.
    Condition = 6,
    /// Values in shared memory, with a lock.
    Cells = 7,
}

impl Kind {
    pub(crate) const fn of(word: u32) -> Option<Self> {
        Some(match word {
            1 => Self::Queue,
            2 => Self::Lock,
            3 => Self::Semaphore,
            4 => Self::Event,
            5 => Self::Barrier,
            6 => Self::Condition,
            7 => Self::Cells,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "a queue",
            Self::Lock => "a lock",
            Self::Semaphore => "a semaphore",
            Self::Event => "an event",
            Self::Barrier => "a barrier",
            Self::Condition => "a condition",
            Self::Cells => "shared values",
        })
    }
}

/// What a channel is made as. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Which kind.
    pub kind: Kind,
    /// How many processes may use it at once.
    pub slots: u32,
    /// An engine watches over the processes that use it, so that nobody else need look whether they live.
    pub hosted: bool,
    /// Of a lock: its owner may not acquire it again. Of a semaphore: it never has more permits than at first.
    pub strict: bool,
    /// Of a queue: its capacity in items. Of a semaphore: its permits. Of a barrier: its parties. Of an event: 1 when
    /// it is set from the start. Of cells: their length in bytes.
    pub first: u64,
    /// Of a queue: the largest item, in bytes.
    pub second: u64,
    /// How long the fixed part behind the slots is, in bytes. A whole number of pages.
    pub body: u64,
}

impl Shape {
    /// A shape with nothing special about it.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            slots: SLOTS_USUAL,
            hosted: false,
            strict: false,
            first: 0,
            second: 0,
            body: 0,
        }
    }

    /// Where the part of a kind behind the slots begins.
    #[must_use]
    pub const fn body_at(&self) -> u64 {
        (SLOTS + self.slots as u64 * SLOT).next_multiple_of(PAGE)
    }

    /// How long the fixed part of the file is, in bytes.
    #[must_use]
    pub const fn fixed_bytes(&self) -> u64 {
        self.body_at() + self.body
    }

    pub(super) const fn check(&self) -> Result<(), Error> {
        if self.slots == 0 || self.slots > SLOTS_MAX {
            return Err(Error::Nonsense("a channel has room for 1 to 65535 processes"));
        }
        if !self.body.is_multiple_of(PAGE) || self.body > BODY_MAX {
            return Err(Error::Nonsense("a channel would be larger than can be mapped"));
        }
        Ok(())
    }

    fn to_bytes(self) -> [u8; WRITTEN] {
        let flags = u32::from(self.hosted) | u32::from(self.strict) << 1;
        let mut bytes = [0; WRITTEN];
        bytes[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[16..20].copy_from_slice(&self.slots.to_le_bytes());
        bytes[20..24].copy_from_slice(&flags.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.second.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.body.to_le_bytes());
        let sum = sum(&bytes[..SUM]);
        bytes[SUM..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; WRITTEN]) -> Result<Self, Error> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u64_at(0) != MAGIC {
            return Err(Error::NotAChannel);
        }
        if u32_at(8) != VERSION {
            return Err(Error::Version { found: u32_at(8) });
        }
        if u64_at(SUM) != sum(&bytes[..SUM]) {
            return Err(Error::Damaged);
        }
        let shape = Self {
            kind: Kind::of(u32_at(12)).ok_or(Error::Damaged)?,
            slots: u32_at(16),
            hosted: u32_at(20) & 1 != 0,
            strict: u32_at(20) & 2 != 0,
            first: u64_at(24),
            second: u64_at(32),
            body: u64_at(40),
        };
        shape.check().map_err(|_| Error::Damaged)?;
        Ok(shape)
    }
}

/// Writes the header of a new file and gives it the length of its fixed part, which has a place on the disk, so that
/// writing to it cannot fail. The body of a queue is for the queue to provide: it may be long and mostly unused.
pub(super) fn write(file: &File, shape: &Shape) -> Result<(), Error> {
    let what = "make the channel's file";
    file.set_len(shape.fixed_bytes()).map_err(Error::io(what))?;
    let provided = match shape.kind {
        Kind::Queue => shape.body_at(),
        Kind::Lock | Kind::Semaphore | Kind::Event | Kind::Barrier | Kind::Condition | Kind::Cells => {
            shape.fixed_bytes()
        }
    };
    memory::provide(file, 0, provided)?;
    file.write_all_at(&shape.to_bytes(), 0).map_err(Error::io(what))
}

/// Reads the header of a file of which nothing is known.
pub(super) fn read(file: &OwnedFd) -> Result<Shape, Error> {
    let what = "read the channel's file";
    let file = File::from(file.try_clone().map_err(Error::io(what))?);
    if !file.metadata().map_err(Error::io(what))?.is_file() {
        return Err(Error::NotAChannel);
    }
    let mut bytes = [0; WRITTEN];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Shape::from_bytes(&bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::NotAChannel),
        Err(error) => Err(Error::io(what)(error)),
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): enough to tell a header from random bytes.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_refused_when_a_bit_is_wrong() {
        let shape = Shape {
            hosted: true,
            first: 7,
            second: 9,
            body: 2 * PAGE,
            ..Shape::new(Kind::Queue)
        };
        let bytes = shape.to_bytes();
        assert_eq!(Shape::from_bytes(&bytes).expect("it is whole"), shape);
        for bit in 0..WRITTEN * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            let error = Shape::from_bytes(&wrong).expect_err("a bit is wrong");
            match bit / 8 {
                0..8 => assert!(matches!(error, Error::NotAChannel)),
                8..12 => assert!(matches!(error, Error::Version { .. })),
                _ => assert!(matches!(error, Error::Damaged)),
            }
        }
    }
}
