//! A semaphore: so many permits, and who holds how many.
//!
//! True is what each slot holds, in the body, and how many permits have been added to those at first. How many are free
//! follows. All zeros is a semaphore that nobody has used.
//!
//! Who waits for many permits would be overtaken for ever by those who want few. So who has waited for some time leaves a *claim*:
//! others get only what is free beyond it. A claim lapses when its owner does not come to renew it, for he may have been stopped.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::channel::{Attempt, Channel, Gate, Kind, Latched, Manner, OWN, Place, Rules, Shape, Slot};
use crate::error::Error;
use crate::face::face;
use crate::life;
use crate::lock::Granted;
use crate::memory::{PAGE, Word32};
use crate::patience::{Deadline, Patience, clock};

/// True: how many permits there are beyond those at first.
const RAISED: u64 = OWN;
/// Follows: the sum of those held.
const TAKEN: u64 = OWN + 4;
/// A holder has died, and nobody has been told.
const ORPHANED: u64 = OWN + 8;
/// Who may sleep.
const CROWD: u64 = OWN + 12;
/// Whose claim it is: the slot, and in the high half the thread. 0 is nobody's.
const CLAIM: u64 = OWN + 16;
/// How many permits are claimed.
const CLAIMED: u64 = OWN + 24;
/// Until when, by the clock.
const LEASE: u64 = OWN + 32;

/// In `CROWD`: nobody.
const NOBODY: u32 = 0;
/// Some, each for one permit.
const MODEST: u32 = 1;
/// Some, of whom one wants more.
const MANY: u32 = 2;

/// How often it is looked at before sleeping.
const SPINS: u32 = 60;

/// Who has waited so long claims what is free.
const UNCLAIMED_MAX: Duration = Duration::from_millis(1);

/// How long a claim holds unless it is renewed, in nanoseconds: longer than anybody sleeps without looking.
const LEASE_NS: u64 = 600_000_000;

static RULES: Rules = Rules {
    kind: Kind::Semaphore,
    mend,
    bury,
};

/// A semaphore between processes.
///
/// ```
/// use forkyard_ipc::{Semaphore, channel::Place};
///
/// let seats = Semaphore::create(&Place::Memory, 2, true)?;
/// let seat = seats.acquire(1)?;
/// assert_eq!(seats.free(), 1);
/// assert!(seats.try_acquire(2)?.is_none());
/// drop(seat);
/// assert!(seats.try_acquire(2)?.is_some());
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    channel: Arc<Channel>,
}

/// Some permits are held; dropped, they are released.
#[derive(Debug)]
pub struct SemaphoreGuard<'a> {
    semaphore: &'a Semaphore,
    permits: u32,
    orphaned: bool,
}

face!(Semaphore);

impl Semaphore {
    /// Makes a semaphore of so many permits. Bounded: it never has more; otherwise
    /// [`release_any`](Self::release_any) may add some.
    pub fn create(place: &Place<'_>, permits: u32, bounded: bool) -> Result<Self, Error> {
        Self::make(place, permits, bounded, Shape::new(Kind::Semaphore))
    }

    /// The same with a shape that says more; what is said here is set here.
    pub fn make(place: &Place<'_>, permits: u32, bounded: bool, shape: Shape) -> Result<Self, Error> {
        let shape = Shape {
            kind: Kind::Semaphore,
            strict: bounded,
            first: u64::from(permits),
            body: (u64::from(shape.slots) * 4).next_multiple_of(PAGE),
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        let shape = channel.shape();
        if shape.body < u64::from(shape.slots) * 4 || shape.first > u64::from(u32::MAX) {
            return Err(channel.damaged());
        }
        Ok(Self { channel })
    }

    /// How many permits there are, held or free.
    pub fn permits(&self) -> u32 {
        permits(&self.channel)
    }

    /// How many permits are free now.
    pub fn free(&self) -> u32 {
        self.permits()
            .saturating_sub(self.channel.u32(TAKEN).load(Ordering::Acquire))
    }

    /// Who holds how many.
    pub fn holders(&self) -> Vec<(Slot, u32)> {
        let held = |slot| (slot, held(&self.channel, slot).load(Ordering::Acquire));
        self.channel.slots().map(held).filter(|(_, held)| *held > 0).collect()
    }

    fn is_bounded(&self) -> bool {
        self.channel.shape().strict
    }
}

/// Acquiring.
impl Semaphore {
    /// Waits for so many permits, which it gets at once, never one by one.
    ///
    /// # Errors
    /// `TooMany` when there will never be so many.
    pub fn acquire(&self, permits: u32) -> Result<SemaphoreGuard<'_>, Error> {
        loop {
            if let Some(guard) = self.guard(permits, Patience::Block)? {
                return Ok(guard);
            }
        }
    }

