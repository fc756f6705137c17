//! `forkyard why`: told from the one who was asked about to whoever is the cause.

use serde_json::Value;

use crate::harness::{Forkyard, Live, Outcome, World, until};

/// Who waits for whom: `publish` for `build`, `build` for the lock, which `migrate` has until the test lets it go.
const CHAIN: &str = "
forkyard: 1
locks: {db: {}}
pools: {one: {size: 1}}
queues: {jobs: {}}
semaphores: {seats: {permits: 3}}
events: {go: {}, never: {set: true}}
processes:
  migrate: {acquires: [db, seats], run: 'forkyard acquire db; forkyard acquire seats --permits 2; echo held; until test -e done; do sleep 0.01; done'}
  build: {acquires: db, after: {migrate: started}, run: 'until test -e try; do sleep 0.01; done; forkyard acquire db'}
  publish: {after: build, run: 'true'}
  deploys: {after: {publish: succeeded, go: {is: set, timeout: 10m}}, run: 'true'}
  holder: {after: {go: set}, holds: db, run: 'true'}
  first: {pool: one, run: 'until test -e done; do sleep 0.01; done'}
  second: {pool: one, after: {first: started}, run: 'true'}
  third: {pool: one, after: {first: started, migrate: started}, run: 'true'}
  taker: {receives: jobs, run: forkyard get jobs}
  giver: {sends: jobs, after: publish, run: forkyard put jobs x}
  setter: {sets: go, after: publish, run: forkyard set go}
  many: {replicas: 3, run: 'true'}
  other: {sets: never, waits: never, run: 'true'}
";

fn ask(world: World, name: &str) -> Outcome {
    Forkyard::new("why").arg(name).within(world).run()
}

/// Starts the chain, and waits until `build` waits for the lock.
fn started() -> Live {
    let live = Forkyard::run_of(CHAIN).start();
    live.wait_for("held");
    live.world().write("try", "");
    until("build waits for the lock", || {
        let said = ask_beside(&live, "build");
        said.contains("waits for the lock")
    });
    live
}

/// Asks about a run that goes on; the world stays the run's.
fn ask_beside(live: &Live, name: &str) -> String {
    let asked = command(live, &[name]);
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8(asked.stdout).expect("it is text")
}

fn command(live: &Live, words: &[&str]) -> std::process::Output {
    std::process::Command::new(crate::harness::binary())
        .arg("why")
        .args(words)
        .env("XDG_STATE_HOME", live.world().state())
        .env_remove("FORKYARD_SOCKET")
        .env_remove("FORKYARD_TOKEN")
        .output()
        .expect("the binary can be executed")
}

/// Each line must be like its pattern.
fn tells(live: &Live, name: &str, patterns: &[&str]) {
    let said = ask_beside(live, name);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), patterns.len(), "{said}");
    for (line, pattern) in lines.iter().zip(patterns) {
        assert!(
            crate::harness::matches(pattern, line),
            "`{line}` is not like `{pattern}`"
        );
    }
}

const BUILD: &str = "`build` runs (pid [..]), for [..] now, and waits for the lock `db`, held by `migrate` (pid [..])";
const MIGRATE: &str = "`migrate` runs (pid [..]), for [..] now";

