//! What must be so when a run is over, whatever was done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use forkyard_ipc::Queue;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::blows::{Blows, Victim};
use crate::harness::{Outcome, World};

/// What was counted.
pub struct Judged {
    pub items: u64,
}

/// # Panics
/// When anything is not as it must be.
pub fn judge(run: &Outcome, blows: &Blows) -> Judged {
    let world = run.world();
    world.assert_empty();
    let records = records(world, blows);
    exit_code_is_right(run, &records, blows);
    nothing_is_locked(world);
    assert!(!world.has("broken"), "two had the lock at once");
    every_life_ended(&records);
    Judged {
        items: items_are_accounted_for(world, &records),
    }
}

/// All records; the last one may be torn when its writer was killed.
fn records(world: &World, blows: &Blows) -> Vec<Value> {
    let text = fs::read_to_string(world.run_directory().join("records.jsonl")).expect("records can be read");
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(error) => {
                let may_be_torn = index + 1 == lines.len() && blows.killed_one_of_ours();
                assert!(may_be_torn, "a record is torn: {error}: {line}");
            }
        }
    }
    records
}

/// The rule: what the records say, and they say what was done; or 3, or death by SIGKILL, when one of ours was killed.
fn exit_code_is_right(run: &Outcome, records: &[Value], blows: &Blows) {
    let code = run.code();
    let verdict = records
        .iter()
        .find(|record| record["record"] == "run_ended")
        .map(|record| &record["verdict"]);
    let Some(verdict) = verdict else {
        assert!(
            blows.killed_one_of_ours(),
            "the records have no end: {:?}",
            run.errors()
        );
        let right = if blows.hit(Victim::Guardian, Signal::SIGKILL) {
            None
        } else {
            Some(3)
        };
        assert_eq!(code, right, "{}", run.errors());
        return;
    };
    let told = match verdict.as_str() {
        Some("succeeded") => 0,
        Some("failed") => 1,
        Some(other) => panic!("the run ended as {other}: {}", run.stdout()),
        None => 128 + i32::try_from(verdict["signal"].as_i64().expect("a signal")).expect("a small number"),
    };
    match told {
        0 | 1 => assert_eq!(told == 1, has_failed(records), "{}", run.stdout()),
        // When a guardian above is gone, its ward is told by both.
        143 => assert!(blows.hit(Victim::Guardian, Signal::SIGTERM) || blows.killed_one_of_ours()),
        130 => assert!(blows.hit(Victim::Guardian, Signal::SIGINT) || blows.killed_one_of_ours()),
        other => panic!("nobody asked for {other}"),
    }
    let is_told = code == Some(told);
    // One of ours was killed when all was done.
    let is_late = blows.killed_one_of_ours() && (code == Some(3) || code.is_none());
    assert!(
        is_told || is_late,
        "{code:?} is not {told}: {}{}",
        run.stdout(),
        run.errors()
    );
}

/// Whether something failed for good of which the run takes notice.
fn has_failed(records: &[Value]) -> bool {
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| record["record"] == "exited" && !is_worker(record))
    {
        last.insert(record["process"].as_str().unwrap_or_default(), &record["outcome"]);
    }
    let bad = ["failed", "timed_out", "not_ready", "not_live"];
    let is_bad = |outcome: &&Value| outcome.as_str().is_some_and(|outcome| bad.contains(&outcome));
    let gave_up = records.iter().any(|record| record["record"] == "gave_up");
    gave_up || last.values().any(is_bad)
}

/// Of the pool, whose tasks tell how they went.
fn is_worker(record: &Value) -> bool {
    record["process"]
        .as_str()
        .is_some_and(|name| name.starts_with("tasks."))
}

/// Whoever was started has ended, once, if there was somebody to see it.
fn every_life_ended(records: &[Value]) {
    if !records.iter().any(|record| record["record"] == "run_ended") {
        return;
    }
    let lives = |kind: &str| -> BTreeMap<(String, String), u32> {
        let mut counts = BTreeMap::new();
        for record in records
            .iter()
            .filter(|record| record["record"] == kind && !is_worker(record))
        {
            let life = (record["process"].to_string(), record["attempt"].to_string());
            *counts.entry(life).or_insert(0) += 1;
        }
        counts
    };
    let (started, exited) = (lives("started"), lives("exited"));
    assert_eq!(started, exited, "each life begins once and ends once");
}

fn nothing_is_locked(world: &World) {
    let mut files = vec![world.run_directory().join("lock")];
    files.extend(Some(world.folder().join("critical")).filter(|path| path.exists()));
    for path in files {
        let file = File::open(&path).expect("it is ours");
        assert!(file.try_lock().is_ok(), "{} is locked", path.display());
    }
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What was put is got, or left: counted by the engine at its end, or to be found in the yard of a killed one.
fn items_are_accounted_for(world: &World, records: &[Value]) -> u64 {
    let count = |record: &Value, key: &str| record[key].as_u64().expect("a count");
    let mut items = 0;
    let mut left_of_verbs = None;
    for record in records.iter().filter(|record| record["record"] == "queue_counted") {
        items += count(record, "put");
        let (put, got, left) = (count(record, "put"), count(record, "got"), count(record, "left"));
        assert_eq!(put, got + left, "{record}");
        if record["queue"] == "verbs" {
            left_of_verbs = Some(left);
        }
    }
    let got: BTreeSet<String> = words(&world.folder().join("got")).into_iter().collect();
    let missing: BTreeSet<String> = words(&world.folder().join("put"))
        .into_iter()
        .filter(|item| !got.contains(item))
        .collect();
    if let Some(left) = left_of_verbs {
        let missing = u64::try_from(missing.len()).expect("a few items");
        assert!(
            missing <= left,
            "{missing} items are lost, and {left} are told to be left"
        );
        return items;
    }
    let kept = world.run_directory().join("yard/verbs");
    if missing.is_empty() || !kept.exists() {
        assert!(missing.is_empty(), "lost: {missing:?}");
        return items;
    }
    let queue = Queue::open(&kept).expect("its file is there");
    let mut found = BTreeSet::new();
    // Until it is empty, or has ended.
    while let Ok(Some(item)) = queue.try_get() {
        found.insert(String::from_utf8_lossy(&item).into_owned());
    }
    let lost: Vec<&String> = missing.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}; found: {found:?}");
    items + u64::try_from(found.len()).expect("a few items")
}
