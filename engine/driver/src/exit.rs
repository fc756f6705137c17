//! How processes end, as the kernel tells it by their pidfds. `waitpid(-1)` is never used: it would take
//! exits that somebody else waits for, and is slow with many children.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use forkyard_core::machine::Exit;
use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::spent::{Spent, put_aside};

/// What a process has used, with those of its children that it has waited for: `getrusage(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, in the kernel too.
    pub cpu: Duration,
    /// The most memory that one process of them had at once, in bytes.
    pub peak: u64,
}

/// Takes the exit of the child; `None` while it runs. Once it has been taken, the child's pid may be used again.
///
/// # Errors
/// ECHILD when it is no child of ours, or has been reaped.
pub fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    Ok(reap_with_usage(pidfd)?.map(|(exit, _)| exit))
}

/// The same, with what it has used.
///
/// # Errors
/// As [`reap`].
pub fn reap_with_usage(pidfd: BorrowedFd<'_>) -> io::Result<Option<(Exit, Usage)>> {
    wait(pidfd, libc::WEXITED | libc::WNOHANG)
}

/// Sees how the child has ended without taking that: it has its pid until it is reaped. `None` while it runs.
///
/// # Errors
/// As [`reap`].
pub fn peek(pidfd: BorrowedFd<'_>) -> io::Result<Option<(Exit, Usage)>> {
    wait(pidfd, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
}

/// Waits until the child has ended, then takes its exit.
///
/// # Errors
/// As [`reap`].
pub fn reap_blocking(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    Ok(wait(pidfd, libc::WEXITED)?.map(|(exit, _)| exit))
}

/// Resolves when the child has ended, and has taken its exit. To be polled in a tokio runtime.
///
/// # Errors
/// As [`reap`]; when the runtime cannot watch a further descriptor.
pub async fn ended(pidfd: OwnedFd) -> io::Result<(Exit, Usage)> {
    // SAFETY: an owned descriptor is open, the same for ever, and closed only when `pidfd` is dropped.
    let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
    loop {
        // The future of `readable` would be larger than all the rest of this one.
        let mut ready = poll_fn(|context| pidfd.poll_read_ready(context)).await?;
        if let Some(ended) = reap_with_usage(pidfd.get_ref().as_fd())? {
            put_aside(Spent::Pidfd(pidfd));
            return Ok(ended);
        }
        ready.clear_ready();
    }
}

/// A descriptor that refers to the process which has this pid now.
///
/// # Errors
/// ESRCH when there is none.
pub fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and opens a descriptor for us alone.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The same; `None` when there is none.
///
/// # Errors
/// When it cannot be opened, for want of descriptors, say.
pub fn open_pidfd_if_there(pid: i32) -> io::Result<Option<OwnedFd>> {
    match open_pidfd(pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        pidfd => pidfd.map(Some),
    }
}

/// Signals the process that a descriptor refers to; one that has ended needs no signal.
///
/// # Errors
/// When it is another user's.
pub fn signal_by_pidfd(process: BorrowedFd<'_>, signal: libc::c_int) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no information is passed.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0) };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits again when a signal came in between.
fn wait(pidfd: BorrowedFd<'_>, options: libc::c_int) -> io::Result<Option<(Exit, Usage)>> {
    loop {
        match wait_once(pidfd, options) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The C library's `waitid` leaves out what was used: `wait4(2)` has it, but takes no pidfd.
fn wait_once(pidfd: BorrowedFd<'_>, options: libc::c_int) -> io::Result<Option<(Exit, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let (which, fd) = (libc::P_PIDFD, pidfd.as_raw_fd());
    // SAFETY: both are valid for writing, and all zero is a valid value of them; the call leaves them zero when there is
    // nothing to take.
    let (pid, code, status, usage) = unsafe {
        let done = libc::syscall(
            libc::SYS_waitid,
            which,
            fd,
            info.as_mut_ptr(),
            options,
            usage.as_mut_ptr(),
        );
        Errno::result(done)?;
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status(), usage.assume_init())
    };
    let exit = match (pid, code) {
        (0, _) => return Ok(None),
        (_, libc::CLD_EXITED) => Exit::Code(status),
        (_, _) => Exit::Signal(status),
    };
    Ok(Some((exit, Usage::of(&usage))))
}

impl Usage {
    /// Both together: CPU times add up, of the peaks the higher one counts.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            peak: self.peak.max(other.peak),
        }
    }

    fn of(usage: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            let part = |part| u64::try_from(part).unwrap_or_default();
            Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
        };
        Self {
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            peak: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
        }
    }
}
