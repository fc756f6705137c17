//! G and BB: what the check finds in the graph, and what the engine finds when it was not asked.

use nix::sys::signal::Signal;

use crate::harness::{Forkyard, Outcome, until};

fn checked(workflow: &str) -> Outcome {
    Forkyard::new("check").workflow(workflow).run()
}

#[test]
fn g1_aa14_every_cycle_is_found_and_shown_as_a_whole() {
    let wait = |number: u32| format!("  p{number}: {{run: x, after: p{}}}\n", (number + 1) % 10_000);
    let ring: Vec<String> = (0..10_000).map(wait).collect();
    let found = checked(&format!("forkyard: 1\nprocesses:\n{}", ring.concat()));
    found.exit(1).says("FY210").line("1 error");
    assert!(found.stdout().len() < 10_000, "a ring of thousands is shown in short");
    // Two that share a node, and one that waits for itself.
    let found = checked(
        "
forkyard: 1
processes:
  a: {run: x, after: [b, c]}
  b: {run: x, after: a}
  c: {run: x, after: d}
  d: {run: x, after: a}
  e: {run: x, after: [e, nobody]}
",
    );
    found.exit(1).says("FY210").says("FY211").says("FY201");
    for name in ["`a`", "`b`"] {
        found.says(name);
    }
}

#[test]
fn g3_three_locks_in_a_ring_are_found_and_the_same_in_turn_are_right() {
    let workflow = |after: &str| {
        format!(
            "forkyard: 1\nlocks: {{x: {{}}, y: {{}}, z: {{}}}}\nprocesses:\n  a: {{run: \"true\", acquires: [x, y]}}\n  \
             b: {{run: \"true\", acquires: [y, z]}}\n  c: {{run: \"true\", acquires: [z, x]{after}}}\n"
        )
    };
    checked(&workflow(""))
        .exit(1)
        .says("error[FY280]")
        .says("3. `c` acquires `z`");
    checked(&workflow(", after: {b: finished}"))
        .exit(0)
        .says("proved free of deadlock");
}

#[test]
fn g4_more_permits_than_there_are_are_refused() {
    checked("forkyard: 1\nsemaphores: {s: {permits: 2}}\nprocesses: {a: {run: x, holds: {s: 3}}}\n")
        .exit(1)
        .says("3 permits");
}

#[test]
fn g5_who_waits_for_an_event_that_nobody_sets_any_more_is_skipped_and_told() {
    let run = Forkyard::run_of(
        "
forkyard: 1
events: {e: {}}
processes:
  fails: {run: exit 1}
  sets: {run: forkyard set e, sets: e, after: fails}
  waits: {run: echo never, after: {e: set}}
",
    )
    .run();
    run.exit(1)
        .line("waits │ skipped: nobody is left to set the event e")
        .no_line("waits │ never");
}

#[test]
fn bb10_a_put_under_the_lock_that_its_receiver_needs_is_found() {
    let workflow = |capacity: u32| {
        format!(
            "forkyard: 1\nlocks: {{l: {{}}}}\nqueues: {{q: {{capacity: {capacity}}}}}\nprocesses:\n  \
             puts: {{run: x, acquires: l, sends: q, protocol: [acquire l, put q, put q, release l]}}\n  \
             gets: {{run: x, acquires: l, receives: q, protocol: [acquire l, get q, get q, release l]}}\n"
        )
    };
    checked(&workflow(1)).exit(1).says("can wait for each other for ever");
}

#[test]
fn bb11_a_pool_that_waits_for_its_own_tasks_is_found() {
    let pool = "pools: {crawl: {run: cat, stdin: pages, stdout: pages}}";
    checked(&format!(
        "forkyard: 1\nqueues: {{pages: {{}}}}\n{pool}\nprocesses: {{seed: {{run: seq 3, stdout: pages}}}}\n"
    ))
    .exit(1)
    .says("error[FY263]");
}

#[test]
fn bb14_the_chain_behind_a_frozen_holder_is_told_to_who_asks() {
    let live = Forkyard::run_of(
        "
forkyard: 1
locks: {l: {}}
processes:
  frozen: {acquires: l, run: 'forkyard acquire l; echo holds; kill -STOP $$; echo thawed'}
  waits: {acquires: l, after: {frozen: started}, run: 'until test -e go; do sleep 0.01; done; echo asks; forkyard acquire l; echo mine'}
",
    )
    .start();
    live.wait_for("frozen │ holds");
    live.world().write("go", "");
    live.wait_for("waits │ asks");
    until("it is told what is waited for", || {
        let state = live.world().state().to_owned();
        let why = Forkyard::new("why").arg("waits").env("XDG_STATE_HOME", state).run();
        why.stdout().contains("waits for the lock `l`, held by `frozen`")
    });
    // A frozen process hears the stop all the same.
    live.signal(Signal::SIGTERM);
    live.end().exit(143).no_line("waits │ mine");
}
