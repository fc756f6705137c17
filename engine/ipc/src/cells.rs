//! Values in shared memory: a block of bytes, and a lock beside it.
//!
//! The bytes are read and written by whole words as far as they are aligned: so a value of 1, 2, 4 or 8 bytes that stands at a
//! multiple of its length is there whole or not at all, for who reads it without the lock and when its writer is killed.
//! Longer ones are guarded by the lock: who acquires it after a writer has died is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::channel::{Channel, Kind, Place, Rules, Shape};
use crate::error::Error;
use crate::face::face;
use crate::lock::{self, Lock};
use crate::memory::{PAGE, Word32};

static RULES: Rules = Rules {
    kind: Kind::Cells,
    mend: |_| Ok(()),
    bury: lock::bury,
};

/// Bytes that processes share.
///
/// ```
/// use forkyard_ipc::{Cells, channel::Place};
///
/// let cells = Cells::create(&Place::Memory, 8)?;
/// let guard = cells.lock().acquire()?;
/// let mut count = [0; 8];
/// cells.load(0, &mut count)?;
/// cells.store(0, &(u64::from_ne_bytes(count) + 1).to_ne_bytes())?;
/// drop(guard);
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cells {
    channel: Arc<Channel>,
    lock: Lock,
}

face!(Cells);

impl Cells {
    /// Makes so many bytes, all zero.
    pub fn create(place: &Place<'_>, bytes: u64) -> Result<Self, Error> {
        Self::make(place, bytes, Shape::new(Kind::Cells))
    }

    /// The same with a shape that says more; what is said here is set here, and the lock is reentrant.
    pub fn make(place: &Place<'_>, bytes: u64, shape: Shape) -> Result<Self, Error> {
        let too_long = Error::Nonsense("cells have at most 4 GiB");
        let shape = Shape {
            kind: Kind::Cells,
            strict: false,
            first: bytes,
            body: bytes.checked_next_multiple_of(PAGE).ok_or(too_long)?,
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        if channel.shape().body < channel.shape().first {
            return Err(channel.damaged());
        }
        let lock = Lock::inside(Arc::clone(&channel));
        Ok(Self { channel, lock })
    }

    /// The lock beside them, which a thread may acquire again. That the bytes are only touched with it is for their users to agree
    /// on.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.channel.shape().first
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in the file they begin: at a page, so that others can map them.
    #[must_use]
    pub fn body_offset(&self) -> u64 {
        self.channel.shape().body_at()
    }

    /// Reads the bytes from an offset on.
    ///
    /// # Errors
    /// `Nonsense` when they are not all there.
    pub fn load(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let mut at = self.place(offset, bytes.len())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = piece(at, rest.len());
            let (part, others) = rest.split_at_mut(count);
            if count == 8 {
                part.copy_from_slice(&self.channel.u64(at).load(Ordering::Acquire).to_ne_bytes());
            } else {
                let (word, inside) = self.around(at);
                let whole = word.load(Ordering::Acquire).to_ne_bytes();
                part.copy_from_slice(&whole[inside..inside + count]);
            }
            at += count as u64;
            rest = others;
        }
        Ok(())
    }

    /// Writes bytes from an offset on.
    ///
    /// # Errors
    /// `Nonsense` when there is not so much room; nothing is written then.
    pub fn store(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut at = self.place(offset, bytes.len())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = piece(at, rest.len());
            let (part, others) = rest.split_at(count);
            if let Ok(whole) = <[u8; 8]>::try_from(part) {
                self.channel.u64(at).store(u64::from_ne_bytes(whole), Ordering::Release);
            } else {
                self.merge(at, part);
            }
            at += count as u64;
            rest = others;
        }
        Ok(())
    }

    /// Writes up to four bytes of a word; the others may be written by somebody else at the same time.
    fn merge(&self, at: u64, part: &[u8]) {
        let (word, inside) = self.around(at);
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let mut whole = seen.to_ne_bytes();
            whole[inside..inside + part.len()].copy_from_slice(part);
            match word.exchange(seen, u32::from_ne_bytes(whole)) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// The word in which a byte stands, and where in it.
    fn around(&self, at: u64) -> (Word32<'_>, usize) {
        (self.channel.u32(at & !3), (at & 3) as usize)
    }

    /// Where in the file bytes stand, if they do.
    fn place(&self, offset: u64, count: usize) -> Result<u64, Error> {
        let end = offset.checked_add(count as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(Error::Nonsense("the bytes lie outside of the shared values"));
        }
        Ok(self.body_offset() + offset)
    }
}

/// How many of so many bytes can be read or written in one access.
const fn piece(at: u64, left: usize) -> usize {
    if at.is_multiple_of(8) && left >= 8 {
        return 8;
    }
    let to_end_of_word = 4 - (at & 3) as usize;
    if left < to_end_of_word { left } else { to_end_of_word }
}

#[cfg(test)]
mod tests;
