//! That a process which has ended is started again as its workflow says, and what that means for all around it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, until};

/// The moment that a line is there is known from the records, without a pause in between.
const QUICK: &str = "backoff: {initial: 1ms, factor: 1, jitter: false}";

/// The process's pid, of its latest life.
fn pid_of(live: &Live, process: &str) -> i32 {
    let records =
        std::fs::read_to_string(live.world().run_directory().join("records.jsonl")).expect("there are records");
    let started = records.lines().rev().find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        (record["record"] == "started" && record["process"] == process).then(|| record["pid"].as_i64())?
    });
    i32::try_from(started.expect("it has started")).expect("a pid fits")
}

fn restarts(live: &Live, process: &str) -> u64 {
    let records = std::fs::read_to_string(live.world().run_directory().join("records.jsonl")).unwrap_or_default();
    let restarting = format!(r#""process":"{process}","record":"restarting""#);
    records.lines().filter(|line| line.contains(&restarting)).count() as u64
}

#[test]
fn a_failure_is_tried_again_until_it_succeeds() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  flaky:
    restart: {{policy: on-failure, {QUICK}}}
    run: echo life $FORKYARD_ATTEMPT; test $FORKYARD_ATTEMPT = 3
  next:
    after: flaky
    run: echo next
"
    ))
    .run();
    run.exit(0)
        .line("flaky │ life 3")
        .no_line("flaky │ life 4")
        .line("[..]flaky[..]starting again in 1ms (restart 1)")
        .line("next │ next");
    assert!(run.position("life 3") < run.position("next"));
}

#[test]
fn a_kill_from_outside_is_a_failure_and_nobody_who_waits_sees_it() {
    let live = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  server:
    daemon: true
    restart: {{policy: always, {QUICK}}}
    run: echo up $FORKYARD_ATTEMPT as $$; while :; do sleep 0.01; done
  alarm:
    daemon: true
    after: {{server: failed}}
    run: echo it failed
  main:
    run: while test ! -e done; do sleep 0.01; done
"
    ))
    .start();
    live.wait_for("up 1 as");
    for life in 1..=3 {
        let pid = pid_of(&live, "server");
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is alive");
        live.wait_for(&format!("up {} as", life + 1));
    }
    live.world().write("done", "");
    let run = live.end();
    run.exit(0)
        .no_line("[..]it failed[..]")
        .line("[..]server[..]killed by SIGKILL[..]");
}

#[test]
fn cc21_too_many_restarts_are_a_failure_for_good() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  broken:
    restart: {{policy: on-failure, max: 2, within: 1h, {QUICK}}}
    run: echo life $FORKYARD_ATTEMPT; exit 7
  after:
    after: {{broken: failed}}
    run: echo it has failed
"
    ))
    .run();
    run.exit(1)
        .line("broken │ life 3")
        .no_line("broken │ life 4")
        .line("[..]has failed for good: restarted twice within 1h[..]")
        .line("after │ it has failed");
}

#[test]
fn ends_that_mean_success_or_never_again() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  polite:
    restart: {{policy: on-failure, {QUICK}}}
    success: [0, 4, SIGUSR1]
    run: kill -USR1 $$; sleep 1h
  hopeless:
    restart: {{policy: always, never_on: [3], {QUICK}}}
    run: echo life $FORKYARD_ATTEMPT; exit 3
"
    ))
    .run();
    run.exit(1).line("hopeless │ life 1").no_line("hopeless │ life 2");
    run.no_line("[..]polite[..]starting again[..]");
}

#[test]
fn r4_a_stop_during_the_pause_ends_it_at_once() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  lazy:
    restart: {policy: always, backoff: {initial: 1h, max: 2h, jitter: false}}
    run: 'false'
",
    )
    .start();
    live.wait_for("starting again in 1h").signal(Signal::SIGTERM);
    live.end()
        .exit(143)
        .line("[..]lazy[..]not started again: the run stops");
}

