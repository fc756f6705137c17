//! The process tree of one process: its first process, what that has started, and what these have left behind.
//!
//! No process of a run can leave the engine: an orphan is adopted by the nearest *subreaper* among its ancestors,
//! which the engine is. So each member of a tree is either a descendant of the tree's leader or of an orphan the
//! engine has adopted, whatever sessions and groups it has made. Whose an orphan is tells the token in its
//! environment, or its process group, or that it was seen in the tree before it became an orphan.
//!
//! All functions that read and signal are for the engine's one thread that also reaps, so that no pid changes its
//! owner in between.

mod kept;
mod proc;
mod sweep;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;

pub(crate) use kept::{find, is_own_child, is_there, parent, started_or_ended};
pub use proc::keep_list_open;
pub(crate) use proc::started;
use proc::{Pid, Process, StartTime, Walk};
pub use sweep::{Unswept, adopt_orphans, reap_adopted, reap_all_but, sweep_all, sweep_all_but};

/// How often one call of [`Tree::kill`] looks again for members that were just born.
const KILL_PASSES_MAX: u32 = 16;

/// A process with all it has started.
#[derive(Debug)]
pub struct Tree {
    leader: Pid,
    /// When the leader was started: its pid alone may belong to somebody else one day. Unknown until it is asked for, and
    /// for ever when nobody asked before the leader was reaped.
    leader_start: Cell<Option<StartTime>>,
    /// How the token stands in the environment of members.
    token: String,
    /// The members seen last: one that hides its environment is known by this once it is an orphan.
    seen: RefCell<BTreeSet<(Pid, StartTime)>>,
    /// Those that have got SIGKILL, each by itself: once is enough, however often it is looked whether they are gone.
    killed: RefCell<BTreeSet<(Pid, StartTime)>>,
    /// The leader's exit has been taken: its pid is its own no longer.
    is_leader_reaped: Cell<bool>,
    kin: Kin,
}

/// Where the orphans of a tree are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    /// This process adopts them.
    Ours,
    /// Somebody else has: an earlier engine had started the tree.
    Strange,
}

impl Tree {
    /// The tree of a process that has just been spawned, leads the process group `pid`, and has not been reaped.
    /// `token` is the value of `FORKYARD_TOKEN` in its environment.
    #[must_use]
    pub fn new(pid: i32, token: &str) -> Self {
        Self {
            leader: pid,
            leader_start: Cell::new(None),
            token: kept::entry(token),
            seen: RefCell::default(),
            killed: RefCell::default(),
            kin: Kin::Ours,
            is_leader_reaped: Cell::new(false),
        }
    }

    /// The leader's exit has been taken.
    pub fn leader_is_reaped(&self) {
        self.is_leader_reaped.set(true);
    }

    /// The pids of all living processes of the tree. A zombie does not live.
    ///
    /// # Errors
    /// When `/proc` cannot be read, for want of descriptors, say.
    pub fn members(&self) -> io::Result<Vec<i32>> {
        Ok(self.scan()?.iter().map(|member| member.pid).collect())
    }

    /// Whether this process is one of the tree; `None` when it has ended meanwhile, so that nobody can tell any more.
    ///
    /// # Errors
    /// As [`Tree::members`].
    pub fn has(&self, pid: i32) -> io::Result<Option<bool>> {
        if self.scan()?.iter().any(|member| member.pid == pid) {
            return Ok(Some(true));
        }
        let is_alive = proc::started(pid)?.is_some();
        Ok(is_alive.then_some(false))
    }

