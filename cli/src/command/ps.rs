//! `forkyard ps`: the processes of a run, as they are now.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use forkyard_driver::directory::{RunState, RunSummary};
use forkyard_ipc::client::Client;
use serde_json::Value;

use super::{runs, verb};
use crate::duration;
use crate::exit;
use crate::failure::Failure;
use crate::signal;
use crate::table;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Another run than the one this program belongs to, or the only one that goes on
    #[arg(long, value_name = "ID")]
    run: Option<String>,

    /// A JSON array, an object a process
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard ps
  forkyard ps --run 20261123-141122-ab12 --json

SINCE counts from the start of the run.
Exit codes: 0 done, 3 no such run, or none that goes on.";

const HEAD: [&str; 6] = ["NAME", "PID", "STATE", "SINCE", "EXIT", "RESTARTS"];

/// Shows the table.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = connect(args.run.as_deref())?;
    let json = client.ps().map_err(|error| verb::failure(&error))?;
    let mut out = io::stdout().lock();
    if args.json {
        out.write_all(&json)?;
        writeln!(out)?;
    } else {
        let rows: Value = serde_json::from_slice(&json)
            .map_err(|error| Failure::unable(format!("the engine has answered something unknown: {error}")))?;
        out.write_all(in_words(rows.as_array().map_or(&[], Vec::as_slice)).as_bytes())?;
    }
    out.flush()?;
    Ok(exit::DONE)
}

/// The run that is named, else the one around us, else the only one there is.
pub fn connect(id: Option<&str>) -> Result<Client, Failure> {
    if id.is_none() && std::env::var_os("FORKYARD_SOCKET").is_some() {
        return Client::from_environment().map_err(|error| verb::failure(&error));
    }
    let socket = socket(runs::all()?, id)?;
    Client::connect(&socket).map_err(|error| verb::failure(&error))
}

fn socket(runs: Vec<RunSummary>, id: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(id) = id {
        let run = runs.into_iter().find(|run| run.about.id == id);
        let run = run.ok_or_else(|| no_such_run(id))?;
        return match run.state {
            RunState::Running => Ok(run.about.socket),
            RunState::Ended | RunState::Died => {
                let state = runs::state_in_words(run.state);
                Err(Failure::unable(format!(
                    "the run {id} does not go on any more, it has {state}"
                )))
            }
        };
    }
    let mut live: Vec<RunSummary> = runs.into_iter().filter(|run| run.state == RunState::Running).collect();
    match (live.pop(), live.len()) {
        (None, _) => Err(Failure::unable("no run goes on; see: forkyard runs")),
        (Some(run), 0) => Ok(run.about.socket),
        (Some(run), _) => Err(several(live.iter().chain([&run]))),
    }
}

/// Nobody has run that.
pub(super) fn no_such_run(id: &str) -> Failure {
    Failure::unable(format!("there is no run `{}`; see: forkyard runs", id.escape_debug()))
}

/// Which of them is meant has to be said.
pub(super) fn several<'a>(runs: impl Iterator<Item = &'a RunSummary>) -> Failure {
    let runs: Vec<String> = runs.map(named).collect();
    Failure::unable(format!("several runs go on, name one with --run: {}", runs.join(", ")))
}

/// `20261123-141122-ab12 (services)`
pub(super) fn named(run: &RunSummary) -> String {
    format!("{} ({})", run.about.id, run.about.name)
}

/// The table; a column with the sockets is there when somebody has some.
fn in_words(processes: &[Value]) -> String {
    let has_sockets = processes.iter().any(|process| process["sockets"].is_object());
    let rows: Vec<_> = processes.iter().map(row).collect();
    if !has_sockets {
        return table::align(HEAD, &rows);
    }
    let [name, pid, state, since, exit, restarts] = HEAD;
    let rows: Vec<_> = rows
        .into_iter()
        .zip(processes)
        .map(|([name, pid, state, since, exit, restarts], process)| {
            [name, pid, state, since, exit, restarts, sockets(process)]
        })
        .collect();
    table::align([name, pid, state, since, exit, restarts, "SOCKETS"], &rows)
}

/// `http=127.0.0.1:8080, admin=/run/admin.sock`
fn sockets(process: &Value) -> String {
    let own = process["sockets"].as_object().into_iter().flatten();
    let own: Vec<String> = own
        .map(|(name, address)| format!("{name}={}", address.as_str().unwrap_or_default()))
        .collect();
    if own.is_empty() { "-".to_owned() } else { own.join(", ") }
}

fn row(process: &Value) -> [String; 6] {
    let text = |key: &str| process[key].as_str().unwrap_or("-").to_owned();
    let since = process["since"]
        .as_u64()
        .map(|nanos| duration::human(Duration::from_nanos(nanos)));
    [
        text("name"),
        process["pid"]
            .as_i64()
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        if process["ready"] == true {
            "ready".to_owned()
        } else {
            text("state")
        },
        since.unwrap_or_else(|| "-".to_owned()),
        exit_in_words(&process["exit"]),
        process["restarts"].as_u64().unwrap_or(0).to_string(),
    ]
}

/// `{"code": 1}` is `1`, `{"signal": 9}` is `SIGKILL`.
fn exit_in_words(exit: &Value) -> String {
    let number = |key: &str| exit[key].as_i64().and_then(|number| i32::try_from(number).ok());
    if exit == "unknown" {
        return "unknown".to_owned();
    }
    match (number("code"), number("signal")) {
        (Some(code), _) => code.to_string(),
        (None, Some(number)) => signal::name(number),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_words_instead_of_numbers() {
        let running =
            json!({"name": "count.2", "pid": 123, "state": "running", "since": 3_200_000_000_u64, "exit": null});
        assert_eq!(
            row(&running),
            ["count.2", "123", "running", "3.2s", "-", "0"].map(ToOwned::to_owned)
        );
        let ended =
            json!({"name": "a", "pid": null, "state": "failed", "since": 0, "exit": {"signal": 9}, "restarts": 2});
        assert_eq!(
            row(&ended),
            ["a", "-", "failed", "0ms", "SIGKILL", "2"].map(ToOwned::to_owned)
        );
        assert_eq!(exit_in_words(&json!({"code": 3})), "3");
        assert_eq!(exit_in_words(&json!("unknown")), "unknown");
    }

    #[test]
    fn sockets_have_a_column_when_somebody_has_some() {
        let plain = json!({"name": "a", "pid": 1, "state": "running", "since": 0, "exit": null, "restarts": 0});
        assert!(!in_words(std::slice::from_ref(&plain)).contains("SOCKETS"));
        let mut serving = plain.clone();
        serving["name"] = "web".into();
        serving["sockets"] = json!({"admin": "/run/admin.sock", "http": "127.0.0.1:8080"});
        assert_eq!(
            in_words(&[plain, serving]),
            "NAME  PID  STATE    SINCE  EXIT  RESTARTS  SOCKETS\n\
             a     1    running  0ms    -     0         -\n\
             web   1    running  0ms    -     0         admin=/run/admin.sock, http=127.0.0.1:8080\n"
        );
    }

    #[test]
    fn without_a_run_there_is_nothing_to_show() {
        let none = socket(Vec::new(), None).map_err(|failure| failure.to_string());
        assert_eq!(none, Err("no run goes on; see: forkyard runs".to_owned()));
        let unknown = socket(Vec::new(), Some("x")).map_err(|failure| failure.to_string());
        assert_eq!(unknown, Err("there is no run `x`; see: forkyard runs".to_owned()));
    }
}
