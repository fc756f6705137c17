//! Waiting at a channel, and being woken.
//!
//! A *gate* is where the waiters of one cause sleep. Its words change under the latch only: `turn`, which is slept on
//! and counted up at each waking, and `waiting`, which is not 0 while somebody may sleep. It is a flag and not a
//! count, since the dead would have to be counted out of it: who wakes one lowers it, and who has slept raises it
//! again when he goes on, for those who may still sleep, and wakes the next one if there is something left.
//!
//! A waking can be lost in one way only: whoever was woken is killed before it has acted. So a death wakes all; and
//! where no engine tells of deaths, nobody sleeps for long without looking.

use std::cell::Cell;
use std::hint;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::header::{GATES, RUNG, WATCH};
use super::{Channel, Latched, Manner};
use crate::error::Error;
use crate::futex::{self, Slept};
use crate::memory::Word32;
use crate::patience::Deadline;

/// In the host's wishes: tell of processes that have come.
pub(super) const CLIENTS: u32 = 1 << 8;

/// A pause is never longer than `2^6` of the processor's.
const PAUSE_DOUBLINGS: u32 = 6;

/// The host has not looked: somebody rings, and is not killed while he does, or has rung.
const RINGING: u32 = 1;
const HAS_RUNG: u32 = 2;

/// Where an engine tells of deaths, this is only in case that it does not.
const SLICE_HOSTED: Duration = Duration::from_millis(250);

/// Where nobody tells of deaths, and somebody has what we wait for: at first.
const SLICE_FIRST: Duration = Duration::from_millis(1);

/// The same once we have waited for so many rounds: who holds it means to, so that its death is no more likely than before.
const SLICE_LATER: Duration = Duration::from_millis(4);
const ROUNDS_ATTENTIVE: u32 = 250;

/// The same where nobody has it: only a lost waking is to be found.
const SLICE_IDLE: Duration = Duration::from_millis(50);

/// A place to wait. Which gate is for what is for each kind to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    First = 0,
    Second = 1,
    Third = 2,
    Fourth = 3,
}

impl Gate {
    pub(super) const ALL: [Self; 4] = [Self::First, Self::Second, Self::Third, Self::Fourth];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }

    #[inline]
    pub(super) fn turn(self, channel: &Channel) -> Word32<'_> {
        channel.u32(GATES + 8 * self as u64)
    }

    #[inline]
    fn waiting(self, channel: &Channel) -> Word32<'_> {
        channel.u32(GATES + 8 * self as u64 + 4)
    }

    /// Before sleeping at the gate, with the latch held: what its turn is now.
    fn announce(self, channel: &Channel) -> u32 {
        self.waiting(channel).store(1, Ordering::Relaxed);
        self.turn(channel).load(Ordering::Relaxed)
    }
}

/// What an attempt came to.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It is done.
    Done(T),
    /// Not possible now.
    Wait {
        /// A process has what is waited for, so that its death would change something.
        on_somebody: bool,
    },
}

/// Who waits at a channel in one slot, for others to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// So many threads sleep until they get what they want.
    pub endless: u32,
    /// So many do for some time at most.
    pub timed: u32,
    /// Counts those that were woken, modulo 2¹⁶: as long as it stays the same, nobody has got on.
    pub woken: u32,
}

impl Waiting {
    const ENDLESS: u32 = 1;
    const TIMED: u32 = 1 << 8;
    const WOKEN: u32 = 1 << 16;

    const fn one(is_endless: bool) -> u32 {
        if is_endless { Self::ENDLESS } else { Self::TIMED }
    }

    /// As it stands in a slot: 8 bits, 8 bits, and 16 bits. More than 255 threads of one process at one channel are shown as others; it
    /// is for people and for the search for deadlocks, and nothing else rests on it.
    pub(super) const fn of(word: u32) -> Self {
        Self {
            endless: word & 0xff,
            timed: word >> 8 & 0xff,
            woken: word >> 16,
        }
    }

