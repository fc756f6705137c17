use super::{explained, finds};

#[test]
fn an_event_is_not_set_downstream_of_its_waiter() {
    let text = "
events: {go: {}}
processes:
  a: {run: x, after: go}
  b: {run: x, after: a}
  c: {run: x, after: b, sets: go}
";
    finds(
        text,
        "error FY242 4:22 `a` waits for the event `go`, which is set only after it\n",
    );
    let (help, related) = explained(text);
    assert_eq!(
        help,
        "let `go` be set by a process that does not wait for `a`, or remove one of the waits"
    );
    assert_eq!(
        related,
        ["6:31 `c` sets `go`", "6:22 `c` waits for `b`", "5:22 `b` waits for `a`"]
    );
}

#[test]
fn an_event_that_somebody_else_may_set_holds_nobody_up() {
    finds(
        "{events: {e: {}}, processes: {a: {run: x, after: e}, b: {run: x, after: a, sets: e}, c: {run: x, sets: e}}}",
        "",
    );
    finds(
        "{events: {e: {set: true}}, processes: {a: {run: x, after: e}, b: {run: x, after: a, sets: e}}}",
        "",
    );
    finds(
        "{events: {e: {}}, processes: {a: {run: x, after: {e: {is: set, timeout: 1s, else: start}}}, b: {run: x, after: a, sets: e}}}",
        "",
    );
}

#[test]
fn an_event_is_not_set_by_its_waiter_alone() {
    let text = "{events: {e: {}}, processes: {a: {run: x, after: e, sets: e}}}";
    finds(
        text,
        "error FY242 1:50 `a` waits for the event `e`, which is set only after it\n",
    );
    assert_eq!(
        explained(text).0,
        "`a` cannot set it before it starts: remove it from `after`"
    );
}

#[test]
fn two_events_may_not_wait_for_each_other() {
    finds(
        "{events: {e: {}, f: {}}, processes: {a: {run: x, after: e, sets: f}, b: {run: x, after: f, sets: e}}}",
        "error FY242 1:57 `a` waits for the event `e`, which is set only after it\n",
    );
    finds(
        "{events: {e: {}, f: {}}, processes: {a: {run: x, waits: e, sets: f}, b: {run: x, after: f, sets: e}}}",
        "",
    );
}

#[test]
fn a_process_that_waits_itself_is_warned_of_a_setter_after_its_end() {
    let text = |condition| {
        format!(
            "{{events: {{e: {{}}}}, processes: {{a: {{run: x, waits: e}}, b: {{run: x, after: {{a: {condition}}}, sets: e}}}}}}"
        )
    };
    finds(
        &text("finished"),
        "warning FY243 1:50 `a` waits for the event `e`, which is set only after `a` has ended\n",
    );
    finds(&text("started"), "");
    finds(
        "{events: {e: {}}, processes: {a: {run: x, waits: e}, b: {run: x, after: a, sets: e}, c: {run: x, waits: e}}}",
        "",
    );
}

#[test]
fn a_queue_is_not_drained_before_its_receiver_starts() {
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q, after: q}}}",
        "error FY217 1:84 `b` starts after the queue `q` is drained, but is the one who empties it\n",
    );
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q, after: c}, c: {run: x, after: q}}}",
        "error FY217 1:107 `c` starts after the queue `q` is drained, but `b` empties it after that\n",
    );
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q, after: c}, c: {run: x, after: q}, d: {run: x, stdin: q}}}",
        "",
    );
}

#[test]
fn a_pool_whose_tasks_make_tasks_never_ends() {
    let text = |more: &str| {
        format!(
            "{{queues: {{q: {{}}}}, pools: {{w: {{run: x, stdin: q, stdout: q{more}}}}}, processes: {{seed: {{run: x, stdout: q}}}}}}"
        )
    };
    finds(
        &text(""),
        "error FY263 1:57 the pool `w` sends to the queue `q` of its own tasks, so neither ever ends\n",
    );
    finds(&text(", daemon: true}, other: {run: x, tasks: [1]"), "");
    finds(
        "{queues: {q: {}, r: {}}, pools: {w: {run: x, stdin: q, stdout: r}, v: {run: x, stdin: r, sends: q}}, processes: {seed: {run: x, stdout: q}}}",
        "error FY263 1:97 `v` ends only after the pool `w`, and sends to the queue `q` of its tasks\n",
    );
}

#[test]
fn a_bounded_queue_is_emptied_while_it_is_filled() {
    let text = |queue: &str, condition: &str| {
        format!(
            "{{queues: {{q: {{{queue}}}}}, processes: {{a: {{run: x, stdout: q}}, b: {{run: x, stdin: q, after: {{a: {condition}}}}}}}}}"
        )
    };
    let expected = "warning FY232 1:97 `b` empties the queue `q` only after `a`, who fills it, has ended\n";
    finds(&text("capacity: 10", "finished"), expected);
    let (help, _) = explained(&text("capacity: 10", "finished"));
    assert_eq!(
        help,
        "`a` blocks for ever at more than 10 items: wait for `{a: started}`, or give `q` `capacity: 0`"
    );
    finds(&text("capacity: 0", "finished"), "");
    finds(&text("capacity: 10", "started"), "");
}

#[test]
fn a_queue_with_room_for_all_results_may_be_emptied_later() {
    let text = |capacity| {
        format!(
            "{{queues: {{q: {{capacity: {capacity}}}}}, pools: {{w: {{run: x, tasks: [1, 2, 3], stdout: q}}}}, processes: {{b: {{run: x, stdin: q, after: w}}}}}}"
        )
    };
    finds(&text(3), "");
    finds(
        &text(2),
        "warning FY232 1:122 `b` empties the queue `q` only after `w`, who fills it, has ended\n",
    );
}

#[test]
fn several_queues_are_not_emptied_in_turn() {
    finds(
        "
queues: {q: {}, r: {}}
processes:
  a: {run: x, stdout: q}
  b: {run: x, stdin: q, after: c}
  c: {run: x, stdout: r}
  d: {run: x, stdin: r, after: a}
",
        "warning FY232 5:32 `b` empties the queue `q` only after `a`, who fills it, has ended\n",
    );
}

#[test]
fn whoever_reads_a_queue_does_not_wait_for_senders_after_its_end() {
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdin: q}, b: {run: x, stdout: q, after: a}}}",
        "warning FY234 1:84 `b` sends to the queue `q` only after `a`, who reads it, has ended\n",
    );
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, receives: q}, b: {run: x, stdout: q, after: a}}}",
        "",
    );
}

#[test]
fn peers_of_a_pipe_are_not_kept_apart_by_others() {
    finds(
        "{pipes: {p: {}}, processes: {a: {run: x, stdout: p}, b: {run: x, after: a}, c: {run: x, stdin: p, after: b}}}",
        "warning FY214 1:106 `c` starts after `a` has ended, but the pipe `p` is between them\n",
    );
}

#[test]
fn a_protocol_says_better_what_is_waited_for() {
    finds(
        "{events: {e: {}}, processes: {a: {run: x, waits: e, protocol: [try wait e]}, b: {run: x, after: a, sets: e}}}",
        "",
    );
}
