//! `forkyard runs`: what has been run, and how it ended.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forkyard_driver::directory::{self, RunDirectory, RunState, RunSummary};
use serde_json::Value;

use crate::duration;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::table;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One JSON object a run, one a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard runs
  forkyard runs --json | tail -n 1";

/// Lists the runs, the newest last.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let runs = all()?;
    let mut out = io::stdout().lock();
    if args.json {
        for run in &runs {
            writeln!(out, "{}", json(run))?;
        }
    } else if runs.is_empty() {
        writeln!(out, "No runs yet. Start one with: forkyard run workflow.yaml")?;
    } else {
        let rows: Vec<_> = runs.iter().map(|run| row(run, now())).collect();
        let head = ["ID", "NAME", "STARTED (UTC)", "STATE", "EXIT", "DURATION"];
        write!(out, "{}", table::align(head, &rows))?;
    }
    out.flush()?;
    Ok(exit::DONE)
}

/// Where runs are kept.
pub fn state_directory() -> Result<PathBuf, Failure> {
    directory::state_directory()
        .ok_or_else(|| Failure::unable("no place for runs is known: set HOME, or XDG_STATE_HOME to an absolute path"))
}

/// All runs of this user, the oldest first.
pub fn all() -> Result<Vec<RunSummary>, Failure> {
    let state = state_directory()?;
    directory::list(&state)
        .map_err(|error| Failure::unable(format!("cannot read {}: {}", state.display(), reason(&error))))
}

/// Reads the records of a run, one after the other.
///
/// # Errors
/// When they are not there, or cannot be read.
pub fn each_record(directory: &RunDirectory, mut each: impl FnMut(&Value)) -> io::Result<()> {
    for line in BufReader::new(File::open(directory.records())?).lines() {
        // The last line may not be whole yet; of an engine that was killed it never will be.
        if let Ok(record) = serde_json::from_str(&line?) {
            each(&record);
        }
    }
    Ok(())
}

/// Whether a run still goes on, as a word.
pub const fn state_in_words(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Ended => "ended",
        RunState::Died => "died",
    }
}

fn json(run: &RunSummary) -> serde_json::Value {
    serde_json::json!({
        "id": run.about.id,
        "name": run.about.name,
        "state": run.state,
        "exit": run.about.exit_code,
        "started_ms": run.about.started_ms,
        "ended_ms": run.about.ended_ms,
    })
}

fn row(run: &RunSummary, now: Duration) -> [String; 6] {
    let about = &run.about;
    let started = Duration::from_millis(about.started_ms);
    let ended = match (about.ended_ms, run.state) {
        (Some(ended), _) => Some(Duration::from_millis(ended)),
        (None, RunState::Running) => Some(now),
        (None, RunState::Ended | RunState::Died) => None,
    };
    [
        about.id.clone(),
        about.name.clone(),
        started_at(&about.id),
        state_in_words(run.state).to_owned(),
        about.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
        ended.map_or_else(
            || "-".to_owned(),
            |ended| duration::human(ended.saturating_sub(started)),
        ),
    ]
}

/// The moment that an id begins with: `20261123-141122-ab12` is 2026-11-23 14:11:22.
fn started_at(id: &str) -> String {
    let digits = |range: std::ops::Range<usize>| id.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let parts = [0..4, 4..6, 6..8, 9..11, 11..13, 13..15].map(digits);
    match parts {
        [
            Some(year),
            Some(month),
            Some(day),
            Some(hour),
            Some(minute),
            Some(second),
        ] => {
            format!("{year}-{month}-{day} {hour}:{minute}:{second}")
        }
        _ => "-".to_owned(),
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use forkyard_driver::directory::About;

    fn summary(state: RunState, ended_ms: Option<u64>, exit_code: Option<i32>) -> RunSummary {
        RunSummary {
            about: About {
                id: "20261123-141122-ab12".to_owned(),
                name: "word-count".to_owned(),
                started_ms: 10_000,
                ended_ms,
                stopping: false,
                exit_code,
                pid: 1,
                cwd: PathBuf::new(),
                argv: Vec::new(),
                version: String::new(),
                socket: PathBuf::new(),
            },
            state,
        }
    }

    #[test]
    fn a_row_tells_when_and_how() {
        let now = Duration::from_millis(12_500);
        let ended = row(&summary(RunState::Ended, Some(13_200), Some(1)), now);
        let expected = [
            "20261123-141122-ab12",
            "word-count",
            "2026-11-23 14:11:22",
            "ended",
            "1",
            "3.2s",
        ];
        assert_eq!(ended, expected.map(ToOwned::to_owned));
        let running = row(&summary(RunState::Running, None, None), now);
        assert_eq!(running[3..], ["running", "-", "2.5s"].map(ToOwned::to_owned));
        let died = row(&summary(RunState::Died, None, None), now);
        assert_eq!(died[3..], ["died", "-", "-"].map(ToOwned::to_owned));
    }

    #[test]
    fn an_id_that_is_no_date_has_no_date() {
        assert_eq!(started_at("x"), "-");
        assert_eq!(started_at("2026112é-141122"), "-");
    }
}
