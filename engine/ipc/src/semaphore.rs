//! A semaphore: so many permits, and who holds how many.
//!
//! The first few permits are *tokens*: a word each, with the slot of its holder, which is taken and given back by one exchange like
//! a lock. The others, the *bulk*, are counted: true is how many of them each slot holds, in the body, and how many were added to
//! those at first; how many are free follows. All zeros is a semaphore that nobody has used.
//!
//! Who waits for many permits would be overtaken for ever by those who want few. So who has waited for some time leaves a *claim*:
//! others get only what is free beyond it. A claim lapses when its owner does not come to renew it, for he may have been stopped.

mod tokens;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use crate::channel::{Attempt, Channel, Gate, Kind, Latched, Manner, OWN, Place, Rules, Shape, Slot, pause, spins};
use crate::error::Error;
use crate::face::face;
use crate::life;
use crate::lock::Granted;
use crate::memory::{PAGE, Word32};
use crate::patience::{Deadline, Patience, clock, has_passed};

/// True: how many permits there are beyond those at first.
const RAISED: u64 = OWN;
/// Follows: the sum of those of the bulk that are held.
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
const SPINS: u32 = 8;

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
    #[must_use]
    pub fn permits(&self) -> u32 {
        permits(&self.channel)
    }

    /// How many permits are free now.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.bulk_free() + tokens::count(&self.channel, None)
    }

    /// How many of the bulk are free.
    fn bulk_free(&self) -> u32 {
        let bulk = self.permits() - tokens::total(&self.channel);
        bulk.saturating_sub(self.channel.u32(TAKEN).load(Ordering::Acquire))
    }

    /// How many a slot holds.
    fn held_by(&self, slot: Slot) -> u32 {
        let of_bulk = held(&self.channel, slot).load(Ordering::Acquire);
        of_bulk.saturating_add(tokens::count(&self.channel, Some(slot)))
    }

    /// Who holds how many.
    #[must_use]
    pub fn holders(&self) -> Vec<(Slot, u32)> {
        let held = |slot| (slot, self.held_by(slot));
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
        if permits == 1 && self.channel.u64(CLAIM).load(Ordering::Relaxed) == 0 && tokens::take(&self.channel, me) {
            return Ok(Some(self.told()));
        }
        self.acquire_slowly(me, permits, patience)
    }

    #[cold]
    fn acquire_slowly(&self, me: Slot, permits: u32, patience: Patience) -> Result<Option<Granted>, Error> {
        if self.is_bounded() && permits > self.permits() {
            return Err(Error::TooMany {
                permits: self.permits(),
            });
        }
        if permits == 1 && patience != Patience::Try && self.take_soon(me) {
            return Ok(Some(self.told()));
        }
        let claim = self.claim_of(me);
        let began = Cell::new(None);
        let attempt = |latched: &Latched<'_>| {
            if self.grant(latched, me, permits, claim) {
                self.after_waiting(latched, claim, began.get().is_some());
                return Ok(Attempt::Done(self.told()));
            }
            let since = began.get().unwrap_or_else(Instant::now);
            began.set(Some(since));
            self.join_crowd(permits, claim, since, patience);
            // Who gives back a token without the latch looks for a crowd afterwards; so we look for tokens after joining it.
            fence(Ordering::SeqCst);
            if self.grant(latched, me, permits, claim) {
                self.after_waiting(latched, claim, true);
                return Ok(Attempt::Done(self.told()));
            }
            let on_somebody = self.free() < self.permits();
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

    /// Looks for a token some times, without the latch.
    fn take_soon(&self, me: Slot) -> bool {
        (0..spins(SPINS)).any(|round| {
            pause(round);
            self.channel.u64(CLAIM).load(Ordering::Relaxed) == 0 && tokens::take(&self.channel, me)
        })
    }

    /// Takes so many permits if they are free to us.
    fn grant(&self, _: &Latched<'_>, me: Slot, permits: u32, claim: u64) -> bool {
        if permits > self.free_to(claim) {
            return false;
        }
        let of_bulk = permits.min(self.bulk_free());
        for taken in 0..permits - of_bulk {
            // Others take tokens without the latch.
            if !tokens::take(&self.channel, me) {
                tokens::give_back(&self.channel, me, taken);
                return false;
            }
        }
        if of_bulk > 0 {
            let held = held(&self.channel, me);
            held.commit(held.load(Ordering::Relaxed).wrapping_add(of_bulk));
            add(self.channel.u32(TAKEN), of_bulk);
        }
        true
    }

    /// Who has permits now is told of a death. Only now: should we be killed before, our burial says so again.
    fn told(&self) -> Granted {
        let word = self.channel.u32(ORPHANED);
        let orphaned = word.load(Ordering::Acquire) != 0 && word.exchange(1, 0).is_ok();
        Granted { orphaned }
    }

    /// Who gets in sees to the others: if he has waited, some may still sleep of whom nobody knows; what he claimed is free
    /// for them now; and what he was woken for may be more than he took.
    fn after_waiting(&self, latched: &Latched<'_>, claim: u64, has_waited: bool) {
        if has_waited {
            let crowd = self.channel.u32(CROWD);
            crowd.store(crowd.load(Ordering::Relaxed).max(MODEST), Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
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

    /// Before sleeping, or leaving a wish.
    fn join_crowd(&self, permits: u32, claim: u64, since: Instant, patience: Patience) {
        let is_host = self.channel.manner() == Manner::Host;
        if patience == Patience::Try && !is_host {
            return;
        }
        let crowd = self.channel.u32(CROWD);
        let kind = if permits > 1 { MANY } else { MODEST };
        crowd.store(crowd.load(Ordering::Relaxed).max(kind), Ordering::Relaxed);
        if patience == Patience::Try {
            return;
        }
        let claims = self.channel.u64(CLAIM);
        let patient = is_host || has_passed(since, UNCLAIMED_MAX);
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
        let crowd = self.channel.u32(CROWD);
        let claimed = self.channel.u64(CLAIM).load(Ordering::Relaxed) != 0;
        match crowd.load(Ordering::Relaxed) {
            NOBODY if !claimed => {}
            // Any one will do. He says so if there may be others.
            MODEST if permits == 1 && !claimed => {
                crowd.store(NOBODY, Ordering::Relaxed);
                latched.open(&self.channel, Gate::First);
            }
            NOBODY.. => self.let_all_in(latched),
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
        if permits == 1 && tokens::give_back(&self.channel, me, 1) == 1 {
            return self.see_to_crowd();
        }
        let latched = self.channel.latch()?;
        if self.held_by(me) < permits {
            return Err(Error::NotHeld);
        }
        self.take_from(me, permits);
        self.let_in(&latched, permits);
        Ok(())
    }

    /// A token has come back without the latch, which it takes only when somebody waits.
    #[inline]
    fn see_to_crowd(&self) -> Result<(), Error> {
        fence(Ordering::SeqCst);
        if self.channel.u32(CROWD).load(Ordering::Relaxed) != NOBODY
            || self.channel.u64(CLAIM).load(Ordering::Relaxed) != 0
        {
            let latched = self.channel.latch()?;
            self.let_in(&latched, 1);
        }
        Ok(())
    }

    /// Releases so many permits whoever holds them, this process first, as `multiprocessing` allows. If all are free, there are more
    /// from now on.
    ///
    /// # Errors
    /// `NotHeld` when fewer are held and the semaphore is bounded.
    pub fn release_any(&self, permits: u32) -> Result<(), Error> {
        let me = self.channel.me()?;
        if permits == 1 && tokens::give_back(&self.channel, me, 1) == 1 {
            return self.see_to_crowd();
        }
        let latched = self.channel.latch()?;
        let more = permits.saturating_sub(self.permits() - self.free());
        if self.is_bounded() && more > 0 {
            return Err(Error::NotHeld);
        }
        if self.permits().checked_add(more).is_none() {
            return Err(Error::Nonsense("a semaphore has 4294967295 permits at most"));
        }
        let mut left = permits - more;
        left -= self.take_from(me, left);
        for slot in self.channel.slots() {
            if left == 0 {
                break;
            }
            left -= self.take_from(slot, left);
        }
        // Who gave a token back meanwhile has left us nothing to release.
        let more = if self.is_bounded() {
            more
        } else {
            more.saturating_add(left)
        };
        if more > 0 {
            let raised = self.channel.u32(RAISED);
            raised.commit(raised.load(Ordering::Relaxed).saturating_add(more));
        }
        self.let_in(&latched, permits);
        Ok(())
    }

    /// Takes as many of a slot's permits from it, if it holds them: how many. The latch is held.
    fn take_from(&self, slot: Slot, permits: u32) -> u32 {
        let given = tokens::give_back(&self.channel, slot, permits);
        let held = held(&self.channel, slot);
        let before = held.load(Ordering::Relaxed);
        let of_bulk = before.min(permits - given);
        if of_bulk > 0 {
            held.commit(before - of_bulk);
            add(self.channel.u32(TAKEN), of_bulk.wrapping_neg());
        }
        given + of_bulk
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
        Ok(taken) if taken <= permits(channel) - tokens::total(channel) => {
            channel.u32(TAKEN).store(taken, Ordering::Relaxed);
            Ok(())
        }
        Ok(_) | Err(_) => Err(channel.damaged()),
    }
}

fn bury(channel: &Channel, slot: Slot, orphaned: bool) -> Result<(), Error> {
    let held = held(channel, slot);
    let tokens = tokens::count(channel, Some(slot));
    if orphaned && (held.load(Ordering::Relaxed) > 0 || tokens > 0) {
        channel.u32(ORPHANED).store(1, Ordering::Release);
    }
    held.commit(0);
    tokens::give_back(channel, slot, tokens);
    let claims = channel.u64(CLAIM);
    if claims.load(Ordering::Relaxed) & 0xffff_ffff == u64::from(slot.word()) {
        claims.store(0, Ordering::Relaxed);
    }
    mend(channel)
}

impl SemaphoreGuard<'_> {
    /// A holder has died with its permits, and nobody was told before: what they guard may be half done.
    #[must_use]
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
