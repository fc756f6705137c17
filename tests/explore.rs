//! Deadlocks that people have met, each with its mended twin, through the real binary.

use crate::harness::{Forkyard, Outcome};

const PROVED: &str = "proved free of deadlock";

fn checked(workflow: &str) -> Outcome {
    Forkyard::new("check").workflow(workflow).run()
}

#[track_caller]
fn is_proved(workflow: &str) {
    checked(workflow).exit(0).says(PROVED);
}

/// It is an error of this code, with these words, and is not run.
#[track_caller]
fn is_error(workflow: &str, code: &str, words: &[&str]) {
    let found = checked(workflow);
    found.exit(1).says(&format!("error[{code}]"));
    for words in words {
        found.says(words);
    }
    let run = Forkyard::new("run").workflow(workflow).run();
    run.exit(2);
    assert!(run.errors().contains(code), "{}", run.errors());
}

/// It is a warning of this code, which keeps nobody from running it.
#[track_caller]
fn is_warning(workflow: &str, code: &str, words: &[&str]) {
    let found = checked(workflow);
    found.exit(0).says(&format!("warning[{code}]")).says("might wait");
    for words in words {
        found.says(words);
    }
}

fn diners(count: usize, is_left_handed: bool) -> String {
    let mut text = "forkyard: 1\nlocks:\n".to_owned();
    for place in 0..count {
        text.extend([format!("  fork{place}: {{}}\n")]);
    }
    text += "processes:\n";
    for place in 0..count {
        let (left, right) = (place, (place + 1) % count);
        let (first, second) = if is_left_handed && place == 0 {
            (right, left)
        } else {
            (left, right)
        };
        text.extend([format!(
            "  diner{place}: {{run: \"true\", acquires: [fork{first}, fork{second}]}}\n"
        )]);
    }
    text
}

#[test]
fn g3_two_locks_in_two_orders() {
    let workflow = |second: &str| {
        format!(
            "forkyard: 1\nlocks: {{left: {{}}, right: {{}}}}\nprocesses:\n  a: {{run: \"true\", acquires: [left, right]}}\n  \
             b: {{run: \"true\", acquires: [{second}]}}\n"
        )
    };
    is_error(
        &workflow("right, left"),
        "FY280",
        &[
            "1. `a` acquires `left`",
            "2. `b` acquires `right`",
            "`a` waits for `right`, which `b` has",
            "`b` waits for `left`, which `a` has",
        ],
    );
    is_proved(&workflow("left, right"));
}

#[test]
fn g4_a_slot_is_held_while_the_child_needs_one() {
    let workflow = |size: u32| {
        format!(
            "forkyard: 1\npools: {{slots: {{size: {size}}}}}\nevents: {{done: {{}}}}\nprocesses:\n  \
             parent: {{run: \"true\", pool: slots, waits: done, protocol: [wait done]}}\n  \
             child: {{run: \"true\", pool: slots, sets: done}}\n"
        )
    };
    is_error(
        &workflow(1),
        "FY281",
        &[
            "`parent` waits for `done`, which only `child` can set",
            "`child` waits for a slot of `slots`, which `parent` has",
        ],
    );
    is_proved(&workflow(2));
}

#[test]
fn g2_bb4_a_consumer_starts_after_its_bounded_producer() {
    let workflow = |after: &str, capacity: u32| {
        format!(
            "forkyard: 1\nqueues: {{pages: {{capacity: {capacity}}}}}\nprocesses:\n  \
             crawl: {{run: \"true\", sends: pages, protocol: [put pages, put pages]}}\n  \
             index: {{run: \"true\", stdin: pages, after: {{crawl: {after}}}}}\n"
        )
    };
    is_error(
        &workflow("succeeded", 1),
        "FY283",
        &[
            "1. `crawl` fills `pages`",
            "`index` starts only when `crawl` is `succeeded`",
        ],
    );
    is_proved(&workflow("started", 1));
}

