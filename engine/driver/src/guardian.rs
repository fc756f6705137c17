//! The guardians: two tiny processes above the engine that do one thing, which is to leave nobody behind.
//!
//! ```text
//!  forkyard run: the guardian ─▶ the deputy ─▶ the engine ─▶ the processes of the run
//! ```
//!
//! When the engine is killed, the kernel kills its direct children, but not what these have started. A guardian is
//! a subreaper: it adopts all of them, and kills them. There are two, so that one is left when the other is killed
//! in the same instant as the engine. When a guardian is killed, the engine is made to stop the run at once.
//!
//! The run has a cgroup of its own where one can be made, so that what a run leaves whose three were killed together
//! is found and killed by the next one. With [`Isolation::Pidns`] nothing is left even then: the deputy is the first
//! process of a namespace, and the kernel kills all that is in there when it ends, whoever has killed it.
//!
//! Who is to outlive the engine ([`crate::kept`]) is spared. The deputy stays as its parent then: see [`keeper`].
//!
//! The guardians forward the signals that ask a run to stop, to be suspended, or to go on. The engine is in a process
//! group of its own, so that Ctrl-C reaches it once.

mod group;
mod keeper;
mod namespace;
mod ward;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use forkyard_core::spec::Isolation;
use nix::errno::Errno;

use crate::cgroup::{self, Hierarchy};
use crate::kept::Place;
use crate::words::{io_reason, reason};
use group::Group;
use keeper::Farewell;
pub use namespace::{own_pid_outside, pid_outside};
use ward::{Above, Spared, Ward};

/// The exit code of `forkyard run` when the engine could not do its work.
pub(crate) const FAULT: i32 = 3;

/// The exit code of `forkyard run` when the workflow asks for what cannot be had, and nothing was started.
const INVALID: i32 = 2;

/// Runs `engine` below two guardians and returns the exit code of `forkyard run`: the engine's; 3 when it panicked or
/// was killed; 2 when this machine does not allow the isolation. When this returns, no process of the run is left but
/// those that are noted in `kept`. To be called while this process has one thread.
pub fn guard(isolation: Isolation, kept: Option<&Place>, engine: impl FnOnce() -> i32) -> i32 {
    // Of version 1 a run has groups for limits alone, and looks there when it makes some.
    let unified = cgroup::unified();
    if let Some(unified) = &unified {
        unified.bury_dead();
    }
    let group = match shelter(isolation, unified.as_ref()) {
        Ok(group) => group,
        Err(words) => {
            tell(&format!(
                "{words}; `forkyard doctor` says what is possible here; nothing was started"
            ));
            return INVALID;
        }
    };
    let farewell = match kept.map(|_| Farewell::new()).transpose() {
        Ok(farewell) => farewell,
        Err(error) => {
            tell(&format!("cannot make a pipe for the guardians: {}", io_reason(&error)));
            return FAULT;
        }
    };
    let spared = kept
        .zip(farewell.as_ref())
        .map(|(place, farewell)| Spared { place, farewell });
    let code = ward::watch_over(Ward::Deputy, None, spared, group.as_ref(), |above, entered| {
        if let Err(error) = entered
            && isolation == Isolation::Cgroup
        {
            tell(&format!("cannot enter the cgroup of the run: {}", io_reason(&error)));
            return FAULT;
        }
        deputy(isolation, group.as_ref(), &above, spared, engine)
    });
    if let Some(group) = group {
        group.end();
    }
    code
}

/// Whether a run could have a cgroup of its own.
///
/// # Errors
/// Why not.
pub fn try_cgroup() -> io::Result<()> {
    Group::make(cgroup::unified().as_ref()).map(|group| group.end())
}

/// Whether a run could have a namespace of its own. To be called while this process has one thread.
///
/// # Errors
/// Why not.
pub fn try_namespace() -> Result<(), Errno> {
    namespace::attempt()
}

/// What an isolation needs before the deputy is forked.
fn shelter(isolation: Isolation, unified: Option<&Hierarchy>) -> Result<Option<Group>, String> {
    match isolation {
        Isolation::Guardian => Ok(None),
        Isolation::Auto => Ok(Group::make(unified).ok()),
        Isolation::Cgroup => Group::make(unified).map(Some).map_err(|error| {
            format!(
                "`isolation: cgroup` is not possible: no group of processes can be made: {}",
                io_reason(&error)
            )
        }),
        Isolation::Pidns => namespace::part().map(|()| None).map_err(|errno| {
            let why = reason(errno);
            format!("`isolation: pidns` is not possible: no namespace of processes can be made: {why}")
        }),
    }
}

/// All that the deputy does.
fn deputy(
    isolation: Isolation,
    group: Option<&Group>,
    above: &Above,
    spared: Option<Spared<'_>>,
    engine: impl FnOnce() -> i32,
) -> i32 {
    if isolation == Isolation::Pidns
        && let Err(errno) = namespace::settle()
    {
        tell(&format!("cannot mount /proc for `isolation: pidns`: {}", reason(errno)));
        return FAULT;
    }
    let code = ward::watch_over(Ward::Engine, Some(above), spared, None, |_deputy, _no_group| engine());
    if let Some(spared) = spared {
        keeper::stay(spared, group, above, code);
    }
    code
}

/// Nobody can be told when stderr does not take it.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "forkyard: {what}");
}
