//! `on_engine_loss: keep`: a process outlives its engine, whoever is killed with that, and the next run takes it over.

mod anytime;
mod keeper;
mod refused;
mod told;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Forkyard, Live, Outcome, World, until};

/// One that is kept, with a child in a session of its own, and one that is not.
const TWO: &str = "
forkyard: 1
processes:
  db: {run: 'setsid sleep 2000 & echo up; exec sleep 1000', on_engine_loss: keep, stop: {grace: 1s}}
  web: {run: 'echo up; exec sleep 3000'}
";

/// One that is kept and does this.
fn one(script: &str) -> String {
    format!("forkyard: 1\nprocesses:\n  db:\n    run: |\n      {script}\n    on_engine_loss: keep\n")
}

/// The three processes of ours, from the outermost in.
fn three(live: &Live) -> [Pid; 3] {
    let deputy = only_child(live.pid());
    [live.pid(), deputy, only_child(deputy)]
}

fn only_child(pid: Pid) -> Pid {
    let mut found = None;
    until("it has a child", || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it lives");
        found = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        found.is_some()
    });
    Pid::from_raw(found.expect("it has just been seen"))
}

/// Kills all of these in the same instant: nobody runs between the first and the last, as all are stopped first. The
/// innermost first: an engine whose guardian dies before it is made to stop its run in order.
fn kill_together(pids: &[Pid]) {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in pids.iter().rev() {
            kill(*pid, signal).expect("it is alive");
        }
    }
}

/// Kills the engine, and waits until `forkyard run` has ended by that.
fn lose(live: Live) -> World {
    let [_, _, engine] = three(&live);
    kill(engine, Signal::SIGKILL).expect("it is alive");
    let lost = live.end_leaving();
    lost.exit(3).stderr("the engine was killed (SIGKILL)");
    lost.into_world()
}

/// Kills engine, deputy and guardian, so that nobody is left to keep anybody.
fn lose_all(live: Live) -> World {
    kill_together(&three(&live));
    live.end_leaving().into_world()
}

