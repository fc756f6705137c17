use super::{explained, finds};

#[test]
fn a_cycle_is_shown_as_a_whole_with_every_wait() {
    let text = "
processes:
  a: {run: x, after: b}
  b: {run: x, after: {c: started}}
  c: {run: x, after: a}
  d: {run: x, after: c}
";
    finds(text, "error FY210 3:22 a cycle in `after`: `a` → `b` → `c` → `a`\n");
    let (help, related) = explained(text);
    assert_eq!(help, "none of them can start; remove one of these waits");
    assert_eq!(related, ["4:23 `b` waits for `c`", "5:22 `c` waits for `a`"]);
}

#[test]
fn every_cycle_is_found_and_the_shortest_is_shown() {
    let text = "
processes:
  a: {run: x, after: [c, b]}
  b: {run: x, after: a}
  c: {run: x, after: b}
  e: {run: x, after: f}
  f: {run: x, after: e}
";
    finds(
        text,
        "
error FY210 3:26 a cycle in `after`: `a` → `b` → `a`
error FY210 6:22 a cycle in `after`: `e` → `f` → `e`
"
        .trim_start(),
    );
}

#[test]
fn instances_may_wait_for_each_other_in_a_row_but_not_for_all() {
    finds(
        "{processes: {a: {run: x, each: [1], after: a.0}}}",
        "error FY211 1:44 `a.0` waits for itself\n",
    );
    finds(
        "{processes: {a: {run: x, after: a}}}",
        "error FY211 1:33 `a` waits for itself\n",
    );
    finds(
        "{processes: {a: {run: x, replicas: 3, after: a}}}",
        "error FY211 1:46 `a.0` waits for itself\n",
    );
    finds(
        "{processes: {a: {run: x, replicas: 3}, b: {run: x, after: [a.0, a]}}}",
        "",
    );
}

#[test]
fn pools_and_their_slots_are_part_of_cycles() {
    finds(
        "{pools: {p: {run: x, tasks: [1], after: a}}, processes: {a: {run: x, after: p}}}",
        "error FY210 1:77 a cycle in `after`: `a` → `p` → `a`\n",
    );
    finds(
        "{pools: {p: {size: 2}}, processes: {a: {run: x, pool: p, after: p}}}",
        "error FY210 1:65 a cycle in `after`: `a` → `p` → `a`\n",
    );
    finds(
        "{pools: {p: {size: 2}, w: {run: x, tasks: [1], after: b}}, processes: {a: {run: x, pool: p, after: w}, b: {run: x}, c: {run: x, after: p}}}",
        "",
    );
}

#[test]
fn a_pool_of_slots_has_started_with_the_first_process_in_it() {
    finds(
        "{pools: {p: {size: 2}}, processes: {a: {run: x, pool: p}, b: {run: x, pool: p, after: c}, c: {run: x, after: {p: started}}}}",
        "",
    );
    finds(
        "{pools: {p: {size: 2}}, processes: {a: {run: x, pool: p}, b: {run: x, pool: p, after: c}, c: {run: x, after: {p: finished}}}}",
        "error FY210 1:87 a cycle in `after`: `b` → `c` → `p` → `b`\n",
    );
}

#[test]
fn a_queue_is_drained_only_after_its_senders() {
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, sends: q, after: q}, b: {run: x, stdin: q}}}",
        "error FY210 1:60 a cycle in `after`: `a` → `q` → `a`\n",
    );
    finds(
        "{queues: {q: {}}, processes: {a: {run: x, sends: q}, b: {run: x, stdin: q}, c: {run: x, after: q}}}",
        "",
    );
}

#[test]
fn a_wait_that_starts_all_the_same_closes_no_cycle() {
    let text = |otherwise| {
        format!(
            "{{processes: {{a: {{run: x, after: {{b: {{is: finished, timeout: 2s, else: {otherwise}}}}}}}, b: {{run: x, after: a}}}}}}"
        )
    };
    finds(&text("start"), "");
    finds(&text("fail"), "error FY210 1:34 a cycle in `after`: `a` → `b` → `a`\n");
}

#[test]
fn conditions_fit_their_kinds() {
    let text = "
events: {e: {set: true}}
queues: {q: {}}
processes:
  a: {run: x, after: {e: finished, q: set, b: drained}, stdin: q}
  b: {run: x, stdout: q}
";
    finds(
        text,
        "
error FY212 5:23 `e` is an event, which is never `finished`
error FY212 5:36 `q` is a queue, which is never `set`
error FY212 5:44 `b` is a process, which is never `drained`
"
        .trim_start(),
    );
    finds(
        "{events: {e: {set: true}}, processes: {a: {run: x, after: {e: set}}}}",
        "",
    );
}

#[test]
fn conditions_that_cannot_come_are_refused() {
    let text = "
processes:
  a: {run: x, on_failure: ignore}
  gone: {run: x, if: false}
  b: {run: x, after: {a: failed}}
  c: {run: x, after: {gone: failed}}
  d: {run: x, after: {b: ready}}
";
    finds(
        text,
        "
error FY213 5:23 `a` cannot fail: with `on_failure: ignore` a failure counts as a success
error FY213 6:23 no instance of `gone` runs, so it cannot fail
error FY213 7:23 it cannot be seen whether `b` is ready
"
        .trim_start(),
    );
    finds(
        "{processes: {a: {run: x}, gone: {run: x, if: false}, b: {run: x, after: {a: failed, gone: finished}}}}",
        "",
    );
}

#[test]
fn readiness_comes_where_it_is_looked_for() {
    finds(
        "{processes: {d: {run: x, ready: {tcp: '1'}}, a: {run: x, after: {d: ready}}}}",
        "",
    );
    finds(
        "{templates: {t: {run: x, ready: {notify: true}}}, processes: {d: {use: t, replicas: 2}, a: {run: x, after: {d: ready}}}}",
        "",
    );
    finds(
        "{processes: {d: {run: x}, a: {run: x, after: {d: ready}}}}",
        "error FY213 1:47 it cannot be seen whether `d` is ready\n",
    );
    finds(
        "{processes: {d: {run: x, if: false}, a: {run: x, after: {d: ready}}}}",
        "",
    );
}
