//! What this machine allows: found by trying it, as every look at versions and settings would guess.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::words::reason;
use crate::{guardian, spawner};

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What: `kernel`, `isolation: pidns`.
    pub what: &'static str,
    /// How it stands with it.
    pub state: State,
    /// In words: what there is, and what to do where there is too little.
    pub words: String,
}

/// How it stands with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    Fine,
    /// It is not there, and Forkyard does without.
    Without,
    /// Forkyard cannot run without it.
    Lacking,
}

impl Finding {
    fn fine(what: &'static str, words: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Fine,
            words: words.into(),
        }
    }

    fn without(what: &'static str, words: impl Into<String>) -> Self {
        Self {
            state: State::Without,
            ..Self::fine(what, words)
        }
    }

    fn lacking(what: &'static str, words: impl Into<String>) -> Self {
        Self {
            state: State::Lacking,
            ..Self::fine(what, words)
        }
    }
}

/// Tries everything; `state` is where runs are kept, if that is known. To be called while this process has one thread.
#[must_use]
pub fn examine(state: Option<&Path>) -> Vec<Finding> {
    vec![
        kernel(),
        descriptors(),
        processes(),
        directory(state),
        Finding::fine("isolation: guardian", "always possible"),
        cgroup(),
        namespace(),
    ]
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    match spawner::probe() {
        Ok(()) => Finding::fine("kernel", format!("Linux {release}")),
        Err(error) => Finding::lacking("kernel", format!("Linux {release}: {error}")),
    }
}

/// As many as the engine needs before it starts anything; see `ulimit -n`.
const DESCRIPTORS_MIN: u64 = 128;

fn descriptors() -> Finding {
    let what = "open files";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if hard < DESCRIPTORS_MIN => Finding::lacking(
            what,
            format!("{soft} at most, and {hard} is the hard limit; {DESCRIPTORS_MIN} are needed: `ulimit -Hn`"),
        ),
        Ok((soft, hard)) => Finding::fine(
            what,
            format!("{soft} at most; forkyard raises that to {hard} when it must"),
        ),
        Err(errno) => Finding::without(what, format!("the limit is not known: {}", reason(errno))),
    }
}

fn processes() -> Finding {
    let own = match getrlimit(Resource::RLIMIT_NPROC) {
        Ok((soft, _)) if soft < libc::RLIM_INFINITY => format!("{soft} of this user at most"),
        Ok(_) | Err(_) => "no limit for this user".to_owned(),
    };
    let highest = read("/proc/sys/kernel/pid_max").unwrap_or_else(|| "unknown".to_owned());
    Finding::fine("processes", format!("{own}; the highest pid is {highest}"))
}

fn directory(state: Option<&Path>) -> Finding {
    let what = "state directory";
    let Some(state) = state else {
        return Finding::lacking(what, "not known: set HOME, or XDG_STATE_HOME to an absolute path");
    };
    match crate::directory::is_usable(state) {
        Ok(()) => Finding::fine(what, state.display().to_string()),
        Err(error) => Finding::lacking(
            what,
            format!("{}: {error}; XDG_STATE_HOME can name another place", state.display()),
        ),
    }
}

fn cgroup() -> Finding {
    let what = "isolation: cgroup";
    match guardian::try_cgroup() {
        Ok(()) => Finding::fine(
            what,
            "possible, and `auto` takes it: what a killed run leaves, the next one kills",
        ),
        Err(error) => Finding::without(what, format!("not possible: {error}")),
    }
}

fn namespace() -> Finding {
    let what = "isolation: pidns";
    match guardian::try_namespace() {
        Ok(()) => Finding::fine(
            what,
            "possible: nothing is left even when engine and guardians are killed at once",
        ),
        Err(errno) => Finding::without(what, format!("not possible: {}", advice(errno))),
    }
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM | Errno::EACCES => {
            "it needs root (CAP_SYS_ADMIN), or user namespaces, which are switched off here"
        }
        Errno::ENOSPC | Errno::EUSERS => "there are too many namespaces already (user.max_user_namespaces)",
        Errno::EINVAL | Errno::ENOSYS => "this kernel has been built without namespaces",
        other => other.desc(),
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        assert_eq!(directory(None).state, State::Lacking);
        assert_eq!(directory(Some(Path::new("/proc/forkyard"))).state, State::Lacking);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        assert_eq!(directory(Some(folder.path())).state, State::Fine);
    }

    #[test]
    fn what_runs_these_tests_is_enough() {
        assert_eq!(kernel().state, State::Fine);
        assert_eq!(descriptors().state, State::Fine);
        assert!(processes().words.contains("pid"));
    }
}