#[test]
fn the_chain_is_followed_down_to_who_runs() {
    let live = started();
    tells(
        &live,
        "publish",
        &["`publish` waits for `build` to succeed", BUILD, MIGRATE],
    );
    tells(&live, "migrate", &[MIGRATE]);
    tells(
        &live,
        "second",
        &[
            "`second` waits for a slot of `one`, after `first` (pid [..])",
            "`first` runs[..]",
        ],
    );
    tells(
        &live,
        "db",
        &[
            "the lock `db` is held by `migrate` (pid [..]); `build` waits for it",
            MIGRATE,
        ],
    );
    tells(
        &live,
        "seats",
        &[
            "of the semaphore `seats`, 1 permit is free; permits are held by `migrate` (pid [..])",
            MIGRATE,
        ],
    );
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn channels_tell_who_could_bring_what_is_waited_for() {
    let live = started();
    let rest = ["`publish` waits for `build` to succeed", BUILD, MIGRATE];
    let with = |first: &[&'static str]| [first, &rest].concat();
    tells(
        &live,
        "taker",
        &with(&[
            "`taker` runs[..], and waits for an item of the queue `jobs`, into which `giver` puts",
            "`giver` waits for `publish` to succeed",
        ]),
    );
    tells(
        &live,
        "jobs",
        &with(&[
            "the queue `jobs` is empty; `giver` may still put; `taker` waits for it",
            "`giver` waits for `publish` to succeed",
        ]),
    );
    tells(
        &live,
        "go",
        &with(&[
            "the event `go` is not set; `setter` may set it; `deploys` and `holder` wait for it",
            "`setter` waits for `publish` to succeed",
        ]),
    );
    let said = ask_beside(&live, "deploys");
    let first = said.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "`deploys` waits for `publish` to succeed, and for the event `go` (until 10m 0s after the start of the run)"
    );
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn json_has_the_same_for_programs() {
    let live = started();
    let asked = command(&live, &["publish", "--format", "json"]);
    let told: Value = serde_json::from_slice(&asked.stdout).expect("it is JSON");
    let nodes = told["nodes"].as_array().expect("a list");
    let names: Vec<&str> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["publish", "build", "migrate"]);
    let expected = serde_json::json!([{"for": "condition", "name": "build", "is": "succeeded", "from": ["build"]}]);
    assert_eq!(nodes[0]["waits"], expected);
    let expected = serde_json::json!([{"for": "lock", "name": "db", "from": ["migrate"]}]);
    assert_eq!(nodes[1]["waits"], expected);
    assert_eq!((&nodes[2]["state"], nodes[2].get("waits")), (&"running".into(), None));
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn a_name_that_is_none_gets_a_suggestion() {
    let live = started();
    for (name, message) in [
        (
            "pubish",
            "there is no `pubish` in this workflow; did you mean `publish`?",
        ),
        ("many", "`many` has 3 instances; ask for one of them: `many.0`, say"),
        ("\u{1b}[31m", "there is no `\\u{1b}[31m` in this workflow"),
    ] {
        let asked = command(&live, &[name]);
        assert_eq!(asked.status.code(), Some(2), "{name}");
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(said.contains(message), "{said}");
    }
    let asked = command(&live, &["publish", "--run", "20200101-000000-none"]);
    assert_eq!(asked.status.code(), Some(3));
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn a_process_of_the_run_may_ask_too() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  asks: {run: forkyard why waits}
  waits: {after: asks, run: 'true'}
",
    )
    .quiet()
    .run();
    run.exit(0);
    let said = run.said("asks");
    assert_eq!(said[0], "`waits` waits for `asks` to succeed");
    assert!(said[1].starts_with("`asks` runs (pid "), "{said:?}");
}

const ENDS: &str = "
forkyard: 1
processes:
  fails: {run: exit 3}
  skipped: {after: fails, run: 'true'}
  too: {after: skipped, run: 'true'}
  slow: {run: exec sleep 1000, timeout: 50ms}
  late: {after: {fails: {is: failed, timeout: 1h}, slow: {is: succeeded}}, run: 'true'}
  asks: {after: {fails: finished, slow: finished, too: finished}, run: 'true'}
";

#[test]
fn of_a_run_that_is_over_the_records_tell_the_root() {
    let run = Forkyard::run_of(ENDS).run();
    run.exit(1);
    let mut world = run.into_world();
    for (name, patterns) in [
        (
            "too",
            &[
                "`too` was skipped because of `skipped`",
                "`skipped` was skipped because of `fails`",
                "`fails` failed: exited with code 3 after [..]",
            ][..],
        ),
        ("slow", &["`slow` timed out: killed by SIGTERM after [..]"]),
    ] {
        let asked = ask(world, name);
        asked.exit(0);
        let lines: Vec<&str> = asked.stdout().lines().collect();
        assert_eq!(lines.len(), patterns.len(), "{lines:?}");
        for pattern in patterns {
            asked.line(pattern);
        }
        world = asked.into_world();
    }
    let asked = ask(world, "skiped");
    asked.exit(2).stderr("did you mean `skipped`?");
}

#[test]
fn of_a_deadlock_it_is_told_what_was_waited_for() {
    let run = Forkyard::run_of(
        "
forkyard: 1
locks: {left: {}}
processes:
  a: {acquires: left, run: 'forkyard acquire left; forkyard acquire left'}
",
    )
    .run();
    run.exit(4);
    let asked = ask(run.into_world(), "a");
    asked.exit(0);
    asked.line("`a` stopped: killed by SIGTERM after [..], since the run stops; before that it was part of a deadlock: it waited for the lock `left`, held by `a`");
}

#[test]
fn without_any_run_there_is_nobody_to_ask() {
    let asked = ask(World::new(), "a");
    asked.exit(3).stderr("there are no runs yet");
}
