//! A barrier: so many parties wait for each other, and then all go on.
//!
//! Each meeting is a *generation*, and the number of generations is the one word by which all are let go. A generation fails
//! when a party dies, gives up, or somebody says so; the last ones that failed are written down, so that whoever wakes late still
//! learns how his went. True is the generation, the failures, and how many of each slot have arrived at which generation.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::channel::{Attempt, Channel, Gate, Kind, Latched, Manner, OWN, Place, Rules, Shape, Slot};
use crate::error::Error;
use crate::face::face;
use crate::memory::{PAGE, Word64};
use crate::patience::{Deadline, Patience};

/// True: how many generations are over.
const GENERATION: u64 = OWN;
/// True: how many of them have failed.
const FAILURES: u64 = OWN + 8;
/// Follows: how many have arrived at this one.
const ARRIVED: u64 = OWN + 16;
/// The last generations that have failed.
const FAILED: u64 = OWN + 64;
/// How many of them are kept.
const KEPT: u64 = 64;

/// How many parties there may be.
const PARTIES_MAX: u32 = 1 << 20;

/// An arrival's word: the generation above, how many of the slot below.
const COUNT_BITS: u32 = 24;

/// How often it is looked at before sleeping.
const SPINS: u32 = 8;

static RULES: Rules = Rules {
    kind: Kind::Barrier,
    mend,
    bury,
};

/// A barrier between processes.
///
/// ```
/// use forkyard_ipc::{Barrier, channel::Place};
///
/// let barrier = Barrier::create(&Place::Memory, 2)?;
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let ours = barrier.wait().expect("it is whole");
///     let theirs = other.join().expect("no panic").expect("it is whole");
///     assert_eq!(ours + theirs, 1);
/// });
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    channel: Arc<Channel>,
}

/// A party has arrived and not gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which meeting, counted from 0.
    pub generation: u64,
    /// Which one of the parties, from 0, in the order of arrival.
    pub index: usize,
}

face!(Barrier);

impl Barrier {
    /// Makes a barrier for so many parties, which are threads of one process or of several.
    pub fn create(place: &Place<'_>, parties: u32) -> Result<Self, Error> {
        Self::make(place, parties, Shape::new(Kind::Barrier))
    }

    /// The same with a shape that says more; what is said here is set here.
    pub fn make(place: &Place<'_>, parties: u32, shape: Shape) -> Result<Self, Error> {
        if parties == 0 || parties > PARTIES_MAX {
            return Err(Error::Nonsense("a barrier has 1 to 1048576 parties"));
        }
        let shape = Shape {
            kind: Kind::Barrier,
            first: u64::from(parties),
            body: (u64::from(shape.slots) * 8).next_multiple_of(PAGE),
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        let shape = channel.shape();
        let sound = 1..=u64::from(PARTIES_MAX);
        if shape.body < u64::from(shape.slots) * 8 || !sound.contains(&shape.first) {
            return Err(channel.damaged());
        }
        Ok(Self { channel })
    }

    /// How many wait for each other.
    #[must_use]
    pub fn parties(&self) -> u32 {
        u32::try_from(self.channel.shape().first).unwrap_or(u32::MAX)
    }

    /// How many have arrived and wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        if self.is_broken() {
            return 0;
        }
        u32::try_from(self.channel.u64(ARRIVED).load(Ordering::Acquire)).unwrap_or(u32::MAX)
    }

    /// Whether nobody can meet until it is reset.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        is_broken(&self.channel)
    }
}

/// Meeting.
impl Barrier {
    /// Waits until all parties have arrived: which one of them we were, from 0.
    ///
    /// # Errors
    /// `BrokenBarrier` when one of them has died or given up, or somebody has broken or reset it.
    pub fn wait(&self) -> Result<usize, Error> {
        self.wait_with(Patience::Block)
    }

    /// The same; when the time is over, it is broken for all.
    pub fn wait_timeout(&self, time: Duration) -> Result<usize, Error> {
        self.wait_with(Patience::For(time))
    }

