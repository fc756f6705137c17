//! Who stays next to those that are kept, and the whole trees of these.

use std::fs;
use std::path::PathBuf;

use super::{again, count, db, last_run, lives, lose, lose_all, one, start_two, stop, told};
use crate::harness::{Forkyard, until};

/// `proc_pid_stat(5)`: its parent.
fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = stat.rsplit_once(") ").expect("a stat").1;
    let parent = rest.split_whitespace().nth(1).expect("a parent");
    parent.parse().expect("a pid")
}

#[test]
fn the_keeper_holds_nothing_of_its_caller_and_ends_with_whom_it_keeps() {
    let (live, pid) = start_two();
    let world = lose(live);
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours");
    assert_eq!(descriptors.count(), 3, "it has what was declared, and no lock");
    let keeper = parent(pid);
    let name = fs::read_to_string(format!("/proc/{keeper}/comm")).expect("it lives");
    assert_eq!(name, "forkyard-keeper\n");
    let open = fs::read_dir(format!("/proc/{keeper}/fd")).expect("it is ours");
    for entry in open {
        let path = fs::read_link(entry.expect("an entry").path()).unwrap_or_default();
        assert_eq!(path, PathBuf::from("/dev/null"));
    }
    assert_eq!(fs::read_link(format!("/proc/{keeper}/cwd")).ok(), Some("/".into()));
    let live = again(super::TWO, world);
    db(&live);
    stop(live);
    assert!(!lives(keeper));
}

#[test]
fn all_that_one_has_started_is_stopped_with_it_deaf_or_hidden() {
    let workflow = format!(
        "{}    stop: {{grace: 100ms}}\n",
        one("trap '' TERM; (setsid sh -c 'sleep 1001; sleep 1002' &); echo up; sleep 1003; sleep 1004")
    );
    for lost in [lose, lose_all] {
        let live = Forkyard::run_of(&workflow).start();
        live.wait_for("db │ up");
        until("all sleep", || count(live.world(), "sleep ") == 2);
        let live = again(&workflow, lost(live));
        db(&live);
        stop(live);
    }
}

#[test]
fn what_one_has_left_behind_when_it_ended_alone_is_stopped() {
    let workflow = one("(setsid sleep 1001 &); echo up; until [ -e go ]; do sleep 0.01; done");
    for lost in [lose, lose_all] {
        let live = Forkyard::run_of(&workflow).start();
        live.wait_for("db │ up");
        let pid = db(&live);
        let world = lost(live);
        world.write("go", "");
        until("it has ended", || !lives(pid));
        let next = again(&workflow, world).end();
        next.exit(0);
        assert_ne!(told(next.world(), "started")[0]["pid"], pid);
    }
}

#[test]
fn a_dry_run_says_who_outlives_the_engine() {
    let shown = Forkyard::run_of(&one("true")).arg("--dry-run").run();
    shown.exit(0).says("outlives the engine");
}

#[test]
fn a_run_directory_may_be_removed_under_one_that_lives_on() {
    let (live, pid) = start_two();
    let world = lose(live);
    fs::remove_dir_all(last_run(&world)).expect("it is ours");
    let live = again(super::TWO, world);
    assert_eq!(db(&live), pid);
    stop(live);
}
