//! A lock: one word, the slot of its owner.
//!
//! To acquire a free lock, and to release one nobody waits for, is one atomic exchange each; so is each of them done or
//! not done whenever its process is killed. Waiters sleep on the word (after Drepper, *Futexes Are Tricky*, with the owner in
//! the word instead of a 1). A waiter that has waited for some time makes the lock *fair*: from then on only those who have slept
//! get it, in the order in which they came to sleep, until one of them has it (the idea is that of Go's `sync.Mutex`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::channel::{Channel, Kind, Manner, Nap, OWN, Place, Rules, Shape, Slot, spins};
use crate::error::Error;
use crate::face::face;
use crate::futex;
use crate::life;
use crate::memory::Word32;
use crate::patience::{Deadline, Patience, has_passed};

const WORD: u64 = OWN;
/// Of a reentrant lock: how often the owner must release it besides once.
const DEPTH: u64 = OWN + 8;
/// Of a reentrant lock: the thread of the owner that has it; 0 while it is free, and when the owner is held for as a whole.
const THREAD: u64 = OWN + 12;

/// Somebody sleeps for it.
const CONTENDED: u32 = 1 << 31;
/// Its last owner died with it, and nobody has been told.
const ORPHANED: u32 = 1 << 30;
/// Only who has slept may take it.
const FAIR: u32 = 1 << 29;
/// The host waits for it.
const WATCHED: u32 = 1 << 28;
const OWNER: u32 = 0xffff;

/// How often a taken lock is looked at before sleeping.
const SPINS: u32 = 60;

/// How often who only tries yields to those who have slept, when the lock is free for them.
const YIELDS: u32 = 50;

/// Who has waited so long asks for fairness.
const UNFAIR_MAX: Duration = Duration::from_millis(1);

static RULES: Rules = Rules {
    kind: Kind::Lock,
    mend: |_| Ok(()),
    bury,
};

/// A lock between processes.
///
/// ```
/// use forkyard_ipc::{Lock, channel::Place};
///
/// let lock = Lock::create(&Place::Memory, false)?;
/// let guard = lock.acquire()?;
/// assert!(lock.try_acquire()?.is_none(), "it is not reentrant");
/// drop(guard);
/// assert!(lock.try_acquire()?.is_some());
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    channel: Arc<Channel>,
}

/// The lock is held; dropped, it is released.
#[derive(Debug)]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    orphaned: bool,
}

/// How an acquisition went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The holder before has died with it: what it guards may be half done.
    pub orphaned: bool,
}

face!(Lock);

impl Lock {
    /// Makes a lock. Reentrant: the thread that has it may acquire it again, and releases it as often.
    pub fn create(place: &Place<'_>, reentrant: bool) -> Result<Self, Error> {
        Self::make(place, reentrant, Shape::new(Kind::Lock))
    }

    /// The same with a shape that says more; its kind, and whether it is strict, are set here.
    pub fn make(place: &Place<'_>, reentrant: bool, shape: Shape) -> Result<Self, Error> {
        let shape = Shape {
            kind: Kind::Lock,
            strict: !reentrant,
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "other kinds refuse what is too small for them")]
    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        Ok(Self { channel })
    }

    /// The lock that another kind of channel has besides.
    pub(crate) const fn inside(channel: Arc<Channel>) -> Self {
        Self { channel }
    }

    /// Whether its owner may acquire it again.
    #[inline]
    #[must_use]
    pub fn is_reentrant(&self) -> bool {
        !self.channel.shape().strict
    }

    /// Who has it.
    #[must_use]
    pub fn owner(&self) -> Option<Slot> {
        let owner = self.word().load(Ordering::Acquire) & OWNER;
        // An owner that there cannot be is one that somebody has overwritten: who waits for him is told.
        self.channel.slot(owner).ok().flatten()
    }

    /// How often the caller has it: 0 when another process has it or, if it is reentrant, another thread.
    pub fn depth(&self) -> Result<u32, Error> {
        let me = self.channel.me()?;
        if self.owner() != Some(me) {
            return Ok(0);
        }
        Ok(match (self.is_reentrant(), self.is_thread_of_owner()) {
            (false, _) => 1,
            (true, true) => self.channel.u32(DEPTH).load(Ordering::Relaxed).saturating_add(1),
            (true, false) => 0,
        })
    }

    /// Whether an owner has died with it and nobody who acquired it since has been told.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.word().load(Ordering::Acquire) & ORPHANED != 0
    }

    #[inline]
    fn word(&self) -> Word32<'_> {
        self.channel.u32(WORD)
    }
}

