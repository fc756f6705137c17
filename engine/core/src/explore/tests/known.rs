//! Deadlocks that people have met, and their sound twins.

use super::*;

#[track_caller]
fn is_proved(text: &str) {
    let report = explored(text);
    assert!(report.deadlocks.is_empty(), "{text}\n{report:#?}");
    assert!(report.is_exhaustive, "{text}\n{report:#?}");
}

#[track_caller]
fn is_deadlock(text: &str, is_certain: bool) -> Deadlock {
    let report = explored(text);
    let [deadlock] = report.deadlocks.as_slice() else {
        panic!("{text}\n{report:#?}");
    };
    assert_eq!(deadlock.is_certain, is_certain, "{text}\n{deadlock:#?}");
    deadlock.clone()
}

#[test]
fn two_locks_in_two_orders() {
    let deadlock = is_deadlock(
        "{locks: {l: {}, m: {}}, processes: {a: {run: x, acquires: [l, m]}, b: {run: x, acquires: [m, l]}}}",
        true,
    );
    assert_eq!(deadlock.steps.len(), 2);
    assert_eq!(deadlock.blocked.len(), 2);
    is_proved("{locks: {l: {}, m: {}}, processes: {a: {run: x, acquires: [l, m]}, b: {run: x, acquires: [l, m]}}}");
    is_proved(
        "{locks: {l: {}, m: {}}, processes: {a: {run: x, acquires: [l, m]}, b: {run: x, acquires: [m, l], after: a}}}",
    );
    is_proved(
        "{locks: {g: {}, l: {}, m: {}}, processes: {a: {run: x, acquires: [g, l, m]}, b: {run: x, acquires: [g, m, l]}}}",
    );
    is_proved("{locks: {l: {}, m: {}}, processes: {a: {run: x, holds: [l, m]}, b: {run: x, holds: [m, l]}}}");
    is_deadlock(
        "{locks: {l: {}, m: {}}, processes: {a: {run: x, holds: l, acquires: m}, b: {run: x, holds: m, acquires: l}}}",
        true,
    );
}

#[test]
fn a_slot_is_held_while_its_child_needs_one() {
    is_deadlock(
        "{pools: {slots: {size: 1}}, events: {done: {}}, processes: {
            parent: {run: x, pool: slots, waits: done}, child: {run: x, pool: slots, sets: done, after: {parent: started}}}}",
        false,
    );
    is_deadlock(
        "{pools: {slots: {size: 1}}, events: {done: {}}, processes: {
            parent: {run: x, pool: slots, waits: done, protocol: [wait done]},
            child: {run: x, pool: slots, sets: done, after: {parent: started}}}}",
        true,
    );
    is_proved(
        "{pools: {slots: {size: 2}}, events: {done: {}}, processes: {
            parent: {run: x, pool: slots, waits: done}, child: {run: x, pool: slots, sets: done, after: {parent: started}}}}",
    );
}

/// Whoever is in the line first is served first, and when `setter` comes is up to `gate`, which no deadlock can come of.
#[test]
fn a_slot_is_taken_by_who_need_not_wait_for_others_to_come_into_the_line() {
    let text = |after: &str| {
        format!(
            "{{pools: {{slots: {{size: 1}}}}, events: {{e: {{}}}}, processes: {{gate: {{run: x}},
                setter: {{run: x, pool: slots, sets: e{after}}},
                waiter: {{run: x, pool: slots, waits: e, protocol: [wait e]}}}}}}"
        )
    };
    let deadlock = is_deadlock(&text(", after: gate"), true);
    assert!(deadlock.steps.is_empty(), "that others come is not told: {deadlock:#?}");
    is_proved(&text(""));
}

#[test]
fn a_consumer_starts_after_its_bounded_producer() {
    let deadlock = is_deadlock(
        "{queues: {q: {capacity: 10}}, processes: {make: {run: x, stdout: q}, take: {run: x, stdin: q, after: make}}}",
        false,
    );
    assert_eq!(deadlock.steps.len(), 1);
    is_proved(
        "{queues: {q: {capacity: 10}}, processes: {make: {run: x, stdout: q}, take: {run: x, stdin: q, after: {make: started}}}}",
    );
    is_proved(
        "{queues: {q: {capacity: 0}}, processes: {make: {run: x, stdout: q}, take: {run: x, stdin: q, after: make}}}",
    );
    is_proved("{pipes: {p: {}}, processes: {make: {run: x, stdout: p}, take: {run: x, stdin: p}}}");
}

