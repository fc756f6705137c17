//! What is noted of a process that is kept.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ending, Place};
use crate::tree::{self, Tree};

/// Which process: a pid alone may belong to somebody else one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid, which is also that of its process group and of its session.
    pub pid: i32,
    /// When it was started, in clock ticks since the machine was: `proc_pid_stat(5)`.
    pub start: u64,
}

/// Where what it writes begins in its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStart {
    /// The log.
    pub path: PathBuf,
    /// So many bytes were in it before.
    pub from: u64,
}

/// One process that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The file of its workflow.
    pub file: PathBuf,
    /// The workflow's name.
    pub workflow: String,
    /// Its own.
    pub process: String,
    /// The run that has started it.
    pub run: String,
    /// Its `FORKYARD_TOKEN`: by that it is found as long as its pid is not known.
    pub token: String,
    /// Of its declaration: see [`super::digest`].
    pub digest: String,
    /// The start of the machine in which its pid means something, and the namespace: `namespaces(7)`.
    pub boot: String,
    /// See `boot`.
    pub namespace: String,
    /// Who it is; `None`: it is just being started.
    pub identity: Option<Identity>,
    /// Whether it has been seen to be ready.
    pub ready: bool,
    /// Its log; `None` when it does not write to it.
    pub log: Option<LogStart>,
    /// The signal that asks it to stop.
    pub stop_signal: i32,
    /// How long it has then, in milliseconds.
    pub grace_ms: u64,
}

/// How one who is kept stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Lives(Identity),
    /// Its first process has ended; how, unless there was no keeper.
    Ended(Option<Ending>),
}

impl Note {
    /// How it stands now.
    ///
    /// # Errors
    /// When that cannot be known: `/proc` cannot be read, or the process is in another namespace of pids.
    pub fn standing(&self, place: &Place) -> io::Result<Standing> {
        if !self.is_of_now()? {
            return Ok(Standing::Ended(None));
        }
        if self.namespace != namespace()? {
            let why = format!(
                "`{}` was started in another namespace of pids and cannot be seen from here: is the state directory shared \
                 with a container?",
                self.process
            );
            return Err(io::Error::other(why));
        }
        let Some(identity) = self.identity else {
            let found = tree::find(&self.token)?;
            return Ok(found.map_or(Standing::Ended(None), |(pid, start)| {
                Standing::Lives(Identity { pid, start })
            }));
        };
        if tree::started(identity.pid)? == Some(identity.start) {
            return Ok(Standing::Lives(identity));
        }
        place.ending(identity).map(Standing::Ended)
    }

    /// Whether the machine has not been started again since.
    pub(super) fn is_of_now(&self) -> io::Result<bool> {
        Ok(boot()? == self.boot)
    }

    /// All of its processes, wherever they are.
    #[must_use]
    pub fn tree(&self, identity: Identity) -> Tree {
        Tree::of_stranger(identity.pid, identity.start, &self.token)
    }

    /// How long it has from the signal that asks it to stop to the one that kills it.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// A random id of this start of the machine.
///
/// # Errors
/// Without `/proc`.
pub(super) fn boot() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// The namespace in which this process sees pids.
///
/// # Errors
/// Without `/proc`.
pub(super) fn namespace() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/pid")?;
    Ok(link.to_string_lossy().into_owned())
}
