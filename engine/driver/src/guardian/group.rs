//! A control group for a run: it holds the deputy and all that comes from it.
//!
//! Its name tells the guardian, and guardian, deputy and engine have it locked: when the guardian has ended and nobody
//! has the lock, what is in the group is left of a run whose three were killed together, and the next run kills it. One
//! whose guardian alone was killed is ended by its engine.

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, ForkResult, Pid, access};

use crate::cgroup::{self, Hierarchy};

/// `CLONE_INTO_CGROUP` of linux/sched.h, since Linux 5.7; the `libc` crate has it as an `int`, for which it is too large.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The group of a run.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    /// Its folder, open and locked. Inherited by the deputy and the engine, and by no program that is executed: the kernel
    /// lets go of the lock with the last of the three.
    folder: File,
}

impl Group {
    /// Makes an empty one below the group of this process, in the hierarchy of version 2.
    pub(super) fn make(unified: Option<&Hierarchy>) -> io::Result<Self> {
        let own = &unified
            .ok_or_else(|| io::Error::other("there is no cgroup hierarchy of version 2"))?
            .own;
        // Who moves a process needs to write here, too, as the nearest common ancestor: cgroups(7).
        access(&own.join("cgroup.procs"), AccessFlags::W_OK)?;
        let path = own.join(cgroup::own_name()?);
        fs::create_dir(&path)?;
        let folder = File::open(&path)?;
        folder.try_lock()?;
        let group = Self { path, folder };
        if group.path.join("cgroup.kill").exists() {
            return Ok(group);
        }
        group.end();
        let why = "this kernel has no cgroup.kill (Linux 5.14 has)";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    /// Forks; the child is in the group from its first instruction. To move a process the kernel waits until no other
    /// process is just being made or ended anywhere, which takes it 8 to 20 ms on kernels that favour the others.
    ///
    /// # Errors
    /// When the kernel, or a filter of system calls, knows no `clone3`.
    ///
    /// # Safety
    /// This process has one thread, and the child starts none: the C library does not learn of the fork, and takes the
    /// child's thread for that of its parent. It is told by `fork`, of which the engine is born.
    pub(super) unsafe fn bear(&self) -> io::Result<ForkResult> {
        // SAFETY: all zero is valid: nothing is asked for.
        let mut orders: libc::clone_args = unsafe { MaybeUninit::zeroed().assume_init() };
        orders.flags = CLONE_INTO_CGROUP;
        orders.exit_signal = u64::try_from(libc::SIGCHLD).map_err(io::Error::other)?;
        orders.cgroup = u64::try_from(self.folder.as_raw_fd()).map_err(io::Error::other)?;
        // SAFETY: the child gets a copy of this memory, as with `fork`; the descriptor is open.
        let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const orders, size_of::<libc::clone_args>()) };
        match i32::try_from(Errno::result(child)?).map_err(io::Error::other)? {
            0 => Ok(ForkResult::Child),
            child => Ok(ForkResult::Parent {
                child: Pid::from_raw(child),
            }),
        }
    }

    /// Puts this process into it, and with it all that it will start.
    pub(super) fn enter(&self) -> io::Result<()> {
        cgroup::write(&self.path.join("cgroup.procs"), "0")
    }

    /// Takes this process out of it again.
    pub(super) fn leave(&self) -> io::Result<()> {
        let outside = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        cgroup::write(&outside.join("cgroup.procs"), "0")
    }

    /// Kills what is in it, and removes it.
    pub(super) fn end(&self) {
        cgroup::bury(&self.path);
    }
}
