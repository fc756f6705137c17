//! A lock: one word, the slot of its owner.
//!
//! To acquire a free lock, and to release one nobody waits for, is one atomic exchange each; so is each of them done or
//! not done whenever its process is killed. Waiters sleep on the word (after Drepper, *Futexes Are Tricky*, with the owner in
//! the word instead of a 1). A waiter that has waited for some time makes the lock *fair*: from then on only those who have slept
//! get it, in the order in which they came to sleep, until one of them has it (the idea is that of Go's `sync.Mutex`).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::channel::{Attachment, Channel, Client, Kind, Nap, OWN, Place, Rules, Shape, Slot};
use crate::error::Error;
use crate::futex;
use crate::memory::Word32;
use crate::patience::{Deadline, Patience};

const WORD: u64 = OWN;
/// How often the owner must release it besides once.
const DEPTH: u64 = OWN + 8;

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

impl Lock {
    /// Makes a lock. Reentrant: its owner, a process, may acquire it again, and releases it as often.
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
        let channel = Channel::create(place, shape, &RULES)?;
        Ok(Self { channel })
    }

    /// Opens a lock that is there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let channel = Channel::open(path, &RULES)?;
        Ok(Self { channel })
    }

    /// Maps a lock whose descriptor was inherited or passed.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        Self::attach(Attachment::of(fd))
    }

    /// Maps a lock that was handed over.
    pub fn attach(attachment: Attachment) -> Result<Self, Error> {
        let channel = Channel::attach_as(attachment, &RULES)?;
        Ok(Self { channel })
    }

    /// What it shares with all channels.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Its descriptor, to be passed or inherited.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.channel.descriptor()
    }

    /// Whether its owner may acquire it again.
    pub fn is_reentrant(&self) -> bool {
        !self.channel.shape().strict
    }

    /// Who has it.
    pub fn owner(&self) -> Option<Slot> {
        let owner = self.word().load(Ordering::Acquire) & OWNER;
        (owner != 0).then(|| Slot::from_word(owner))
    }

    /// Who uses it, owner and waiters among them.
    pub fn clients(&self) -> Vec<Client> {
        self.channel.clients()
    }

    fn word(&self) -> Word32<'_> {
        self.channel.u32(WORD)
    }
}