#[test]
fn a_program_that_has_vanished_is_tried_again() {
    let call = Forkyard::run_of(
        "
forkyard: 1
processes:
  late:
    restart: {policy: on-failure, max: 1000, within: 1h, backoff: {initial: 5ms, factor: 1, jitter: false}}
    run: [./late]
  builder:
    run: |
      while test -e late; do sleep 0.01; done
      sleep 0.05; printf '#!/bin/sh\\necho built\\n' > new; chmod +x new; mv new late
",
    )
    .file("late", "#!/bin/sh\nrm late; exit 1\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(call.folder().join("late"), executable).expect("it is ours");
    call.run()
        .exit(0)
        .line("late │ built")
        .line("[..]late[..]could not be started: [..]; starting again in 5ms (restart 2)");
}

#[test]
fn a_pipe_outlives_either_end() {
    // The reader takes one line a life, byte by byte as a shell does, and the writer dies after every other line.
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
pipes: {{link: }}
processes:
  writer:
    restart: {{policy: on-failure, max: 1000, {QUICK}}}
    stdout: link
    run: |
      n=$((FORKYARD_ATTEMPT * 2)); echo line $((n - 1)); echo line $n
      test $n -ge 20
  reader:
    restart: {{policy: on-failure, max: 1000, {QUICK}}}
    stdin: link
    run: |
      if read -r line; then echo got $line; kill -KILL $$; fi
      echo end
"
    ))
    .run();
    run.exit(0).line("reader │ end");
    let got: Vec<_> = run
        .texts()
        .into_iter()
        .filter(|text| text.starts_with("got "))
        .collect();
    let expected: Vec<_> = (1..=20).map(|number| format!("got line {number}")).collect();
    assert_eq!(got, expected, "each line once, in order");
}

#[test]
fn a_queue_outlives_either_end() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
queues: {{items: {{capacity: 2}}}}
processes:
  sender:
    restart: {{policy: on-failure, max: 1000, {QUICK}}}
    stdout: items
    run: |
      n=$((FORKYARD_ATTEMPT * 2)); echo item $((n - 1)); echo item $n
      test $n -ge 20 || kill -KILL $$
  receiver:
    restart: {{policy: on-failure, max: 1000, {QUICK}}}
    receives: items
    run: |
      if item=$(forkyard get items); then echo got $item; kill -KILL $$; fi
      echo end
"
    ))
    .run();
    run.exit(0).line("receiver │ end");
    for number in 1..=20 {
        run.line(&format!("receiver │ got item {number}"));
    }
}

#[test]
fn what_was_not_read_from_a_queue_by_stdin_is_there_for_the_next_life() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
queues: {{items: {{capacity: 0}}}}
processes:
  sender: {{run: seq 1 30, stdout: items}}
  receiver:
    restart: {{policy: on-failure, max: 1000, {QUICK}}}
    stdin: items
    run: |
      for n in 1 2 3; do read -r item || exit 0; echo got $item; done
      kill -KILL $$
  second: {{run: cat > /dev/null, after: receiver, stdin: items}}
"
    ))
    .run();
    run.exit(0);
    for number in 1..=30 {
        run.line(&format!("receiver │ got {number}"));
    }
}

#[test]
fn r1_a_restart_while_it_waits_for_a_dependency_is_none() {
    // Its own lives begin only when its condition has come, however often the dependency is restarted meanwhile.
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  first:
    restart: {{policy: on-failure, {QUICK}}}
    run: test $FORKYARD_ATTEMPT = 4
  second:
    after: first
    restart: {{policy: on-failure, {QUICK}}}
    run: echo second $FORKYARD_ATTEMPT; test $FORKYARD_ATTEMPT = 2
"
    ))
    .run();
    run.exit(0).line("second │ second 2").no_line("second │ second 3");
    assert!(run.position("[..](restart 3)") < run.position("second 1"));
}

