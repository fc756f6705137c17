//! Rules about what may be there at the same time: files, and what processes hold while they run together.

use super::{explained, finds};

#[test]
fn conditions_of_one_wait_do_not_exclude_each_other() {
    let text = "
processes:
  a: {run: x}
  b: {run: x, after: [{a: failed}, {a: succeeded}]}
  c: {run: x, after: a}
  d: {run: x, after: {c: started, a: failed}}
  e: {run: x, after: [d, a]}
";
    finds(
        text,
        "
error FY215 4:24 `b` starts only after `a` has failed, and only after it has succeeded
error FY215 6:35 `d` starts only after `a` has failed, and only after it has succeeded
"
        .trim_start(),
    );
    let (help, related) = explained(text);
    assert_eq!(
        help,
        "it never starts: remove one of these waits, or wait for `{a: finished}`"
    );
    assert_eq!(related, ["4:37 this needs `a` to succeed"]);
}

#[test]
fn either_condition_alone_may_come() {
    finds(
        "{processes: {a: {run: x}, b: {run: x, after: a}, c: {run: x, after: {a: failed}}, d: {run: x, after: {b: finished, c: finished}}}}",
        "",
    );
    finds(
        "{processes: {a: {run: x}, b: {run: x, after: a}, c: {run: x, after: {b: finished, a: failed}}}}",
        "",
    );
}

#[test]
fn a_file_is_not_written_by_two_at_once() {
    let text = |more: &str| {
        format!("{{processes: {{a: {{run: x, stdout: {{file: out}}}}, b: {{run: x, stderr: {{file: ./out}}{more}}}}}}}")
    };
    finds(
        &text(""),
        "warning FY204 1:75 `a` and `b` write to `./out` at the same time\n",
    );
    let (_, related) = explained(&text(""));
    assert_eq!(related, ["1:41 `a` writes to it here"]);
    finds(
        &text(", after: {a: started}"),
        "warning FY204 1:75 `a` and `b` write to `./out` at the same time\n",
    );
    finds(&text(", after: {a: finished}"), "");
}

#[test]
fn instances_do_not_write_one_file_at_once() {
    finds(
        "{processes: {a: {run: x, replicas: 2, stdout: {file: out}}}}",
        "warning FY204 1:54 several instances of `a` write to `out` at the same time\n",
    );
    finds(
        "{processes: {a: {run: x, replicas: 2, stdout: {file: 'out.${{ index }}'}}}}",
        "",
    );
    finds("{pools: {a: {run: x, tasks: [1], size: 4, stderr: {file: out}}}}", "");
}

#[test]
fn writers_that_never_meet_may_write_one_file() {
    finds(
        "{processes: {a: {run: x}, b: {run: x, after: a, stdout: {file: out}}, c: {run: x, after: {a: failed}, stdout: {file: out}}}}",
        "",
    );
    finds(
        "{locks: {l: {}}, processes: {a: {run: x, holds: l, stdout: {file: out}}, b: {run: x, holds: l, stdout: {file: out}}}}",
        "",
    );
    finds(
        "{pools: {one: {size: 1}}, processes: {a: {run: x, pool: one, stdout: {file: out}}, b: {run: x, pool: one, stdout: {file: out}}}}",
        "",
    );
    finds(
        "{processes: {a: {run: x, stdout: {append: out}}, b: {run: x, stdout: {append: out}}}}",
        "",
    );
    finds(
        "{processes: {a: {run: x, stdout: {file: /dev/stderr}}, b: {run: x, stdout: {file: /dev/stderr}}}}",
        "",
    );
    finds(
        "{processes: {a: {run: x, stdout: {file: out}, stderr: {file: out}}}}",
        "",
    );
}

#[test]
fn a_file_is_read_after_it_is_written() {
    let text = |more: &str| {
        format!("{{processes: {{a: {{run: x, stdout: {{file: out}}}}, b: {{run: x, stdin: {{file: out}}{more}}}}}}}")
    };
    finds(
        &text(""),
        "warning FY205 1:74 `b` reads `out`, which `a` may not have written yet\n",
    );
    finds(
        &text(", after: {a: started}"),
        "warning FY205 1:74 `b` reads `out`, which `a` may not have written yet\n",
    );
    finds(&text(", after: a"), "");
    finds(
        "{processes: {a: {run: x, stdout: {append: log}, after: b}, b: {run: x, stdin: {file: log}}}}",
        "",
    );
    finds(
        "{events: {e: {}}, processes: {a: {run: x, stdout: {file: out}, sets: e}, b: {run: x, stdin: {file: out}, after: e}}}",
        "",
    );
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdout: {file: out}, sends: q}, b: {run: x, receives: q}, c: {run: x, stdin: {file: out}, after: q}}}",
        "",
    );
}

#[test]
fn tasks_are_read_after_they_are_written() {
    finds(
        "{processes: {a: {run: x, stdout: {file: out}}}, pools: {w: {run: x, tasks: {lines: out}}}}",
        "warning FY205 1:84 `w` reads `out`, which `a` may not have written yet\n",
    );
    finds(
        "{processes: {a: {run: x, stdout: {file: out}}}, pools: {w: {run: x, tasks: {lines: out}, after: a}}}",
        "",
    );
}