/// Acquiring and releasing.
impl Lock {
    /// Waits for it.
    pub fn acquire(&self) -> Result<LockGuard<'_>, Error> {
        loop {
            if let Some(guard) = self.guard(Patience::Block)? {
                return Ok(guard);
            }
        }
    }

    /// `None` when another has it.
    pub fn try_acquire(&self) -> Result<Option<LockGuard<'_>>, Error> {
        self.guard(Patience::Try)
    }

    /// `None` when another has had it all the time.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<LockGuard<'_>>, Error> {
        self.guard(Patience::For(time))
    }

    fn guard(&self, patience: Patience) -> Result<Option<LockGuard<'_>>, Error> {
        let granted = self.acquire_as(self.channel.me()?, patience)?;
        Ok(granted.map(|Granted { orphaned }| LockGuard { lock: self, orphaned }))
    }

    /// Acquires it without a guard; `None` when in vain.
    pub fn acquire_raw(&self, patience: Patience) -> Result<Option<Granted>, Error> {
        self.acquire_as(self.channel.me()?, patience)
    }

    /// The same for a slot that this process speaks for.
    #[inline]
    pub fn acquire_as(&self, me: Slot, patience: Patience) -> Result<Option<Granted>, Error> {
        match self.word().exchange(0, me.word()) {
            Ok(_) => Ok(Some(Granted { orphaned: false })),
            Err(_) => self.acquire_slowly(me, patience),
        }
    }

    #[cold]
    fn acquire_slowly(&self, me: Slot, patience: Patience) -> Result<Option<Granted>, Error> {
        if self.is_reentrant() && self.word().load(Ordering::Acquire) & OWNER == me.word() {
            self.channel.u32(DEPTH).add(1);
            return Ok(Some(Granted { orphaned: false }));
        }
        if patience != Patience::Try {
            for _ in 0..SPINS {
                std::hint::spin_loop();
                if self.word().load(Ordering::Relaxed) == 0 {
                    break;
                }
            }
        }
        if let Some(granted) = self.take_free(me, 0, false) {
            return Ok(Some(granted));
        }
        match patience {
            Patience::Try => Ok(self.watch_or_take(me)),
            Patience::Block | Patience::For(_) => self.acquire_asleep(me, Deadline::of(patience)),
        }
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
    fn watch_or_take(&self, me: Slot) -> Option<Granted> {
        if self.channel.manner() != crate::channel::Manner::Host {
            return None;
        }
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER == 0 {
                return self.take_free(me, 0, true);
            }
            if self.word().exchange(word, word | WATCHED | FAIR).is_ok() {
                return None;
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
            let fair = if began.elapsed() >= UNFAIR_MAX { FAIR } else { 0 };
            let announced = word | CONTENDED | fair;
            if announced != word && self.word().exchange(word, announced).is_err() {
                continue;
            }
            rounds += 1;
            let slice = self.channel.slice(true, rounds);
            match self.channel.sleep(self.word(), announced, deadline, slice)? {
                Nap::Woken => {}
                Nap::Sliced => self.look_after(word & OWNER)?,
                Nap::Over => return Ok(None),
            }
        }
    }

    /// Whether the owner lives; if not, the lock is freed.
    fn look_after(&self, owner: u32) -> Result<(), Error> {
        match self.channel.slot(owner)? {
            Some(owner) if !self.channel.is_alive(owner) => self.channel.bury(owner),
            Some(_) | None => Ok(()),
        }
    }

    /// Releases it.
    ///
    /// # Errors
    /// `NotHeld` when this process has not acquired it.
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
        let depth = self.channel.u32(DEPTH);
        if self.is_reentrant() && depth.load(Ordering::Relaxed) > 0 {
            depth.add(u32::MAX);
            return Ok(());
        }
        self.free(me, 0);
        Ok(())
    }

    /// Releases it for whoever has it: what `multiprocessing` allows.
    ///
    /// # Errors
    /// `NotHeld` when nobody has it.
    pub fn release_any(&self) -> Result<(), Error> {
        let owner = self.owner().ok_or(Error::NotHeld)?;
        self.release_slowly(owner)
    }

    /// Makes it free if the slot still has it, and wakes the next.
    fn free(&self, owner: Slot, orphaned: u32) {
        loop {
            let word = self.word().load(Ordering::Acquire);
            if word & OWNER != owner.word() {
                return;
            }
            // Who sleeps must find a word that bars the others when it is to be fair.
            let left = word & (FAIR | if word & FAIR != 0 { CONTENDED } else { 0 }) | orphaned | word & ORPHANED;
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

/// The owner's word is the one thing it can leave behind.
fn bury(channel: &Channel, slot: Slot, orphaned: bool) -> Result<(), Error> {
    let word = channel.u32(WORD);
    let seen = word.load(Ordering::Acquire);
    if seen & OWNER != slot.word() {
        // It may have been woken to take the lock, and not have come to it.
        if seen & CONTENDED != 0 || seen & OWNER == 0 {
            futex::wake(word, i32::MAX);
        }
        return Ok(());
    }
    // Nobody else changes the depth as long as the word is the dead one's.
    channel.u32(DEPTH).store(0, Ordering::Release);
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen & OWNER != slot.word() {
            return Ok(());
        }
        let left = seen & (FAIR | CONTENDED) | if orphaned { ORPHANED } else { seen & ORPHANED };
        if word.exchange(seen, left).is_ok() {
            futex::wake(word, i32::MAX);
            if seen & WATCHED != 0 {
                channel.ring();
            }
            return Ok(());
        }
    }
}

impl LockGuard<'_> {
    /// The holder before has died with the lock: what it guards may be half done.
    pub fn orphaned(&self) -> bool {
        self.orphaned
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Released by other means already, there is nothing left to do.
        let _ = self.lock.release();
    }
}
