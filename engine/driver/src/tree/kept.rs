//! Trees of processes that outlive the engine that has started them: they are looked for, and spared.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;

use nix::unistd::getpid;

use super::proc::{self, Pid, Process, StartTime};
use super::{Kin, Tree};

/// How the token stands in an environment.
pub(super) fn entry(token: &str) -> String {
    format!("FORKYARD_TOKEN={token}")
}

/// Whether this very process, dead or alive, is a child of this one.
///
/// # Errors
/// When that cannot be known.
pub(crate) fn is_own_child(pid: Pid, start: StartTime) -> io::Result<bool> {
    let own = getpid().as_raw();
    let child = Process::read(pid)?;
    Ok(child.is_some_and(|child| child.start == start && child.parent == own))
}

/// The parent of the process that has this pid; `None` when there is no such process.
///
/// # Errors
/// When that cannot be known.
pub(crate) fn parent(pid: Pid) -> io::Result<Option<Pid>> {
    Ok(Process::read(pid)?.map(|process| process.parent))
}

/// Whether this very process is still there, if only to be reaped.
///
/// # Errors
/// When that cannot be known.
pub(crate) fn is_there(pid: Pid, start: StartTime) -> io::Result<bool> {
    Ok(started_or_ended(pid)? == Some(start))
}

/// When the process that has this pid was started, dead or alive; `None` when there is none.
///
/// # Errors
/// When that cannot be known.
pub(crate) fn started_or_ended(pid: Pid) -> io::Result<Option<StartTime>> {
    Ok(Process::read(pid)?.map(|process| process.start))
}

/// The process on this machine that leads a group and has this token.
///
/// # Errors
/// When processes cannot be listed.
pub(crate) fn find(token: &str) -> io::Result<Option<(Pid, StartTime)>> {
    leader_among(proc::all_since(0)?, token)
}

fn leader_among(processes: Vec<Process>, token: &str) -> io::Result<Option<(Pid, StartTime)>> {
    let entry = entry(token);
    let mut leaders: Vec<Process> = processes
        .into_iter()
        .filter(|process| process.group == process.pid && process.living)
        .collect();
    // Who comes from it has the token, too, and may lead a group of its own.
    leaders.sort_by_key(|leader| (leader.start, leader.pid));
    for leader in leaders {
        if leader.has_in_environment(&entry)? {
            return Ok(Some(leader.identity()));
        }
    }
    Ok(None)
}

impl Tree {
    /// The tree of a process that this one has adopted.
    pub(crate) fn of_child(pid: i32, start: StartTime, token: &str) -> Self {
        Self::known(pid, start, token, Kin::Ours)
    }

    /// The tree of a process that an earlier engine has started: neither it nor its orphans are children of this one.
    pub(crate) fn of_stranger(pid: i32, start: StartTime, token: &str) -> Self {
        Self::known(pid, start, token, Kin::Strange)
    }

    fn known(pid: i32, start: StartTime, token: &str, kin: Kin) -> Self {
        Self {
            leader: pid,
            leader_start: Cell::new(Some(start)),
            token: entry(token),
            seen: RefCell::default(),
            killed: RefCell::default(),
            // Somebody else may take a stranger's exit at any time.
            is_leader_reaped: Cell::new(kin == Kin::Strange),
            kin,
        }
    }

    /// Whether an earlier engine has started it.
    pub(crate) fn is_strange(&self) -> bool {
        self.kin == Kin::Strange
    }

    /// Whether a process comes from this tree.
    pub(super) fn claims(&self, process: &Process) -> io::Result<bool> {
        let is_leader = (process.pid, Some(process.start)) == (self.leader, self.leader_start.get());
        Ok(is_leader || self.owns(process)?)
    }

    /// Those who may be orphans of the tree: of somebody else's orphans it is not known whose children they are.
    /// Of those who have been adopted here the `known` are left out.
    pub(super) fn strays(&self, known: &BTreeSet<Pid>) -> io::Result<Vec<Process>> {
        match self.kin {
            Kin::Ours => proc::orphans_but(known),
            Kin::Strange => proc::all_since(self.leader_start.get().unwrap_or_default()),
        }
    }
}
