//! The machine in histories: written ones for what must happen, random ones for what must never.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the tests look for one variant among many"
)]

mod histories;
mod orders;
mod plans;
mod restarts;
mod world;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::id::{ProcessId, TaskId};
use crate::plan::{Condition, OnFailure, Otherwise, Plan, Wait};
use plans::{after, plan, pool, process};

/// A machine that is stepped by hand, each step's outcome kept apart.
struct Bench {
    machine: Machine,
    now: Time,
}

impl Bench {
    fn new(plan: Plan) -> (Self, Outbox) {
        let mut bench = Self {
            machine: Machine::new(Arc::new(plan)),
            now: Time::START,
        };
        let out = bench.step(Input::Start);
        (bench, out)
    }

    fn step(&mut self, input: Input) -> Outbox {
        let mut out = Outbox::default();
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn spawn(&mut self, process: u32) -> Outbox {
        self.step(Input::Spawned {
            process: ProcessId(process),
            attempt: 1,
        })
    }

    /// The process exits, and nothing is left of it.
    fn exit(&mut self, process: u32, exit: Exit) -> Outbox {
        let process = ProcessId(process);
        let mut out = self.step(Input::Exited {
            process,
            attempt: 1,
            exit,
            left: false,
        });
        let then = self.step(Input::Gone { process, attempt: 1 });
        out.actions.extend(then.actions);
        out.records.extend(then.records);
        out
    }
}

fn spawns(out: &Outbox) -> Vec<u32> {
    let spawned = |action: &Action| match action {
        Action::Spawn { process, .. } => Some(process.0),
        _ => None,
    };
    out.actions.iter().filter_map(spawned).collect()
}

fn outcome(out: &Outbox) -> Option<Outcome> {
    out.records.iter().find_map(|record| match record {
        Record::Exited { outcome, .. } => Some(*outcome),
        _ => None,
    })
}

fn ended(out: &Outbox) -> Option<Verdict> {
    out.actions.iter().find_map(|action| match action {
        Action::End { verdict } => Some(*verdict),
        _ => None,
    })
}

const OK: Exit = Exit::Code(0);

#[test]
fn a_chain_runs_one_after_another() {
    let (mut bench, out) = Bench::new(plan(vec![process("a"), after(process("b"), 0, Condition::Succeeded)]));
    assert_eq!(spawns(&out), [0]);
    assert!(spawns(&bench.spawn(0)).is_empty());
    assert_eq!(spawns(&bench.exit(0, OK)), [1]);
    bench.spawn(1);
    assert_eq!(ended(&bench.exit(1, OK)), Some(Verdict::Succeeded));
}

#[test]
fn each_condition_comes_or_never_comes() {
    for (exit, condition, runs) in [
        (OK, Condition::Succeeded, true),
        (OK, Condition::Failed, false),
        (OK, Condition::Finished, true),
        (Exit::Code(1), Condition::Succeeded, false),
        (Exit::Code(1), Condition::Failed, true),
        (Exit::Signal(9), Condition::Finished, true),
    ] {
        let (mut bench, _) = Bench::new(plan(vec![process("a"), after(process("b"), 0, condition)]));
        bench.spawn(0);
        let out = bench.exit(0, exit);
        assert_eq!(spawns(&out) == [1], runs, "{exit:?} {condition:?}");
        let skipped = out
            .records
            .iter()
            .any(|record| matches!(record, Record::Skipped { .. }));
        assert_eq!(skipped, !runs, "{exit:?} {condition:?}");
    }
}

#[test]
fn started_comes_with_the_start_and_not_before() {
    let (mut bench, out) = Bench::new(plan(vec![process("a"), after(process("b"), 0, Condition::Started)]));
    assert_eq!(spawns(&out), [0]);
    assert_eq!(spawns(&bench.spawn(0)), [1]);
}

#[test]
fn a_long_chain_of_skips_needs_no_recursion() {
    let mut processes = vec![process("a")];
    for index in 0..20_000 {
        processes.push(after(process("p"), index, Condition::Succeeded));
    }
    let mut machine = Machine::new(Arc::new(plan(processes)));
    let mut out = Outbox::default();
    // The invariants of so large a plan would be derived twenty thousand times over; once is enough here.
    machine.step(Time::START, Input::Start, &mut out);
    machine.step(
        Time::START,
        Input::NotSpawned {
            process: ProcessId(0),
            attempt: 1,
        },
        &mut out,
    );
    assert_eq!(ended(&out), Some(Verdict::Failed));
    assert_eq!(
        out.records
            .iter()
            .filter(|record| matches!(record, Record::Skipped { .. }))
            .count(),
        20_000
    );
}

#[test]
fn p9_an_exit_and_its_timeout_have_one_outcome_in_either_order() {
    let timed = || {
        let mut timed = process("a");
        timed.timeout = Some(Duration::from_secs(1));
        plan(vec![timed])
    };
    let (mut bench, _) = Bench::new(timed());
    bench.spawn(0);
    bench.now = Time(1_000_000_000);
    bench.step(Input::Exited {
        process: ProcessId(0),
        attempt: 1,
        exit: OK,
        left: false,
    });
    bench.step(Input::Wake);
    let out = bench.step(Input::Gone {
        process: ProcessId(0),
        attempt: 1,
    });
    assert_eq!(
        (outcome(&out), ended(&out)),
        (Some(Outcome::Succeeded), Some(Verdict::Succeeded))
    );

    let (mut bench, _) = Bench::new(timed());
    bench.spawn(0);
    bench.now = Time(1_000_000_000);
    let out = bench.step(Input::Wake);
    assert!(out.actions.contains(&Action::Terminate {
        process: ProcessId(0),
        attempt: 1
    }));
    let out = bench.exit(0, OK);
    assert_eq!(
        (outcome(&out), ended(&out)),
        (Some(Outcome::TimedOut), Some(Verdict::Failed))
    );
}

#[test]
fn who_ignores_the_stop_signal_is_killed_after_its_grace() {
    let (mut bench, _) = Bench::new(plan(vec![process("a")]));
    bench.spawn(0);
    let out = bench.step(Input::Interrupt { signal: 15 });
    assert!(out.actions.contains(&Action::Terminate {
        process: ProcessId(0),
        attempt: 1
    }));
    let grace = Time::START.after(bench.machine.plan.processes[0].grace);
    assert!(out.actions.contains(&Action::WakeAt { at: grace }));
    bench.now = grace;
    assert!(bench.step(Input::Wake).actions.contains(&Action::Kill {
        process: ProcessId(0),
        attempt: 1
    }));
    assert_eq!(ended(&bench.exit(0, Exit::Signal(9))), Some(Verdict::Signal(15)));
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let (mut bench, _) = Bench::new(plan(vec![process("a"), after(process("b"), 0, Condition::Started)]));
    bench.spawn(0);
    bench.spawn(1);
    let out = bench.step(Input::Interrupt { signal: 2 });
    let first = Action::Terminate {
        process: ProcessId(1),
        attempt: 1,
    };
    assert!(out.actions.contains(&first), "dependents are stopped first");
    assert!(!out.actions.contains(&Action::Terminate {
        process: ProcessId(0),
        attempt: 1
    }));
    let out = bench.step(Input::Interrupt { signal: 2 });
    for process in [0, 1] {
        assert!(out.actions.contains(&Action::Kill {
            process: ProcessId(process),
            attempt: 1
        }));
    }
}

#[test]
fn a_dependency_is_stopped_when_its_dependents_have_gone() {
    let (mut bench, _) = Bench::new(plan(vec![process("a"), after(process("b"), 0, Condition::Started)]));
    bench.spawn(0);
    bench.spawn(1);
    bench.step(Input::Interrupt { signal: 15 });
    let out = bench.exit(1, Exit::Signal(15));
    assert!(out.actions.contains(&Action::Terminate {
        process: ProcessId(0),
        attempt: 1
    }));
    assert_eq!(ended(&bench.exit(0, Exit::Signal(15))), Some(Verdict::Signal(15)));
}

#[test]
fn daemons_are_stopped_when_nobody_else_needs_to_run() {
    let mut daemon = process("d");
    daemon.daemon = true;
    let (mut bench, _) = Bench::new(plan(vec![daemon, process("a")]));
    bench.spawn(0);
    bench.spawn(1);
    let out = bench.exit(1, OK);
    assert!(out.records.contains(&Record::Stopping {
        process: ProcessId(0),
        why: Why::NotNeeded
    }));
    let out = bench.exit(0, Exit::Signal(15));
    assert_eq!(
        (outcome(&out), ended(&out)),
        (Some(Outcome::Stopped), Some(Verdict::Succeeded))
    );
}

#[test]
fn what_is_left_behind_is_stopped_before_the_process_has_exited() {
    let (mut bench, _) = Bench::new(plan(vec![process("a"), after(process("b"), 0, Condition::Finished)]));
    bench.spawn(0);
    let out = bench.step(Input::Exited {
        process: ProcessId(0),
        attempt: 1,
        exit: OK,
        left: true,
    });
    assert!(out.records.contains(&Record::LeftBehind { process: ProcessId(0) }));
    assert!(out.actions.contains(&Action::Terminate {
        process: ProcessId(0),
        attempt: 1
    }));
    assert!(spawns(&out).is_empty(), "its tree is not empty");
    let out = bench.step(Input::Gone {
        process: ProcessId(0),
        attempt: 1,
    });
    assert_eq!((outcome(&out), spawns(&out)), (Some(Outcome::Succeeded), vec![1]));
}

#[test]
fn death_by_sigpipe_is_judged_by_the_receiver_whoever_is_seen_first() {
    for (receiver_first, receiver_exit, pipefail, expected) in [
        (true, OK, false, Outcome::BrokenPipe),
        (false, OK, false, Outcome::BrokenPipe),
        (true, Exit::Code(1), false, Outcome::Failed),
        (false, Exit::Code(1), false, Outcome::Failed),
        (true, OK, true, Outcome::Failed),
    ] {
        let mut piped = plan(vec![process("sender"), process("receiver")]);
        piped.pipes.push(plans::pipe(0, 1));
        piped.pipefail = pipefail;
        let (mut bench, _) = Bench::new(piped);
        bench.spawn(0);
        bench.spawn(1);
        let exits = [(0, Exit::Signal(13)), (1, receiver_exit)];
        let order = if receiver_first { [1, 0] } else { [0, 1] };
        let mut records = Vec::new();
        for place in order {
            records.extend(bench.exit(exits[place].0, exits[place].1).records);
        }
        let found = records.iter().find_map(|record| match record {
            Record::Exited {
                process: ProcessId(0),
                outcome,
                ..
            } => Some(*outcome),
            _ => None,
        });
        assert_eq!(found, Some(expected), "{receiver_first} {receiver_exit:?} {pipefail}");
    }
}

#[test]
fn a_wait_that_takes_too_long_fails_skips_or_starts() {
    for (otherwise, runs, verdict) in [
        (Otherwise::Start, true, None),
        (Otherwise::Skip, false, Some(Verdict::Succeeded)),
        (Otherwise::Fail, false, Some(Verdict::Failed)),
    ] {
        let mut waiting = process("b");
        waiting.after.push(Wait {
            on: Dependency::Process(ProcessId(0)),
            is: Condition::Succeeded,
            timeout: Some(Duration::from_secs(2)),
            otherwise,
        });
        let (mut bench, _) = Bench::new(plan(vec![process("a"), waiting]));
        bench.spawn(0);
        bench.now = Time(2_000_000_000);
        assert_eq!(spawns(&bench.step(Input::Wake)) == [1], runs, "{otherwise:?}");
        assert_eq!(ended(&bench.exit(0, OK)), verdict, "{otherwise:?}");
    }
}

#[test]
fn ee16_a_task_whose_worker_died_is_given_to_another_and_ends_after_three_deaths() {
    let (mut bench, out) = Bench::new(pool(1, |_| {}));
    assert!(out.actions.contains(&Action::Take {
        pool: PoolId(0),
        count: 1
    }));
    bench.step(Input::Taken {
        pool: PoolId(0),
        count: 1,
    });
    bench.step(Input::SourceEnded { pool: PoolId(0) });
    let mut records = Vec::new();
    for attempt in 1..=3 {
        let process = ProcessId(0);
        bench.step(Input::Spawned { process, attempt });
        bench.step(Input::Exited {
            process,
            attempt,
            exit: Exit::Signal(9),
            left: false,
        });
        records.extend(bench.step(Input::Gone { process, attempt }).records);
    }
    let retried = records
        .iter()
        .filter(|record| matches!(record, Record::TaskRetried { .. }))
        .count();
    assert_eq!(retried, 2);
    let lost = Record::TaskFailed {
        pool: PoolId(0),
        task: TaskId(0),
        process: ProcessId(0),
    };
    assert!(records.contains(&lost));
    assert!(records.contains(&Record::RunEnded {
        verdict: Verdict::Failed
    }));
}

#[test]
fn results_leave_in_the_order_submitted() {
    let (mut bench, _) = Bench::new(pool(2, |work| work.order = crate::plan::Order::Submitted));
    bench.step(Input::Taken {
        pool: PoolId(0),
        count: 2,
    });
    bench.step(Input::SourceEnded { pool: PoolId(0) });
    bench.spawn(0);
    bench.spawn(1);
    let delivered = |out: &Outbox| -> Vec<u64> {
        let task = |action: &Action| match action {
            Action::Deliver { task, .. } => Some(task.0),
            _ => None,
        };
        out.actions.iter().filter_map(task).collect()
    };
    assert_eq!(delivered(&bench.exit(1, OK)), [] as [u64; 0]);
    assert_eq!(delivered(&bench.exit(0, OK)), [0, 1]);
}

#[test]
fn a_quick_worker_has_tasks_ahead_and_what_it_did_not_come_to_goes_to_another() {
    let (pool_id, worker) = (PoolId(0), ProcessId(0));
    let assigned = |out: &Outbox| -> Vec<u64> {
        let task = |action: &Action| match action {
            Action::Assign { task, .. } => Some(task.0),
            _ => None,
        };
        out.actions.iter().filter_map(task).collect()
    };
    let (mut bench, _) = Bench::new(pool(1, |work| work.worker = crate::plan::WorkerKind::Persistent));
    assert_eq!(assigned(&bench.spawn(0)), [] as [u64; 0], "there is none");
    let taken = bench.step(Input::Taken {
        pool: pool_id,
        count: 6,
    });
    assert_eq!(assigned(&taken), [0], "nobody knows yet that it is quick");
    let answered = |bench: &mut Bench, attempt| {
        bench.step(Input::Answered {
            process: worker,
            attempt,
        })
    };
    assert_eq!(
        assigned(&answered(&mut bench, 1)),
        [1, 2],
        "one to work on and one ahead"
    );
    assert_eq!(assigned(&answered(&mut bench, 1)), [3]);
    let unfit = bench.step(Input::Unfit {
        process: worker,
        attempt: 1,
        task: TaskId(3),
    });
    assert!(unfit.actions.contains(&Action::Discard {
        pool: pool_id,
        task: TaskId(3)
    }));
    assert_eq!(assigned(&unfit), [4], "in its place");
    bench.step(Input::Exited {
        process: worker,
        attempt: 1,
        exit: Exit::Signal(9),
        left: false,
    });
    let gone = bench.step(Input::Gone {
        process: worker,
        attempt: 1,
    });
    let retried = |record: &&Record| matches!(record, Record::TaskRetried { task: TaskId(2), .. });
    assert_eq!(gone.records.iter().filter(retried).count(), 1, "it died under task 2");
    assert_eq!(gone.records.len(), 2, "and its exit is told, but nothing of task 4");
    let spawned = bench.step(Input::Spawned {
        process: worker,
        attempt: 2,
    });
    assert_eq!(assigned(&spawned), [2], "another life is not known to be quick");
    assert_eq!(assigned(&answered(&mut bench, 2)), [4, 5]);
}

#[test]
fn a_pool_of_workers_that_cannot_start_gives_up() {
    let (mut bench, _) = Bench::new(pool(1, |work| work.worker = crate::plan::WorkerKind::Persistent));
    bench.step(Input::Taken {
        pool: PoolId(0),
        count: 2,
    });
    let out = bench.step(Input::NotSpawned {
        process: ProcessId(0),
        attempt: 1,
    });
    assert_eq!(ended(&out), Some(Verdict::Failed));
    let discarded = out
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Discard { .. }))
        .count();
    assert_eq!(discarded, 2);
}

#[test]
fn on_failure_ignore_counts_as_success_and_stop_stops_the_run() {
    let mut ignored = process("a");
    ignored.on_failure = OnFailure::Ignore;
    let (mut bench, _) = Bench::new(plan(vec![ignored, after(process("b"), 0, Condition::Succeeded)]));
    bench.spawn(0);
    let out = bench.exit(0, Exit::Code(1));
    assert_eq!((outcome(&out), spawns(&out)), (Some(Outcome::Ignored), vec![1]));

    let mut stopping = process("a");
    stopping.on_failure = OnFailure::Stop;
    let (mut bench, _) = Bench::new(plan(vec![stopping, process("b")]));
    bench.spawn(0);
    bench.spawn(1);
    let out = bench.exit(0, Exit::Code(1));
    assert!(out.actions.contains(&Action::Terminate {
        process: ProcessId(1),
        attempt: 1
    }));
    assert_eq!(ended(&bench.exit(1, Exit::Signal(15))), Some(Verdict::Failed));
}