#[test]
fn a_file_is_not_emptied_before_it_is_read() {
    finds(
        "{processes: {a: {run: x, stdin: {file: f}, stdout: {file: f}}}}",
        "warning FY205 1:40 `a` empties `f` before it reads it\n",
    );
    finds("{processes: {a: {run: x, stdin: {file: f}, stdout: {append: f}}}}", "");
}

#[test]
fn both_ends_of_a_pipe_do_not_hold_one_lock() {
    let text = |more: &str| {
        format!(
            "{{locks: {{l: {{}}}}, pipes: {{p: {{}}}}, processes: {{a: {{run: x, stdout: p, holds: l}}, b: {{run: x, stdin: p{more}}}}}}}"
        )
    };
    finds(
        &text(", holds: l"),
        "error FY252 1:76 `a` and `b` must run together, but each holds the lock `l`\n",
    );
    let (_, related) = explained(&text(", holds: l"));
    assert_eq!(related, ["1:109 `b` reads what `a` writes, and holds it too"]);
    finds(&text(", acquires: l"), "");
    finds(&text(""), "");
}

#[test]
fn a_chain_of_pipes_has_permits_for_all() {
    let text = |permits| {
        format!(
            "
semaphores: {{s: {{permits: {permits}}}}}
pipes: {{p: {{}}, q: {{}}}}
processes:
  a: {{run: x, stdout: p, holds: s}}
  b: {{run: x, stdin: p, stdout: q}}
  c: {{run: x, stdin: q, holds: [{{s: 2}}]}}
"
        )
    };
    finds(
        &text(2),
        "error FY252 5:33 `a` and `c` must run together and hold 3 permits of `s`, which has 2\n",
    );
    finds(&text(3), "");
}

#[test]
fn every_instance_that_reads_holds_its_own() {
    let text = |permits, senders: &str| {
        format!(
            "{{semaphores: {{s: {{permits: {permits}}}}}, queues: {{q: {{}}}}, processes: {{a: {{run: x, replicas: 2, stdout: q, holds: s}}, b: {{run: x, replicas: 2, stdin: q, holds: s}}{senders}}}}}"
        )
    };
    finds(
        &text(2, ""),
        "error FY252 1:105 `a` and `b` must run together and hold 3 permits of `s`, which has 2\n",
    );
    finds(&text(3, ""), "");
    finds(&text(2, ", c: {run: x, stdout: q}"), "");
}

#[test]
fn a_pool_has_slots_for_both_ends_of_a_pipe() {
    let text = |size, more: &str| {
        format!(
            "{{pools: {{s: {{size: {size}}}}}, pipes: {{p: {{}}}}, processes: {{a: {{run: x, stdout: p, pool: s}}, b: {{run: x, stdin: p, pool: s{more}}}}}}}"
        )
    };
    finds(
        &text(1, ""),
        "error FY262 1:82 `a` and `b` must run together and take 2 slots of `s`, which has 1\n",
    );
    finds(&text(2, ""), "");
    finds(&text(1, ", after: {a: started}"), "");
}

#[test]
fn a_queue_is_not_filled_by_its_reader_alone() {
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdin: q, stdout: q}}}",
        "warning FY233 1:50 `a` reads the queue `q` that only it fills, and will never see its end\n",
    );
    finds("{queues: {q: {}}, processes: {a: {run: x, receives: q, sends: q}}}", "");
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, stdin: q, stdout: q}, b: {run: x, stdout: q}}}",
        "",
    );
}

#[test]
fn the_end_of_a_daemon_is_not_waited_for_by_mistake() {
    let text = |daemon: &str, after: &str| {
        format!("{{processes: {{d: {{run: x, daemon: true{daemon}}}, a: {{run: x, after: {after}}}}}}}")
    };
    finds(
        &text("", "d"),
        "warning FY216 1:60 `a` waits for the end of `d`, which is a daemon\n",
    );
    assert_eq!(
        explained(&text(", ready: {tcp: '1'}", "d")).0,
        "a name alone is its success: write `{d: ready}`, or `{d: finished}` if its end is meant"
    );
    finds(&text("", "{d: finished}"), "");
    finds(&text("", "{d: started}"), "");
    finds(
        &text(", ready: {tcp: '1'}", "{d: finished}"),
        "warning FY216 1:80 `a` waits for the end of `d`, which is a daemon\n",
    );
}

#[test]
fn a_daemon_takes_all_that_it_is_sent() {
    let text = |more: &str| {
        format!(
            "{{queues: {{q: {{}}}}, processes: {{a: {{run: x, stdout: q}}, log: {{run: x, daemon: true, stdin: q}}{more}}}}}"
        )
    };
    finds(
        &text(""),
        "warning FY273 1:90 `log` is a daemon, and may be stopped before it has taken all that is sent to `q`\n",
    );
    finds(&text(", b: {run: x, after: q}"), "");
    finds(&text(", b: {run: x, after: {log: finished}}"), "");
    finds(&text(", b: {run: x}"), "");
    finds(&text(", b: {run: x, stdin: q}"), "");
}
