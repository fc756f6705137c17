//! What a process may use, as the kernel is told between the making of the process and its program.

use std::fs::File;
use std::mem;
use std::os::fd::AsRawFd;

use super::error::Step;

/// The limits of one process and of all it will start.
#[derive(Debug, Default)]
pub struct Confinement {
    /// Limits of each process: `getrlimit(2)`.
    pub rlimits: Vec<Rlimit>,
    /// The CPUs it may run on; empty: those of the engine.
    pub cpus: Vec<u32>,
    /// The `cgroup.procs` of the groups it is to be in, opened to be written.
    pub groups: Vec<File>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// Which: `RLIMIT_NOFILE`.
    pub resource: libc::__rlimit_resource_t,
    /// What it is held to.
    pub soft: u64,
    /// What it may raise that to.
    pub hard: u64,
}

impl Rlimit {
    /// A limit that cannot be raised.
    #[must_use]
    pub const fn fixed(resource: libc::__rlimit_resource_t, limit: u64) -> Self {
        Self {
            resource,
            soft: limit,
            hard: limit,
        }
    }
}

/// A set of CPUs as the kernel has it, with room for the highest number that a workflow may name.
#[derive(Clone, Copy)]
pub(super) struct CpuSet([u64; 16]);

impl CpuSet {
    pub(super) fn of(cpus: &[u32]) -> Self {
        let mut set = [0; 16];
        for cpu in cpus {
            if let Some(word) = set.get_mut(*cpu as usize / 64) {
                *word |= 1 << (cpu % 64);
            }
        }
        Self(set)
    }
}

/// Enters the groups, while the engine's descriptors are still shared. The step that failed, its reason in `errno`.
///
/// # Safety
/// To be called in a process that shares the engine's memory, before its program is executed.
pub(super) unsafe fn enter_groups(confinement: &Confinement) -> Result<(), Step> {
    for group in &confinement.groups {
        // SAFETY: the descriptor is open, and "0" is one byte: the process that writes it.
        let written = unsafe { libc::write(group.as_raw_fd(), c"0".as_ptr().cast(), 1) };
        if written != 1 {
            return Err(Step::Group);
        }
    }
    Ok(())
}

/// Sets limits and CPUs. The step that failed, its reason in `errno`.
///
/// # Safety
/// As [`enter_groups`].
pub(super) unsafe fn confine(confinement: &Confinement, cpus: Option<&CpuSet>) -> Result<(), Step> {
    for limit in &confinement.rlimits {
        let values = libc::rlimit {
            rlim_cur: limit.soft,
            rlim_max: limit.hard,
        };
        // SAFETY: the values are on this stack.
        if unsafe { libc::setrlimit(limit.resource, &raw const values) } != 0 {
            return Err(Step::Limits);
        }
    }
    if let Some(cpus) = cpus {
        let bytes = mem::size_of::<CpuSet>();
        // SAFETY: the set is valid for its length.
        if unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, bytes, cpus.0.as_ptr()) } < 0 {
            return Err(Step::Cpus);
        }
    }
    Ok(())
}
