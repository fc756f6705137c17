//! Restarts, groups and readiness, step by step.

use super::*;
use crate::id::GroupId;
use crate::plan::{Backoff, Endings, Group, Intensity, Policy, Restart, Strategy};

fn restarting(name: &str, policy: Policy) -> crate::plan::Process {
    let mut process = process(name);
    process.restart = Some(Restart {
        intensity: Intensity {
            max: 2,
            within: Duration::from_mins(1),
        },
        backoff: Backoff {
            jitter: false,
            ..Backoff::default()
        },
        ..Restart::under(policy)
    });
    process
}

const FAILED: Exit = Exit::Code(1);

impl Bench {
    /// Time passes until all that is due within a minute has come.
    fn wait(&mut self, millis: u64) -> Outbox {
        self.now = self.now.after(Duration::from_millis(millis));
        self.step(Input::Wake)
    }

    fn live(&mut self, process: u32, attempt: u32, exit: Exit) -> Outbox {
        self.up(process, attempt);
        self.down(process, attempt, exit)
    }

    fn up(&mut self, process: u32, attempt: u32) -> Outbox {
        let process = ProcessId(process);
        self.step(Input::Spawned { process, attempt })
    }

    fn down(&mut self, process: u32, attempt: u32, exit: Exit) -> Outbox {
        let process = ProcessId(process);
        self.step(Input::Exited {
            process,
            attempt,
            exit,
            left: false,
        });
        self.step(Input::Gone { process, attempt })
    }

    fn ready(&mut self, process: u32, attempt: u32) -> Outbox {
        let process = ProcessId(process);
        self.step(Input::Ready { process, attempt })
    }
}

fn pauses(out: &Outbox) -> Vec<(u32, u128, u32)> {
    let pause = |record: &Record| match record {
        Record::Restarting {
            process, pause, count, ..
        } => Some((process.0, pause.as_millis(), *count)),
        _ => None,
    };
    out.records.iter().filter_map(pause).collect()
}

fn stopped(out: &Outbox) -> Vec<u32> {
    let stopped = |action: &Action| match action {
        Action::Terminate { process, .. } => Some(process.0),
        _ => None,
    };
    out.actions.iter().filter_map(stopped).collect()
}

#[test]
fn a_failure_is_followed_by_another_life_after_a_pause_that_doubles() {
    let (mut bench, _) = Bench::new(plan(vec![restarting("a", Policy::OnFailure)]));
    let out = bench.live(0, 1, FAILED);
    assert_eq!(
        (pauses(&out), outcome(&out)),
        (vec![(0, 100, 1)], Some(Outcome::Restarts))
    );
    assert!(spawns(&bench.wait(99)).is_empty());
    assert_eq!(spawns(&bench.wait(1)), [0]);
    assert_eq!(pauses(&bench.live(0, 2, Exit::Signal(11))), [(0, 200, 2)]);
    assert_eq!(spawns(&bench.wait(200)), [0]);
    let out = bench.live(0, 3, OK);
    assert_eq!((pauses(&out), ended(&out)), (vec![], Some(Verdict::Succeeded)));
}

#[test]
fn too_many_restarts_are_a_failure_for_good_even_of_one_that_ends_well() {
    for (policy, exit) in [(Policy::OnFailure, FAILED), (Policy::Always, OK)] {
        let (mut bench, _) = Bench::new(plan(vec![
            restarting("a", policy),
            after(process("b"), 0, Condition::Failed),
        ]));
        for attempt in 1..=2 {
            let out = bench.live(0, attempt, exit);
            assert!(spawns(&out).is_empty(), "who waits for its failure sees none");
            bench.wait(1000);
        }
        let out = bench.live(0, 3, exit);
        assert_eq!((outcome(&out), spawns(&out)), (Some(Outcome::Failed), vec![1]));
        let gave_up = Record::GaveUp {
            process: ProcessId(0),
            group: None,
        };
        assert!(out.records.contains(&gave_up));
    }
}

#[test]
fn old_restarts_do_not_count() {
    let (mut bench, _) = Bench::new(plan(vec![restarting("a", Policy::Always)]));
    for attempt in 1..=9 {
        assert_eq!(pauses(&bench.live(0, attempt, OK)).len(), 1, "{attempt}");
        bench.wait(31_000);
    }
}

#[test]
fn who_was_up_for_more_than_a_second_is_back_at_once() {
    let (mut bench, _) = Bench::new(plan(vec![restarting("a", Policy::OnFailure)]));
    bench.up(0, 1);
    bench.now = bench.now.after(Duration::from_millis(1001));
    assert_eq!(pauses(&bench.down(0, 1, FAILED)), [(0, 0, 1)]);
    assert_eq!(spawns(&bench.wait(0)), [0]);
}

