//! What is said of those that are kept, and what is left where they were noted.

use std::fs;
use std::process::{Command, Output};

use super::{again, db, last_run, lose, one, start_two, stop, told};
use crate::harness::{Forkyard, World, binary, until};

/// Another call of the binary in the world of a run that goes on.
fn call(world: &World, words: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(words).current_dir(world.folder());
    command.env("XDG_STATE_HOME", world.state());
    command.output().expect("the binary can be executed")
}

/// Whether nobody is noted anywhere, and nothing reminds of it.
fn is_clear(world: &World) -> bool {
    fs::read_dir(world.state().join("forkyard/kept")).is_ok_and(|places| places.count() == 0)
}

#[test]
fn a_run_that_is_refused_does_not_claim_those_of_the_other() {
    let (live, pid) = start_two();
    let refused = call(live.world(), &["run", "workflow.yaml"]);
    assert_eq!(refused.status.code(), Some(3));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("of which there must never be two"), "{words}");
    assert!(!words.contains("leaves"), "{words}");
    let background = call(live.world(), &["run", "--wait", "ready", "workflow.yaml"]);
    assert_eq!(background.status.code(), Some(3));
    let words = String::from_utf8_lossy(&background.stderr).into_owned();
    assert!(words.contains("of which there must never be two"), "{words}");
    assert!(!words.contains("before everything was ready"), "{words}");
    assert_eq!(live.world().runs().len(), 1, "who was refused has no run");
    assert_eq!(db(&live), pid);
    stop(live);
}

#[test]
fn one_that_was_taken_over_is_not_said_to_have_been_started() {
    let (live, pid) = start_two();
    let run = last_run(live.world())
        .file_name()
        .map(|id| id.to_string_lossy().into_owned());
    let live = again(super::TWO, lose(live));
    live.wait_for(&format!(
        "db │ taken over (pid {pid}): the run {} had left it",
        run.expect("a run has an id")
    ));
    assert_eq!(told(live.world(), "started")[0]["taken_over"], true);
    stop(live);
}

#[test]
fn what_became_of_an_earlier_one_is_said_once() {
    let script = "echo up; exec sleep 1000";
    let live = Forkyard::run_of(&one(script)).start();
    live.wait_for("db │ up");
    let live = again(&format!("{}    env: {{MODE: other}}\n", one(script)), lose(live));
    live.wait_for("db │ up");
    let outcome = stop(live);
    outcome.stderr("was stopped: its declaration has changed");
    assert!(!outcome.stdout().contains("declaration"), "{}", outcome.stdout());
    let started = told(outcome.world(), "started");
    assert_eq!(started[0]["taken_over"], serde_json::Value::Null);
    assert!(
        started[0]["reason"]
            .as_str()
            .is_some_and(|why| why.contains("declaration has changed"))
    );
}

#[test]
fn where_nobody_is_noted_any_more_nothing_stays() {
    let (live, _) = start_two();
    let outcome = stop(live);
    assert!(is_clear(outcome.world()), "a run has ended");
    let (live, _) = start_two();
    let world = lose(live);
    assert!(!is_clear(&world));
    assert_eq!(call(&world, &["kept", "--stop"]).status.code(), Some(0));
    until("its keeper has ended, too", || world.living().is_empty());
    assert!(is_clear(&world), "they have been stopped");
    let listed = call(&world, &["kept"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "Nobody is kept.\n");
}