    /// The same with any patience. A signal breaks it, too: who goes on after signals calls [`arrive`](Self::arrive) and
    /// [`meet`](Self::meet).
    pub fn wait_with(&self, patience: Patience) -> Result<usize, Error> {
        let arrival = self.arrive()?;
        match self.meet(arrival, patience) {
            Ok(true) => Ok(arrival.index),
            Ok(false) => {
                self.give_up(arrival)?;
                // It may have come about in the last moment.
                if self.meet(arrival, Patience::Try)? {
                    Ok(arrival.index)
                } else {
                    Err(Error::BrokenBarrier)
                }
            }
            Err(Error::Interrupted) => {
                self.give_up(arrival)?;
                Err(Error::Interrupted)
            }
            Err(error) => Err(error),
        }
    }

    /// Says that we are here. To be followed by [`meet`](Self::meet), or by [`give_up`](Self::give_up).
    ///
    /// # Errors
    /// `BrokenBarrier`; `Nonsense` for a host, which must not wait.
    pub fn arrive(&self) -> Result<Arrival, Error> {
        if self.channel.manner() == Manner::Host {
            return Err(Error::Nonsense("a host cannot be a party of a barrier"));
        }
        let me = self.channel.me()?;
        let latched = self.channel.latch()?;
        if self.is_broken() {
            return Err(Error::BrokenBarrier);
        }
        let generation = self.channel.u64(GENERATION).load(Ordering::Relaxed);
        let arrivals = arrivals(&self.channel, me);
        let ours = count_at(arrivals.load(Ordering::Relaxed), generation);
        let arrived = self.channel.u64(ARRIVED);
        let before = arrived.load(Ordering::Relaxed);
        if before >= self.channel.shape().first {
            return Err(self.channel.damaged());
        }
        arrivals.commit((generation << COUNT_BITS) | (ours + 1));
        arrived.store(before + 1, Ordering::Relaxed);
        if before + 1 == self.channel.shape().first {
            self.go_on(&latched, generation);
        }
        Ok(Arrival {
            generation,
            index: usize::try_from(before).unwrap_or(usize::MAX),
        })
    }

    /// Waits until all others have arrived, too; false when the time is over: then the arrival still stands.
    ///
    /// # Errors
    /// `BrokenBarrier` when that meeting has failed.
    pub fn meet(&self, arrival: Arrival, patience: Patience) -> Result<bool, Error> {
        let attempt = |_: &Latched<'_>| {
            if has_failed(&self.channel, arrival.generation) {
                return Err(Error::BrokenBarrier);
            }
            Ok(if self.is_over(arrival) {
                Attempt::Done(())
            } else {
                Attempt::Wait { on_somebody: true }
            })
        };
        let soon = || self.is_over(arrival) || self.is_broken();
        let met = self
            .channel
            .wait_at(Gate::First, Deadline::of(patience), SPINS, soon, attempt)?;
        Ok(met.is_some())
    }

    fn is_over(&self, arrival: Arrival) -> bool {
        self.channel.u64(GENERATION).load(Ordering::Acquire) != arrival.generation
    }

    /// Gives up: breaks the barrier, unless that meeting is over. Of a meeting that has come about meanwhile, nothing changes.
    pub fn give_up(&self, arrival: Arrival) -> Result<(), Error> {
        let latched = self.channel.latch()?;
        if !self.is_over(arrival) {
            self.break_it(&latched);
        }
        Ok(())
    }

    /// Breaks it: who waits or will wait gets an error, until it is reset.
    pub fn abort(&self) -> Result<(), Error> {
        let latched = self.channel.latch()?;
        self.break_it(&latched);
        Ok(())
    }

    /// Makes it as new. Who waits gets an error.
    pub fn reset(&self) -> Result<(), Error> {
        let latched = self.channel.latch()?;
        if self.channel.u64(ARRIVED).load(Ordering::Relaxed) > 0 {
            self.break_it(&latched);
        }
        if self.is_broken() {
            let generation = self.channel.u64(GENERATION).load(Ordering::Relaxed);
            self.go_on(&latched, generation);
        }
        Ok(())
    }

    /// The generation is over, for better or worse.
    fn go_on(&self, latched: &Latched<'_>, generation: u64) {
        self.channel.u64(GENERATION).commit(generation.wrapping_add(1));
        self.channel.u64(ARRIVED).store(0, Ordering::Relaxed);
        latched.open_wide(&self.channel, Gate::First);
    }

    fn break_it(&self, latched: &Latched<'_>) {
        break_once(&self.channel);
        latched.open_wide(&self.channel, Gate::First);
    }
}

