//! What concerns all trees at once: adopting orphans, reaping them, and the end of everything.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use super::proc::{self, Pid, Process, StartTime, Walk};
use super::{KILL_PASSES_MAX, Tree};

/// How long a sweep waits between two looks for those that are dying, at first; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_micros(200);

/// The longest pause between two looks of a sweep: whoever waits for the end of the run waits so long too much.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// How often a sweep looks, about 10 s in all. Only a process stuck in the kernel (a dead network file system)
/// survives SIGKILL so long.
const LOOKS_MAX: u32 = 1000;

/// Makes this process the one that adopts all orphans among its descendants. Not inherited by its children.
///
/// # Errors
/// When the kernel does not know subreapers (before Linux 3.4).
pub fn adopt_orphans() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Takes the exits of adopted orphans, which nobody else waits for; to be called at each SIGCHLD. Those
/// started here are not touched. When they cannot be listed for the moment, the next call takes them.
pub fn reap_adopted() {
    reap_all_but(&[]);
}

/// The same without those that have these pids: somebody wants to know how they end.
pub fn reap_all_but(spared: &[i32]) {
    let orphans = proc::adopted().unwrap_or_default();
    for pid in orphans.into_iter().filter(|pid| !spared.contains(pid)) {
        // SAFETY: a null status is allowed; nothing is written. For a child that runs nothing happens.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// Why a sweep may have left somebody.
#[derive(Debug)]
pub enum Unswept {
    /// Some have not died.
    Undying,
    /// It could not be seen who is left.
    Unseen(io::Error),
}

impl fmt::Display for Unswept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undying => {
                f.write_str("some processes of the run do not die even by SIGKILL: they hang in the kernel")
            }
            Self::Unseen(error) => write!(f, "what is left of the run cannot be looked for: {error}"),
        }
    }
}

/// Kills every descendant of this process, also those born meanwhile, and returns when none lives: blocking, for
/// the end of a run. Adopted orphans are reaped.
///
/// # Errors
/// When some have not died within about 10 s, or could not be seen.
pub fn sweep_all() -> Result<(), Unswept> {
    sweep_all_but(&[])
}

/// The same without these trees.
///
/// # Errors
/// As [`sweep_all`].
pub fn sweep_all_but(spared: &[Tree]) -> Result<(), Unswept> {
    let mut pause = PAUSE_MIN;
    let mut left = Unswept::Undying;
    let mut killed = BTreeSet::new();
    for _ in 0..LOOKS_MAX {
        // Who has no child has no descendant either, as it adopts all orphans among these.
        if proc::has_no_child() {
            return Ok(());
        }
        left = match kill_living(spared, &mut killed) {
            Ok(true) => {
                reap_all_but(&leaders(spared));
                return Ok(());
            }
            Ok(false) => Unswept::Undying,
            Err(error) => Unswept::Unseen(error),
        };
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Err(left)
}

/// Kills those descendants that live now and have not been `killed` yet; true when none lives. Children are listed again
/// until there is no new one: whoever was the child of one that has just ended is a child of this process since.
fn kill_living(spared: &[Tree], killed: &mut BTreeSet<(Pid, StartTime)>) -> io::Result<bool> {
    reap_all_but(&leaders(spared));
    let mut walk = Walk::default();
    // Nobody is reaped meanwhile, so each pid stays that of the orphan it was read of.
    let mut known = BTreeSet::new();
    for _ in 0..KILL_PASSES_MAX {
        let mut new = proc::orphans_but(&known)?;
        known.extend(new.iter().map(|orphan| orphan.pid));
        let started = proc::started_but(&known)?;
        new.extend(started.into_iter().filter(|process| !walk.has_visited(process)));
        if new.is_empty() {
            return Ok(walk.living.is_empty());
        }
        walk.visit_but(new, |process| is_spared(process, spared))?;
        for process in &walk.living {
            if !killed.contains(&process.identity()) && process.signal(&[libc::SIGKILL])? {
                killed.insert(process.identity());
            }
        }
    }
    Ok(false)
}

fn is_spared(process: &Process, spared: &[Tree]) -> io::Result<bool> {
    for tree in spared {
        if tree.claims(process)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn leaders(spared: &[Tree]) -> Vec<i32> {
    spared.iter().map(|tree| tree.leader).collect()
}
