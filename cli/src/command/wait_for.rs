//! `forkyard wait-for`: until processes of a run have come so far, from outside of it.

use std::thread;
use std::time::{Duration, Instant};

use forkyard_core::plan::Condition;
use forkyard_ipc::client::Client;
use serde_json::Value;

use super::patience::span;
use super::ps;
use crate::exit;
use crate::failure::Failure;

/// How often the run is asked. A table of a thousand processes takes it well under a millisecond.
const PAUSE: Duration = Duration::from_millis(20);

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// For whom: a process, and how far: started, ready, succeeded, failed or finished
    #[arg(value_name = "NAME=CONDITION", required = true, value_parser = wish)]
    wishes: Vec<Wish>,

    /// Another run than the one this program belongs to, or the only one that goes on
    #[arg(long, value_name = "ID")]
    run: Option<String>,

    /// Wait so long at most, for instance 250ms, 30s or 2m; exit with 1 when it was in vain. With 0s it is looked once
    #[arg(long, value_name = "DURATION", value_parser = span, allow_hyphen_values = true)]
    timeout: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  forkyard run services.yaml > services.log &
  forkyard wait-for db=ready web=ready --timeout 30s && ./test
  forkyard wait-for migrate=succeeded

With --timeout it waits for the run to begin, too. Of a process with instances all are waited for.
Exit codes: 0 all have come so far, 1 not in time or never any more, 2 usage, 3 no such run.";

/// For whom, and how far it is to have come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    name: String,
    is: Condition,
}

fn wish(text: &str) -> Result<Wish, String> {
    let (name, word) = text
        .split_once('=')
        .ok_or_else(|| "a process and how far it is to have come, such as db=ready".to_owned())?;
    let is = match word {
        "started" => Condition::Started,
        "ready" => Condition::Ready,
        "succeeded" => Condition::Succeeded,
        "failed" => Condition::Failed,
        "finished" => Condition::Finished,
        _ => return Err("a process is started, ready, succeeded, failed or finished".to_owned()),
    };
    Ok(Wish {
        name: name.to_owned(),
        is,
    })
}

/// Whether a wish has come true.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    True,
    Open,
    /// It can no longer; why.
    Never(String),
}

/// Waits.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let begun = Instant::now();
    let is_late = || args.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
    let mut client = loop {
        match ps::connect(args.run.as_deref()) {
            Ok(client) => break client,
            // It may be about to begin.
            Err(_) if args.run.is_none() && args.timeout.is_some() && !is_late() => thread::sleep(PAUSE),
            Err(failure) => return Err(failure),
        }
    };
    loop {
        let Some(rows) = rows(&mut client)? else {
            return Err(vain("the run has ended before that"));
        };
        match fate(&args.wishes, &rows)? {
            Fate::True => return Ok(exit::DONE),
            Fate::Never(why) => return Err(vain(&why)),
            Fate::Open if is_late() => return Err(vain(&open(&args.wishes, &rows))),
            Fate::Open => thread::sleep(PAUSE),
        }
    }
}

fn vain(why: &str) -> Failure {
    Failure::Words {
        exit: exit::NOT_DONE,
        message: why.to_owned(),
    }
}

/// The table of the run; `None` when it has ended.
fn rows(client: &mut Client) -> Result<Option<Vec<Value>>, Failure> {
    let Ok(json) = client.ps() else { return Ok(None) };
    let rows: Value = serde_json::from_slice(&json)
        .map_err(|error| Failure::unable(format!("the engine has answered something unknown: {error}")))?;
    Ok(Some(rows.as_array().cloned().unwrap_or_default()))
}

fn fate(wishes: &[Wish], rows: &[Value]) -> Result<Fate, Failure> {
    let mut all = Fate::True;
    for wish in wishes {
        let mut known = false;
        for row in rows.iter().filter(|row| is_meant(&wish.name, row)) {
            known = true;
            match of_row(wish.is, row) {
                Fate::True => {}
                Fate::Open => all = Fate::Open,
                never @ Fate::Never(_) => return Ok(never),
            }
        }
        if !known {
            return Err(Failure::unable(format!("the run has no process `{}`", wish.name)));
        }
    }
    Ok(all)
}

/// Whether the row is of the process, or of one of its instances.
fn is_meant(name: &str, row: &Value) -> bool {
    let row = row["name"].as_str().unwrap_or_default();
    row == name
        || row
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
}

fn of_row(is: Condition, row: &Value) -> Fate {
    let state = row["state"].as_str().unwrap_or_default();
    let is_over = matches!(state, "exited" | "failed" | "skipped");
    let came = match is {
        Condition::Started => matches!(state, "running" | "stopping" | "restarting") || !row["exit"].is_null(),
        Condition::Ready => row["ready"] == true,
        Condition::Succeeded => state == "exited",
        Condition::Failed => state == "failed",
        Condition::Finished => matches!(state, "exited" | "failed"),
        Condition::Set | Condition::Drained => false,
    };
    if came {
        Fate::True
    } else if is_over {
        let name = row["name"].as_str().unwrap_or_default();
        Fate::Never(format!("{name} will not come so far: it is {state}"))
    } else {
        Fate::Open
    }
}

/// `not in time: db is running, web is pending`
fn open(wishes: &[Wish], rows: &[Value]) -> String {
    let mut parts = Vec::new();
    for wish in wishes {
        for row in rows.iter().filter(|row| is_meant(&wish.name, row)) {
            if of_row(wish.is, row) == Fate::Open {
                let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                parts.push(format!("{} is {}", word("name"), word("state")));
            }
        }
    }
    format!("not in time: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wish_is_a_name_and_a_condition() {
        let expected = Wish {
            name: "db".to_owned(),
            is: Condition::Ready,
        };
        assert_eq!(wish("db=ready"), Ok(expected));
        assert!(wish("db").is_err());
        assert!(wish("db=up").is_err());
    }

    #[test]
    fn conditions_come_stay_open_or_never_come() {
        let row = |state: &str, ready: bool| json!({"name": "a", "state": state, "ready": ready, "exit": null});
        assert_eq!(of_row(Condition::Ready, &row("running", false)), Fate::Open);
        assert_eq!(of_row(Condition::Ready, &row("running", true)), Fate::True);
        assert_eq!(of_row(Condition::Ready, &row("restarting", false)), Fate::Open);
        assert!(matches!(
            of_row(Condition::Ready, &row("exited", false)),
            Fate::Never(_)
        ));
        assert_eq!(of_row(Condition::Succeeded, &row("exited", false)), Fate::True);
        assert!(matches!(
            of_row(Condition::Started, &row("skipped", false)),
            Fate::Never(_)
        ));
        assert_eq!(of_row(Condition::Finished, &row("failed", false)), Fate::True);
    }

    #[test]
    fn instances_are_meant_by_the_name_of_their_process() {
        let named = |name: &str| json!({ "name": name });
        assert!(is_meant("web", &named("web")) && is_meant("web", &named("web.12")));
        assert!(!is_meant("web", &named("web2")) && !is_meant("web", &named("web.x")));
        assert!(is_meant("web.1", &named("web.1")) && !is_meant("web.1", &named("web.10")));
    }
}