/// True: how many of a slot have arrived, and at which generation.
fn arrivals(channel: &Channel, slot: Slot) -> Word64<'_> {
    channel.u64(channel.shape().body_at() + u64::from(slot.word() - 1) * 8)
}

/// How many of a slot have arrived at that generation. What stands there of one that is over does not count.
const fn count_at(arrivals: u64, generation: u64) -> u64 {
    if arrivals >> COUNT_BITS == generation & (u64::MAX >> COUNT_BITS) {
        arrivals & ((1 << COUNT_BITS) - 1)
    } else {
        0
    }
}

fn failed(channel: &Channel, failure: u64) -> Word64<'_> {
    channel.u64(FAILED + failure % KEPT * 8)
}

/// It is broken when the last failure is that of the generation that is not over.
fn is_broken(channel: &Channel) -> bool {
    match channel.u64(FAILURES).load(Ordering::Acquire) {
        0 => false,
        failures => {
            let last = failed(channel, failures - 1).load(Ordering::Relaxed);
            last == channel.u64(GENERATION).load(Ordering::Relaxed)
        }
    }
}

/// The latch is held. Who comes so late that so many others have failed meanwhile is told that his has.
fn has_failed(channel: &Channel, generation: u64) -> bool {
    let failures = channel.u64(FAILURES).load(Ordering::Relaxed);
    let kept =
        (failures.saturating_sub(KEPT)..failures).map(|failure| failed(channel, failure).load(Ordering::Relaxed));
    let mut oldest = None;
    for of_it in kept {
        oldest = oldest.or(Some(of_it));
        if of_it == generation {
            return true;
        }
    }
    failures > KEPT && oldest.is_some_and(|oldest| generation < oldest)
}

/// Writes down that this generation has failed, if it has not yet.
fn break_once(channel: &Channel) {
    if !is_broken(channel) {
        let failures = channel.u64(FAILURES);
        let count = failures.load(Ordering::Relaxed);
        let generation = channel.u64(GENERATION).load(Ordering::Relaxed);
        failed(channel, count).store(generation, Ordering::Relaxed);
        failures.commit(count.wrapping_add(1));
    }
}

/// How many have arrived follows from the arrivals of the slots.
fn mend(channel: &Channel) -> Result<(), Error> {
    let generation = channel.u64(GENERATION).load(Ordering::Relaxed);
    let of_slots = channel
        .slots()
        .map(|slot| count_at(arrivals(channel, slot).load(Ordering::Relaxed), generation));
    let arrived: u64 = of_slots.sum();
    if arrived > channel.shape().first {
        return Err(channel.damaged());
    }
    channel.u64(ARRIVED).store(arrived, Ordering::Relaxed);
    Ok(())
}

/// Who has arrived and dies will not meet the others.
fn bury(channel: &Channel, slot: Slot, _: bool) -> Result<(), Error> {
    let arrivals = arrivals(channel, slot);
    let generation = channel.u64(GENERATION).load(Ordering::Relaxed);
    if count_at(arrivals.load(Ordering::Relaxed), generation) > 0 {
        break_once(channel);
    }
    arrivals.commit(0);
    mend(channel)
}

#[cfg(test)]
mod tests;
