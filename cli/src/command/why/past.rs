//! The answer for a run that is over, from its records.

use std::collections::BTreeMap;

use forkyard_core::machine::{Exit, Outcome, Why};
use forkyard_driver::directory::RunDirectory;
use forkyard_driver::why::{Answer, Cause, End, Kind, NODES_MAX, Node, State, Unknown};
use serde_json::Value;

use crate::command::runs;
use crate::exit;
use crate::failure::{Failure, reason};

/// What is known of somebody of a run that is over, and of those because of whom he was skipped.
pub(super) fn answer(run: &str, name: &str) -> Result<Answer, Failure> {
    let nodes = read(run)?;
    let names: Vec<&str> = nodes.keys().map(String::as_str).collect();
    let found = forkyard_driver::why::find(&names, name, "among those of whom the records of that run tell");
    let found = found.map_err(|Unknown(message)| Failure::Words {
        exit: exit::INVALID,
        message,
    })?;
    let mut next = Some(names[found].to_owned());
    let mut told: Vec<Node> = Vec::new();
    while let Some(node) = next.take().and_then(|name| nodes.get(&name)) {
        next = match &node.because {
            Some(Cause::Of { name, .. } | Cause::WaitedTooLong { name }) => Some(name.clone()),
            Some(Cause::RunStops | Cause::NotNeeded) | None => None,
        };
        told.push(node.clone());
        if told.len() == NODES_MAX {
            break;
        }
    }
    Ok(Answer {
        run: run.to_owned(),
        at: None,
        nodes: told,
    })
}

/// Everybody of whom the records tell.
fn read(run: &str) -> Result<BTreeMap<String, Node>, Failure> {
    let cannot =
        |error: &std::io::Error| Failure::unable(format!("cannot read the records of {run}: {}", reason(error)));
    let directory = RunDirectory::open(&runs::state_directory()?, run).map_err(|error| cannot(&error))?;
    let mut nodes = BTreeMap::new();
    runs::each_record(&directory, |record| note(&mut nodes, record)).map_err(|error| cannot(&error))?;
    Ok(nodes)
}

fn note(nodes: &mut BTreeMap<String, Node>, record: &Value) {
    let text = |key: &str| record[key].as_str();
    if let Some("deadlock") = text("record") {
        return note_deadlock(nodes, record);
    }
    let (name, kind) = match (text("process"), text("pool"), text("queue")) {
        (Some(process), Some(_), _) => (process, Kind::Worker),
        (Some(process), None, _) => (process, Kind::Process),
        (None, Some(pool), _) => (pool, Kind::Pool),
        (None, None, Some(queue)) => (queue, Kind::Queue),
        (None, None, None) => return,
    };
    let node = nodes.entry(name.to_owned()).or_insert_with(|| unknown(name, kind));
    match text("record").unwrap_or_default() {
        "started" => {
            *node = Node {
                state: State::Unknown,
                pid: record["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()),
                ..unknown(name, node.kind)
            };
        }
        "exited" => {
            node.state = State::Ended;
            node.end = end(record);
            node.pid = None;
        }
        "not_started" => node.state = State::NotStarted,
        "stopping" => node.stopped = serde_json::from_value::<Why>(record["why"].clone()).ok(),
        "skipped" | "pool_skipped" => {
            node.state = State::Skipped;
            node.because = because(&record["because"]);
        }
        "pool_ended" => node.state = State::Ended,
        "queue_counted" => {
            node.state = State::Ended;
            node.left = record["left"].as_u64();
        }
        _ => {}
    }
    if let Some(reason) = text("reason") {
        node.reason = Some(reason.to_owned());
    }
}

/// Whoever was part of a deadlock is known by what he waited for then.
fn note_deadlock(nodes: &mut BTreeMap<String, Node>, record: &Value) {
    for party in record["parties"].as_array().into_iter().flatten() {
        let Some(name) = party["name"].as_str() else { continue };
        let node = nodes
            .entry(name.to_owned())
            .or_insert_with(|| unknown(name, Kind::Process));
        node.waits = serde_json::from_value(party["waits"].clone()).unwrap_or_default();
    }
}

fn end(record: &Value) -> Option<End> {
    Some(End {
        exit: serde_json::from_value::<Exit>(record["exit"].clone()).ok()?,
        lasted: serde_json::from_value(record["lasted"].clone()).ok()?,
        outcome: serde_json::from_value::<Outcome>(record["outcome"].clone()).ok()?,
    })
}

fn because(value: &Value) -> Option<Cause> {
    match value.as_str() {
        Some("run_stops") => Some(Cause::RunStops),
        Some("not_needed") => Some(Cause::NotNeeded),
        Some(_) => None,
        None => match (value["of"].as_str(), value["waited_too_long"]["on"].as_str()) {
            (Some(name), _) => Some(Cause::Of {
                name: name.to_owned(),
                is: None,
            }),
            (None, Some(name)) => Some(Cause::WaitedTooLong { name: name.to_owned() }),
            (None, None) => None,
        },
    }
}

fn unknown(name: &str, kind: Kind) -> Node {
    Node {
        name: name.to_owned(),
        kind,
        state: State::Unknown,
        pid: None,
        since: None,
        waits: Vec::new(),
        end: None,
        stopped: None,
        because: None,
        reason: None,
        holders: Vec::new(),
        waiting: Vec::new(),
        left: None,
    }
}