#[test]
fn g2_bb3_a_ring_of_queues() {
    let workflow = |protocols: [&str; 2]| {
        let [ask, answer] = protocols;
        format!(
            "forkyard: 1\nqueues: {{asked: {{capacity: 4}}, answered: {{capacity: 4}}}}\nprocesses:\n  \
             ask: {{run: \"true\", receives: answered, sends: asked{ask}}}\n  \
             answer: {{run: \"true\", receives: asked, sends: answered{answer}}}\n"
        )
    };
    is_warning(&workflow(["", ""]), "FY282", &["say so by `protocol`"]);
    is_proved(&workflow([
        ", protocol: {repeat: [put asked, get answered]}",
        ", protocol: {repeat: [get asked, put answered]}",
    ]));
    is_error(
        &workflow([
            ", protocol: {repeat: [get answered, put asked]}",
            ", protocol: {repeat: [get asked, put answered]}",
        ]),
        "FY282",
        &["can wait for each other for ever"],
    );
}

#[test]
fn g5_an_event_is_set_downstream_of_its_waiter() {
    let workflow = |after: &str| {
        format!(
            "forkyard: 1\nevents: {{checked: {{}}}}\nprocesses:\n  \
             publish: {{run: \"true\", waits: checked, protocol: [wait checked]}}\n  \
             check: {{run: \"true\", sets: checked, after: {{publish: {after}}}}}\n"
        )
    };
    is_error(
        &workflow("succeeded"),
        "FY284",
        &["`publish` waits for `checked`, which only `check` can set"],
    );
    is_proved(&workflow("started"));
}

#[test]
fn g4_permits_are_held_while_more_are_wanted() {
    let workflow = |acquires: &str| {
        format!(
            "forkyard: 1\nsemaphores: {{seats: {{permits: 2}}}}\nprocesses:\n  \
             couple: {{run: \"true\", replicas: 2, acquires: [{acquires}]}}\n"
        )
    };
    is_error(
        &workflow("seats, seats"),
        "FY281",
        &["1. `couple.0` acquires a permit of `seats`"],
    );
    is_proved(&workflow("{seats: 2}"));
}

#[test]
fn bb2_diners_at_a_round_table() {
    for count in [5, 30] {
        is_error(&diners(count, false), "FY280", &["1. `diner"]);
        is_proved(&diners(count, true));
    }
}

#[test]
fn bb13_without_time_only_the_structure_is_looked_at() {
    let check = |workflow: &str| {
        Forkyard::new("check")
            .workflow(workflow)
            .arg("--explore")
            .arg("0")
            .run()
    };
    check(&diners(5, false))
        .exit(0)
        .says("not exhaustive: 0 states within the budget");
    check(&diners(5, true)).exit(0).says(PROVED);
    let bad = Forkyard::new("check").arg("--explore").arg("soon").run();
    bad.exit(2);
    assert!(bad.errors().contains("a duration is written as"), "{}", bad.errors());
}

#[test]
fn a_protocol_is_accepted_by_a_run_and_its_mistakes_are_found() {
    let workflow = |steps: &str| {
        format!(
            "forkyard: 1\nlocks: {{db: {{}}}}\nprocesses:\n  load: {{run: \"true\", acquires: db, protocol: [{steps}]}}\n"
        )
    };
    Forkyard::new("run")
        .workflow(&workflow("acquire db, release db"))
        .run()
        .exit(0);
    for (steps, code, words) in [
        ("aquire db", "FY286", "did you mean `acquire`?"),
        ("acquire", "FY286", "no whole step"),
        ("try acquire db", "FY286", "only `put`, `get` and `wait` can be tried"),
        ("acquire dp", "FY287", "did you mean `db`?"),
        ("get db", "FY287", "declare it: `receives: db`"),
        ("acquire db, release db, release db", "FY288", "which it does not hold"),
        ("{repeat: [acquire db]}", "FY288", "release it in the same round"),
    ] {
        checked(&workflow(steps)).exit(1).says(code).says(words);
    }
    checked(&workflow("")).exit(0).says("warning[FY289]");
}
