//! What must hold after a run in which a system call failed.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::table::{Case, Fault};
use super::trial::{Trial, command, text};
use crate::harness::binary;

/// How a run that is as it must be has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No thread came so far.
    Unhit,
    /// Exit 0, and every result is right.
    Unharmed,
    /// Another exit code, and words.
    Told,
    /// It never came to our own code, or what was injected is nothing that can happen.
    Exempt,
}

/// How long a killed run may take until all of it is gone.
const GONE: Duration = Duration::from_secs(10);

/// After an error.
///
/// # Errors
/// What is not as it must be.
pub fn judge(case: &Case, trial: &Trial) -> Result<Fate, String> {
    let Some(status) = trial.status else {
        return Err(format!("it hangs: {:?}", trial.world.living()));
    };
    let left = trial.world.living();
    if !left.is_empty() {
        return Err(format!("processes were left behind: {left:?}"));
    }
    if takes_reader_for_gone(case, trial) {
        return readable(trial).map(|()| Fate::Exempt);
    }
    if is_exempt(case, trial) {
        return if status.code() == Some(0) {
            right(trial).map(|()| Fate::Exempt)
        } else {
            Ok(Fate::Exempt)
        };
    }
    if trial.stderr.contains("panicked at") {
        return Err("it panics".to_owned());
    }
    let fate = if !trial.trace.contains("(INJECTED)") {
        Fate::Unhit
    } else if status.code() == Some(0) {
        Fate::Unharmed
    } else {
        Fate::Told
    };
    match (fate, status.code()) {
        (Fate::Told, Some(code)) => told(code, trial)?,
        (Fate::Told, None) if trial.stderr.is_empty() => return Err(format!("it ends without a word: {status}")),
        (Fate::Told, None) => {}
        (Fate::Unhit | Fate::Unharmed | Fate::Exempt, _) => right(trial)?,
    }
    readable(trial)?;
    Ok(fate)
}

/// The C library and the runtime of the language give up before `main`, and before a thread begins, when there is no memory
/// for them. An eventfd has none of the errors of other files, and its write cannot be interrupted; to watch
/// a descriptor no longer needs neither memory nor room.
fn is_exempt(case: &Case, trial: &Trial) -> bool {
    let died = trial.status.is_some_and(|status| status.signal().is_some()) && trial.stderr.is_empty();
    let before_main = died && matches!(case.syscall, "brk" | "mmap" | "mprotect");
    let no_thread = trial.stderr.contains("alternative stack");
    let injected: Vec<&str> = trial.trace.lines().filter(|line| line.contains("(INJECTED)")).collect();
    let eventfd = case.syscall == "write" && injected.iter().any(|line| line.contains(r#", "\1\0\0\0\0\0\0\0", 8)"#));
    let unwatched = !injected.is_empty() && injected.iter().all(|line| line.contains("EPOLL_CTL_DEL"));
    before_main || no_thread || eventfd || unwatched
}

/// EPIPE of a pipe says that its reader has closed it, which ours has not. What a reader that is gone has not read goes back to its
/// queue, and that is told; it is no failure.
fn takes_reader_for_gone(case: &Case, trial: &Trial) -> bool {
    let is_epipe = matches!(case.fault, Fault::Once("EPIPE") | Fault::FromThenOn("EPIPE"));
    is_epipe && case.syscall == "write" && trial.stdout.contains("put back, as their taker ended")
}

/// Somebody has been told what has failed.
fn told(code: i32, trial: &Trial) -> Result<(), String> {
    const READER_GONE: i32 = 141;
    let words = |text: &str| {
        ["cannot", "could not", "error", "was killed", "failed"]
            .iter()
            .any(|word| text.contains(word))
    };
    let is_mute = trial
        .trace
        .lines()
        .any(|line| line.contains("write(2, ") && line.contains("(INJECTED)"));
    if is_mute || code == READER_GONE || words(&trial.stderr) || words(&trial.stdout) {
        return Ok(());
    }
    Err(format!("exit {code} without a word"))
}

/// The run's directory can be read, and says that the run is over.
fn readable(trial: &Trial) -> Result<(), String> {
    for run in runs(trial)? {
        if run["state"] == "running" {
            return Err(format!("a run that is over is said to go on: {run}"));
        }
        call(trial, &["logs", run["id"].as_str().unwrap_or_default()])?;
    }
    Ok(())
}

fn runs(trial: &Trial) -> Result<Vec<Value>, String> {
    let listed = call(trial, &["runs", "--json"])?;
    let lines = listed
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()));
    lines.collect()
}

