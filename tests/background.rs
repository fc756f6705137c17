//! `forkyard run --wait ready`, which goes on in the background, and `forkyard stop`.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Forkyard, Outcome, World, until};

/// A service that is ready when the test says so, and what it needs.
const SERVICES: &str = "
forkyard: 1
processes:
  prepare: {run: echo prepared}
  db:
    after: prepare
    ready: {exec: test -e go, interval: 5ms}
    run: trap 'echo closing; exit 0' TERM; echo open; while :; do sleep 0.01; done
  web:
    replicas: 2
    after: {db: ready}
    run: while :; do sleep 0.01; done
";

fn wait_ready(workflow: &str) -> Forkyard {
    Forkyard::run_of(workflow).arg("--wait").arg("ready")
}

/// A further command in the world of a run.
fn command(world: &World, name: &str, words: &[&str]) -> Outcome {
    let state = world.state().to_owned();
    let call = words.iter().fold(Forkyard::new(name), |call, word| call.arg(*word));
    call.env("XDG_STATE_HOME", state).run()
}

/// Runs it to the end of the foreground; the run may go on.
fn foreground(forkyard: Forkyard) -> Outcome {
    forkyard.start().end_leaving()
}

fn about(world: &World) -> Value {
    let text = fs::read_to_string(world.run_directory().join("run.json")).expect("there is a run");
    serde_json::from_str(&text).expect("run.json is JSON")
}

fn output(world: &World) -> String {
    fs::read_to_string(world.run_directory().join("output.log")).expect("there is an output")
}

#[test]
fn it_returns_when_all_is_ready_and_the_run_goes_on() {
    let up = foreground(wait_ready(SERVICES).file("go", ""));
    let id = up.exit(0).stdout().trim().to_owned();
    assert_eq!(about(up.world())["id"], id.as_str(), "the id is all that is on stdout");
    up.stderr("ready after").stderr(&format!("forkyard stop {id}"));
    let rows = command(up.world(), "ps", &["--json"]);
    let rows: Value = serde_json::from_str(rows.exit(0).stdout()).expect("it is JSON");
    let states: Vec<_> = rows.as_array().expect("rows").iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["exited", "running", "running", "running"]);
    assert_eq!(rows[1]["ready"], true);
    command(up.world(), "stop", &[&id]).exit(0);
    up.world().assert_empty();
    assert_eq!(about(up.world())["exit_code"], 143);
    let output = output(up.world());
    for text in ["prepared", "open", "ready after", "closing"] {
        assert!(output.contains(text), "{text}: {output}");
    }
}

#[test]
fn it_waits_until_then_and_for_no_less() {
    let live = wait_ready(SERVICES).start();
    until("the database is open", || {
        let run = live.world().runs();
        run.first()
            .is_some_and(|run| fs::read_to_string(run.join("output.log")).is_ok_and(|it| it.contains("open")))
    });
    assert!(live.is_running(), "web has not been started");
    live.world().write("go", "");
    let up = live.end_leaving();
    up.exit(0);
    command(up.world(), "stop", &[]).exit(0);
    up.world().assert_empty();
}

#[test]
fn a_failure_before_stops_the_run_and_is_shown() {
    let workflow = SERVICES.replace("echo prepared", "echo broken >&2; exit 7");
    let run = wait_ready(&workflow).run();
    run.exit(1)
        .stderr("broken")
        .stderr("`prepare` has failed before everything was ready; the run was stopped");
    assert_eq!(run.stdout(), "");
    assert_ne!(about(run.world())["exit_code"], Value::Null);
}

#[test]
fn who_ends_without_having_been_ready_has_failed() {
    let run =
        wait_ready("forkyard: 1\nprocesses: {db: {run: 'true', ready: {exec: 'false'}}, other: {run: sleep 1000}}\n")
            .run();
    run.exit(1).stderr("`db` has failed before everything was ready");
}

#[test]
fn too_late_stops_the_run_and_says_for_whom_it_waited() {
    let run = wait_ready(SERVICES).arg("--timeout").arg("1s").run();
    run.exit(124)
        .stderr("not ready within 1.0s: db is running, web.0 is pending, web.1 is pending; the run was stopped")
        .stderr("closing");
}