#[test]
fn up_is_ready_for_who_is_looked_at() {
    let mut looked_at = restarting("a", Policy::OnFailure);
    looked_at.ready = Some(Duration::from_mins(1));
    let (mut bench, _) = Bench::new(plan(vec![looked_at]));
    bench.up(0, 1);
    bench.now = bench.now.after(Duration::from_secs(5));
    assert_eq!(pauses(&bench.down(0, 1, FAILED)), [(0, 100, 1)], "it never was ready");
    bench.wait(100);
    bench.up(0, 2);
    bench.ready(0, 2);
    bench.now = bench.now.after(Duration::from_secs(2));
    assert_eq!(pauses(&bench.down(0, 2, FAILED)), [(0, 0, 2)]);
}

#[test]
fn an_end_that_says_never_again_is_the_last() {
    let mut picky = restarting("a", Policy::Always);
    if let Some(restart) = &mut picky.restart {
        restart.never_on = Endings {
            codes: vec![3],
            signals: vec![9],
        };
    }
    for exit in [Exit::Code(3), Exit::Signal(9)] {
        let (mut bench, _) = Bench::new(plan(vec![picky.clone()]));
        let out = bench.live(0, 1, exit);
        assert_eq!((pauses(&out), ended(&out)), (vec![], Some(Verdict::Failed)));
    }
}

#[test]
fn a_stop_ends_a_pause_at_once_and_nothing_is_started_after_it() {
    let (mut bench, _) = Bench::new(plan(vec![restarting("a", Policy::Always)]));
    bench.live(0, 1, FAILED);
    let out = bench.step(Input::Interrupt { signal: 15 });
    assert_eq!(ended(&out), Some(Verdict::Signal(15)));
    let not_restarted = Record::NotRestarted {
        process: ProcessId(0),
        because: Because::RunStops,
    };
    assert!(out.records.contains(&not_restarted));
    assert!(bench.wait(1000).actions.is_empty());
}

#[test]
fn a_daemon_is_not_restarted_when_nobody_needs_it() {
    let mut daemon = restarting("d", Policy::Always);
    daemon.daemon = true;
    let (mut bench, _) = Bench::new(plan(vec![daemon, process("a")]));
    bench.live(0, 1, FAILED);
    bench.wait(100);
    bench.up(0, 2);
    bench.up(1, 1);
    let out = bench.down(1, 1, OK);
    assert_eq!(stopped(&out), [0]);
    assert_eq!(ended(&bench.down(0, 2, Exit::Signal(15))), Some(Verdict::Succeeded));
}

#[test]
fn who_cannot_be_started_is_tried_again_like_any_failure() {
    let (mut bench, _) = Bench::new(plan(vec![restarting("a", Policy::OnFailure)]));
    let not_spawned = |attempt| Input::NotSpawned {
        process: ProcessId(0),
        attempt,
    };
    assert_eq!(pauses(&bench.step(not_spawned(1))), [(0, 100, 1)]);
    bench.wait(100);
    bench.step(not_spawned(2));
    bench.wait(200);
    assert_eq!(ended(&bench.step(not_spawned(3))), Some(Verdict::Failed));
}

#[test]
fn queues_and_pipes_are_left_only_after_the_last_life() {
    let mut piped = plan(vec![restarting("a", Policy::OnFailure)]);
    piped.queues.push(crate::plan::Queue {
        name: "q".to_owned(),
        capacity: 1,
        framing: crate::plan::Framing::Lines,
        max_item: 100,
        senders: vec![crate::plan::Party::Process(ProcessId(0))],
        receivers: vec![crate::plan::Party::Process(ProcessId(0))],
    });
    let (mut bench, _) = Bench::new(piped);
    let forsakes = |out: &Outbox| out.actions.contains(&Action::Forsake { process: ProcessId(0) });
    let closes = |out: &Outbox| {
        out.records
            .iter()
            .any(|record| matches!(record, Record::QueueClosed { .. }))
    };
    let out = bench.live(0, 1, FAILED);
    assert!(!forsakes(&out) && !closes(&out));
    bench.wait(100);
    let out = bench.live(0, 2, OK);
    assert!(forsakes(&out) && closes(&out));
}

#[test]
fn a_word_about_an_earlier_life_falls() {
    let mut looked_at = restarting("a", Policy::OnFailure);
    looked_at.ready = Some(Duration::from_mins(1));
    let (mut bench, _) = Bench::new(plan(vec![looked_at, after(process("b"), 0, Condition::Ready)]));
    bench.live(0, 1, FAILED);
    bench.wait(100);
    bench.up(0, 2);
    assert!(spawns(&bench.ready(0, 1)).is_empty());
    let stale = bench.step(Input::NotLive {
        process: ProcessId(0),
        attempt: 1,
    });
    assert!(stale.actions.is_empty(), "{stale:?}");
    assert_eq!(spawns(&bench.ready(0, 2)), [1]);
}