fn records(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("records.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

/// The records of this kind about `db`, of the last run.
fn told(world: &World, kind: &str) -> Vec<Value> {
    let all = find_last(world).map(|run| records(&run)).unwrap_or_default();
    let about = |record: &Value| record["record"] == kind && record["process"] == "db";
    all.into_iter().filter(about).collect()
}

fn last_run(world: &World) -> PathBuf {
    find_last(world).expect("there is a run")
}

fn find_last(world: &World) -> Option<PathBuf> {
    let runs = world.runs().into_iter();
    let begun = runs.filter_map(|run| Some((begun(&run)?, run)));
    begun.max().map(|(_, run)| run)
}

/// When a run has locked its directory; one whose engine was killed early enough never has.
fn begun(run: &Path) -> Option<SystemTime> {
    fs::metadata(run.join("lock")).ok()?.modified().ok()
}

/// The pid of `db` in the run that goes on.
fn db(live: &Live) -> i32 {
    until("db runs", || !told(live.world(), "started").is_empty());
    let pid = told(live.world(), "started")[0]["pid"].as_i64().expect("it has a pid");
    i32::try_from(pid).expect("a pid fits")
}

/// How many live of whom the command line begins so.
fn count(world: &World, command: &str) -> usize {
    let living = world.living();
    living.iter().filter(|(_, line)| line.starts_with(command)).count()
}

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A further run, once it has a directory of its own.
fn again(workflow: &str, world: World) -> Live {
    let count = |world: &World| world.runs().iter().filter_map(|run| begun(run)).count();
    let before = count(&world);
    let live = Forkyard::new("run").within(world).workflow(workflow).start();
    until("there is a further run", || count(live.world()) > before);
    live
}

/// Asks the run to stop, which leaves nobody.
fn stop(live: Live) -> Outcome {
    db(&live);
    live.signal(Signal::SIGTERM);
    let outcome = live.end_leaving();
    outcome.exit(143);
    until("the keeper of an earlier run has gone", || {
        outcome.world().living().is_empty()
    });
    outcome
}

fn start_two() -> (Live, i32) {
    let live = Forkyard::run_of(TWO).start();
    live.wait_for("db │ up").wait_for("web │ up");
    let pid = db(&live);
    until("all sleep", || count(live.world(), "sleep ") == 3);
    (live, pid)
}

/// The same process, once, with its child; a new one of the other.
fn is_taken_over(live: &Live, pid: i32) {
    assert_eq!(db(live), pid);
    live.wait_for("web │ up");
    until("all sleep", || count(live.world(), "sleep ") == 3);
    assert_eq!(count(live.world(), "sleep 1000"), 1, "there is no second copy");
    let reason = told(live.world(), "started")[0]["reason"].clone();
    assert!(
        reason.as_str().is_some_and(|reason| reason.contains("had left it")),
        "{reason}"
    );
}

#[test]
fn who_is_kept_outlives_the_engine_and_the_next_run_takes_it_over() {
    let (live, pid) = start_two();
    let world = lose(live);
    assert!(lives(pid));
    assert_eq!(
        count(&world, "sleep "),
        2,
        "the one that is not kept is gone: {:?}",
        world.living()
    );
    let live = again(TWO, world);
    is_taken_over(&live, pid);
    stop(live);
}

#[test]
fn what_is_said_of_a_lost_engine_names_who_lives_on() {
    let (live, pid) = start_two();
    let [_, _, engine] = three(&live);
    kill(engine, Signal::SIGKILL).expect("it is alive");
    let lost = live.end_leaving();
    lost.exit(3).stderr(&format!(
        "everything it had started has been stopped but `db` (pid {pid})"
    ));
    stop(again(TWO, lost.into_world()));
}

#[test]
fn whoever_of_the_three_is_killed_it_lives_on_once() {
    let choices: [(&str, &[usize]); 4] = [
        ("the engine", &[2]),
        ("deputy and engine", &[1, 2]),
        ("guardian and engine", &[0, 2]),
        ("all three", &[0, 1, 2]),
    ];
    for (who, chosen) in choices {
        println!("killed: {who}");
        let (live, pid) = start_two();
        let ours = three(&live);
        let chosen: Vec<Pid> = chosen.iter().map(|index| ours[*index]).collect();
        kill_together(&chosen);
        let world = live.end_leaving().into_world();
        until("the other is gone", || {
            let left = count(&world, "sleep ");
            assert!(left >= 2, "{:?}", world.living());
            left == 2
        });
        let live = again(TWO, world);
        is_taken_over(&live, pid);
        stop(live);
    }
}

/// The engine stops, and is killed while it does: either may come first for each process.
#[test]
fn when_the_deputy_alone_is_killed_there_is_one_of_each_in_the_next_run() {
    let (live, _) = start_two();
    let [_, deputy, _] = three(&live);
    kill(deputy, Signal::SIGKILL).expect("it is alive");
    let world = live.end_leaving().into_world();
    let live = again(TWO, world);
    live.wait_for("web │ up");
    assert!(lives(db(&live)));
    until("all sleep", || count(live.world(), "sleep ") == 3);
    stop(live);
}

#[test]
fn engines_may_be_lost_again_and_again() {
    let (live, pid) = start_two();
    let mut world = lose(live);
    for _ in 0..3 {
        let live = again(TWO, world);
        is_taken_over(&live, pid);
        world = lose(live);
        assert!(lives(pid));
    }
    let live = again(TWO, world);
    is_taken_over(&live, pid);
    stop(live);
}

#[test]
fn how_one_that_was_taken_over_ends_is_known() {
    let endings = [
        ("exit 0", serde_json::json!({"code": 0}), 0),
        ("exit 3", serde_json::json!({"code": 3}), 1),
        ("kill -9 $$", serde_json::json!({"signal": 9}), 1),
    ];
    for (script, exit, code) in endings {
        let workflow = one(&format!("echo up; until [ -e go ]; do sleep 0.01; done; {script}"));
        let live = Forkyard::run_of(&workflow).start();
        live.wait_for("db │ up");
        let pid = db(&live);
        let live = again(&workflow, lose(live));
        assert_eq!(db(&live), pid);
        live.world().write("go", "");
        let outcome = live.end();
        outcome.exit(code);
        assert_eq!(told(outcome.world(), "exited")[0]["exit"], exit, "{script}");
        assert_eq!(told(outcome.world(), "started").len(), 1);
    }
}

#[test]
fn how_one_ends_whom_nobody_keeps_is_not_made_up() {
    let workflow = one("echo up; until [ -e go ]; do sleep 0.01; done; exit 0");
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("db │ up");
    let pid = db(&live);
    let live = again(&workflow, lose_all(live));
    assert_eq!(db(&live), pid);
    live.world().write("go", "");
    let outcome = live.end();
    outcome.exit(1).line("[..]nobody knows how[..]");
    assert_eq!(told(outcome.world(), "exited")[0]["exit"], "unknown");
}

#[test]
fn one_that_has_ended_meanwhile_is_started_anew() {
    let endings = [
        ("exit 0", "has ended with code 0 meanwhile"),
        ("exit 3", "has ended with code 3 meanwhile"),
        ("kill -9 $$", "was killed by signal 9 meanwhile"),
    ];
    for (script, words) in endings {
        let workflow = one(&format!(
            "[ -e go ] && exit 0; echo up; until [ -e go ]; do sleep 0.01; done; {script}"
        ));
        let live = Forkyard::run_of(&workflow).start();
        live.wait_for("db │ up");
        let pid = db(&live);
        let world = lose(live);
        world.write("go", "");
        until("it has ended, and its keeper with it", || world.living().is_empty());
        let outcome = again(&workflow, world).end();
        outcome.exit(0).stderr(words);
        let started = told(outcome.world(), "started");
        assert!(
            started[0]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains(words))
        );
        assert_ne!(started[0]["pid"], pid);
    }
}

#[test]
fn one_whose_declaration_has_changed_is_stopped_in_order_and_started_anew() {
    let script = "trap 'echo bye >> stopped; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let live = Forkyard::run_of(&one(script)).start();
    live.wait_for("db │ up");
    let pid = db(&live);
    let world = lose(live);
    let changed = format!("{}    env: {{MODE: other}}\n", one(script));
    let live = again(&changed, world);
    live.wait_for("db │ up");
    assert_ne!(db(&live), pid);
    assert!(!lives(pid));
    assert_eq!(
        fs::read_to_string(live.world().folder().join("stopped"))
            .ok()
            .as_deref(),
        Some("bye\n")
    );
    stop(live).stderr("was stopped: its declaration has changed");
}

#[test]
fn how_it_is_watched_may_change_under_it() {
    let script = "echo up; exec sleep 1000";
    let live = Forkyard::run_of(&one(script)).start();
    live.wait_for("db │ up");
    let pid = db(&live);
    let world = lose(live);
    let live = again(
        &format!(
            "# moved\n{}    timeout: 1h\n    ready: {{exec: ['true']}}\n",
            one(script)
        ),
        world,
    );
    assert_eq!(db(&live), pid);
    until("it is ready", || !told(live.world(), "ready").is_empty());
    stop(live);
}

#[test]
fn one_that_the_workflow_has_no_more_is_stopped() {
    let live = Forkyard::run_of(&one("echo up; exec sleep 1000")).start();
    live.wait_for("db │ up");
    let world = lose(live);
    let outcome = again("forkyard: 1\nprocesses: {other: {run: 'true'}}\n", world).end();
    outcome.exit(0).stderr("`db`: the one that the run");
}

#[test]
fn one_that_the_run_does_not_come_to_is_stopped_at_its_end() {
    let workflow = |before: &str| {
        format!(
            "forkyard: 1\nprocesses:\n  first: {{run: '{before}'}}\n  \
             db: {{run: 'echo up; exec sleep 1000', after: first, on_engine_loss: keep}}\n"
        )
    };
    let live = Forkyard::run_of(&workflow("true")).start();
    live.wait_for("db │ up");
    let world = lose(live);
    again(&workflow("false"), world).end().exit(1);
}

#[test]
fn of_two_runs_one_has_them() {
    let (live, pid) = start_two();
    let world = lose(live);
    let folder = world.folder().join("workflow.yaml");
    let call = || {
        let mut command = std::process::Command::new(crate::harness::binary());
        command.args(["run", "--quiet"]).arg(&folder);
        command
            .env("XDG_STATE_HOME", world.state())
            .stdin(std::process::Stdio::null());
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        command.spawn().expect("the binary can be executed")
    };
    let mut both = [call(), call()];
    let mut loser = None;
    until("one of them is refused", || {
        loser = both.iter_mut().position(|run| run.try_wait().expect("ours").is_some());
        loser.is_some()
    });
    let [first, second] = both;
    let (loser, mut winner) = if loser == Some(0) {
        (first, second)
    } else {
        (second, first)
    };
    let refused = loser.wait_with_output().expect("it has ended");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{words}");
    assert!(words.contains("of which there must never be two"), "{words}");
    until("all sleep", || count(&world, "sleep ") == 3);
    assert!(lives(pid));
    kill(
        Pid::from_raw(i32::try_from(winner.id()).expect("fits")),
        Signal::SIGTERM,
    )
    .expect("it runs");
    assert_eq!(winner.wait().expect("ours").code(), Some(143));
    until("the keeper of the earlier run has gone", || world.living().is_empty());
    world.assert_empty();
}

#[test]
fn its_log_is_one_over_all_engines() {
    let workflow = one("n=0; while :; do n=$((n+1)); echo line $n; echo err $n >&2; sleep 0.002; done");
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("db │ line 5\n");
    let world = lose(live);
    let live = again(&workflow, world);
    db(&live);
    let before = fs::read_to_string(last_run(live.world()).join("logs/db.log")).unwrap_or_default();
    until("it goes on", || {
        let now = fs::read_to_string(last_run(live.world()).join("logs/db.log")).unwrap_or_default();
        now.len() > before.len() + 200
    });
    let outcome = stop(live);
    let log = fs::read_to_string(last_run(outcome.world()).join("logs/db.log")).expect("it has a log");
    let expected: String = (1..=log.lines().count())
        .map(|n| {
            let number = n.div_ceil(2);
            if n % 2 == 1 {
                format!("line {number}\n")
            } else {
                format!("err {number}\n")
            }
        })
        .collect();
    assert_eq!(log, expected, "no line is missing and none is twice");
    for run in outcome.world().runs() {
        assert_eq!(fs::read_to_string(run.join("logs/db.log")).expect("a log"), log);
    }
}

#[test]
fn one_that_was_taken_over_is_restarted_as_any_other() {
    let workflow = format!(
        "{}    restart: {{policy: always, backoff: {{initial: 1ms}}}}\n",
        one("echo up; exec sleep 1000")
    );
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("db │ up");
    let pid = db(&live);
    let live = again(&workflow, lose(live));
    assert_eq!(db(&live), pid);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    live.wait_for("db │ up");
    until("another one runs", || told(live.world(), "started").len() == 2);
    assert_eq!(count(live.world(), "sleep 1000"), 1);
    stop(live);
}

/// As if the engine had been killed between the start of the process and the note of its pid.
#[test]
fn one_whose_pid_was_not_noted_yet_is_found() {
    for lost in [lose, lose_all] {
        let (live, pid) = start_two();
        let world = lost(live);
        let note = note_of_db(&world);
        let text = fs::read_to_string(&note).expect("it is noted");
        let mut noted: Value = serde_json::from_str(&text).expect("a note is JSON");
        noted["identity"] = Value::Null;
        fs::write(&note, noted.to_string()).expect("it is ours");
        let live = again(TWO, world);
        is_taken_over(&live, pid);
        stop(live);
    }
}

fn note_of_db(world: &World) -> PathBuf {
    let kept = world.state().join("forkyard/kept");
    let place = fs::read_dir(kept)
        .expect("somebody is kept")
        .next()
        .expect("of one workflow");
    place.expect("an entry").path().join("notes/db.json")
}

/// A pid that belongs to somebody else now is nobody to be taken over, and nobody to be stopped.
#[test]
fn a_stranger_with_the_pid_is_left_alone() {
    let workflow = one("echo up; exec sleep 1000");
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("db │ up");
    let pid = db(&live);
    let world = lose(live);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    until("its keeper has ended", || world.living().is_empty());
    let mut stranger = std::process::Command::new("sleep")
        .arg("4000")
        .spawn()
        .expect("sleep is there");
    let note = note_of_db(&world);
    let mut noted: Value = serde_json::from_str(&fs::read_to_string(&note).expect("noted")).expect("JSON");
    noted["identity"]["pid"] = stranger.id().into();
    fs::write(&note, noted.to_string()).expect("it is ours");
    let live = again(&workflow, world);
    live.wait_for("db │ up");
    assert_ne!(db(&live), i32::try_from(stranger.id()).expect("fits"));
    stop(live);
    assert_eq!(stranger.try_wait().expect("ours"), None, "it has not been touched");
    stranger.kill().expect("it lives");
    stranger.wait().expect("ours");
}

#[test]
fn without_an_engine_verbs_fail_and_say_why() {
    let workflow =
        one("echo up; until [ -e go ]; do sleep 0.01; done; forkyard ps >out 2>err; echo $? >code; exec sleep 1000");
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("db │ up");
    let world = lose(live);
    world.write("go", "");
    until("it has tried", || world.has("code"));
    until("it has said so", || {
        fs::read_to_string(world.folder().join("code")).is_ok_and(|code| code == "3\n")
    });
    let words = fs::read_to_string(world.folder().join("err")).expect("it has said something");
    assert!(words.contains("forkyard ps: "), "{words}");
    stop(again(&workflow, world));
}

#[test]
fn whoever_reads_the_output_of_a_lost_run_sees_its_end() {
    let (live, _) = start_two();
    // The streams of `forkyard run` are waited for to their ends, though somebody lives on.
    let world = lose(live);
    stop(again(TWO, world));
}

#[test]
fn those_that_are_kept_are_listed_and_can_be_stopped() {
    let (live, pid) = start_two();
    let run = last_run(live.world())
        .file_name()
        .map(|id| id.to_string_lossy().into_owned())
        .expect("a run has an id");
    let world = lose(live);
    let kept = |world: World, arguments: &[&str]| {
        let call = Forkyard::new("kept").within(world);
        arguments.iter().fold(call, Forkyard::arg).start().end_leaving()
    };
    let listed = kept(world, &[]);
    listed
        .exit(0)
        .line(&format!("db    {pid}[..]alone  {run}[..]workflow.yaml"));
    let json = kept(listed.into_world(), &["--json"]);
    let found: Value = serde_json::from_str(json.exit(0).stdout()).expect("it is JSON");
    assert_eq!(
        (&found["name"], &found["pid"], &found["run"]),
        (&"db".into(), &pid.into(), &Value::Null)
    );
    let other = kept(json.into_world(), &["--stop", "other"]);
    other.exit(1).stderr("nobody of the name `other`");
    let live = again(TWO, other.into_world());
    db(&live);
    let mut call = std::process::Command::new(crate::harness::binary());
    call.args(["kept", "--stop"])
        .env("XDG_STATE_HOME", live.world().state());
    let refused = call.output().expect("the binary can be executed");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("which goes on: it stops it at its end"));
    let stopped = kept(lose(live), &["--stop"]);
    stopped.exit(0).line("db    [..]stopped[..]");
    until("its keeper has ended, too", || stopped.world().living().is_empty());
}

/// Whoever is kept leaves the cgroup of its run, which is killed as a whole by the guardian, or by the next run.
#[test]
fn who_is_kept_outlives_the_cgroup_of_its_run() {
    let workflow = format!("{TWO}options: {{isolation: cgroup}}\n");
    let tried = Forkyard::run_of(&workflow).start();
    let is_refused = || tried.pid().as_raw() > 0 && !lives(tried.pid().as_raw());
    until("it runs, or is refused", || {
        is_refused() || !tried.world().runs().is_empty()
    });
    if is_refused() {
        println!("skipped: {}", tried.end().errors());
        return;
    }
    let pid = db(&tried);
    tried.wait_for("web │ up");
    let live = again(&workflow, lose(tried));
    is_taken_over(&live, pid);
    let live = again(&workflow, lose_all(live));
    is_taken_over(&live, pid);
    stop(live);
}
