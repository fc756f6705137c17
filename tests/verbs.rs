//! The verbs, inside real runs: what they do, and the exit codes that scripts rely on.

use nix::sys::signal::{Signal, kill};

use crate::harness::{Forkyard, Outcome};

fn run(workflow: &str) -> Outcome {
    Forkyard::run_of(workflow).quiet().run()
}

/// A process that touches everything, with this script.
fn script(lines: &str) -> Outcome {
    let indented = lines.replace('\n', "\n      ");
    let head = "
forkyard: 1
queues: {q: {capacity: 2}}
locks: {l: {}, r: {reentrant: true}}
semaphores: {s: {permits: 2}}
events: {e: {}}
processes:
  p:
    sends: q
    receives: q
    acquires: [l, r, {s: 2}]
    sets: e
    waits: e
    run: |
";
    run(&format!("{head}      {indented}\n"))
}

#[test]
fn a_queue_gives_what_was_put_in_its_order() {
    let run = script("forkyard put q one 'two words'; echo $?\nforkyard get q; forkyard get q; echo $?");
    run.exit(0);
    assert_eq!(run.said("p"), ["0", "one", "two words", "0"]);
}

#[test]
fn put_takes_lines_from_stdin_and_get_several_at_once() {
    let run = script("printf 'a\\nb\\n' | forkyard put q; echo $?\nforkyard get q -n 2; echo $?");
    run.exit(0);
    assert_eq!(run.said("p"), ["0", "a", "b", "0"]);
}

#[test]
fn a_full_queue_and_an_empty_one_say_so() {
    let run = script(
        "forkyard put q 1 2; forkyard put q 3 --no-block; echo full $?
forkyard put q 3 --timeout 10ms; echo full $?
forkyard get q -n 2; forkyard get q --no-block; echo empty $?
forkyard get q --timeout 10ms; echo empty $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["full 1", "full 1", "1", "2", "empty 1", "empty 1"]);
}

#[test]
fn bb9_a_queue_without_senders_ends() {
    let run = run("
forkyard: 1
queues: {q: {}}
processes:
  sender: {run: forkyard put q last, sends: q}
  receiver:
    receives: q
    run: |
      forkyard get q; echo $?
      forkyard get q; echo $?
");
    run.exit(0);
    assert_eq!(run.said("receiver"), ["last", "0", "1"]);
}

#[test]
fn what_nobody_got_is_reported() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  sender: {run: forkyard put q a b c, sends: q}
  receiver: {run: forkyard get q, receives: q, after: sender}
",
    )
    .run();
    run.exit(0).line("receiver │ a").line("[..]q[..]2[..]left[..]");
}

#[test]
fn a_lock_has_one_holder() {
    let run = script(
        "forkyard acquire l; echo $?
forkyard acquire l --no-block; echo taken $?
forkyard acquire l --timeout 10ms; echo taken $?
forkyard release l; echo $?
forkyard acquire l --no-block; echo $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["0", "taken 1", "taken 1", "0", "0"]);
}

