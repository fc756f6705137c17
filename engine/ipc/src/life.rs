//! Which process this is, and whether another one still lives.
//!
//! A process is named by its pid together with the time of its start: pids come again, the pair does not (within the
//! 497 days after which 32 bits of clock ticks repeat).

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::memory::PAGE;

/// A process that lives or has lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life(u64);

impl Life {
    /// This process. It looks in `/proc` once: who buries the dead is waited for.
    pub fn own() -> Self {
        static KNOWN: AtomicU64 = AtomicU64::new(0);
        static KNOWN_BY: AtomicU32 = AtomicU32::new(0);
        #[cfg(test)]
        if let Some(pid) = crate::simulation::own() {
            return Self::new(pid, 0);
        }
        let stamp = stamp();
        // The stamp is written last. A forked child has another one, and looks for itself.
        if KNOWN_BY.load(Ordering::Acquire) == stamp {
            return Self(KNOWN.load(Ordering::Relaxed));
        }
        let pid = std::process::id();
        // It may be that no descriptor is left just now.
        let Some(started) = started(pid) else {
            return Self::new(pid, 0);
        };
        let own = Self::new(pid, started);
        KNOWN.store(own.0, Ordering::Relaxed);
        KNOWN_BY.store(stamp, Ordering::Release);
        own
    }

    const fn new(pid: u32, started: u32) -> Self {
        Self((started as u64) << 32 | pid as u64)
    }

    /// As it stands in a slot; 0 is nobody.
    pub const fn from_word(word: u64) -> Option<Self> {
        if word == 0 { None } else { Some(Self(word)) }
    }

    /// To be written into a slot.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Its pid.
    pub const fn pid(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    const fn started(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// A descriptor that becomes readable at its end; `None` when it has ended already.
    ///
    /// # Errors
    /// When the system gives no descriptor (this process has too many, say): nothing is known of the other then.
    pub fn watch(self) -> io::Result<Option<OwnedFd>> {
        #[cfg(test)]
        if let Some(lives) = crate::simulation::lives(self.pid()) {
            return if lives {
                Err(io::ErrorKind::Other.into())
            } else {
                Ok(None)
            };
        }
        let Some(pid) = libc::pid_t::try_from(self.pid()).ok().filter(|pid| *pid > 0) else {
            return Ok(None);
        };
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let Some(fd) = i32::try_from(fd).ok().filter(|fd| *fd >= 0) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ESRCH) => Ok(None),
                _ => Err(error),
            };
        };
        // SAFETY: the descriptor is new and ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Only now: the pid cannot come again to another process as long as the descriptor is the first one's.
        Ok((self.is_the_one_with_its_pid() && !has_ended(&fd)).then_some(fd))
    }

    /// Whether the process that has the pid now was started when this one was. When that cannot be read, it is taken for the one.
    fn is_the_one_with_its_pid(self) -> bool {
        match (self.started(), started(self.pid())) {
            (0, _) | (_, None) => true,
            (then, Some(now)) => then == now,
        }
    }

    /// Whether it lives now. A zombie does not.
    pub fn is_alive(self) -> bool {
        match self.watch() {
            Ok(pidfd) => pidfd.is_some(),
            Err(_no_descriptor) => self.seems_alive(),
        }
    }

    /// The same without a descriptor: a zombie is taken for alive.
    fn seems_alive(self) -> bool {
        #[cfg(test)]
        if let Some(lives) = crate::simulation::lives(self.pid()) {
            return lives;
        }
        let Ok(pid) = libc::pid_t::try_from(self.pid()) else {
            return false;
        };
        // SAFETY: the call takes no pointers, and signal 0 is none.
        let sent = unsafe { libc::kill(pid, 0) };
        let is_there = sent == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH);
        is_there && self.is_the_one_with_its_pid()
    }
}

/// Whether the process of a pidfd has ended.
pub fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut poll = libc::pollfd {
        fd: pidfd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry is given, which outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
}