/// What a further command prints, which must succeed.
fn call(trial: &Trial, arguments: &[&str]) -> Result<String, String> {
    let output = command(binary(), &trial.world)
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "forkyard {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Every result of a run that has succeeded is there.
fn right(trial: &Trial) -> Result<(), String> {
    let expect = |what: &str, is: &str, expected: &str| {
        if is == expected {
            Ok(())
        } else {
            Err(format!("exit 0, and {what} is {is:?}"))
        }
    };
    let code = trial.status.and_then(|status| status.code());
    if code != Some(0) {
        return Err(format!("exit {code:?} though nothing has failed: {}", trial.stderr));
    }
    expect("the file", &text(&trial.world, "out.txt"), "5\n4\n3\n2\n1\n")?;
    let directory = trial.world.run_directory();
    let read = |path: &str| fs::read_to_string(directory.join(path)).unwrap_or_default();
    expect("a log", &read("logs/keeps.log"), "5\n4\n3\n2\n1\n")?;
    expect("another log", &read("logs/hears.log"), "one\ntwo\n")?;
    let results = read("results/doubles.jsonl");
    expect(
        "the number of results",
        &results.matches(r#""result":"aa""#).count().to_string(),
        "2",
    )?;
    let shown = |number| format!("│ {number}\n");
    let lines = (1..=5).filter(|number| trial.stdout.contains(&shown(*number))).count();
    expect("the number of lines on stdout", &lines.to_string(), "5")?;
    expect(
        "the summary",
        &trial.stdout.matches("5 done · 2 tasks done").count().to_string(),
        "1",
    )?;
    whole(&directory)
}

/// Its records are all there, every item is accounted for, and it has ended.
fn whole(directory: &Path) -> Result<(), String> {
    let read = |path: &str| fs::read_to_string(directory.join(path)).map_err(|error| error.to_string());
    let records: Result<Vec<Value>, _> = read("records.jsonl")?.lines().map(serde_json::from_str).collect();
    let records = records.map_err(|error| format!("exit 0, and a record is torn: {error}"))?;
    let count = |kind: &str| records.iter().filter(|record| record["record"] == kind).count();
    let counts = ["task_done", "run_ended", "queue_counted", "pool_counted"].map(count);
    // A worker that could not be given its task is started once more.
    let (started, exited, retried) = (count("started"), count("exited"), count("task_retried"));
    if counts != [2, 1, 2, 1] || started != exited || started != 6 + retried {
        return Err(format!(
            "exit 0, and records are missing: {started} {exited} {retried} {counts:?}"
        ));
    }
    for queue in records.iter().filter(|record| record["record"] == "queue_counted") {
        if queue["put"] != queue["got"] || queue["returned"] != 0 || queue["left"] != 0 {
            return Err(format!("exit 0, and items are not accounted for: {queue}"));
        }
    }
    let about: Value = serde_json::from_str(&read("run.json")?).map_err(|error| error.to_string())?;
    if about["exit_code"] == 0 {
        Ok(())
    } else {
        Err(format!("exit 0, and run.json says {about}"))
    }
}

/// After a kill: everything is gone, what is there can be read, and the next run is undisturbed.
///
/// # Errors
/// What is not as it must be.
pub fn judge_killed(trial: &Trial) -> Result<Fate, String> {
    let Some(status) = trial.status else {
        return Err(format!("it hangs: {:?}", trial.world.living()));
    };
    let was_hit = trial.trace.contains("killed by SIGKILL");
    if was_hit == status.success() {
        return Err(format!("{status}, though the kill came: {was_hit}"));
    }
    let begun = Instant::now();
    while !trial.world.living().is_empty() {
        if begun.elapsed() > GONE {
            return Err(format!("processes were left behind: {:?}", trial.world.living()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    readable(trial)?;
    let next = call(trial, &["run", "workflow.yaml"])?;
    if !next.contains("5 done · 2 tasks done") {
        return Err(format!("the next run: {next}"));
    }
    Ok(if was_hit { Fate::Told } else { Fate::Unhit })
}
