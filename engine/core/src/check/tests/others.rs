use super::{explained, finds, told};
use crate::sample;

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let text = "
queues: {lines: {}}
processes:
  a: {run: x, stdout: line}
  b: {run: x, replicas: 2, after: [elephant, b.7], stdin: lines, fds: {4: {send: lines}}}
  c: {run: x, after: [lines.left]}
";
    finds(
        text,
        "
error FY201 4:23 there is no `line` in this workflow
error FY201 5:36 there is no `elephant` in this workflow
error FY201 5:46 `b` is a process and has no part `7`
error FY201 6:23 `lines` is a queue and has no part `left`
"
        .trim_start(),
    );
    let (help, _) = explained(text);
    assert_eq!(help, "did you mean the queue `lines`?");
    let (help, related) = explained("{processes: {b: {run: x, replicas: 2}, a: {run: x, after: b.7}}}");
    assert_eq!(help, "its instances are `b.0` to `b.1`");
    assert_eq!(related, ["1:14 declared here"]);
}

#[test]
fn only_what_a_place_takes_stands_there() {
    let text = "
locks: {l: {}}
events: {e: {set: true}}
pipes: {talk: {duplex: true}}
templates: {t: {run: x}}
processes:
  a: {run: x, stdout: l, holds: e, connects: talk, use: t}
  b: {run: x, stdin: talk, after: [l, t], sets: a, connects: [talk.left, talk.right], holds: l, waits: e}
groups: {g: {members: [a, l]}}
";
    finds(
        text,
        "
error FY202 7:23 `l` is a lock; `stdout` takes a queue or a pipe
error FY202 7:33 `e` is an event; `holds` takes locks and semaphores
error FY202 7:46 `talk` is a duplex pipe; `connects` takes an end of a duplex pipe
error FY202 8:22 `talk` is a duplex pipe; `stdin` takes a queue or a pipe
error FY202 8:36 `l` is a lock; `after` takes processes, pools, events and queues
error FY202 8:39 `t` is a template; `after` takes processes, pools, events and queues
error FY202 8:49 `a` is a process; `sets` takes events
warning FY224 8:74 `b` is at both ends of the pipe `talk`, and will never see its end
error FY202 9:27 `l` is a lock; `members` takes processes
"
        .trim_start(),
    );
    let (_, related) = explained(text);
    assert_eq!(related, ["2:9 declared here"]);
}

#[test]
fn a_reference_stands_once_in_a_list() {
    finds(
        "{events: {e: {}}, processes: {a: {run: x, sets: [e, e, e]}, b: {run: x, after: [a, a], waits: e}}}",
        "
warning FY203 1:53 `e` stands twice in `sets`
warning FY203 1:84 `a` stands twice in `after`
"
        .trim_start(),
    );
}

#[test]
fn events_are_set_and_waited_for() {
    finds(
        "{events: {e: {}, f: {}}, processes: {a: {run: x, after: e}, b: {run: x, waits: e}, c: {run: x, sets: f}}}",
        "
warning FY241 1:18 nobody waits for the event `f`
error FY240 1:57 nobody sets the event `e`, so this waits for ever
"
        .trim_start(),
    );
    finds("{events: {e: {set: true}}, processes: {a: {run: x, after: e}}}", "");
    finds(
        "{events: {e: {}}, processes: {a: {run: x, waits: e}, b: {run: x, sets: e}}}",
        "",
    );
}

#[test]
fn nobody_asks_for_more_than_there_is() {
    finds(
        "{semaphores: {s: {permits: 2}}, processes: {a: {run: x, holds: [{s: 3}]}}}",
        "error FY250 1:66 `a` asks for 3 permits of `s`, which has 2\n",
    );
    finds(
        "{semaphores: {s: {permits: 2}}, pools: {a: {run: x, tasks: [1], holds: s, acquires: [{s: 2}]}}}",
        "error FY250 1:87 `a` asks for 3 permits of `s`, which has 2\n",
    );
    finds(
        "{locks: {l: {}}, processes: {a: {run: x, holds: [{l: 2}]}}}",
        "error FY250 1:51 `a` asks for 2 permits of `l`, which has 1\n",
    );
    finds(
        "{semaphores: {s: {permits: 2}}, processes: {a: {run: x, replicas: 9, holds: s, acquires: s}}}",
        "",
    );
}

#[test]
fn a_lock_is_not_acquired_by_who_holds_it() {
    let text = |reentrant| {
        format!(
            "{{locks: {{l: {{reentrant: {reentrant}}}}}, processes: {{a: {{run: x, replicas: 2, holds: l, acquires: l}}}}}}"
        )
    };
    finds(
        &text(false),
        "error FY251 1:91 `a` acquires `l` while it holds it, and would wait for itself\n",
    );
    finds(&text(true), "");
}