/// Which of some processes have ended, by their pidfds: one system call for all.
pub fn have_ended<'a>(pidfds: impl Iterator<Item = &'a OwnedFd>) -> Vec<usize> {
    let poll = |pidfd: &OwnedFd| libc::pollfd {
        fd: pidfd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polls: Vec<libc::pollfd> = pidfds.map(poll).collect();
    // SAFETY: as many entries are given as there are, and they outlive the call.
    let count = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, 0) };
    let ended = polls.iter().enumerate().filter(|(_, poll)| poll.revents != 0);
    if count > 0 {
        ended.map(|(index, _)| index).collect()
    } else {
        Vec::new()
    }
}

/// When a process was started, in clock ticks since boot: field 22 of /proc/PID/stat, `proc_pid_stat(5)`.
fn started(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may contain anything but ends at the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    u32::try_from(ticks & 0xffff_ffff).ok()
}

/// A number that is the same as long as this process is the same, and never 0: a forked child has another one. Costs
/// one load, since it stands in a page that the kernel empties in children (`MADV_WIPEONFORK`).
#[inline]
pub fn stamp() -> u32 {
    static PAGE_OF_PROCESS: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    let Some(word) = PAGE_OF_PROCESS.get_or_init(wiped_on_fork) else {
        return std::process::id();
    };
    match word.load(Ordering::Relaxed) {
        0 => first_stamp(word),
        stamp => stamp,
    }
}

/// Counts the forks that lie between this process and the first of its line: a pid may come again in the same line, this
/// number does not.
#[cold]
fn first_stamp(word: &AtomicU32) -> u32 {
    static FORKS: AtomicU32 = AtomicU32::new(0);
    let stamp = FORKS.load(Ordering::Relaxed).wrapping_add(1).max(1);
    match word.compare_exchange(0, stamp, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            FORKS.store(stamp, Ordering::Relaxed);
            stamp
        }
        Err(of_another_thread) => of_another_thread,
    }
}

/// The kernel's number of this thread, never 0. Like [`stamp`], it is another one in a forked child.
#[inline]
pub fn thread() -> u32 {
    thread_local! {
        static KNOWN: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }
    let stamp = stamp();
    match KNOWN.get() {
        (of, thread) if of == stamp => thread,
        _ => {
            // SAFETY: the call takes no arguments.
            let thread = unsafe { libc::syscall(libc::SYS_gettid) };
            let thread = u32::try_from(thread).unwrap_or(stamp);
            KNOWN.set((stamp, thread));
            thread
        }
    }
}

/// A page of this process alone; `None` when the system has no such pages.
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    let length = usize::try_from(PAGE).ok()?;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping touches nothing of ours.
    let page = unsafe { libc::mmap(ptr::null_mut(), length, rights, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping just made.
    if unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) } != 0 {
        return None;
    }
    // SAFETY: the page is aligned, zero, writable, and is never unmapped.
    Some(unsafe { AtomicU32::from_ptr(page.cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_alive_until_it_is_killed() {
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep is there");
        let life = Life::new(child.id(), started(child.id()).expect("it has been started"));
        assert!(life.is_alive() && life.seems_alive());
        let stranger = Life::new(child.id(), life.started() + 1);
        assert!(!stranger.is_alive(), "another process had that pid before");
        child.kill().expect("it is ours");
        if let Ok(Some(pidfd)) = Life::new(child.id(), 0).watch() {
            while !has_ended(&pidfd) {
                std::thread::yield_now();
            }
        }
        assert!(!life.is_alive(), "a zombie does not live");
        child.wait().expect("it is ours");
        assert!(!life.is_alive());
    }

    #[test]
    fn this_process_lives_and_has_one_stamp() {
        assert!(Life::own().is_alive());
        assert_eq!(stamp(), stamp());
        assert_ne!(stamp(), 0);
    }

    #[test]
    fn threads_have_different_numbers() {
        let ours = thread();
        assert_eq!(thread(), ours);
        let theirs = std::thread::spawn(thread).join().expect("it does not panic");
        assert_ne!(theirs, ours);
    }
}
