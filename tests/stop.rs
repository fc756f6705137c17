//! How runs end before their time, and that nothing is left then.

use nix::sys::signal::{Signal, kill};

use crate::harness::{Forkyard, Live, until};

const CHAIN: &str = "
forkyard: 1
processes:
  database:
    run: trap 'echo database ends; exit 0' TERM; echo database up; while :; do sleep 0.01; done
  server:
    after: {database: started}
    run: trap 'echo server ends; exit 0' TERM; echo server up; while :; do sleep 0.01; done
";

/// A process that ignores what asks it to stop.
const STUBBORN: &str = "
forkyard: 1
processes:
  stubborn:
    stop: {grace: 50ms}
    run: trap '' TERM INT HUP; echo up; while :; do sleep 0.01; done
";

fn chain() -> Live {
    let live = Forkyard::run_of(CHAIN).quiet().start();
    live.wait_for("database up").wait_for("server up");
    live
}

#[test]
fn e2_dd3_dd6_ctrl_c_once_stops_in_reverse_order() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let live = chain();
        live.signal(signal);
        let run = live.end();
        run.exit(code);
        assert!(
            run.position("server ends") < run.position("database ends"),
            "{:?}",
            run.texts()
        );
    }
}

#[test]
fn e2_dd3_ctrl_c_as_a_run_begins_ends_it_like_any_other() {
    for _ in 0..20 {
        let live = Forkyard::run_of(CHAIN).quiet().start();
        live.wait_for_directory().signal(Signal::SIGINT);
        let run = live.end();
        run.exit(130);
        let records = run.records();
        let last = records.last().map(|record| &record["record"]);
        assert_eq!(last.and_then(|last| last.as_str()), Some("run_ended"), "{records:?}");
    }
}

#[test]
fn e2_dd4_ctrl_c_twice_kills_at_once() {
    let workflow = STUBBORN.replace("50ms", "1h");
    let live = Forkyard::run_of(&workflow).start();
    live.wait_for("stubborn │ up")
        .signal(Signal::SIGINT)
        .wait_for("stopping")
        .signal(Signal::SIGINT);
    live.end().exit(130);
}

#[test]
fn p3_cc5_who_ignores_the_stop_is_killed_after_the_grace() {
    let live = Forkyard::run_of(STUBBORN).start();
    live.wait_for("stubborn │ up").signal(Signal::SIGTERM);
    live.end().exit(143).line("[..]stubborn[..]SIGKILL[..]");
}

#[test]
fn the_stop_signal_is_the_declared_one() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  picky:
    stop: {signal: USR1, grace: 1h}
    run: trap 'echo usr1; exit 0' USR1; trap '' TERM; echo up; while :; do sleep 0.01; done
",
    )
    .start();
    live.wait_for("picky │ up").signal(Signal::SIGTERM);
    live.end().exit(143).line("picky │ usr1");
}

#[test]
fn a_run_that_takes_too_long_exits_124() {
    let run = Forkyard::run_of("forkyard: 1\noptions: {timeout: 100ms}\nprocesses: {long: {run: sleep 1000}}\n").run();
    run.exit(124);
    assert_eq!(run.records_of("stopping", "long").len(), 1);
}

#[test]
fn a_process_that_takes_too_long_fails_alone() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  long: {run: sleep 1000, timeout: 50ms}
  other: {run: echo other}
  after: {run: touch after, after: long}
",
    )
    .run();
    run.exit(1).line("other │ other");
    assert_eq!(run.records_of("exited", "long")[0]["outcome"], "timed_out");
    assert!(!run.world().has("after"));
}

#[test]
fn a_failure_may_stop_the_run() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  long: {run: sleep 1000}
  breaks: {run: exit 1, after: {long: started}, on_failure: stop}
",
    )
    .run();
    run.exit(1);
    assert_eq!(run.records_of("exited", "long")[0]["outcome"], "stopped");
}

/// So many seconds, more than a day, that no other test sleeps.
fn own_seconds(test: u32) -> String {
    format!("{}", test * 10_000_000 + std::process::id())
}

#[test]
fn p4_cc7_cc8_descendants_that_hide_are_gone_too() {
    let seconds = own_seconds(1);
    let workflow = "
forkyard: 1
processes:
  hides:
    stop: {grace: 50ms}
    run: |
      setsid sh -c 'trap \"\" TERM; sleep SECONDS & sleep SECONDS' &
      (setsid sh -c 'nohup sleep SECONDS >/dev/null 2>&1 <&- &' &)
      sh -c 'env -i sleep SECONDS & exit 0'
      echo hidden
      sleep SECONDS
";
    let live = Forkyard::run_of(&workflow.replace("SECONDS", &seconds)).start();
    live.wait_for("hides │ hidden");
    until("all five sleep", || sleepers(&seconds) == 5);
    live.signal(Signal::SIGTERM);
    live.end().exit(143);
    assert_eq!(sleepers(&seconds), 0);
}

#[test]
fn p4_a_process_has_ended_only_when_its_tree_is_empty() {
    let seconds = own_seconds(2);
    let workflow = "
forkyard: 1
processes:
  parent:
    stop: {grace: 50ms}
    run: setsid sleep SECONDS & echo parent ends
  next: {run: echo next, after: {parent: finished}}
";
    let run = Forkyard::run_of(&workflow.replace("SECONDS", &seconds)).run();
    run.exit_one_of(&[0, 1]).line("next │ next");
    assert!(run.when("exited", "parent") < run.when("started", "next"));
    assert_eq!(sleepers(&seconds), 0);
}

#[test]
fn e1_dd1_the_death_of_the_engine_leaves_nothing() {
    let live = chain();
    kill(live.engine(), Signal::SIGKILL).expect("the engine is alive");
    live.end().exit(3).stderr("engine");
}

#[test]
fn e1_the_death_of_the_guardian_leaves_nothing() {
    let live = chain();
    live.signal(Signal::SIGKILL);
    until("the engine has stopped everything", || live.world().living().is_empty());
}

#[test]
fn a_sender_whose_receiver_has_ended_well_has_succeeded() {
    let workflow = "
forkyard: 1
pipes: {p: {}}
processes:
  endless: {run: [yes], stdout: p}
  first: {run: head -n 1, stdin: p}
";
    let run = Forkyard::run_of(workflow).run();
    run.exit(0).line("first │ y");
    let strict = Forkyard::run_of(&format!("{workflow}options: {{pipefail: true}}\n")).run();
    strict.exit(1);
}

/// How many living processes sleep for so many seconds.
fn sleepers(seconds: &str) -> usize {
    let words = format!("sleep\0{seconds}\0");
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| *line == words)
        .count()
}