#[test]
fn an_event_is_set_downstream_of_its_waiter() {
    is_deadlock(
        "{events: {e: {}}, processes: {a: {run: x, waits: e}, b: {run: x, sets: e, after: a}}}",
        false,
    );
    is_deadlock(
        "{events: {e: {}}, processes: {a: {run: x, waits: e, protocol: wait e}, b: {run: x, sets: e, after: a}}}",
        true,
    );
    is_proved(
        "{events: {e: {}}, processes: {a: {run: x, waits: e, protocol: try wait e}, b: {run: x, sets: e, after: a}}}",
    );
    is_proved("{events: {e: {}}, processes: {a: {run: x, waits: e}, b: {run: x, sets: e, after: {a: started}}}}");
    is_proved("{events: {e: {}}, processes: {a: {run: x, after: {e: set}}, b: {run: x, sets: e}}}");
}

#[test]
fn permits_are_held_while_more_are_wanted() {
    let text = |permits: u32| {
        format!(
            "{{semaphores: {{s: {{permits: {permits}}}}}, processes: {{
                a: {{run: x, acquires: [s, s]}}, b: {{run: x, acquires: [s, s]}}}}}}"
        )
    };
    is_deadlock(&text(2), true);
    is_proved(&text(3));
}

/// A worker that holds the lock while it writes keeps its reader from it.
#[test]
fn a_lock_is_held_while_a_queue_fills() {
    let text = |protocols: [&str; 2]| {
        let [a, c] = protocols;
        format!(
            "{{locks: {{log: {{}}}}, queues: {{q: {{}}}}, processes: {{a: {{run: x, replicas: 3, stdout: q, acquires: log{a}}},
                c: {{run: x, stdin: q, acquires: log{c}}}}}}}"
        )
    };
    is_deadlock(&text(["", ""]), false);
    let apart = ", protocol: {repeat: [put q, acquire log, release log]}";
    let gets_first = ", protocol: {repeat: [get q, acquire log, release log]}";
    is_proved(&text([apart, gets_first]));
    let together = ", protocol: {repeat: [acquire log, put q, release log]}";
    is_deadlock(
        &text([together, ", protocol: {repeat: [acquire log, get q, release log]}"]),
        true,
    );
    is_deadlock(&text([together, gets_first]), true);
}

fn table(count: usize, is_left_handed: bool) -> String {
    let locks: Vec<String> = (0..count).map(|at| format!("f{at}: {{}}")).collect();
    let diner = |at: usize| {
        let (left, right) = (at, (at + 1) % count);
        let swap = is_left_handed && at == 0;
        let (first, second) = if swap { (right, left) } else { (left, right) };
        format!("p{at}: {{run: x, acquires: [f{first}, f{second}]}}")
    };
    let diners: Vec<String> = (0..count).map(diner).collect();
    format!(
        "{{locks: {{{}}}, processes: {{{}}}}}",
        locks.join(", "),
        diners.join(", ")
    )
}

#[test]
fn philosophers() {
    for count in [2, 5] {
        is_proved(&table(count, true));
        let deadlock = is_deadlock(&table(count, false), true);
        assert_eq!(deadlock.steps.len(), count);
        assert!(deadlock.is_shortest);
    }
    is_proved(&table(30, true));
    // To see that no way is shorter takes longer than to find one.
    let report = explore(&planned(&table(30, false)), &mut looks(10));
    assert_eq!(report.deadlocks[0].steps.len(), 30);
}

#[test]
fn a_ring_of_queues() {
    is_deadlock(
        "{queues: {q: {capacity: 3}, r: {capacity: 3}}, processes: {
            a: {run: x, stdin: r, stdout: q}, b: {run: x, stdin: q, stdout: r}}}",
        false,
    );
}