#[test]
fn a_reentrant_lock_may_be_acquired_again_by_its_holder() {
    let run = script(
        "forkyard acquire r && forkyard acquire r --no-block; echo $?\nforkyard release r && forkyard release r; echo $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["0", "0"]);
}

#[test]
fn a_semaphore_has_its_permits() {
    let run = script(
        "forkyard acquire s --permits 2; echo $?
forkyard acquire s --no-block; echo taken $?
forkyard release s; forkyard acquire s --no-block; echo $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["0", "taken 1", "0"]);
}

#[test]
fn ee11_releasing_what_is_not_held_is_refused() {
    let run = script("forkyard release l 2>error; echo $?; wc -l < error");
    run.exit(0);
    assert_ne!(run.said("p")[0], "0");
    assert_ne!(run.said("p")[1], "0", "it says why");
}

#[test]
fn lock_runs_a_command_and_hands_its_code_on() {
    let run = script(
        "forkyard lock l -- sh -c 'forkyard acquire l --no-block; echo taken $?; exit 5'; echo $?
forkyard acquire l --no-block; echo free again $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["taken 1", "5", "free again 0"]);
}

#[test]
fn i2_bb5_ee1_who_dies_lets_go_and_the_next_one_is_told() {
    let run = run("
forkyard: 1
locks: {l: {}}
events: {held: {}}
processes:
  dies:
    acquires: l
    sets: held
    on_failure: ignore
    run: forkyard acquire l && forkyard set held && exec sleep 1000
  heir:
    after: held
    acquires: l
    run: |
      exec 2>&1
      forkyard acquire l &
      kill -KILL $(forkyard ps | awk '$1 == \"dies\" { print $2 }')
      wait $! && echo mine
");
    run.exit(0);
    let said = run.said("heir");
    assert_eq!(said.last(), Some(&"mine"));
    assert!(said[0].contains("has died"), "it is told: {said:?}");
}

#[test]
fn an_event_is_set_cleared_and_waited_for() {
    let run = script(
        "forkyard wait e --no-block; echo not set $?
forkyard wait e --timeout 10ms; echo not set $?
forkyard set e; forkyard wait e; echo set $?
forkyard clear e; forkyard wait e --no-block; echo cleared $?",
    );
    run.exit(0);
    assert_eq!(run.said("p"), ["not set 1", "not set 1", "set 0", "cleared 1"]);
}

#[test]
fn a_process_may_start_when_an_event_is_set() {
    let run = run("
forkyard: 1
events: {e: {}}
processes:
  late: {run: echo late, after: {e: set}}
  sets: {run: echo early; forkyard set e, sets: e}
");
    run.exit(0);
    assert_eq!(run.texts(), ["early", "late"]);
}

#[test]
fn s5_what_is_not_declared_is_refused_with_the_missing_line() {
    let run = run("
forkyard: 1
queues: {q: {}}
locks: {l: {}}
events: {e: {}}
processes:
  other: {run: echo other, sends: q, receives: q, sets: e, acquires: l, waits: e}
  stranger:
    run: |
      exec 2>&1
      forkyard put q x; echo $?
      forkyard acquire l; echo $?
      forkyard set e; echo $?
      forkyard wait e; echo $?
      forkyard put no-such-queue x; echo $?
");
    run.exit(0);
    let said = run.said("stranger");
    assert_eq!(said.iter().filter(|text| **text == "3").count(), 5, "{said:?}");
    for line in ["sends: [q]", "acquires: [l]", "sets: [e]", "waits: [e]"] {
        assert!(
            said.iter().any(|text| text.contains(line)),
            "nothing says `{line}`: {said:?}"
        );
    }
}

#[test]
fn ps_lists_the_processes_of_the_run() {
    let run = run("
forkyard: 1
processes:
  first: {run: exit 3, on_failure: ignore}
  second: {run: forkyard ps, after: first}
");
    run.exit(0);
    let said = run.said("second");
    assert!(said[0].to_lowercase().starts_with("name"), "{said:?}");
    assert!(
        said.iter()
            .any(|text| text.starts_with("first") && text.contains("exited") && text.contains('3')),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|text| text.starts_with("second") && text.contains("running")),
        "{said:?}"
    );
}

#[test]
fn ps_finds_the_only_living_run_from_outside() {
    let live = Forkyard::run_of("forkyard: 1\nprocesses: {sleeps: {run: echo up; sleep 1000}}\n").start();
    live.wait_for("sleeps │ up");
    let state = live.world().state().as_os_str().to_owned();
    let ps = Forkyard::new("ps").env("XDG_STATE_HOME", state).run();
    ps.exit(0).line("sleeps [..]running[..]");
    live.signal(nix::sys::signal::Signal::SIGTERM);
    live.end().exit(143);
}

#[test]
fn bad_usage_of_a_verb_is_2() {
    let run = script(
        "forkyard put 2>&1; echo $?\nforkyard get q -n x 2>&1; echo $?\nforkyard wait e --timeout 5 2>&1; echo $?",
    );
    run.exit(0);
    assert_eq!(
        run.said("p").iter().filter(|text| **text == "2").count(),
        3,
        "{:?}",
        run.said("p")
    );
}

#[test]
fn i6_ee10_who_still_waits_when_the_engine_dies_is_told_so() {
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  asks: {run: 'env > environment.txt; echo ready; exec sleep 1000', receives: q}
  silent: {run: exec sleep 1000, sends: q}
",
    )
    .start();
    live.wait_for("asks │ ready");
    let text = std::fs::read_to_string(live.world().folder().join("environment.txt")).expect("it was written");
    let variable = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.expect("a process has it").to_owned()
    };
    // Not a child of the run, so that nobody kills it along with the engine.
    let waits = Forkyard::new("get")
        .arg("q")
        .env("FORKYARD_SOCKET", variable("FORKYARD_SOCKET"))
        .env("FORKYARD_TOKEN", variable("FORKYARD_TOKEN"))
        .start();
    kill(live.engine(), Signal::SIGKILL).expect("it is alive");
    waits.end().exit(3).stderr("the run has ended");
    live.end().exit(3).stderr("the engine was killed");
}
