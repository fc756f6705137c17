//! What the engine's own thread may start: programs that have been started before, and that can be started without waiting
//! for anybody but the kernel.
//!
//! Whoever waits until a program is executed waits for the file systems that it is found on. A server that does not answer,
//! or a program of the workflow that is a file system itself and waits for the engine to read what it writes, must not hold
//! up the engine. So it is looked at where a program lies once it has been started, and anew when anything has been mounted.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::locality::is_local;
use super::{Executable, Job};

/// So many are known at most: few workflows have more programs, and of those that have, the others are the thread's.
const KNOWN_MAX: usize = 64;

/// A start takes some 0.1 ms, and on busy cores some milliseconds more.
const QUICK_MAX: Duration = Duration::from_millis(50);

/// Programs that have been started, each with its working directory.
#[derive(Debug)]
pub(super) struct Acquaintances {
    circle: Mutex<Circle>,
    /// The kernel's list of mounts: a poll tells of a change.
    mounts: File,
}

#[derive(Debug, Default)]
struct Circle {
    known: Vec<Acquaintance>,
    /// How often something has been mounted.
    mounted: u64,
}

#[derive(Debug)]
struct Acquaintance {
    program: Executable,
    cwd: Option<CString>,
    is_quick: bool,
}

impl Acquaintances {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// When the list of mounts cannot be opened.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            circle: Mutex::default(),
            mounts: File::open("/proc/thread-self/mountinfo")?,
        })
    }

    /// A program has been started: the first time it is looked at where it lies, which may take as long as its start.
    pub(super) fn met(&self, program: Executable, cwd: Option<CString>) {
        let circle = self.circle();
        let is_known = circle.known.iter().any(|known| known.is(&program, cwd.as_deref()));
        if is_known || circle.known.len() == KNOWN_MAX {
            return;
        }
        let mounted = circle.mounted;
        drop(circle);
        let is_quick = is_local(&program, cwd.as_deref());
        let mut circle = self.circle();
        if circle.mounted == mounted {
            circle.known.push(Acquaintance { program, cwd, is_quick });
        }
    }

    /// Whether it is known that a job starts quickly.
    pub(super) fn know_quick(&self, job: &Job) -> bool {
        let mut circle = self.circle();
        if self.has_mounted() {
            circle.mounted += 1;
            circle.known.clear();
        }
        let is_quick = |known: &Acquaintance| known.is_quick && known.is(&job.program, job.cwd.as_deref());
        circle.known.iter().any(is_quick)
    }

    /// The start of a job has taken so long: a slow one is not called quick again.
    pub(super) fn took(&self, job: &Job, time: Duration) {
        if time > QUICK_MAX {
            let mut circle = self.circle();
            let known = circle.known.iter_mut();
            let slow = known.filter(|known| known.is(&job.program, job.cwd.as_deref()));
            slow.for_each(|slow| slow.is_quick = false);
        }
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.circle().known.len()
    }

    /// Whether something has been mounted or unmounted since this was asked last: `proc_pid_mountinfo(5)`.
    fn has_mounted(&self) -> bool {
        let mut mounts = [PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI)];
        // When it cannot be asked, something may have been.
        poll(&mut mounts, PollTimeout::ZERO).map_or(true, |changed| changed > 0)
    }

    /// What is in it is whole at any time, also when somebody has panicked.
    fn circle(&self) -> MutexGuard<'_, Circle> {
        self.circle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acquaintance {
    fn is(&self, program: &Executable, cwd: Option<&CStr>) -> bool {
        self.program == *program && self.cwd.as_deref() == cwd
    }
}