/// Acquiring and releasing.
impl Lock {
    /// Waits for it.
    #[inline]
    pub fn acquire(&self) -> Result<LockGuard<'_>, Error> {
        loop {
            if let Some(guard) = self.guard(Patience::Block)? {
                return Ok(guard);
            }
        }
    }

    /// `None` when another has it.
    #[inline]
    pub fn try_acquire(&self) -> Result<Option<LockGuard<'_>>, Error> {
        self.guard(Patience::Try)
    }

    /// `None` when another has had it all the time.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<LockGuard<'_>>, Error> {
        self.guard(Patience::For(time))
    }

    #[inline]
    fn guard(&self, patience: Patience) -> Result<Option<LockGuard<'_>>, Error> {
        let granted = self.acquire_as(self.channel.me()?, patience)?;
        Ok(granted.map(|Granted { orphaned }| LockGuard { lock: self, orphaned }))
    }

    /// Acquires it without a guard; `None` when in vain.
    #[inline]
    pub fn acquire_raw(&self, patience: Patience) -> Result<Option<Granted>, Error> {
        self.acquire_as(self.channel.me()?, patience)
    }

    /// The same for a slot that this process speaks for.
    ///
    /// A host does not wait: it gets `None`, and is rung when it may try again.
    #[inline]
    pub fn acquire_as(&self, me: Slot, patience: Patience) -> Result<Option<Granted>, Error> {
        match self.word().exchange(0, me.word()) {
            Ok(_) => {
                self.note_thread();
                Ok(Some(Granted { orphaned: false }))
            }
            Err(_) => self.acquire_slowly(me, patience),
        }
    }

    /// The slot has it now: so has this thread.
    #[inline]
    fn note_thread(&self) {
        if self.is_reentrant() {
            self.channel.u32(THREAD).store(self.thread(), Ordering::Relaxed);
        }
    }

    /// Acquires it if that takes one exchange; false when another way must be gone.
    #[inline]
    #[must_use]
    pub fn acquire_at_once(&self) -> bool {
        match self.channel.me_at_once() {
            Some(me) if self.word().exchange(0, me.word()).is_ok() => {
                self.note_thread();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Releases it if that takes one exchange; false when another way must be gone.
    #[inline]
    #[must_use]
    pub fn release_at_once(&self) -> bool {
        let exchange = |me: Slot| self.word().exchange(me.word(), 0).is_ok();
        self.channel.shape().strict && self.channel.me_at_once().is_some_and(exchange)
    }

    /// How this thread is named in the word. A host holds for others as a whole.
    fn thread(&self) -> u32 {
        match self.channel.manner() {
            Manner::Client => life::thread(),
            Manner::Host => 0,
        }
    }

    /// Asked when this process has it. Another thread of it may be about to change the word, but never to our name.
    fn is_thread_of_owner(&self) -> bool {
        self.channel.u32(THREAD).load(Ordering::Relaxed) == self.thread()
    }

    #[cold]
    fn acquire_slowly(&self, me: Slot, patience: Patience) -> Result<Option<Granted>, Error> {
        if self.is_reentrant() && self.word().load(Ordering::Acquire) & OWNER == me.word() && self.is_thread_of_owner()
        {
            self.channel.u32(DEPTH).add(1);
            return Ok(Some(Granted { orphaned: false }));
        }
        if patience != Patience::Try {
            for _ in 0..spins(SPINS) {
                std::hint::spin_loop();
                if self.word().load(Ordering::Relaxed) == 0 {
                    break;
                }
            }
        }
        let taken = self.take_free(me, 0, false).map(Ok).or_else(|| {
            let outcome = match (self.channel.manner(), patience) {
                (Manner::Host, _) => Ok(self.take_or_watch(me)),
                (Manner::Client, Patience::Try) => self.try_after_sleepers(me),
                (Manner::Client, Patience::Block | Patience::For(_)) => {
                    let outcome = self.acquire_asleep(me, Deadline::of(patience));
                    if !matches!(outcome, Ok(Some(_))) {
                        // Whoever still waits asks for it again; nobody else may be kept out for our sake.
                        self.word().clear_bits(FAIR);
                    }
                    outcome
                }
            };
            outcome.transpose()
        });
        if let Some(Ok(_)) = taken {
            self.note_thread();
        }
        taken.transpose()
    }

    /// Takes it if nobody has it; `None` otherwise.
    fn take_free(&self, me: Slot, keep: u32, has_slept: bool) -> Option<Granted> {
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER != 0 || word & FAIR != 0 && !has_slept {
                return None;
            }
            let taken = me.word() | keep | word & (CONTENDED | WATCHED);
            if self.word().exchange(word, taken).is_ok() {
                let orphaned = word & ORPHANED != 0;
                return Some(Granted { orphaned });
            }
        }
    }

    /// For a host, which does not wait: it is rung when the lock is free.
    fn take_or_watch(&self, me: Slot) -> Option<Granted> {
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER == 0 {
                if let Some(granted) = self.take_free(me, 0, true) {
                    return Some(granted);
                }
            } else if self.word().exchange(word, word | WATCHED | FAIR).is_ok() {
                return None;
            }
        }
    }

    /// For who only tries. A free lock that is kept for those who have slept goes to them if they come soon; they may
    /// have died or been stopped. Nobody else looks after a dead owner if all only try.
    fn try_after_sleepers(&self, me: Slot) -> Result<Option<Granted>, Error> {
        let mut yields = 0;
        loop {
            let owner = self.word().load(Ordering::Acquire) & OWNER;
            if owner != 0 && (self.channel.shape().hosted || owner == me.word() || !self.look_after(owner)?) {
                return Ok(None);
            }
            if let Some(granted) = self.take_free(me, 0, yields == YIELDS) {
                return Ok(Some(granted));
            }
            if yields < YIELDS {
                yields += 1;
                std::thread::yield_now();
            }
        }
    }

    fn acquire_asleep(&self, me: Slot, deadline: Deadline) -> Result<Option<Granted>, Error> {
        let began = Instant::now();
        let mut rounds = 0;
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER == 0 && (word & FAIR == 0 || rounds > 0) {
                if let Some(granted) = self.take_free(me, CONTENDED, rounds > 0) {
                    return Ok(Some(granted));
                }
                continue;
            }
            let fair = if has_passed(began, UNFAIR_MAX) { FAIR } else { 0 };
            let announced = word | CONTENDED | fair;
            if announced != word && self.word().exchange(word, announced).is_err() {
                continue;
            }
            rounds += 1;
            // A free lock is kept for those who have slept, which we have after this: not for long.
            let slice = if word & OWNER == 0 {
                UNFAIR_MAX
            } else {
                self.channel.slice(true, rounds)
            };
            match self.channel.sleep(self.word(), announced, deadline, slice)? {
                Nap::Woken => {}
                Nap::Sliced => {
                    if !self.channel.shape().hosted {
                        self.look_after(word & OWNER)?;
                    }
                }
                Nap::Over => return Ok(None),
            }
        }
    }

    /// Whether the owner has died; the lock has been freed then.
    fn look_after(&self, owner: u32) -> Result<bool, Error> {
        match self.channel.slot(owner)? {
            Some(owner) if self.channel.has_died(owner) => {
                self.channel.bury(owner)?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Releases it.
    ///
    /// # Errors
    /// `NotHeld` when this process has not acquired it or, if it is reentrant, this thread.
    #[inline]
    pub fn release(&self) -> Result<(), Error> {
        self.release_as(self.channel.me()?)
    }

    /// The same for a slot that this process speaks for.
    #[inline]
    pub fn release_as(&self, me: Slot) -> Result<(), Error> {
        if self.channel.shape().strict && self.word().exchange(me.word(), 0).is_ok() {
            return Ok(());
        }
        self.release_slowly(me)
    }

    #[cold]
    fn release_slowly(&self, me: Slot) -> Result<(), Error> {
        if self.word().load(Ordering::Acquire) & OWNER != me.word() {
            return Err(Error::NotHeld);
        }
        if self.is_reentrant() {
            if !self.is_thread_of_owner() {
                return Err(Error::NotHeld);
            }
            let depth = self.channel.u32(DEPTH);
            if depth.load(Ordering::Relaxed) > 0 {
                depth.add(u32::MAX);
                return Ok(());
            }
        }
        self.free(me);
        Ok(())
    }

    /// Releases it for whoever has it, as `multiprocessing` allows; a reentrant one only for the caller.
    ///
    /// # Errors
    /// `NotHeld` when nobody has it or, if it is reentrant, another thread.
    pub fn release_any(&self) -> Result<(), Error> {
        if self.is_reentrant() {
            return self.release();
        }
        self.free(self.owner().ok_or(Error::NotHeld)?);
        Ok(())
    }

    /// Gives it up whole, however often it was acquired: how often, to be given to [`resume`](Self::resume).
    pub(crate) fn give_up(&self) -> Result<u32, Error> {
        let me = self.channel.me()?;
        let depth = self.depth()?.checked_sub(1).ok_or(Error::NotHeld)?;
        if self.is_reentrant() {
            self.channel.u32(DEPTH).store(0, Ordering::Relaxed);
        }
        self.free(me);
        Ok(depth)
    }

    /// Has it again as before. That an owner has died meanwhile is not told here but to the next one.
    pub(crate) fn resume(&self, depth: u32) -> Result<(), Error> {
        let me = self.channel.me()?;
        let orphaned = loop {
            match self.acquire_as(me, Patience::Block) {
                Ok(Some(granted)) => break granted.orphaned,
                // Whoever waits at a condition has the lock afterwards, whatever signals come.
                Ok(None) | Err(Error::Interrupted) => {}
                Err(error) => return Err(error),
            }
        };
        if orphaned {
            self.word().set_bits(ORPHANED);
        }
        if depth > 0 {
            self.channel.u32(DEPTH).store(depth, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes it free if the slot still has it, and wakes the next.
    fn free(&self, owner: Slot) {
        if self.is_reentrant() {
            // Before it is free, since the next owner may be another thread of ours.
            self.channel.u32(THREAD).store(0, Ordering::Relaxed);
        }
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER != owner.word() {
                return;
            }
            // Who sleeps must find a word that bars the others when it is to be fair.
            let left = word & (FAIR | ORPHANED) | if word & FAIR != 0 { word & CONTENDED } else { 0 };
            if self.word().exchange(word, left).is_err() {
                continue;
            }
            if word & CONTENDED != 0 {
                futex::wake(self.word(), 1);
            }
            if word & WATCHED != 0 {
                self.channel.ring();
            }
            return;
        }
    }
}

/// The owner's word is the one thing it can leave behind. All who sleep are woken: the dead one may have been woken in their
/// stead, or have been about to wake one. Nobody is kept out any more, since it may have been the dead one who asked for that.
pub(crate) fn bury(channel: &Channel, slot: Slot, orphaned: bool) -> Result<(), Error> {
    let word = channel.u32(WORD);
    loop {
        let seen = word.load(Ordering::Acquire);
        let left = if seen & OWNER == slot.word() {
            // Nobody else changes these as long as the word is the dead one's.
            channel.u32(DEPTH).store(0, Ordering::Relaxed);
            channel.u32(THREAD).store(0, Ordering::Relaxed);
            if orphaned { ORPHANED } else { seen & ORPHANED }
        } else {
            seen & !FAIR
        };
        if word.exchange(seen, left).is_ok() {
            futex::wake(word, i32::MAX);
            if seen & WATCHED != 0 && left & OWNER == 0 {
                channel.ring();
            }
            return Ok(());
        }
    }
}

impl LockGuard<'_> {
    /// The holder before has died with the lock: what it guards may be half done.
    #[must_use]
    pub fn orphaned(&self) -> bool {
        self.orphaned
    }
}

impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Released by other means already, there is nothing left to do.
        let _ = self.lock.release();
    }
}

#[cfg(test)]
mod tests;
