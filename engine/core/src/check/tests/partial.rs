//! What is told of a workflow that has mistakes of the language too: all that is certain, and nothing that follows.

use super::*;
use crate::diagnostic::in_order;

/// What both the language and the rules tell of `text`.
#[track_caller]
fn all_told(text: &str) -> String {
    let loaded = sample::loaded(text);
    let partial = loaded.partial.expect("a file with mistakes is read in part");
    let mut findings = loaded.diagnostics;
    findings.extend(check_partial(&partial));
    lines(&in_order(findings), &loaded.files)
}

#[test]
fn eight_mistakes_are_told_at_once() {
    let text = "
processes:
  count: {run: x, stdout: lins, timeout: 5}
  first: {run: x, after: second}
  second: {run: x, after: first, stdot: lines}
  self: {run: x, after: self, nice: low}
  held: {run: x, holds: [report, report], stdin: report}
  late: {run: x, after: {lines: succeeded}}
  total: {run: x, stdin: lines, sends: totals}
queues: {lines: {}, totals: {capacity: lots}}
locks: {report: {}}
";
    assert_eq!(
        all_told(text),
        "error FY201 3:27 there is no `lins` in this workflow
error FY103 3:42 expected a duration such as 250ms, 3s, 2m or 1h30m; found `5`
error FY210 4:26 a cycle in `after`: `first` → `second` → `first`
error FY102 5:34 unknown key `stdot`
error FY211 6:25 `self` waits for itself
error FY103 6:37 expected a whole number from -20 to 19; found `low`
error FY251 7:34 `held` acquires `report` while it holds it, and would wait for itself
error FY202 7:50 `report` is a lock; `stdin` takes a queue or a pipe
error FY212 8:26 `lines` is a queue, which is never `succeeded`
error FY103 10:40 expected a whole number from 0 to 33488896; found `lots`
"
    );
}

/// Asserts that `text` is told of just one mistake, the one with `code`.
#[track_caller]
fn only(code: &str, text: &str) {
    let told = all_told(text);
    let codes: Vec<_> = told.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(codes, [code], "{text}\n{told}");
}

#[test]
fn what_has_a_mistake_is_declared_all_the_same() {
    only(
        "FY103",
        "{queues: {q: {capacity: lots}}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q}}}",
    );
    only(
        "FY103",
        "{queues: {q: 5}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q}}}",
    );
    only(
        "FY111",
        "{queues: {q: '${{ nope }}'}, processes: {a: {run: x, stdout: q}, b: {run: x, stdin: q}}}",
    );
    only(
        "FY103",
        "{pipes: {p: {duplex: yes}}, processes: {a: {run: x, connects: p.left}, b: {run: x, connects: p.right}}}",
    );
    only(
        "FY103",
        "{semaphores: {s: {permits: lots}}, processes: {a: {run: x, holds: {s: 3}}}}",
    );
    only(
        "FY111",
        "{semaphores: {s: {permits: '${{ nope }}'}}, processes: {a: {run: x, holds: {s: 3}}}}",
    );
    only(
        "FY103",
        "{locks: {l: {reentrant: yes}}, processes: {a: {run: x, holds: l, acquires: l}}}",
    );
    only("FY103", "{processes: {a: 5, b: {run: x, after: a}}}");
    only("FY105", "{processes: {a: {timeout: 5s}, b: {run: x, after: a}}}");
    only(
        "FY103",
        "{processes: {a: {run: x, replicas: many}, b: {run: x, after: a.7}}}",
    );
    only(
        "FY112",
        "{processes: {a: {run: x, each: [1, 0], nice: '${{ 1 // item }}'}, b: {run: x, after: a.1}}}",
    );
    only(
        "FY103",
        "{pools: {w: {run: x, tasks: [1], size: lots}}, processes: {b: {run: x, after: w}}}",
    );
    only("FY103", "{pools: {w: 5}, processes: {b: {run: x, pool: w}}}");
    only("FY103", "{groups: {g: 5}, processes: {b: {run: x}}}");
}

