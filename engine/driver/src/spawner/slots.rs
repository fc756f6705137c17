//! The low descriptors: the spawner places a new process's descriptors there before it starts it.
//!
//! A new process keeps a copy of the engine's descriptors below [`LOW`] only, which is what makes a start cheap.
//! What it is to get must therefore stand there, and nothing else may. So all numbers below `LOW` that are free
//! when the engine starts are taken by `/dev/null`: later ones the engine opens lie above, and the upper half
//! serves as *slots* into which the spawner duplicates what a process is to get.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use nix::errno::Errno;

/// A new process copies the engine's descriptors below this number.
pub(super) const LOW: RawFd = 64;

/// The highest number a descriptor can have in a new process: slots lie above, so that no slot is overwritten
/// before it has been duplicated.
pub const TARGET_MAX: RawFd = 31;

/// The slots of this process: a table of descriptors is the process's, hence one static.
static SLOTS: Mutex<Option<Slots>> = Mutex::new(None);

/// Numbers between [`TARGET_MAX`] and [`LOW`] that are ours.
pub(super) struct Slots {
    placeholder: OwnedFd,
    free: Vec<RawFd>,
}

/// Takes all free descriptors below 64 and marks what was inherited to be closed on exec. Called as early as
/// possible: before the runtime opens its own. Further calls do nothing.
///
/// # Errors
/// When `/dev/null` cannot be opened, or the limit of open files is below about 70.
pub fn reserve_low_descriptors() -> io::Result<()> {
    let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    if slots.is_none() {
        *slots = Some(Slots::reserve()?);
        close_inherited_on_exec();
    }
    Ok(())
}

/// The slots, for as long as one process is being started.
///
/// # Errors
/// As [`reserve_low_descriptors`].
pub(super) fn slots() -> io::Result<SlotsGuard> {
    reserve_low_descriptors()?;
    let all = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(SlotsGuard { all, filled: 0 })
}

/// The same, without waiting for whoever is starting a process now; `None` when somebody is, or nothing has been reserved.
pub(super) fn slots_now() -> Option<SlotsGuard> {
    let all = match SLOTS.try_lock() {
        Ok(all) => all,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    all.is_some().then_some(SlotsGuard { all, filled: 0 })
}

/// The right to fill slots; they hold `/dev/null` again when it is dropped, else no pipe would ever end.
pub(super) struct SlotsGuard {
    all: MutexGuard<'static, Option<Slots>>,
    /// So many of the free ones, from the first, have been filled.
    filled: usize,
}

impl SlotsGuard {
    fn slots(&self) -> &Slots {
        self.all.as_ref().expect("slots are reserved before the guard is made")
    }

    /// Duplicates the descriptors into slots and says which, in the same order. For `None` it is one that is not filled:
    /// there `/dev/null` stands already.
    ///
    /// # Errors
    /// EMFILE when there are more than slots; what `dup3` says.
    pub(super) fn fill<'a>(
        &mut self,
        fds: impl ExactSizeIterator<Item = Option<BorrowedFd<'a>>>,
    ) -> Result<Vec<RawFd>, Errno> {
        if fds.len() > self.slots().free.len() {
            return Err(Errno::EMFILE);
        }
        let mut given = Vec::with_capacity(fds.len());
        for fd in fds {
            let free = &self.slots().free;
            // The last is filled only when there are as many descriptors as slots, and then none of them is `None`.
            let slot = if fd.is_some() {
                free.get(self.filled)
            } else {
                free.last()
            };
            let &slot = slot.ok_or(Errno::EMFILE)?;
            if let Some(fd) = fd {
                duplicate(fd, slot)?;
                self.filled += 1;
            }
            given.push(slot);
        }
        Ok(given)
    }
}

impl Drop for SlotsGuard {
    fn drop(&mut self) {
        let slots = self.slots();
        for &slot in &slots.free[..self.filled] {
            // Duplicating one open descriptor over another needs no new resource; it cannot fail.
            let _ = duplicate(slots.placeholder.as_fd(), slot);
        }
    }
}

impl Slots {
    /// Duplicates `/dev/null` until its number is no longer low: each number so given is ours alone.
    fn reserve() -> io::Result<Self> {
        let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
        let mut taken = Vec::new();
        let mut placeholder = null.try_clone()?;
        while placeholder.as_raw_fd() < LOW {
            // Should there be too few, those taken are given back: whoever clears up needs some.
            let next = placeholder.try_clone()?;
            taken.push(std::mem::replace(&mut placeholder, next));
        }
        if null.as_raw_fd() < LOW {
            taken.push(null);
        }
        let numbers = taken.into_iter().map(IntoRawFd::into_raw_fd);
        Ok(Self {
            placeholder,
            free: numbers.filter(|number| *number > TARGET_MAX).collect(),
        })
    }
}

/// Marks all descriptors from 3 on. New processes do not need it, since the spawner closes what was not declared;
/// it is for whatever else is executed from here. Linux before 5.11 cannot, which does no harm.
fn close_inherited_on_exec() {
    // SAFETY: close_range takes three numbers; with CLOSE_RANGE_CLOEXEC it closes nothing here.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// `slot` becomes a duplicate of `fd` that is closed on exec.
fn duplicate(fd: BorrowedFd<'_>, slot: RawFd) -> Result<(), Errno> {
    // SAFETY: `slot` was reserved by `Slots::reserve` and never closed: nobody else has this number.
    let done = unsafe { libc::dup3(fd.as_raw_fd(), slot, libc::O_CLOEXEC) };
    Errno::result(done).map(drop)
}
