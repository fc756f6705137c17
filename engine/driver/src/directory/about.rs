//! `run.json`: what a run is, and how it ended.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::guardian;
use crate::stdio::mask::Secrets;

/// What `run.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub name: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, likewise; `None`: it runs, or its engine died.
    pub ended_ms: Option<u64>,
    /// Whether the run has begun to stop, before all its processes had ended by themselves.
    #[serde(default)]
    pub stopping: bool,
    /// The exit code of `forkyard run`.
    pub exit_code: Option<i32>,
    /// The engine's pid.
    pub pid: u32,
    /// Where it was started.
    pub cwd: PathBuf,
    /// The command line.
    pub argv: Vec<String>,
    /// Forkyard's version.
    pub version: String,
    /// Where its socket is while it runs.
    pub socket: PathBuf,
}

impl About {
    /// A run that starts now, in this process.
    pub(super) fn now(id: &str, name: &str, socket: &Path, secrets: Option<&Secrets>) -> Self {
        let shown = |word: OsString| {
            let word = word.to_string_lossy();
            secrets.map_or_else(|| word.to_string(), |secrets| secrets.mask(&word).into_owned())
        };
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            started_ms: wall_ms(),
            ended_ms: None,
            stopping: false,
            exit_code: None,
            pid: guardian::own_pid_outside(),
            cwd: std::env::current_dir().unwrap_or_default(),
            argv: std::env::args_os().map(shown).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            socket: socket.to_owned(),
        }
    }

    /// Reads the `run.json` of a run's directory.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join("run.json");
        let text = fs::read(&path)?;
        serde_json::from_slice(&text).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is damaged or of another version: {error}", path.display()),
            )
        })
    }

    /// It has ended now.
    pub(super) fn end(&mut self, exit_code: i32) {
        self.ended_ms = Some(wall_ms());
        self.exit_code = Some(exit_code);
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
