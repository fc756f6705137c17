//! An event: set or not, and whoever waits goes on when it is set.
//!
//! One word. To set and to clear are one exchange each, so that each is done or not done whenever its process is killed.
//! The word counts how often it was set: a waiter notices a setting though it has been undone when he comes to look.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::channel::{Channel, Kind, Manner, Nap, OWN, Place, Rules, Shape, spins};
use crate::error::Error;
use crate::face::face;
use crate::futex;
use crate::memory::Word32;
use crate::patience::{Deadline, Patience};
use crate::readiness::Readiness;

const WORD: u64 = OWN;

/// It is not as it was made: a file is made of zeros, and so is this word.
const SET: u32 = 1;
/// Somebody sleeps.
const WAITING: u32 = 2;
/// The host waits.
const WATCHED: u32 = 4;
/// One setting; the count takes the bits above.
const ONE: u32 = 8;

/// How often it is looked at before sleeping. Where the setter runs on another core this saves both a system call, where it runs
/// on the same one it costs a few hundred cycles.
const SPINS: u32 = 10;

static RULES: Rules = Rules {
    kind: Kind::Event,
    mend: |_| Ok(()),
    bury,
};

/// An event between processes.
///
/// ```
/// use forkyard_ipc::{Event, channel::Place};
///
/// let ready = Event::create(&Place::Memory, false)?;
/// assert!(!ready.is_set());
/// ready.set();
/// ready.wait()?;
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    channel: Arc<Channel>,
}

face!(Event);

impl Event {
    /// Makes an event, set or not.
    pub fn create(place: &Place<'_>, set: bool) -> Result<Self, Error> {
        Self::make(place, set, Shape::new(Kind::Event))
    }

    /// The same with a shape that says more; its kind and its state are set here.
    pub fn make(place: &Place<'_>, set: bool, shape: Shape) -> Result<Self, Error> {
        let shape = Shape {
            kind: Kind::Event,
            first: u64::from(set),
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "other kinds refuse what is too small for them")]
    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        Ok(Self { channel })
    }

    fn word(&self) -> Word32<'_> {
        self.channel.u32(WORD)
    }

    /// The `SET` bit when it is set, as it is when it is not.
    fn bit_when_set(&self) -> u32 {
        if self.channel.shape().first == 0 { SET } else { 0 }
    }

    fn says_set(&self, word: u32) -> bool {
        word & SET == self.bit_when_set()
    }
}

/// Setting and clearing.
impl Event {
    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.says_set(self.word().load(Ordering::Acquire))
    }

    /// How often it was set when it was not, modulo 2²⁹.
    #[must_use]
    pub fn settings(&self) -> u32 {
        self.word().load(Ordering::Acquire) / ONE
    }

    /// Sets it. All who wait go on.
    pub fn set(&self) {
        let word = self.word();
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let counted = if self.says_set(seen) {
                seen
            } else {
                seen.wrapping_add(ONE)
            };
            let left = counted & !(SET | WAITING | WATCHED) | self.bit_when_set();
            // Though it may be set already: what was written before is seen by whoever finds it set.
            match word.exchange(seen, left) {
                Ok(_) => break,
                Err(other) => seen = other,
            }
        }
        if seen & WAITING != 0 {
            futex::wake(word, i32::MAX);
        }
        if seen & WATCHED != 0 {
            self.channel.ring();
        }
    }

    /// Clears it. Those who waited when it was set go on nevertheless.
    pub fn clear(&self) {
        if self.bit_when_set() == SET {
            self.word().clear_bits(SET);
        } else {
            self.word().set_bits(SET);
        }
    }
}

/// Waiting.
impl Event {
    /// Waits until it is set.
    pub fn wait(&self) -> Result<(), Error> {
        while !self.wait_with(Patience::Block)? {}
        Ok(())
    }

    /// False when it has not been set in this time.
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, Error> {
        self.wait_with(Patience::For(time))
    }

    /// Whether it is set, or has been while we waited.
    ///
    /// A host does not wait: it gets `false`, and is rung when the event is set.
    pub fn wait_with(&self, patience: Patience) -> Result<bool, Error> {
        let word = self.word().load(Ordering::Acquire);
        if self.says_set(word) {
            return Ok(true);
        }
        self.wait_since(word / ONE, patience)
    }

    /// The same, but counted from when [`settings`](Self::settings) was `since`: for who comes back to look.
    pub fn wait_since(&self, since: u32, patience: Patience) -> Result<bool, Error> {
        let goes_on = |word: u32| self.says_set(word) || word / ONE != since;
        if self.channel.manner() == Manner::Host {
            return Ok(self.leave_bit(WATCHED, goes_on).is_none());
        }
        if patience == Patience::Try {
            return Ok(goes_on(self.word().load(Ordering::Acquire)));
        }
        for _ in 0..spins(SPINS) {
            std::hint::spin_loop();
            if goes_on(self.word().load(Ordering::Acquire)) {
                return Ok(true);
            }
        }
        let deadline = Deadline::of(patience);
        loop {
            let Some(announced) = self.leave_bit(WAITING, goes_on) else {
                return Ok(true);
            };
            let slice = self.channel.slice(false, 0);
            match self.channel.sleep(self.word(), announced, deadline, slice)? {
                Nap::Woken => {}
                Nap::Sliced => self.channel.look_around()?,
                Nap::Over => return Ok(false),
            }
        }
    }

    /// A descriptor that is readable when it is set.
    pub fn readiness(&self) -> Result<Readiness, Error> {
        let event = self.clone();
        Readiness::new(move |patience| event.wait_with(patience))
    }

    /// The host wants to be rung when it is set; whether it is set now.
    #[must_use]
    pub fn watch(&self) -> bool {
        self.leave_bit(WATCHED, |word| self.says_set(word)).is_none()
    }

    /// Leaves word that somebody waits: what the word is then. `None` when there is nothing to wait for.
    fn leave_bit(&self, bit: u32, goes_on: impl Fn(u32) -> bool) -> Option<u32> {
        let word = self.word();
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if goes_on(seen) {
                return None;
            }
            if seen & bit != 0 {
                return Some(seen);
            }
            match word.exchange(seen, seen | bit) {
                Ok(_) => return Some(seen | bit),
                Err(other) => seen = other,
            }
        }
    }
}

/// Nothing is held; but who has died may have set it and not come to wake the others.
#[expect(clippy::unnecessary_wraps, reason = "other kinds may find themselves damaged")]
fn bury(channel: &Channel, _: crate::channel::Slot, _: bool) -> Result<(), Error> {
    futex::wake(channel.u32(WORD), i32::MAX);
    Ok(())
}

#[cfg(test)]
mod tests;