#[test]
fn who_is_not_ready_in_time_is_stopped_and_has_failed() {
    let mut slow = process("a");
    slow.ready = Some(Duration::from_secs(2));
    let (mut bench, _) = Bench::new(plan(vec![slow, after(process("b"), 0, Condition::Ready)]));
    bench.up(0, 1);
    bench.now = bench.now.after(Duration::from_secs(1));
    bench.step(Input::Extend {
        process: ProcessId(0),
        attempt: 1,
        by: Duration::from_secs(2),
    });
    assert!(stopped(&bench.wait(1000)).is_empty(), "it has asked for more time");
    let out = bench.wait(1000);
    assert_eq!(stopped(&out), [0]);
    let out = bench.down(0, 1, OK);
    assert_eq!(
        (outcome(&out), ended(&out)),
        (Some(Outcome::NotReady), Some(Verdict::Failed))
    );
}

#[test]
fn who_is_not_alive_is_stopped_and_restarted_and_those_who_waited_stay() {
    let mut looked_at = restarting("a", Policy::OnFailure);
    looked_at.ready = Some(Duration::from_secs(2));
    let (mut bench, _) = Bench::new(plan(vec![looked_at, after(process("b"), 0, Condition::Ready)]));
    bench.up(0, 1);
    assert_eq!(spawns(&bench.ready(0, 1)), [1]);
    bench.up(1, 1);
    let out = bench.step(Input::NotLive {
        process: ProcessId(0),
        attempt: 1,
    });
    assert_eq!(stopped(&out), [0]);
    let out = bench.down(0, 1, OK);
    assert_eq!(
        pauses(&out).len(),
        1,
        "to end well when one is stopped for that is no success"
    );
}

/// `b` waits for `a` to be ready, and `c` for nobody.
fn grouped(strategy: Strategy) -> Plan {
    let mut first = restarting("a", Policy::OnFailure);
    first.ready = Some(Duration::from_mins(1));
    let second = after(restarting("b", Policy::OnFailure), 0, Condition::Ready);
    let mut plan = plan(vec![first, second, restarting("c", Policy::OnFailure)]);
    for process in &mut plan.processes {
        process.group = Some(GroupId(0));
    }
    plan.groups.push(Group {
        name: "g".to_owned(),
        members: vec![ProcessId(0), ProcessId(1), ProcessId(2)],
        strategy,
        intensity: Intensity {
            max: 1,
            within: Duration::from_mins(1),
        },
    });
    plan
}

fn all_up(strategy: Strategy) -> Bench {
    let (mut bench, _) = Bench::new(grouped(strategy));
    bench.up(0, 1);
    bench.ready(0, 1);
    bench.up(1, 1);
    bench.up(2, 1);
    bench
}

#[test]
fn one_for_one_restarts_nobody_else() {
    let mut bench = all_up(Strategy::OneForOne);
    let out = bench.down(1, 1, FAILED);
    assert_eq!((stopped(&out), pauses(&out)), (vec![], vec![(1, 100, 1)]));
}

#[test]
fn one_for_all_stops_the_others_and_starts_all_again_in_their_order() {
    let mut bench = all_up(Strategy::OneForAll);
    let out = bench.down(1, 1, FAILED);
    assert_eq!((stopped(&out), pauses(&out)), (vec![0, 2], vec![]));
    assert!(
        pauses(&bench.down(2, 1, Exit::Signal(15))).is_empty(),
        "one is still there"
    );
    let out = bench.down(0, 1, OK);
    assert_eq!(pauses(&out), [(0, 100, 1), (1, 100, 1), (2, 100, 1)]);
    assert_eq!(spawns(&bench.wait(100)), [0, 2], "b waits until a is ready again");
    bench.up(0, 2);
    assert_eq!(spawns(&bench.ready(0, 2)), [1]);
}

#[test]
fn rest_for_one_leaves_those_before_it() {
    let mut bench = all_up(Strategy::RestForOne);
    let out = bench.down(1, 1, FAILED);
    assert_eq!(stopped(&out), [2]);
    bench.down(2, 1, OK);
    assert_eq!(spawns(&bench.wait(100)), [1, 2]);
}

#[test]
fn who_fails_while_its_group_is_being_restarted_just_joins() {
    let mut bench = all_up(Strategy::OneForAll);
    bench.down(1, 1, FAILED);
    bench.down(0, 1, FAILED);
    let out = bench.down(2, 1, Exit::Signal(11));
    assert_eq!(pauses(&out).len(), 3, "that is one restart of the group, not three");
}

#[test]
fn a_group_restarted_too_often_stops_the_run() {
    let mut bench = all_up(Strategy::OneForOne);
    bench.down(1, 1, FAILED);
    let out = bench.down(2, 1, FAILED);
    let gave_up = Record::GaveUp {
        process: ProcessId(2),
        group: Some(GroupId(0)),
    };
    assert!(out.records.contains(&gave_up));
    assert_eq!(stopped(&out), [0]);
    assert_eq!(ended(&bench.down(0, 1, OK)), Some(Verdict::Failed));
}

#[test]
fn a_run_that_stops_ends_a_group_that_gathers() {
    let mut bench = all_up(Strategy::OneForAll);
    bench.down(1, 1, FAILED);
    bench.step(Input::Interrupt { signal: 2 });
    assert!(pauses(&bench.down(2, 1, OK)).is_empty());
    assert_eq!(ended(&bench.down(0, 1, OK)), Some(Verdict::Signal(2)));
}
