//! All runs of a state directory.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::About;

/// One run as `forkyard runs` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// What its `run.json` says.
    pub about: About,
    /// Whether it still goes on.
    pub state: RunState,
}

/// Whether a run still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its engine lives.
    Running,
    /// It has ended, well or not.
    Ended,
    /// Its engine died before the end.
    Died,
}

/// All runs, the oldest first. A directory that cannot be read as a run is left out: it is half made, or of
/// another version.
pub fn list(state: &Path) -> io::Result<Vec<RunSummary>> {
    let entries = match fs::read_dir(state.join("runs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let Ok(about) = About::read(&path) {
            let state = state_of(&about, &path);
            runs.push(RunSummary { about, state });
        }
    }
    // The id has the second alone; within it, its letters are random.
    runs.sort_by(|a, b| (a.about.started_ms, &a.about.id).cmp(&(b.about.started_ms, &b.about.id)));
    Ok(runs)
}

fn state_of(about: &About, path: &Path) -> RunState {
    if about.exit_code.is_some() {
        return RunState::Ended;
    }
    if is_let_go(path) {
        RunState::Died
    } else {
        RunState::Running
    }
}

/// Whether nobody has locked the directory of a run any more.
pub(super) fn is_let_go(path: &Path) -> bool {
    File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_ok())
}