#[test]
fn r2_two_that_kill_each_other_are_each_restarted_once_for_each_death() {
    let live = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  one: &both
    daemon: true
    restart: {{policy: always, max: 1000, {QUICK}}}
    run: echo $FORKYARD_ATTEMPT up; while :; do sleep 0.01; done
  two: *both
  main: {{run: while test ! -e done; do sleep 0.01; done}}
"
    ))
    .start();
    for life in 1..=10 {
        live.wait_for(&format!("one │ {life} up"))
            .wait_for(&format!("two │ {life} up"));
        let pids = ["one", "two"].map(|name| pid_of(&live, name));
        for pid in pids {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is alive");
        }
    }
    live.wait_for("one │ 11 up").wait_for("two │ 11 up");
    assert_eq!((restarts(&live, "one"), restarts(&live, "two")), (10, 10));
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn r3_a_dependency_that_fails_fast_while_its_dependent_is_started_stops_nobody() {
    for _ in 0..5 {
        let run = Forkyard::run_of(
            "
forkyard: 1
processes:
  fast: {run: exit 1}
  dependent: {run: echo dependent, after: {fast: started}}
",
        )
        .run();
        run.exit(1).line("dependent │ dependent");
    }
}

#[test]
fn p9_r6_an_exit_in_the_instant_of_its_timeout_is_restarted_once() {
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  close:
    timeout: 30ms
    restart: {{policy: on-failure, max: 20, within: 1h, {QUICK}}}
    run: sleep 0.03; exit 1
"
    ))
    .run();
    run.exit(1)
        .line("[..]close[..](restart 20)")
        .no_line("[..]close[..](restart 21)");
    run.line("[..]has failed for good: restarted 20 times within 1h[..]");
}

const GROUP: &str = "
forkyard: 1
groups:
  all: {members: [first, second, third], strategy: STRATEGY, max_restarts: 2, within: 1h}
processes:
  first: {run: 'echo first $FORKYARD_ATTEMPT; while :; do sleep 0.01; done', daemon: true}
  second:
    daemon: true
    after: {first: started}
    restart: {policy: on-failure, backoff: {initial: 1ms, factor: 1, jitter: false}}
    run: echo second $FORKYARD_ATTEMPT; while :; do sleep 0.01; done
  third: {run: 'echo third $FORKYARD_ATTEMPT; while :; do sleep 0.01; done', daemon: true}
  main: {run: while test ! -e done; do sleep 0.01; done}
";

fn group(strategy: &str) -> Live {
    let live = Forkyard::run_of(&GROUP.replace("STRATEGY", strategy)).start();
    live.wait_for("first │ first 1")
        .wait_for("second │ second 1")
        .wait_for("third │ third 1");
    live
}

fn kill_second(live: &Live) {
    kill(Pid::from_raw(pid_of(live, "second")), Signal::SIGKILL).expect("it is alive");
}

#[test]
fn members_of_a_group_are_restarted_as_its_strategy_says() {
    for (strategy, lives) in [
        ("one-for-one", [1, 2, 1]),
        ("rest-for-one", [1, 2, 2]),
        ("one-for-all", [2, 2, 2]),
    ] {
        let live = group(strategy);
        kill_second(&live);
        for (name, life) in ["first", "second", "third"].iter().zip(lives) {
            live.wait_for(&format!("{name} │ {name} {life}"));
        }
        live.world().write("done", "");
        let run = live.end();
        run.exit(0);
        for (name, life) in ["first", "second", "third"].iter().zip(lives) {
            run.no_line(&format!("{name} │ {name} {}", life + 1));
        }
    }
}

#[test]
fn cc21_a_group_that_is_restarted_too_often_ends_the_run() {
    let live = group("one-for-all");
    for life in 1..=2 {
        live.wait_for(&format!("second │ second {life}"));
        kill_second(&live);
    }
    live.wait_for("second │ second 3");
    kill_second(&live);
    live.end()
        .exit(1)
        .line("[..]second[..]has failed, and with it the group all: restarted twice within 1h[..]");
}

#[test]
fn ps_tells_of_restarts_and_of_pauses() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  lazy:
    restart: {policy: always, backoff: {initial: 1h, max: 1h}}
    run: 'false'
",
    )
    .start();
    live.wait_for("(restart 1)");
    until("ps tells of it", || {
        let state = live.world().state().to_owned();
        let shown = Forkyard::new("ps").env("XDG_STATE_HOME", state).run();
        shown.stdout().lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.first() == Some(&"lazy") && words.get(2) == Some(&"restarting") && words.last() == Some(&"1")
        })
    });
    live.signal(Signal::SIGINT);
    live.end().exit(130);
}
