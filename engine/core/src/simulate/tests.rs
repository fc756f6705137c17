//! Makespans worked out by hand.

mod random;

use std::sync::Arc;
use std::time::Duration;

use super::{Ending, How, Latencies, Played, Scenario, share_slots, simulate};
use crate::id::{LockId, PoolId, ProcessId, SemaphoreId};
use crate::machine::Verdict;
use crate::plan::{self, Party, Plan, Resource};
use crate::sample;

const SECOND: Duration = Duration::from_secs(1);

/// Without latencies, which a test with some adds.
const AT_ONCE: Latencies = Latencies {
    start: Duration::ZERO,
    answer: Duration::ZERO,
};

fn built(text: &str) -> Plan {
    plan::build(&sample::workflow(text)).expect("a sample can be planned")
}

fn scenario(plan: &Plan) -> Scenario {
    Scenario {
        latencies: AT_ONCE,
        ready: vec![Duration::from_millis(100); plan.processes.len()],
        ..Scenario::uniform(plan, SECOND)
    }
}

/// Plays it with a second for each life, but for those of which `change` says more.
fn played(text: &str, change: impl FnOnce(&Plan, &mut Scenario)) -> (Plan, Played) {
    let plan = built(text);
    let mut scenario = scenario(&plan);
    change(&plan, &mut scenario);
    let played = simulate(&Arc::new(plan.clone()), &scenario);
    (plan, played)
}

fn lasts(text: &str, change: impl FnOnce(&Plan, &mut Scenario)) -> Duration {
    let (_, played) = played(text, change);
    assert_eq!(played.ending, Ending::Ended(Verdict::Succeeded), "{played:#?}");
    played.lasted
}