    /// `None` when they are not free.
    pub fn try_acquire(&self, permits: u32) -> Result<Option<SemaphoreGuard<'_>>, Error> {
        self.guard(permits, Patience::Try)
    }

    /// `None` when they have not been free in this time.
    pub fn acquire_timeout(&self, permits: u32, time: Duration) -> Result<Option<SemaphoreGuard<'_>>, Error> {
        self.guard(permits, Patience::For(time))
    }

    fn guard(&self, permits: u32, patience: Patience) -> Result<Option<SemaphoreGuard<'_>>, Error> {
        let granted = self.acquire_raw(permits, patience)?;
        Ok(granted.map(|Granted { orphaned }| SemaphoreGuard {
            semaphore: self,
            permits,
            orphaned,
        }))
    }

    /// Acquires them without a guard; `None` when in vain.
    pub fn acquire_raw(&self, permits: u32, patience: Patience) -> Result<Option<Granted>, Error> {
        self.acquire_as(self.channel.me()?, permits, patience)
    }

    /// The same for a slot that this process speaks for.
    ///
    /// A host does not wait: it gets `None`, and is rung when it may try again. With more patience than `Try` it also claims what it
    /// wants, and should [`withdraw_as`](Self::withdraw_as) when it wants it no longer.
    pub fn acquire_as(&self, me: Slot, permits: u32, patience: Patience) -> Result<Option<Granted>, Error> {
        if permits == 0 {
            return Err(Error::Nonsense("at least one permit must be acquired"));
        }
        let latched = self.channel.latch()?;
        if self.channel.u64(CLAIM).load(Ordering::Relaxed) == 0 && permits <= self.free() {
            return Ok(Some(self.grant(&latched, me, permits)));
        }
        drop(latched);
        self.acquire_slowly(me, permits, patience)
    }

    #[cold]
    fn acquire_slowly(&self, me: Slot, permits: u32, patience: Patience) -> Result<Option<Granted>, Error> {
        if self.is_bounded() && permits > self.permits() {
            return Err(Error::TooMany {
                permits: self.permits(),
            });
        }
        let claim = self.claim_of(me);
        let began = Cell::new(None);
        let attempt = |latched: &Latched<'_>| {
            if permits <= self.free_to(claim) {
                let granted = self.grant(latched, me, permits);
                self.after_waiting(latched, claim);
                return Ok(Attempt::Done(granted));
            }
            let since = began.get().unwrap_or_else(Instant::now);
            began.set(Some(since));
            if patience != Patience::Try {
                self.join_crowd(permits, claim, since);
            }
            let on_somebody = self.channel.u32(TAKEN).load(Ordering::Relaxed) > 0;
            Ok(Attempt::Wait { on_somebody })
        };
        let soon = || permits <= self.free_to(claim);
        let deadline = Deadline::of(patience);
        let outcome = self.channel.wait_at(Gate::First, deadline, SPINS, soon, attempt);
        if !matches!(outcome, Ok(Some(_))) && self.channel.manner() == Manner::Client {
            self.withdraw(claim)?;
        }
        outcome
    }

    /// The latch is held, and they are free.
    fn grant(&self, _: &Latched<'_>, me: Slot, permits: u32) -> Granted {
        let held = held(&self.channel, me);
        held.commit(held.load(Ordering::Relaxed).wrapping_add(permits));
        add(self.channel.u32(TAKEN), permits);
        // Only now: should we be killed before, our burial says so again.
        let orphaned = self.channel.u32(ORPHANED);
        let told = orphaned.load(Ordering::Relaxed) != 0;
        if told {
            orphaned.store(0, Ordering::Relaxed);
        }
        Granted { orphaned: told }
    }

    /// Who has waited and gets in sees to the others: what he claimed is free for them now, and what he was woken for may be more
    /// than he took.
    fn after_waiting(&self, latched: &Latched<'_>, claim: u64) {
        let claims = self.channel.u64(CLAIM);
        let claimed = claims.load(Ordering::Relaxed) == claim;
        if claimed {
            claims.store(0, Ordering::Relaxed);
        }
        let free = self.free();
        if free > 0 && claimed {
            self.let_all_in(latched);
        } else if free > 0 {
            self.let_in(latched, 1);
        }
    }

    /// Before sleeping.
    fn join_crowd(&self, permits: u32, claim: u64, since: Instant) {
        let crowd = self.channel.u32(CROWD);
        let kind = if permits > 1 { MANY } else { MODEST };
        crowd.store(crowd.load(Ordering::Relaxed).max(kind), Ordering::Relaxed);
        let claims = self.channel.u64(CLAIM);
        let patient = self.channel.manner() == Manner::Host || since.elapsed() >= UNCLAIMED_MAX;
        let holds = claims.load(Ordering::Relaxed) == claim;
        if holds || patient && self.claimed_by_others(claim) == 0 {
            // Nobody's as long as its words change.
            claims.store(0, Ordering::Relaxed);
            self.channel.u32(CLAIMED).store(permits, Ordering::Relaxed);
            self.channel.u64(LEASE).store(clock() + LEASE_NS, Ordering::Relaxed);
            claims.store(claim, Ordering::Release);
        }
    }

    /// What is free for somebody who may have a claim.
    fn free_to(&self, claim: u64) -> u32 {
        self.free().saturating_sub(self.claimed_by_others(claim))
    }

    fn claimed_by_others(&self, claim: u64) -> u32 {
        let owner = self.channel.u64(CLAIM).load(Ordering::Relaxed);
        if owner == 0 || owner == claim {
            return 0;
        }
        let left = self.channel.u64(LEASE).load(Ordering::Relaxed).wrapping_sub(clock());
        // The clock of another time namespace may be far from ours: such a claim has lapsed.
        if left > LEASE_NS {
            return 0;
        }
        self.channel.u32(CLAIMED).load(Ordering::Relaxed)
    }

    /// The name under which somebody claims: one thread of one process, or all of the slot that a host speaks for.
    fn claim_of(&self, me: Slot) -> u64 {
        let thread = match self.channel.manner() {
            Manner::Client => life::thread(),
            Manner::Host => 0,
        };
        u64::from(thread) << 32 | u64::from(me.word())
    }

    /// A host no longer wants what it tried to acquire for a slot.
    pub fn withdraw_as(&self, slot: Slot) -> Result<(), Error> {
        self.withdraw(self.claim_of(slot))
    }

    fn withdraw(&self, claim: u64) -> Result<(), Error> {
        if self.channel.u64(CLAIM).load(Ordering::Acquire) != claim {
            return Ok(());
        }
        let latched = self.channel.latch()?;
        let claims = self.channel.u64(CLAIM);
        if claims.load(Ordering::Relaxed) == claim {
            claims.store(0, Ordering::Relaxed);
            self.let_all_in(&latched);
        }
        Ok(())
    }

    /// So many permits have come for those who wait.
    fn let_in(&self, latched: &Latched<'_>, permits: u32) {
        let crowd = self.channel.u32(CROWD).load(Ordering::Relaxed);
        let claimed = self.channel.u64(CLAIM).load(Ordering::Relaxed) != 0;
        // One waiter is enough if any will do.
        if crowd == NOBODY || crowd == MODEST && permits == 1 && !claimed {
            latched.open(&self.channel, Gate::First);
        } else {
            self.let_all_in(latched);
        }
    }

    fn let_all_in(&self, latched: &Latched<'_>) {
        self.channel.u32(CROWD).store(NOBODY, Ordering::Relaxed);
        latched.open_wide(&self.channel, Gate::First);
    }
}