    /// Sends a signal to each member.
    ///
    /// # Errors
    /// When `/proc` cannot be read; at most the leader's group has got the signal then.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let sent = self.scan().and_then(|members| self.signal_all(&members, &[signal]));
        if sent.is_err() {
            self.signal_unseen(signal);
        }
        sent.map(drop)
    }

    /// Asks the tree to stop: sends the signal, then SIGCONT, without which a stopped process would not see it.
    ///
    /// # Errors
    /// As [`Tree::signal`].
    pub fn terminate(&self, signal: i32) -> io::Result<()> {
        let sent = self.terminate_seen(signal);
        if sent.is_err() {
            self.signal_unseen(signal);
            self.signal_unseen(libc::SIGCONT);
        }
        sent
    }

    fn terminate_seen(&self, signal: i32) -> io::Result<()> {
        let members = self.scan()?;
        let signals = [signal, libc::SIGCONT];
        self.signal_all(&members, &signals)?;
        // Who had left the group between being listed and the group's being signalled has got nothing yet. A leader cannot
        // leave it.
        let in_group = |member: &&Process| member.group == self.leader && member.pid != self.leader;
        for listed in members.iter().filter(in_group) {
            let now = Process::read(listed.pid)?.filter(|now| now.start == listed.start);
            if now.is_some_and(|now| now.group != self.leader) {
                listed.signal(&signals)?;
            }
        }
        Ok(())
    }

    /// Sends SIGKILL to each member, and to those born meanwhile, until none is found that has not got it. Returns
    /// whether the tree is empty; if it is not, the last of it are dying, or could not be listed for the moment:
    /// call again, at the next SIGCHLD, say.
    #[must_use]
    pub fn kill(&self) -> bool {
        self.kill_all().unwrap_or_else(|_unseen| {
            self.signal_unseen(libc::SIGKILL);
            false
        })
    }

    fn kill_all(&self) -> io::Result<bool> {
        let mut met = BTreeSet::new();
        for _ in 0..KILL_PASSES_MAX {
            reap_adopted();
            let members = self.scan()?;
            if members.is_empty() {
                return Ok(true);
            }
            let known = met.len();
            met.extend(members.iter().map(Process::identity));
            if met.len() == known {
                return Ok(false);
            }
            let is_new = |member: &Process| !self.killed.borrow().contains(&member.identity());
            let new: Vec<Process> = members.into_iter().filter(is_new).collect();
            let killed = self.signal_all(&new, &[libc::SIGKILL])?;
            self.killed.borrow_mut().extend(killed);
        }
        Ok(false)
    }

    /// Whether it is certain that no process of the tree lives. Cheap when the leader left nobody behind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.look().unwrap_or(false)
    }

    /// Whether no process of the tree lives.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub fn look(&self) -> io::Result<bool> {
        let group_empty = signal_group(self.leader, 0) == Err(Errno::ESRCH);
        let no_orphan = || proc::adopted().is_ok_and(|orphans| orphans.is_empty()) || proc::has_no_child();
        let no_orphan = || self.kin == Kin::Ours && no_orphan();
        if group_empty && no_orphan() {
            return Ok(true);
        }
        Ok(self.scan()?.is_empty())
    }

    /// All living members. Orphans are listed again until there is no new one: a parent may have died after the last
    /// list was made and before its children were read, which would hide these.
    fn scan(&self) -> io::Result<Vec<Process>> {
        let mut walk = Walk::default();
        walk.visit(self.unreaped_leader()?.into_iter().collect())?;
        // Nobody is reaped meanwhile, so each pid stays that of the orphan it was read of.
        let mut known = BTreeSet::new();
        loop {
            let mut new = Vec::new();
            for orphan in self.strays(&known)? {
                known.insert(orphan.pid);
                if !walk.has_visited(&orphan) && self.owns(&orphan)? {
                    new.push(orphan);
                }
            }
            if new.is_empty() {
                break;
            }
            walk.visit(new)?;
        }
        self.seen.replace(walk.living.iter().map(Process::identity).collect());
        Ok(walk.living)
    }

    /// The leader, living or zombie, as long as its pid is its own.
    fn unreaped_leader(&self) -> io::Result<Option<Process>> {
        let now = self.whoever_has_its_pid()?;
        Ok(now.filter(|process| Some(process.start) == self.leader_start.get()))
    }

    /// The process, living or zombie, that has the leader's pid: the leader itself until it is reaped.
    fn whoever_has_its_pid(&self) -> io::Result<Option<Process>> {
        let now = Process::read(self.leader)?;
        if self.leader_start.get().is_none() && !self.is_leader_reaped.get() {
            self.leader_start.set(now.map(|leader| leader.start));
        }
        Ok(now)
    }

    /// Whether an orphan that the engine has adopted comes from this tree.
    fn owns(&self, orphan: &Process) -> io::Result<bool> {
        let is_near = orphan.group == self.leader || orphan.session == self.leader;
        if is_near && self.group_is_ours()? {
            return Ok(true);
        }
        let seen = self.seen.borrow().contains(&orphan.identity());
        Ok(seen || orphan.has_in_environment(&self.token)?)
    }

    /// Whether the leader's process group, or session, if there is one, is still that of this tree. The kernel gives the number
    /// of a group to nobody while the group has a member; so it is not if the leader's pid is another process's.
    fn group_is_ours(&self) -> io::Result<bool> {
        let now = self.whoever_has_its_pid()?;
        // Nobody keeps a stranger's pid from being another's, who may have gone and left a group as well.
        Ok(now.map_or(self.kin == Kin::Ours, |process| {
            Some(process.start) == self.leader_start.get()
        }))
    }

    /// Signals the leader's group, for want of anything to look with: as long as the leader has not been reaped, the group is its
    /// own.
    fn signal_unseen(&self, signal: i32) {
        if !self.is_leader_reaped.get() {
            // It may have emptied itself meanwhile: then there is nobody to tell.
            let _ = signal_group(self.leader, signal);
        }
    }

    /// Signals the group as one, which no fork can escape, and all others one by one, with each of these signals in turn.
    /// Returns those others.
    fn signal_all(&self, members: &[Process], signals: &[i32]) -> io::Result<Vec<(Pid, StartTime)>> {
        let inside = |member: &Process| member.group == self.leader;
        // A leader of ours that was met has not been reaped since.
        let met_leader = || self.kin == Kin::Ours && members.iter().any(|member| member.pid == self.leader);
        let as_group = members.iter().any(inside) && (met_leader() || self.group_is_ours()?);
        if as_group {
            for &signal in signals {
                // It may have emptied itself meanwhile: then there is nobody to tell.
                let _ = signal_group(self.leader, signal);
            }
        }
        let mut signalled = Vec::new();
        for member in members.iter().filter(|member| !(as_group && inside(member))) {
            if member.signal(signals)? {
                signalled.push(member.identity());
            }
        }
        Ok(signalled)
    }
}

/// Sends a signal to a process group; signal 0 only asks whether it exists.
fn signal_group(group: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill takes two numbers.
    Errno::result(unsafe { libc::kill(-group, signal) }).map(drop)
}