#[test]
fn a_fork_that_is_joined_by_one_queue_or_two() {
    is_proved(
        "{queues: {q: {}, r: {}, s: {}}, processes: {a: {run: x, sends: [q, r]},
            b: {run: x, stdin: q, stdout: s}, c: {run: x, stdin: r, stdout: s}, d: {run: x, stdin: s}}}",
    );
    is_deadlock(
        "{queues: {q: {}, r: {}}, processes: {a: {run: x, sends: [q, r]}, b: {run: x, receives: [q, r]}}}",
        false,
    );
}

#[test]
fn what_people_write_is_proved() {
    for text in [
        "{queues: {q: {}, r: {}}, processes: {a: {run: x, stdout: q}, b: {run: x, replicas: 4, stdin: q, stdout: r}, c: {run: x, stdin: r}}}",
        "{queues: {q: {capacity: 2}, r: {capacity: 2}}, pools: {p: {size: 8, run: x, stdin: q, stdout: r}},
            processes: {a: {run: x, stdout: q}, c: {run: x, stdin: r}}}",
        "{queues: {r: {}}, pools: {p: {size: 4, tasks: {range: [0, 9]}, run: x, stdout: r, worker: persistent}}, processes: {c: {run: x, stdin: r}}}",
        "{semaphores: {s: {permits: 2}}, pools: {p: {size: 4, tasks: [a, b, c], run: x, holds: s}}, processes: {c: {run: x, after: p, holds: s}}}",
        "{events: {e: {}}, processes: {a: {run: x, sets: e}, b: {run: x, waits: e}, c: {run: x, waits: e, after: b}}}",
        "{pools: {slots: {size: 1}}, processes: {a: {run: x, pool: slots}, b: {run: x, pool: slots, after: a}, c: {run: x, pool: slots}}}",
    ] {
        is_proved(text);
    }
}

/// What a daemon has from its start on, nobody else gets as long as it runs.
#[test]
fn a_daemon_keeps_its_slot_and_what_it_holds() {
    let slots = |size: u32, serve: &str, test: &str| {
        format!(
            "{{pools: {{slots: {{size: {size}}}}}, processes: {{
                serve: {{run: x, daemon: true, pool: slots{serve}}}, test: {{run: x, pool: slots{test}}}}}}}"
        )
    };
    let deadlock = is_deadlock(&slots(1, "", ""), false);
    let [blocked] = deadlock.blocked.as_slice() else {
        panic!("{deadlock:#?}");
    };
    assert_eq!((blocked.helpers.len(), blocked.keepers.len()), (0, 1), "{deadlock:#?}");
    is_proved(&slots(2, "", ""));
    is_proved(&slots(1, ", after: {test: finished}", ""));
    is_deadlock(&slots(2, ", replicas: 2", ""), false);
    is_deadlock(&slots(1, "", ", after: {serve: started}"), false);

    let permits = |permits: u32, held: u32, wanted: u32| {
        format!(
            "{{semaphores: {{s: {{permits: {permits}}}}}, processes: {{
                serve: {{run: x, daemon: true, holds: {{s: {held}}}}}, test: {{run: x, acquires: {{s: {wanted}}}}}}}}}"
        )
    };
    is_deadlock(&permits(3, 2, 2), false);
    is_proved(&permits(3, 1, 2));
    // It acquires now and then, and lets go.
    is_proved("{locks: {l: {}}, processes: {serve: {run: x, daemon: true, acquires: l}, test: {run: x, holds: l}}}");
}

/// Daemons that wait for another are stopped with it; who waits for them is not.
#[test]
fn a_daemon_that_stands_by_is_no_harm_unless_somebody_needs_it() {
    let text = |more: &str| {
        format!(
            "{{locks: {{l: {{}}}}, queues: {{q: {{}}}}, events: {{e: {{}}}}, processes: {{
                serve: {{run: x, daemon: true, holds: l}},
                other: {{run: x, daemon: true, holds: l, receives: q, sets: e, after: {{serve: started}}}},
                feed: {{run: x, daemon: true, sends: q}}, {more}}}}}"
        )
    };
    is_proved(&text("test: {run: x}"));
    is_proved(&text("test: {run: x, after: {serve: started}}"));
    is_deadlock(&text("test: {run: x, after: {other: started}}"), false);
    is_deadlock(&text("test: {run: x, after: {e: set}}"), false);
    is_deadlock(&text("test: {run: x, sends: q}"), false);
}