fn index(plan: &Plan, name: &str) -> usize {
    let found = plan.processes.iter().position(|process| process.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

fn set(plan: &Plan, scenario: &mut Scenario, name: &str, seconds: u64) {
    scenario.lasts[index(plan, name)] = Some(Duration::from_secs(seconds));
}

fn path(plan: &Plan, played: &Played) -> Vec<String> {
    let name = |step: &super::Step| plan.processes[step.process.index()].name.clone();
    played.path.iter().map(name).collect()
}

#[test]
fn a_chain_lasts_as_long_as_all_of_it() {
    let text = "processes: {a: {run: x}, b: {run: x, after: a}, c: {run: x, after: b}}";
    let (plan, played) = played(text, |plan, scenario| set(plan, scenario, "b", 5));
    assert_eq!(played.lasted, 7 * SECOND);
    assert_eq!(path(&plan, &played), ["a", "b", "c"]);
    assert_eq!(played.path[1].how, How::Ended);
    assert_eq!(played.path[1].by, Some(ProcessId(0)));
    assert_eq!((played.counts.done, played.work), (3, 7 * SECOND));
    assert_eq!(played.running.peak, 1);
}

#[test]
fn every_answer_comes_late() {
    let text = "processes: {a: {run: x}, b: {run: x, after: a}}";
    let latencies = Latencies {
        start: Duration::from_millis(20),
        answer: Duration::from_millis(3),
    };
    let late = lasts(text, |_, scenario| scenario.latencies = latencies);
    assert_eq!(late, 2 * (SECOND + latencies.start + latencies.answer));
}

#[test]
fn a_diamond_lasts_as_long_as_its_longer_side() {
    let text = "processes: {a: {run: x}, b: {run: x, after: a}, c: {run: x, after: a}, d: {run: x, after: [b, c]}}";
    let (plan, played) = played(text, |plan, scenario| set(plan, scenario, "c", 4));
    assert_eq!(played.lasted, 6 * SECOND);
    assert_eq!(path(&plan, &played), ["a", "c", "d"]);
    assert_eq!(played.running.peak, 2);
}

#[test]
fn slots_are_used_one_after_the_other() {
    let text = "{pools: {two: {size: 2}}, processes: {p: {run: x, replicas: 5, pool: two}}}";
    let (_, played) = played(text, |_, _| {});
    assert_eq!(played.lasted, 3 * SECOND);
    let slots = &played.pools[0];
    assert_eq!((slots.size, slots.peak, slots.waits.count), (2, 2, 3));
    assert!((slots.mean - 5.0 / 3.0).abs() < 1e-9, "{slots:?}");
    assert_eq!((slots.waits.longest, slots.waits.total), (2 * SECOND, 4 * SECOND));
    assert_eq!(played.path[1].how, How::Slot(PoolId(0)));
    assert_eq!(played.waits[0].waited, 2 * SECOND);
}

#[test]
fn wide_on_k_slots_lasts_so_many_rounds() {
    for (count, slots) in [(1, 1), (7, 3), (9, 3), (10, 3), (64, 10), (100, 1), (50, 60)] {
        for (start, answer) in [(0, 0), (1, 0), (2, 3)] {
            let mut plan = built(&format!("processes: {{p: {{run: x, replicas: {count}}}}}"));
            share_slots(&mut plan, "shared", slots);
            let latencies = Latencies {
                start: Duration::from_millis(start),
                answer: Duration::from_millis(answer),
            };
            let scenario = Scenario {
                latencies,
                ..scenario(&plan)
            };
            let played = simulate(&Arc::new(plan), &scenario);
            let rounds = u32::div_ceil(count, slots);
            let expected = rounds * (SECOND + latencies.start + latencies.answer);
            assert_eq!(played.lasted, expected, "{count} on {slots}");
            assert_eq!(played.counts.done, u64::from(count));
            assert_eq!(played.path.len(), rounds as usize);
        }
    }
}

#[test]
fn who_holds_a_lock_keeps_others_waiting() {
    let text = "{locks: {l: {}}, processes: {a: {run: x, holds: l}, b: {run: x, holds: l}, c: {run: x, holds: l}}}";
    let (plan, played) = played(text, |plan, scenario| set(plan, scenario, "a", 3));
    assert_eq!(played.lasted, 5 * SECOND);
    assert_eq!(path(&plan, &played), ["a", "b", "c"]);
    assert_eq!(played.path[2].how, How::Held(Resource::Lock(LockId(0))));
    let lock = &played.locks[0];
    assert!((lock.mean - 1.0).abs() < 1e-9, "{lock:?}");
    assert_eq!((lock.waits.count, lock.waits.longest), (2, 4 * SECOND));
    assert_eq!(lock.waits.by, Some(ProcessId(2)));
}

#[test]
fn permits_go_to_who_has_waited_longest() {
    let text = "{semaphores: {s: {permits: 3}}, processes: {a: {run: x, holds: {s: 2}}, b: {run: x, holds: {s: 2}}, \
                c: {run: x, holds: {s: 1}}}}";
    let (plan, played) = played(text, |_, _| {});
    // `c` would fit beside `a`, but `b` stands before it.
    assert_eq!(played.lasted, 2 * SECOND);
    assert_eq!(played.semaphores[0].peak, 3);
    assert_eq!(played.semaphores[0].waits.count, 2);
    let how = How::Held(Resource::Semaphore(SemaphoreId(0)));
    assert!(
        played.path[1].how == how && path(&plan, &played)[0] == "a",
        "{:?}",
        played.path
    );
}

#[test]
fn a_pool_does_its_tasks() {
    for worker in ["task", "persistent"] {
        let text = format!("pools: {{w: {{size: 2, tasks: {{range: [0, 7]}}, run: x, worker: {worker}}}}}");
        let (_, played) = played(&text, |_, _| {});
        assert_eq!(played.lasted, 4 * SECOND, "{worker}");
        assert_eq!((played.counts.tasks_done, played.pools[0].peak), (7, 2), "{worker}");
        assert!((played.pools[0].mean - 7.0 / 4.0).abs() < 1e-9, "{worker}");
    }
}

#[test]
fn items_of_a_queue_are_tasks_as_they_come() {
    let text = "{queues: {q: {}, r: {}}, processes: {make: {run: x, stdout: q}, show: {run: x, stdin: r}}, \
                pools: {w: {size: 2, stdin: q, stdout: r, run: x}}}";
    let (plan, played) = played(text, |plan, scenario| {
        set(plan, scenario, "make", 4);
        scenario.items[0] = Some(4);
    });
    // One item a second, and a second for the last one.
    assert_eq!(played.lasted, 5 * SECOND, "{:#?}", played.path);
    assert_eq!(played.counts.tasks_done, 4);
    assert_eq!(path(&plan, &played).first().map(String::as_str), Some("make"));
    assert_eq!(path(&plan, &played).last().map(String::as_str), Some("show"));
}

#[test]
fn a_failed_task_is_tried_again_after_its_pause() {
    let text = "pools: {w: {size: 1, tasks: [a, b], retry: {max: 1, backoff: 2s}, run: x}}";
    let (_, played) = played(text, |_, scenario| scenario.fails = vec![1]);
    // It fails, and while it waits the other one is done: 1 s, 1 s, 1 s of the pause, 1 s.
    assert_eq!(played.lasted, 4 * SECOND);
    assert_eq!((played.counts.tasks_done, played.counts.tasks_retried), (2, 1));
}

#[test]
fn who_fails_is_started_again_as_his_restart_says() {
    let text = "processes: {a: {run: x, restart: {max: 3, backoff: {initial: 4s, jitter: false}}}}";
    let fast = |_: &Plan, scenario: &mut Scenario| {
        scenario.fails = vec![2];
        scenario.lasts = vec![Some(Duration::from_millis(500))];
    };
    let (plan, played) = played(text, fast);
    assert_eq!(played.lasted, Duration::from_millis(500 + 4000 + 500 + 8000 + 500));
    assert_eq!((played.counts.done, played.counts.restarts), (1, 2));
    assert_eq!(path(&plan, &played), ["a", "a", "a"]);
    assert_eq!(played.path[1].how, How::Clock);
}

#[test]
fn a_failure_ends_the_run_as_it_would() {
    let text = "processes: {a: {run: x}, b: {run: x, after: a}}";
    let (_, played) = played(text, |_, scenario| scenario.fails = vec![u32::MAX, 0]);
    assert_eq!(played.ending, Ending::Ended(Verdict::Failed));
    assert_eq!((played.counts.failed, played.counts.skipped), (1, 1));
}

#[test]
fn a_daemon_is_ready_and_lives_until_nobody_needs_it() {
    let text = "processes: {db: {run: x, daemon: true, ready: {log: up}}, a: {run: x, after: {db: ready}}}";
    let (plan, played) = played(text, |_, _| {});
    assert_eq!(played.ending, Ending::Ended(Verdict::Succeeded));
    assert_eq!(played.lasted, SECOND + Duration::from_millis(100));
    assert_eq!((played.counts.done, played.counts.stopped), (1, 1));
    assert_eq!(path(&plan, &played), ["db", "a", "db"]);
    assert_eq!(played.path[1].how, How::Ready);
}

#[test]
fn what_only_services_are_left_of_is_stopped() {
    let text = "processes: {web: {run: x, restart: always}, a: {run: x}}";
    let (_, played) = played(text, |_, _| {});
    assert_eq!(played.ending, Ending::Ended(Verdict::Succeeded));
    assert_eq!(played.stopped, Some(SECOND));
}

#[test]
fn a_reader_ends_after_its_writer() {
    let text = "{pipes: {p: {}}, queues: {q: {}}, processes: {a: {run: x, stdout: p}, b: {run: x, stdin: p, stdout: q}, \
                c: {run: x, stdin: q}}}";
    let (plan, played) = played(text, |plan, scenario| set(plan, scenario, "a", 9));
    assert_eq!(played.lasted, 9 * SECOND);
    assert_eq!(path(&plan, &played), ["a", "b", "c"]);
    assert!(played.path[2].to_end, "{:?}", played.path);
}

#[test]
fn an_event_comes_at_the_end_of_who_sets_it() {
    let text = "{events: {e: {}}, processes: {a: {run: x, sets: e}, b: {run: x, after: e}, c: {run: x, waits: e}}}";
    let (_, played) = played(text, |plan, scenario| set(plan, scenario, "a", 3));
    assert_eq!(played.lasted, 4 * SECOND);
}

#[test]
fn a_time_limit_counts() {
    let text = "{processes: {a: {run: x, timeout: 2s}}, options: {timeout: 1h}}";
    let (_, played) = played(text, |plan, scenario| set(plan, scenario, "a", 5));
    assert_eq!(played.ending, Ending::Ended(Verdict::Failed));
    assert_eq!(played.lasted, 2 * SECOND);
    assert_eq!(lasts(text, |plan, scenario| set(plan, scenario, "a", 2)), 2 * SECOND);
}

#[test]
fn who_waits_for_ever_is_named() {
    // The reader has the only slot, and its writer gets none.
    let text = "{queues: {q: {}}, pools: {one: {size: 1}}, processes: {b: {run: x, stdin: q, pool: one}, \
                a: {run: x, stdout: q, pool: one}}}";
    let (_, played) = played(text, |_, _| {});
    let Ending::Stuck { first, more: 0 } = &played.ending else {
        panic!("{:?}", played.ending)
    };
    let parties: Vec<Party> = first.iter().map(|stuck| stuck.party).collect();
    assert_eq!(parties, [0, 1].map(|it| Party::Process(ProcessId(it))));
    assert_eq!(first[0].feeds.len(), 1);
    assert_eq!(played.lasted, SECOND);
}

#[test]
fn nothing_to_do_takes_no_time() {
    let text = "processes: {a: {run: x, if: false}}";
    assert_eq!(lasts(text, |_, _| {}), Duration::ZERO);
}

#[test]
fn the_path_is_as_long_as_the_run() {
    let text = "{pools: {w: {size: 3, tasks: {range: [0, 50]}, run: x, after: a}, two: {size: 2}}, locks: {l: {}}, \
                processes: {a: {run: x, replicas: 9, holds: l, pool: two}, z: {run: x, after: w}}}";
    let (_, played) = played(text, |_, scenario| {
        for (place, lasts) in (1..).zip(&mut scenario.lasts) {
            *lasts = Some(place * Duration::from_millis(7));
        }
    });
    assert_eq!(played.ending, Ending::Ended(Verdict::Succeeded));
    assert_eq!(played.path.last().map(|step| step.until.0), Some(nanos(played.lasted)));
    for pair in played.path.windows(2) {
        assert!(pair[0].until == pair[1].from, "{pair:?}");
    }
    assert_eq!(played.path[0].from.0, 0);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a short run")
}