/// Releasing.
impl Semaphore {
    /// Releases so many of the permits that this process holds.
    ///
    /// # Errors
    /// `NotHeld` when it holds fewer.
    pub fn release_raw(&self, permits: u32) -> Result<(), Error> {
        self.release_as(self.channel.me()?, permits)
    }

    /// The same for a slot that this process speaks for.
    pub fn release_as(&self, me: Slot, permits: u32) -> Result<(), Error> {
        let latched = self.channel.latch()?;
        if held(&self.channel, me).load(Ordering::Relaxed) < permits {
            return Err(Error::NotHeld);
        }
        self.take_from(me, permits);
        self.let_in(&latched, permits);
        Ok(())
    }

    /// Releases so many permits whoever holds them, this process first, as `multiprocessing` allows. If all are free, there are more
    /// from now on.
    ///
    /// # Errors
    /// `NotHeld` when fewer are held and the semaphore is bounded.
    pub fn release_any(&self, permits: u32) -> Result<(), Error> {
        let me = self.channel.me()?;
        let latched = self.channel.latch()?;
        let taken = self.channel.u32(TAKEN).load(Ordering::Relaxed);
        let more = permits.saturating_sub(taken);
        if self.is_bounded() && more > 0 {
            return Err(Error::NotHeld);
        }
        if self.permits().checked_add(more).is_none() {
            return Err(Error::Nonsense("a semaphore has 4294967295 permits at most"));
        }
        let mut left = permits - more;
        for slot in std::iter::once(me).chain(self.channel.slots()) {
            let some = held(&self.channel, slot).load(Ordering::Relaxed).min(left);
            if some > 0 {
                self.take_from(slot, some);
                left -= some;
            }
            if left == 0 {
                break;
            }
        }
        if more > 0 {
            let raised = self.channel.u32(RAISED);
            raised.commit(raised.load(Ordering::Relaxed) + more);
        }
        self.let_in(&latched, permits);
        Ok(())
    }

