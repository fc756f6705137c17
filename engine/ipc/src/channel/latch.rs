//! The latch of a channel: it guards the few instructions in which its words do not fit together.
//!
//! One word: the slot of who has it, and a bit when others sleep for it. Whoever waits looks whether the owner lives;
//! when not, it takes the latch over, puts the words right (`Rules::mend`), and buries the dead.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::header::LATCH;
use super::sleep::{rest, spins};
use super::{Channel, Gate, Manner, Slot};
use crate::error::Error;
use crate::futex::{self, Slept};
use crate::memory::Word32;

/// Others sleep.
const CONTENDED: u32 = 1 << 31;

/// How often it is looked at before sleeping, and how long the pause before the first look is and that before the last: powers of two of the
/// processor's own pauses, some 2 to 30 µs. A section is a hundred instructions long; but what it writes goes from core to core, which takes
/// as long as ten sections of whoever has it all at hand. So he is left alone for some of them. In all it takes about as long as to wake a
/// process on another core.
const LOOKS: u32 = 6;
const PAUSE_FIRST: u32 = 6;
const PAUSE_LAST: u32 = 10;

/// How long to sleep before looking whether the owner lives.
const SLICE: Duration = Duration::from_millis(1);

/// How often a host yields to a process that stands in the middle of its section before it gives up for now.
const HOST_YIELDS: u32 = 50;

/// The latch is held. Dropped, it is free, and then those are woken who are to be.
#[derive(Debug)]
pub struct Latched<'a> {
    channel: &'a Channel,
    me: Slot,
    pub(super) errands: Cell<Errands>,
}

/// What is to be done once the latch is free: each a system call that nobody should wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errands {
    /// One sleeper of these gates is to be woken, a bit each.
    pub wake_one: u8,
    /// All sleepers of these.
    pub wake_all: u8,
    /// The host is to be rung.
    pub ring: bool,
    any: bool,
}

impl Errands {
    #[inline]
    pub(super) fn note(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.any = true;
        self
    }
}

impl Channel {
    #[inline]
    fn latch_word(&self) -> Word32<'_> {
        self.u32(LATCH)
    }

    /// Takes the latch.
    #[inline]
    pub(crate) fn latch(&self) -> Result<Latched<'_>, Error> {
        let me = self.me()?;
        self.latch_as(me)
    }

    #[inline]
    pub(super) fn latch_as(&self, me: Slot) -> Result<Latched<'_>, Error> {
        if self.latch_word().exchange(0, me.word()).is_err() {
            self.latch_slowly(me)?;
        }
        let latched = Latched::of(self, me);
        if self.is_damaged() {
            return Err(Error::Damaged);
        }
        Ok(latched)
    }

    #[cold]
    fn latch_slowly(&self, me: Slot) -> Result<(), Error> {
        let word = self.latch_word();
        for round in 0..spins(LOOKS) {
            rest((PAUSE_FIRST + round).min(PAUSE_LAST));
            if word.load(Ordering::Relaxed) == 0 && word.exchange(0, me.word()).is_ok() {
                return Ok(());
            }
        }
        let mut slices = 0;
        loop {
            let seen = word.load(Ordering::Acquire);
            if seen & !CONTENDED == 0 {
                // Who has slept does not know whether others still do.
                if word.exchange(seen, me.word() | CONTENDED).is_ok() {
                    return Ok(());
                }
                continue;
            }
            if self.is_host_and_tired(slices) {
                return self.seize_from_dead(seen, me)?.then_some(()).ok_or(Error::Busy);
            }
            slices += 1;
            if self.manner() == Manner::Host {
                std::thread::yield_now();
                continue;
            }
            if seen & CONTENDED == 0 && word.exchange(seen, seen | CONTENDED).is_err() {
                continue;
            }
            if futex::wait(word, seen | CONTENDED, SLICE) == Slept::TimedOut
                && self.seize_from_dead(word.load(Ordering::Acquire), me)?
            {
                return Ok(());
            }
        }
    }

    /// Whether the slot has the latch, or had it when it died.
    pub(super) fn has_latch(&self, slot: Slot) -> bool {
        self.latch_word().load(Ordering::Acquire) & !CONTENDED == slot.word()
    }

    fn is_host_and_tired(&self, slices: u32) -> bool {
        self.manner() == Manner::Host && slices >= HOST_YIELDS
    }

    /// Takes the latch over when its owner has died; all is put right before this returns true.
    fn seize_from_dead(&self, seen: u32, me: Slot) -> Result<bool, Error> {
        let Some(owner) = self.slot(seen & !CONTENDED)? else {
            return Ok(false);
        };
        let life = self.life(owner);
        if owner == me || self.is_alive(owner) || self.latch_word().exchange(seen, me.word() | CONTENDED).is_err() {
            return Ok(false);
        }
        if self.life(owner) != life {
            // Somebody else has buried him meanwhile, and another one has come into the slot and taken the latch: it is his. If he has
            // let go of it already, it is nobody's.
            let _ = self.latch_word().exchange(me.word() | CONTENDED, seen);
            return Ok(false);
        }
        let latched = Latched::of(self, me);
        (self.rules.mend)(self)?;
        self.bury_latched(&latched, owner)?;
        latched.keep();
        Ok(true)
    }
}

impl<'a> Latched<'a> {
    #[inline]
    fn of(channel: &'a Channel, me: Slot) -> Self {
        Self {
            channel,
            me,
            errands: Cell::default(),
        }
    }

    /// Who has it: this process.
    #[inline]
    pub(crate) fn me(&self) -> Slot {
        self.me
    }

    /// The latch stays with us, under another value.
    fn keep(self) {
        self.errands.take().run(self.channel);
        std::mem::forget(self);
    }
}

impl Drop for Latched<'_> {
    #[inline]
    fn drop(&mut self) {
        let word = self.channel.latch_word();
        if word.swap(0, Ordering::Release) & CONTENDED != 0 {
            futex::wake(word, 1);
        }
        let errands = self.errands.take();
        if errands.any {
            errands.run(self.channel);
        }
    }
}

impl Errands {
    #[cold]
    fn run(self, channel: &Channel) {
        for gate in Gate::ALL {
            if self.wake_all & gate.bit() != 0 {
                futex::wake(gate.turn(channel), i32::MAX);
            } else if self.wake_one & gate.bit() != 0 {
                futex::wake(gate.turn(channel), 1);
            }
        }
        if self.ring {
            channel.ring();
        }
    }
}