#[test]
fn what_ends_well_at_once_was_ready() {
    let run = foreground(wait_ready("forkyard: 1\nprocesses: {a: {run: echo done}}\n"));
    run.exit(0);
    until("the run has ended", || about(run.world())["exit_code"] == 0);
    until("nothing is left", || run.world().living().is_empty());
    command(run.world(), "stop", &[]).exit(3).stderr("no run goes on");
    let id = run.stdout().trim().to_owned();
    command(run.world(), "stop", &[&id]).exit(0).stderr("it has ended");
}

#[test]
fn a_signal_while_it_waits_stops_the_run() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let live = wait_ready(SERVICES).start();
        until("the database is open", || {
            let runs = live.world().runs();
            runs.first().is_some_and(|run| run.join("logs/db.log").exists())
        });
        live.signal(signal);
        let run = live.end();
        run.exit(code).stderr("the run has ended before everything was ready");
    }
}

#[test]
fn a_signal_as_it_begins_leaves_no_run_that_has_died() {
    for _ in 0..10 {
        let live = wait_ready(SERVICES).start();
        live.wait_for_directory().signal(Signal::SIGINT);
        let run = live.end();
        run.exit(130);
        let runs = command(run.world(), "runs", &["--json"]);
        assert!(!runs.exit(0).stdout().contains("died"), "{}", runs.stdout());
    }
}

#[test]
fn a_run_that_nobody_waits_for_any_more_stops_before_it_is_ready() {
    let live = wait_ready(SERVICES).start();
    until("the database is open", || {
        live.world()
            .runs()
            .first()
            .is_some_and(|run| run.join("logs/db.log").exists())
    });
    live.signal(Signal::SIGKILL);
    until("nothing is left", || live.world().living().is_empty());
    assert_eq!(about(live.world())["exit_code"], 129);
    drop(live.end());
}

#[test]
fn an_invalid_workflow_or_a_taken_address_leaves_nothing() {
    wait_ready("forkyard: 1\nprocesses: {a: {run: x, after: b}}\n")
        .run()
        .exit(2)
        .stderr("FY201");
    let run = wait_ready("forkyard: 1\nprocesses: {a: {run: 'true', sockets: {s: '192.0.2.1:80'}}}\n").run();
    run.exit(2).stderr("FY311").stderr("nothing was started");
    assert!(
        !run.errors().contains("before everything was ready"),
        "{}",
        run.errors()
    );
    assert!(run.world().runs().is_empty(), "as in the foreground, there was no run");
}

#[test]
fn json_and_quiet_say_less() {
    let up = foreground(wait_ready(SERVICES).file("go", "").arg("--json"));
    let told: Value = serde_json::from_str(up.exit(0).stdout()).expect("it is JSON");
    assert_eq!(told["run"], about(up.world())["id"]);
    assert_eq!(up.errors(), "");
    let first = output(up.world());
    let first: Value = serde_json::from_str(first.lines().next().expect("a line")).expect("it is JSON");
    assert_eq!(first["record"], "run_started");
    command(up.world(), "stop", &["--timeout", "1m"]).exit(0);
    let up = foreground(wait_ready(SERVICES).file("go", "").quiet());
    assert_eq!(up.exit(0).errors(), "");
    command(up.world(), "stop", &[]).exit(0);
}

#[test]
fn its_streams_are_let_go_so_that_a_shell_can_take_the_id() {
    let forkyard = Forkyard::new("--version")
        .file("go", "")
        .file("services.yaml", SERVICES);
    let words = "id=$(\"$0\" run --wait ready services.yaml 2>&1 | head -n 1) && \"$0\" ps >/dev/null && \"$0\" stop";
    let shell = forkyard.launched_by(&["sh", "-c", words]);
    shell.run().exit(0);
}

/// Whoever ignores the stop is killed after the grace, or by `--now` at once.
const STUBBORN: &str = "
forkyard: 1
processes:
  stubborn:
    stop: {grace: 1h}
    ready: {notify_fd: 3}
    run: trap '' TERM INT HUP; echo >&3; while :; do sleep 0.01; done
";

#[test]
fn stop_waits_as_long_as_it_may_and_now_kills() {
    let up = foreground(wait_ready(STUBBORN));
    up.exit(0);
    command(up.world(), "stop", &["--timeout", "100ms"])
        .exit(1)
        .stderr("has been asked to stop, and still goes on");
    assert!(!up.world().living().is_empty());
    command(up.world(), "stop", &["--now"])
        .exit(0)
        .stderr(&format!("stopped {} (workflow) after", up.stdout().trim()));
    up.world().assert_empty();
}