#[test]
fn what_a_mistake_hides_is_not_missed() {
    only("FY102", "{processes: {a: {run: x, stdout: {fille: x}}}}");
    only("FY102", "{processes: {a: {run: x, fds: {3: {sned: q}}}}}");
    only("FY102", "{processes: {a: {run: x, ready: {htpp: q}}}}");
    only("FY102", "{processes: {a: {rnu: x}, b: {run: x, after: a}}}");
    only(
        "FY103",
        "{queues: {q: {}}, processes: {a: {run: x, stdout: q, timeout: 5}, b: {run: x, stdin: q}}}",
    );
    only(
        "FY102",
        "{queues: {q: {}}, processes: {a: {run: x, stdot: q}, b: {run: x, stdin: q}}}",
    );
    only(
        "FY102",
        "{events: {e: {}}, processes: {a: {run: x, set: e}, b: {run: x, after: e}}}",
    );
    only("FY103", "{events: {e: {set: yes}}, processes: {b: {run: x, after: e}}}");
    only(
        "FY111",
        "{pools: {w: {run: x, stdin: '${{ nope }}'}}, processes: {b: {run: x, after: w}}}",
    );
    only(
        "FY103",
        "{processes: {a: {run: x, ready: 5}, b: {run: x, after: {a: ready}}}}",
    );
    only(
        "FY103",
        "{processes: {a: {run: x, on_failure: stopp}, b: {run: x, after: {a: failed}}}, options: {on_failure: ignore}}",
    );
}

#[test]
fn a_wait_with_a_mistake_is_no_step_of_a_cycle() {
    only(
        "FY103",
        "{processes: {a: {run: x, after: {b: {timeout: 5, else: start}}}, b: {run: x, after: a}}}",
    );
    only(
        "FY103",
        "{pools: {w: {size: 1}}, processes: {a: {run: x, pool: w, after: {w: strted}}}}",
    );
}

#[test]
fn names_that_could_not_be_read_are_not_called_unknown() {
    only("FY102", "{queus: {q: {}}, processes: {a: {run: x, stdout: q}}}");
    only(
        "FY102",
        "{templats: {t: {run: x}}, processes: {a: {use: t}, b: {run: x, after: a}}}",
    );
    only("FY103", "{queues: [q], processes: {a: {run: x, stdout: q}}}");
    only(
        "FY103",
        "{templates: {t: 5}, processes: {a: {use: t}, b: {run: x, after: a}}}",
    );
    only(
        "FY103",
        "{templates: [t], processes: {a: {use: t}, b: {run: x, after: a}}}",
    );
    only(
        "FY115",
        "{processes: {a: {use: t, stdout: q}, b: {run: x, after: a.3}}}",
    );
    only(
        "FY116",
        "{templates: {t: {params: {n: }, run: x}}, processes: {a: {use: t}, b: {run: x, after: a}}}",
    );
    only(
        "FY117",
        "{include: ../q.yaml, processes: {a: {run: x, stdout: q, after: b}}}",
    );
    only(
        "FY117",
        "{include: ../q.yaml, processes: {a: {use: t}, b: {run: x, after: a}}}",
    );
    only(
        "FY010",
        "{queues: {}, processes: {a: {run: x, stdout: q}}, queues: {q: {}}}",
    );
    only(
        "FY109",
        "{queues: {n: {}}, processes: {n: {run: x}, a: {run: x, stdout: n, after: n}}}",
    );
    only(
        "FY104",
        "{params: {n: }, processes: {a: {run: x, replicas: '${{ params.n or 1 }}'}, b: {run: x, after: a.1}}}",
    );
}

#[test]
fn params_that_could_not_be_read_are_not_called_undefined() {
    only(
        "FY102",
        "{parms: {n: 2}, processes: {a: {run: x, replicas: '${{ params.n }}'}, b: {run: x, after: a.1}}}",
    );
    only(
        "FY103",
        "{params: 5, pools: {w: {run: x, tasks: ['${{ params.n }}']}}, processes: {b: {run: x, after: w}}}",
    );
    only(
        "FY117",
        "{include: ../q.yaml, processes: {a: {run: 'echo ${{ params.n }}', nice: 3, timeout: 5s}}}",
    );
}

#[test]
fn a_template_with_a_mistake_leaves_all_its_users_in_doubt() {
    only(
        "FY103",
        "{templates: {t: {run: x, ready: 5}}, processes: {a: {use: t}, b: {use: t}, c: {run: x, after: {b: ready}}}}",
    );
}

#[test]
fn what_is_certain_is_told_beside_what_is_not() {
    assert_eq!(
        all_told("{include: ../q.yaml, locks: {l: {}}, processes: {a: {run: x, stdout: q, stdin: l}}}"),
        "error FY117 1:11 `../q.yaml` is outside of the folder of the workflow
error FY202 1:80 `l` is a lock; `stdin` takes a queue or a pipe
"
    );
    assert_eq!(
        all_told("{queues: {q: {capacity: lots}}, processes: {a: {run: x, after: q, holds: q, stdout: p}}}"),
        "error FY103 1:25 expected a whole number from 0 to 33488896; found `lots`
error FY202 1:74 `q` is a queue; `holds` takes locks and semaphores
error FY201 1:85 there is no `p` in this workflow
"
    );
}