#[test]
fn only_a_pool_of_slots_takes_processes() {
    finds(
        "{pools: {p: {run: x, tasks: [1]}}, processes: {a: {run: x, pool: p}}}",
        "error FY260 1:66 the pool `p` has workers of its own and no slots\n",
    );
    finds("{pools: {p: {size: 2}}, processes: {a: {run: x, pool: p}}}", "");
}

#[test]
fn persistent_workers_are_heard() {
    let text = |stdout| format!("{{pools: {{p: {{worker: persistent, run: x, tasks: [1], stdout: {stdout}}}}}}}");
    let expected = "error FY261 1:10 the answers of the persistent workers of `p` are not read\n";
    finds(&text("inherit"), expected);
    finds(&text("null"), expected);
    finds(&text("{file: out}"), expected);
    finds(&text("{append: out}"), expected);
    finds(&text("log"), "");
    let text = |stdout| {
        format!(
            "{{pools: {{p: {{worker: persistent, run: x, tasks: [1], stdout: {stdout}}}}},
              pipes: {{c: {{}}}}, queues: {{q: {{}}}}, processes: {{r: {{run: x, stdin: {stdout}}}}}}}"
        )
    };
    assert!(told(&text("c")).contains(expected));
    assert!(!told(&text("q")).contains(expected));
}

#[test]
fn what_is_declared_is_used() {
    let text = "
templates: {t: {run: x}, u: {run: x}}
pools: {slots: {size: 2}}
queues: {q: {}}
pipes: {p: {}}
locks: {l: {}}
semaphores: {s: {permits: 1}}
events: {e: {}}
processes: {a: {use: u, run: x}}
";
    finds(
        text,
        "
warning FY270 2:13 the template `t` is not used
warning FY270 3:9 the pool `slots` is not used
warning FY270 4:10 the queue `q` is not used
warning FY270 5:9 the pipe `p` is not used
warning FY270 6:9 the lock `l` is not used
warning FY270 7:14 the semaphore `s` is not used
warning FY270 8:10 the event `e` is not used
"
        .trim_start(),
    );
}

#[test]
fn something_runs_and_something_keeps_it_going() {
    finds(
        "{processes: {gone: {run: x, if: false}}}",
        "warning FY271 1:14 no process runs in this workflow\n",
    );
    finds(
        "{pools: {w: {size: 1}}}",
        "warning FY271 - no process runs in this workflow\nwarning FY270 1:10 the pool `w` is not used\n",
    );
    finds(
        "{processes: {a: {run: x, daemon: true}}}",
        "warning FY272 1:14 every process is a daemon, so the run ends as soon as it begins\n",
    );
    finds("{processes: {a: {run: x, daemon: true}, b: {run: x}}}", "");
}

#[test]
fn what_only_an_absent_process_would_use_is_left_alone() {
    finds(
        "{locks: {l: {}}, processes: {a: {run: x}, gone: {run: x, if: false}}}",
        "",
    );
    finds(
        "{events: {e: {}}, processes: {a: {run: x, sets: e}, gone: {run: x, if: false}}}",
        "",
    );
}

#[test]
fn what_is_wrong_in_every_replica_is_told_once() {
    assert_eq!(
        told("{processes: {a: {run: x, replicas: 50, after: nobody}}}")
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_check_without_errors_means_that_there_is_a_plan() {
    let pieces = [
        "a", "b.1", "p", "q", "pp", "d.left", "l", "s", "e", "gone", "t", "nothing",
    ];
    for after in pieces {
        for stdin in pieces {
            for holds in pieces {
                let text = format!(
                    "{{templates: {{t: {{run: x}}}}, pools: {{p: {{run: x, tasks: [1]}}}}, queues: {{q: {{}}}}, pipes: {{pp: {{}}, d: {{duplex: true}}}},
                      locks: {{l: {{}}}}, semaphores: {{s: {{permits: 1}}}}, events: {{e: {{set: true}}}},
                      processes: {{gone: {{run: x, if: false}}, a: {{run: x}}, b: {{run: x, replicas: 2}}, w: {{run: x, stdout: pp, sends: q, connects: d.right}},
                                   c: {{run: x, after: {after}, stdin: {stdin}, holds: {holds}}}}}}}"
                );
                let workflow = sample::workflow(&text);
                let findings = super::check(&workflow);
                let refused = findings.iter().any(|finding| finding.code.0 <= 202);
                assert_eq!(crate::plan::build(&workflow).is_err(), refused, "{text}");
            }
        }
    }
}
