//! A namespace of processes for a run: `pid_namespaces(7)`. When its first process ends, the kernel kills all others.
//!
//! In it pids are numbers of its own, so it has a `/proc` of its own too. What the user sees of a run are the pids
//! outside: they are read by way of the `/proc` that was there before.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getgid, getuid};

use crate::exit::open_pidfd;

/// `/proc` as it is outside, in the processes of a namespace.
static PROC_OUTSIDE: OnceLock<File> = OnceLock::new();

/// The next process that this one forks is the first of a new namespace. Without the privilege a namespace of users is
/// made around it, in which this user is who they were.
///
/// # Errors
/// When the machine allows neither.
pub(super) fn part() -> Result<(), Errno> {
    match unshare(CloneFlags::CLONE_NEWPID) {
        Err(Errno::EPERM) => part_as_user(),
        parted => parted,
    }
}

/// Makes a namespace in a child process, which ends at once.
///
/// # Errors
/// As [`part`] and [`settle`].
pub(super) fn attempt() -> Result<(), Errno> {
    let in_child = |work: &dyn Fn() -> Result<(), Errno>| {
        // SAFETY: this process has one thread, so the child may do what it likes.
        match unsafe { fork() }? {
            ForkResult::Child => {
                let code = work().map_or_else(|errno| errno as i32, |()| 0);
                // SAFETY: the process ends here.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
                _ => Err(Errno::ECHILD),
            },
        }
    };
    in_child(&|| {
        part()?;
        in_child(&settle)
    })
}

fn part_as_user() -> Result<(), Errno> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID)?;
    // The group can be mapped only once nobody can drop groups: user_namespaces(7).
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ];
    maps.iter()
        .try_for_each(|(path, map)| fs::write(path, map))
        .map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
}

/// To be called by the first process of the namespace: gives it a `/proc` of its own. Every other mount is shared with
/// the outside, in both directions.
///
/// # Errors
/// When nothing can be mounted.
pub(super) fn settle() -> Result<(), Errno> {
    let outside =
        File::open("/proc").map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    // Else the new mount would appear outside, too.
    mount(none, "/proc", none, MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
    // This process has one thread: nobody else sets it.
    let _ = PROC_OUTSIDE.set(outside);
    Ok(())
}

/// The pid that a process, by its pidfd, has for those outside of the run's namespace; `None` when there is no
/// namespace: it has one pid then.
///
/// # Errors
/// When it cannot be read.
pub fn pid_outside(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let Some(outside) = PROC_OUTSIDE.get() else {
        return Ok(None);
    };
    // The numbers in a /proc are those of the namespace it was mounted for, whoever reads it.
    let path = format!(
        "/proc/self/fd/{}/self/fdinfo/{}",
        outside.as_raw_fd(),
        pidfd.as_raw_fd()
    );
    let info = fs::read_to_string(path)?;
    Ok(info
        .lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()))
}

/// This process's pid for those outside of the run's namespace; where it cannot be read, the one inside.
#[must_use]
pub fn own_pid_outside() -> u32 {
    let inside = std::process::id();
    let pidfd = i32::try_from(inside).map_err(io::Error::other).and_then(open_pidfd);
    let outside = pidfd.and_then(|pidfd| pid_outside(pidfd.as_fd())).ok().flatten();
    outside.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(inside)
}