#[test]
fn a_second_stop_waits_on_for_the_same() {
    let up = foreground(wait_ready(STUBBORN));
    up.exit(0);
    let stop = |words: &[&str]| command(up.world(), "stop", words);
    stop(&["--timeout", "0s"]).exit(1);
    for _ in 0..2 {
        stop(&["--timeout", "50ms"])
            .exit(1)
            .stderr("is being stopped already; --now kills its processes at once");
    }
    let records = fs::read_to_string(up.world().run_directory().join("records.jsonl")).expect("there are records");
    assert!(!records.contains("killing"), "{records}");
    assert!(!up.world().living().is_empty());
    stop(&["--now"]).exit(0);
    up.world().assert_empty();
}

#[test]
fn of_several_who_ask_in_the_same_moment_none_kills() {
    let workflow = STUBBORN.replace(
        "trap '' TERM INT HUP",
        "trap 'until [ -e go ]; do sleep 0.01; done; exit 0' TERM",
    );
    let up = foreground(wait_ready(&workflow));
    up.exit(0);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| command(up.world(), "stop", &["--timeout", "50ms"])))
            .collect();
        for asked in asking {
            asked.join().expect("it does not panic").exit(1);
        }
    });
    up.world().write("go", "");
    // By its id: it may have ended before that is asked.
    command(up.world(), "stop", &[up.stdout().trim()]).exit(0);
    let records = fs::read_to_string(up.world().run_directory().join("records.jsonl")).expect("there are records");
    assert!(!records.contains("killing"), "{records}");
}

#[test]
fn of_several_runs_the_names_are_told() {
    let first = foreground(wait_ready(
        "forkyard: 1\nname: one\nprocesses: {a: {run: sleep 1000}}\n",
    ));
    let other = first.world().folder().join("other.yaml");
    fs::write(&other, "forkyard: 1\nname: two\nprocesses: {a: {run: sleep 1000}}\n").expect("it is ours");
    let other = other.to_string_lossy().into_owned();
    let second = command(first.world(), "run", &["--wait", "ready", &other]);
    let ids = [first.exit(0).stdout().trim(), second.exit(0).stdout().trim()];
    for (verb, words) in [("stop", &[][..]), ("ps", &[]), ("why", &["a"])] {
        command(first.world(), verb, words)
            .exit(3)
            .stderr(&format!("{} (one), {} (two)", ids[0], ids[1]));
    }
    for id in ids {
        command(first.world(), "stop", &[id]).exit(0);
    }
    first.world().assert_empty();
}

#[test]
fn what_makes_no_sense_is_refused_with_what_does() {
    let cases = [
        (
            &["run", "--wait", "services.yaml"][..],
            "forkyard run --wait ready services.yaml",
        ),
        (
            &["run", "--wait", "ready", "--timeout", "0s", "w.yaml"],
            "it has to be longer",
        ),
        (
            &["run", "--wait", "ready", "--timeout", "-5s", "w.yaml"],
            "cannot be negative",
        ),
        (&["stop", "--timeout", "-5s"], "cannot be negative"),
        (&["wait-for", "a=ready", "--timeout", "-1m"], "cannot be negative"),
        (&["wait", "e", "--timeout", "soon"], "is written as 250ms"),
    ];
    for (words, why) in cases {
        let call = words[1..]
            .iter()
            .fold(Forkyard::new(words[0]), |call, word| call.arg(*word));
        call.run().exit(2).stderr(why);
    }
}

#[test]
fn a_run_in_the_foreground_can_be_stopped_too() {
    let live = Forkyard::run_of(STUBBORN).start();
    live.wait_for("ready after");
    command(live.world(), "stop", &["--now"]).exit(0);
    // Two signals at once come in any order.
    live.end().exit_one_of(&[130, 143]);
    Forkyard::new("stop")
        .arg("unknown")
        .run()
        .exit(3)
        .stderr("there is no run `unknown`");
}

#[test]
fn nothing_outlives_its_killed_engine_in_the_background_either() {
    let up = foreground(wait_ready(SERVICES).file("go", ""));
    up.exit(0);
    let pid = about(up.world())["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    kill(Pid::from_raw(pid.expect("an engine")), Signal::SIGKILL).expect("it is alive");
    until("nothing is left", || up.world().living().is_empty());
    assert!(output(up.world()).contains("the engine was killed (SIGKILL)"));
}
