//! R: the races between restarts, stops and waits that other supervisors have lost.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live};

const QUICK: &str = "backoff: {initial: 1ms, factor: 1, jitter: false}";

/// The pid of its latest life.
fn pid_of(live: &Live, process: &str) -> Pid {
    let records =
        std::fs::read_to_string(live.world().run_directory().join("records.jsonl")).expect("there are records");
    let started = records.lines().rev().find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        (record["record"] == "started" && record["process"] == process).then(|| record["pid"].as_i64())?
    });
    Pid::from_raw(i32::try_from(started.expect("it has started")).expect("a pid fits"))
}

#[test]
fn r1_a_dependency_that_is_restarted_before_it_is_ready_starts_its_dependent_once() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  db:
    daemon: true
    restart: {{policy: on-failure, max: 100, {QUICK}}}
    ready: {{log: '^ready$'}}
    run: test $FORKYARD_ATTEMPT -lt 6 && exit 1; echo ready; exec sleep 1000
  client: {{run: echo connected to life 6, after: {{db: ready}}}}
"
    ))
    .run();
    run.exit(0).line("client │ connected to life 6");
    assert_eq!(run.records_of("started", "client").len(), 1);
    assert_eq!(run.records_of("started", "db").len(), 6);
}

#[test]
fn r2_two_members_of_a_group_that_die_at_once_are_restarted_once() {
    let live = Forkyard::run_of(&format!(
        "
forkyard: 1
groups: {{all: {{members: [one, two], strategy: one-for-all, max_restarts: 100, within: 1h}}}}
processes:
  one: &both
    daemon: true
    restart: {{policy: always, max: 1000, {QUICK}}}
    run: echo life $FORKYARD_ATTEMPT; while :; do sleep 0.01; done
  two: *both
  main: {{run: while test ! -e done; do sleep 0.01; done}}
"
    ))
    .start();
    for life in 1..=5 {
        for name in ["one", "two"] {
            live.wait_for(&format!("{name} │ life {life}"));
        }
        let pids = ["one", "two"].map(|name| pid_of(&live, name));
        // Both stand still before either dies: nobody can see one death before the other has come.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in pids {
                kill(pid, signal).expect("it is alive");
            }
        }
    }
    live.wait_for("one │ life 6").wait_for("two │ life 6");
    live.world().write("done", "");
    let run = live.end();
    run.exit(0).no_line("[..] │ life 7");
}

#[test]
fn r3_a_dependency_that_fails_fast_is_seen_by_whoever_waits_for_its_success() {
    for _ in 0..5 {
        let run = Forkyard::run_of(
            "
forkyard: 1
processes:
  fast: {run: exit 1}
  starts: {run: 'echo starts; exec sleep 0.05', after: {fast: started}}
  never: {run: echo never, after: [fast, starts]}
  alarm: {run: echo alarm, after: {fast: failed}}
",
        )
        .run();
        run.exit(1)
            .line("starts │ starts")
            .line("alarm │ alarm")
            .line("never │ skipped: fast did not succeed")
            .no_line("never │ never");
    }
}

#[test]
fn r4_a_stop_at_any_moment_of_a_crash_loop_ends_it() {
    for moment in 0..8 {
        let live = Forkyard::run_of(
            "
forkyard: 1
processes:
  crashes:
    restart: {policy: always, max: 100000, within: 1h, backoff: {initial: 3ms, factor: 1}}
    run: echo life; exit 1
",
        )
        .start();
        live.wait_for("crashes │ life");
        // Not a wait for anything: it spreads the stops over lives and pauses.
        std::thread::sleep(std::time::Duration::from_millis(moment));
        live.signal(Signal::SIGTERM);
        let run = live.end();
        run.exit(143);
        let records = run.records();
        let stops = records
            .iter()
            .position(|record| record["record"] == "run_stopping")
            .expect("it stops");
        let count = |kind: &str| {
            records[stops..]
                .iter()
                .filter(|record| record["record"] == kind)
                .count()
        };
        // A life that was being begun at that moment may still come, to be stopped.
        assert!(count("started") <= 1 && count("restarting") == 0, "{records:?}");
        assert_eq!(
            run.records_of("started", "crashes").len(),
            run.records_of("exited", "crashes").len()
        );
    }
}

#[test]
fn p9_r6_an_exit_in_the_instant_of_the_stop_is_told_once() {
    for moment in 0..8 {
        let live = Forkyard::run_of(
            "forkyard: 1\nprocesses: {p: {run: 'echo up; sleep 0.02; exit 7', timeout: 20ms}, q: {run: 'exec sleep 1000'}}\n",
        )
        .start();
        live.wait_for("p │ up");
        std::thread::sleep(std::time::Duration::from_millis(14 + moment));
        live.signal(Signal::SIGTERM);
        let run = live.end();
        run.exit(143);
        let exits = run.records_of("exited", "p");
        assert_eq!(exits.len(), 1, "{exits:?}");
        assert!(
            ["failed", "timed_out", "stopped"]
                .iter()
                .any(|outcome| exits[0]["outcome"] == *outcome),
            "{exits:?}"
        );
    }
}