    /// How many threads.
    #[must_use]
    pub const fn threads(self) -> u32 {
        self.endless + self.timed
    }
}

thread_local! {
    /// This thread's time-outs are for looking around only.
    static IS_ENDLESS: Cell<bool> = const { Cell::new(false) };
}

/// Whatever this thread waits for meanwhile, it will wait for again when its time is over: others see it wait without end.
pub fn endlessly<T>(attempt: impl FnOnce() -> T) -> T {
    let before = IS_ENDLESS.replace(true);
    let done = attempt();
    IS_ENDLESS.set(before);
    done
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nap {
    /// Woken, perhaps for nothing.
    Woken,
    /// It is time to look who has died.
    Sliced,
    /// The deadline has passed.
    Over,
}

impl Latched<'_> {
    /// Something has come for those who wait at the gate: one is woken, and the host is rung if it wanted to be.
    #[inline]
    pub(crate) fn open(&self, channel: &Channel, gate: Gate) {
        let waiting = gate.waiting(channel);
        if waiting.load(Ordering::Relaxed) != 0 {
            waiting.store(0, Ordering::Relaxed);
            let turn = gate.turn(channel);
            turn.store(turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            self.errands
                .set(self.errands.get().note(|errands| errands.wake_one |= gate.bit()));
        }
        self.tell_host(channel, u32::from(gate.bit()));
    }

    /// The same for all who wait there.
    pub(crate) fn open_wide(&self, channel: &Channel, gate: Gate) {
        gate.waiting(channel).store(0, Ordering::Relaxed);
        let turn = gate.turn(channel);
        turn.store(turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.errands
            .set(self.errands.get().note(|errands| errands.wake_all |= gate.bit()));
        self.tell_host(channel, u32::from(gate.bit()));
    }

    /// Wakes whoever sleeps at the channel, whatever for: who has died may have been woken instead of them.
    pub(crate) fn wake_all(&self, channel: &Channel) {
        for gate in Gate::ALL {
            self.open_wide(channel, gate);
        }
    }

    #[inline]
    fn tell_host(&self, channel: &Channel, wish: u32) {
        let wishes = channel.u32(WATCH);
        if wishes.load(Ordering::Relaxed) & wish != 0 {
            wishes.clear_bits(wish);
            self.errands.set(self.errands.get().note(|errands| errands.ring = true));
        }
    }
}

impl Channel {
    /// Tries until it is done or the deadline has passed, sleeping at the gate in between. `soon` says without the
    /// latch whether an attempt may succeed: it is asked some times before sleeping.
    ///
    /// Who has slept raises the gate's flag before it tries again, for the others that may still sleep there: so the
    /// attempt, when there is something left after it, opens the gate for the next.
    ///
    /// A host does not sleep: it gets `None`, and is rung when the gate opens.
    #[inline]
    pub(crate) fn wait_at<T>(
        &self,
        gate: Gate,
        deadline: Deadline,
        spins: u32,
        soon: impl Fn() -> bool,
        mut attempt: impl FnMut(&Latched<'_>) -> Result<Attempt<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let mut rounds = 0;
        loop {
            if deadline != Deadline::Now && !soon() {
                spin(spins, &soon);
            }
            let latched = self.latch()?;
            if rounds > 0 {
                gate.announce(self);
            }
            let on_somebody = match attempt(&latched)? {
                Attempt::Done(done) => return Ok(Some(done)),
                Attempt::Wait { on_somebody } => on_somebody,
            };
            if self.manner() == Manner::Host {
                self.u32(WATCH).set_bits(u32::from(gate.bit()));
                return Ok(None);
            }
            if deadline == Deadline::Now {
                return Ok(None);
            }
            let turn = gate.announce(self);
            drop(latched);
            rounds += 1;
            match self.sleep(gate.turn(self), turn, deadline, self.slice(on_somebody, rounds))? {
                Nap::Woken => {}
                Nap::Sliced => self.look_around()?,
                Nap::Over => return Ok(None),
            }
        }
    }

    /// Where an engine watches over the processes, nobody else need look.
    pub(crate) fn look_around(&self) -> Result<(), Error> {
        if self.shape().hosted { Ok(()) } else { self.bury_dead() }
    }

    /// How long to sleep before looking who has died.
    pub(crate) fn slice(&self, on_somebody: bool, rounds: u32) -> Duration {
        match (self.shape().hosted, on_somebody) {
            (true, _) => SLICE_HOSTED,
            (false, true) if rounds < ROUNDS_ATTENTIVE => SLICE_FIRST,
            (false, true) => SLICE_LATER,
            (false, false) => SLICE_IDLE,
        }
    }

    /// Sleeps while the word is `seen`; others see that we wait.
    pub(crate) fn sleep(&self, word: Word32<'_>, seen: u32, deadline: Deadline, slice: Duration) -> Result<Nap, Error> {
        let Some(time) = deadline.cut(slice) else {
            return Ok(Nap::Over);
        };
        let waiting = self.waiting_word(self.me()?);
        let one = Waiting::one(deadline == Deadline::Never || IS_ENDLESS.get());
        waiting.add(one);
        let slept = futex::wait(word, seen, time);
        let ended = if slept == Slept::TimedOut { 0 } else { Waiting::WOKEN };
        waiting.add(ended.wrapping_sub(one));
        match slept {
            Slept::TimedOut => Ok(Nap::Sliced),
            Slept::Interrupted if self.is_interruptible() => Err(Error::Interrupted),
            Slept::Woken | Slept::Interrupted => Ok(Nap::Woken),
        }
    }

    /// Rings for the host if it wants to know of that.
    pub(super) fn ring_for(&self, wish: u32) {
        let wishes = self.u32(WATCH);
        if wishes.load(Ordering::Acquire) & wish != 0 {
            self.ring();
        }
    }

    /// Rings for the host, unless it has been rung for already and not looked.
    pub(crate) fn ring(&self) {
        // Who has no bell must not say that it has rung.
        let Some(bell) = &self.bell else { return };
        if self.u32(RUNG).load(Ordering::Acquire) == HAS_RUNG {
            return;
        }
        // Who is killed before he has written leaves this, and the next one rings.
        self.u32(RUNG).store(RINGING, Ordering::Release);
        let one: u64 = 1;
        // SAFETY: eight bytes are read from `one`. That the bell is full, or its host gone, is no matter.
        unsafe { libc::write(bell.as_raw_fd(), (&raw const one).cast(), 8) };
        // When the host has looked meanwhile it is as before.
        let _ = self.u32(RUNG).exchange(RINGING, HAS_RUNG);
    }

    /// The host looks: whether it has been rung for since it looked last.
    pub fn was_rung(&self) -> bool {
        self.u32(RUNG).load(Ordering::Acquire) != 0 && self.u32(RUNG).swap(0, Ordering::AcqRel) != 0
    }

    /// The host wants to be rung when a process comes.
    pub fn ring_for_clients(&self) {
        self.u32(WATCH).set_bits(CLIENTS);
    }
}

/// Looks now and then, until it may be soon: ever more rarely, since each look takes the line of the cache away from the core that is
/// about to bring what we wait for, and it brings the more at once the longer it is left alone.
fn spin(rounds: u32, soon: impl Fn() -> bool) {
    for round in 0..spins(rounds) {
        pause(round);
        if soon() {
            return;
        }
    }
}

/// How often to look at a word before sleeping; where processes are simulated, looking is of no use.
#[inline]
pub(crate) fn spins(rounds: u32) -> u32 {
    #[cfg(test)]
    if crate::simulation::is_running() {
        return 0;
    }
    rounds
}

/// A pause that doubles from round to round.
pub(crate) fn pause(round: u32) {
    rest(round.min(PAUSE_DOUBLINGS));
}

/// A pause of `2^doublings` of the processor's.
pub(super) fn rest(doublings: u32) {
    for _ in 0..1_u32 << doublings {
        hint::spin_loop();
    }
}