    fn take_from(&self, slot: Slot, permits: u32) {
        let held = held(&self.channel, slot);
        held.commit(held.load(Ordering::Relaxed) - permits);
        add(self.channel.u32(TAKEN), permits.wrapping_neg());
    }
}

/// Adds to a word that the latch guards.
fn add(word: Word32<'_>, value: u32) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
}

/// True: what a slot holds.
fn held(channel: &Channel, slot: Slot) -> Word32<'_> {
    channel.u32(channel.shape().body_at() + u64::from(slot.word() - 1) * 4)
}

fn permits(channel: &Channel) -> u32 {
    let first = u32::try_from(channel.shape().first).unwrap_or(u32::MAX);
    first.saturating_add(channel.u32(RAISED).load(Ordering::Acquire))
}

/// What is taken follows from what the slots hold.
fn mend(channel: &Channel) -> Result<(), Error> {
    let taken: u64 = channel
        .slots()
        .map(|slot| u64::from(held(channel, slot).load(Ordering::Relaxed)))
        .sum();
    match u32::try_from(taken) {
        Ok(taken) if taken <= permits(channel) => {
            channel.u32(TAKEN).store(taken, Ordering::Relaxed);
            Ok(())
        }
        Ok(_) | Err(_) => Err(channel.damaged()),
    }
}

fn bury(channel: &Channel, slot: Slot, orphaned: bool) -> Result<(), Error> {
    let held = held(channel, slot);
    if held.load(Ordering::Relaxed) > 0 {
        if orphaned {
            channel.u32(ORPHANED).store(1, Ordering::Relaxed);
        }
        held.commit(0);
    }
    let claims = channel.u64(CLAIM);
    if claims.load(Ordering::Relaxed) & 0xffff_ffff == u64::from(slot.word()) {
        claims.store(0, Ordering::Relaxed);
    }
    mend(channel)
}

impl SemaphoreGuard<'_> {
    /// A holder has died with its permits, and nobody was told before: what they guard may be half done.
    pub fn orphaned(&self) -> bool {
        self.orphaned
    }
}

impl Drop for SemaphoreGuard<'_> {
    fn drop(&mut self) {
        // Released by other means already, there is nothing left to do.
        let _ = self.semaphore.release_raw(self.permits);
    }
}

#[cfg(test)]
mod tests;
