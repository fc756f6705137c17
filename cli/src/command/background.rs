//! `forkyard run --wait ready`: the run goes on in the background once everything has come up.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use forkyard_core::plan::Plan;
use forkyard_driver::background::{self, Background, Heard, Teller};
use forkyard_driver::directory::RunDirectory;
use forkyard_ipc::client::Client;
use serde_json::Value;

use crate::duration;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::screen;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything has been started, and who has `ready` is ready
    Ready,
}

/// What `--wait` says.
pub fn until(text: &str) -> Result<Until, String> {
    match text {
        "ready" => Ok(Until::Ready),
        "" => Err("it is written as: --wait ready".to_owned()),
        file => Err(format!(
            "what is waited for comes first: forkyard run --wait ready {}",
            file.escape_debug()
        )),
    }
}

/// So much of what the run has written is shown when it has not come up; the rest is in its directory.
const SHOWN_BYTES_MAX: u64 = 64 * 1024;

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long to wait at most.
    pub timeout: Option<Duration>,
    /// One JSON object instead of words.
    pub json: bool,
    /// Nothing but the run's id.
    pub quiet: bool,
}

/// Starts `work` in the background and waits until everything has come up. To be called while this process has one thread.
pub fn run(
    directory: RunDirectory,
    plan: &Plan,
    manner: Manner,
    work: impl FnOnce(Teller) -> u8,
) -> Result<u8, Failure> {
    let begun = Instant::now();
    let unable = |error: &io::Error| Failure::unable(format!("cannot go on in the background: {}", reason(error)));
    let output = RunDirectory::append(&directory.output()).map_err(|error| unable(&error))?;
    let mut run = background::start(&output, |teller| i32::from(work(teller))).map_err(|error| unable(&error))?;
    let heard = run.listen(manner.timeout.map(|timeout| begun + timeout));
    match heard.map_err(|error| unable(&error))? {
        Heard::Up => {
            up(directory.id(), begun.elapsed(), manner)?;
            Ok(exit::DONE)
        }
        Heard::Failed(process) => {
            end(
                run,
                &directory,
                &format!("`{process}` has failed before everything was ready"),
            );
            Ok(exit::NOT_DONE)
        }
        Heard::Late => {
            let late = duration::human(manner.timeout.unwrap_or_default());
            let who = missing(&directory, plan).unwrap_or_default();
            end(run, &directory, &format!("not ready within {late}{who}"));
            Ok(exit::LATE)
        }
        Heard::Ended(code) => {
            if directory.has_begun() {
                note_end(&directory, code);
                tell(&directory, Some("the run has ended before everything was ready"));
            } else {
                // It was refused, as in the foreground, where it would not have a directory either.
                tell(&directory, None);
                directory.discard().map_err(|error| unable(&error))?;
            }
            Ok(u8::try_from(code).unwrap_or(exit::UNABLE))
        }
    }
}

fn up(id: &str, took: Duration, manner: Manner) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if manner.json {
        writeln!(
            out,
            "{}",
            serde_json::json!({"run": id, "ready_ns": u64::try_from(took.as_nanos()).ok()})
        )?;
    } else {
        writeln!(out, "{id}")?;
    }
    out.flush()?;
    if !manner.json && !manner.quiet {
        screen::complain(&format!(
            "ready after {}; to stop the run: forkyard stop {id}",
            duration::human(took)
        ));
    }
    Ok(())
}

/// Stops the run, and says why.
fn end(run: Background, directory: &RunDirectory, why: &str) {
    match run.stop() {
        Ok(code) => note_end(directory, code),
        Err(error) => screen::complain(&format!("forkyard run: cannot wait for its end: {}", reason(&error))),
    }
    tell(directory, Some(&format!("{why}; the run was stopped")));
}

/// The run writes down its end itself, unless it has not even begun.
fn note_end(directory: &RunDirectory, code: i32) {
    if directory.about().is_ok_and(|about| about.exit_code.is_none()) {
        // What cannot be written is shown as a run that has died, which is not far from the truth.
        let _ = directory.ended(code);
    }
}

/// Shows what the run has written, and why it has ended, unless that says so.
fn tell(directory: &RunDirectory, why: Option<&str>) {
    let mut shown = last_output(directory).unwrap_or_default();
    while shown.last() == Some(&b'\n') {
        shown.pop();
    }
    if !shown.is_empty() {
        screen::complain(&String::from_utf8_lossy(&shown));
    }
    if let Some(why) = why {
        screen::complain(&format!("forkyard run: {why}"));
    }
}

/// The end of what the run has written, from the beginning of a line on.
fn last_output(directory: &RunDirectory) -> io::Result<Vec<u8>> {
    let mut file = File::open(directory.output())?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(SHOWN_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if skipped > 0
        && let Some(newline) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=newline);
    }
    Ok(bytes)
}

/// `: db is running, web is pending`
fn missing(directory: &RunDirectory, plan: &Plan) -> Option<String> {
    let rows = Client::connect(directory.socket()).ok()?.ps().ok()?;
    let rows: Value = serde_json::from_slice(&rows).ok()?;
    let who = whom(plan, rows.as_array()?);
    (!who.is_empty()).then(|| format!(": {}", who.join(", ")))
}

/// Those of a table that have not come up, with their states.
fn whom(plan: &Plan, rows: &[Value]) -> Vec<String> {
    let known = plan.processes.iter().zip(rows);
    let missing = known.filter(|(process, row)| {
        let state = row["state"].as_str().unwrap_or_default();
        let is_up = match state {
            "running" => process.ready.is_none() || row["ready"] == true,
            state => matches!(state, "exited" | "skipped"),
        };
        process.worker_of.is_none() && !is_up
    });
    missing
        .map(|(process, row)| format!("{} is {}", process.name, row["state"].as_str().unwrap_or("unknown")))
        .collect()
}
