//! How processes end, as the kernel tells it by their pidfds. `waitpid(-1)` is never used: it would take
//! exits that somebody else waits for, and is slow with many children.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use forkyard_core::machine::Exit;
use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes the exit of the child; `None` while it runs. Once it has been taken, the child's pid may be used again.
///
/// # Errors
/// ECHILD when it is no child of ours, or has been reaped.
pub fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    wait(pidfd, libc::WEXITED | libc::WNOHANG)
}

/// Waits until the child has ended, then takes its exit.
///
/// # Errors
/// As [`reap`].
pub fn reap_blocking(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    loop {
        match wait(pidfd, libc::WEXITED) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Resolves when the child has ended, and has taken its exit. To be polled in a tokio runtime.
///
/// # Errors
/// As [`reap`]; when the runtime cannot watch a further descriptor.
pub async fn ended(pidfd: OwnedFd) -> io::Result<Exit> {
    // SAFETY: an owned descriptor is open, the same for ever, and closed only when `pidfd` is dropped.
    let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
    loop {
        let mut ready = pidfd.readable().await?;
        if let Some(exit) = reap(pidfd.get_ref().as_fd())? {
            return Ok(exit);
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

fn wait(pidfd: BorrowedFd<'_>, options: libc::c_int) -> io::Result<Option<Exit>> {
    let id = libc::id_t::try_from(pidfd.as_raw_fd()).expect("descriptors are not negative");
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is valid for writing; waitid leaves it zero when there is nothing to take.
    let (pid, code, status) = unsafe {
        Errno::result(libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), options))?;
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    Ok(match (pid, code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
        (_, _) => Some(Exit::Signal(status)),
    })
}
