use std::time::Duration;

use super::*;
use crate::id::EventId;
use crate::plan::{Grant, Wire};
use crate::sample;

fn plan(text: &str) -> Plan {
    build(&sample::workflow(text)).expect("every reference resolves")
}

fn process<'a>(plan: &'a Plan, name: &str) -> (ProcessId, &'a Process) {
    let index = plan.processes.iter().position(|process| process.name == name);
    let index = index.expect("the process is planned");
    (ProcessId::at(index), &plan.processes[index])
}

fn wires(plan: &Plan, name: &str) -> Vec<(i32, Wire)> {
    let (id, _) = process(plan, name);
    let wires = plan.launches[id.index()].fds.iter();
    wires.map(|(number, wire)| (number, wire.clone())).collect()
}

#[test]
fn instances_come_before_workers_and_each_has_its_index() {
    let plan =
        plan("{pools: {work: {size: 2, run: x, tasks: [1]}}, processes: {a: {run: x, replicas: 2}, b: {run: x}}}");
    let names: Vec<_> = plan.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["a.0", "a.1", "b", "work.0", "work.1"]);
    let indices: Vec<_> = plan.launches.iter().map(|launch| launch.index).collect();
    assert_eq!(indices, [0, 1, 0, 0, 1]);
    assert_eq!(plan.pools[0].workers, 3..5);
    assert_eq!(plan.processes[3].worker_of, Some(PoolId(0)));
    assert_eq!(plan.processes[2].worker_of, None);
}

#[test]
fn a_wait_for_a_process_is_one_for_each_of_its_instances() {
    let plan = plan(
        "{processes: {a: {run: x, replicas: 2}, b: {run: x, after: a}, c: {run: x, after: {a.1: {is: failed, timeout: 2s, else: skip}}}}}",
    );
    let wait = |id, is| Wait {
        on: Dependency::Process(ProcessId(id)),
        is,
        timeout: None,
        otherwise: spec::Otherwise::Fail,
    };
    let (_, b) = process(&plan, "b");
    assert_eq!(b.after, [wait(0, Condition::Succeeded), wait(1, Condition::Succeeded)]);
    let (_, c) = process(&plan, "c");
    let expected = Wait {
        timeout: Some(Duration::from_secs(2)),
        otherwise: spec::Otherwise::Skip,
        ..wait(1, Condition::Failed)
    };
    assert_eq!(c.after, [expected]);
}

#[test]
fn the_default_condition_is_that_of_the_kind() {
    let plan = plan(
        "{events: {e: {}}, queues: {q: {}}, pools: {p: {run: x, tasks: [1]}}, processes: {gone: {run: x, if: false}, a: {run: x, after: [e, q, p, gone]}}}",
    );
    let (_, a) = process(&plan, "a");
    let waits: Vec<_> = a.after.iter().map(|wait| (wait.on, wait.is)).collect();
    let expected = [
        (Dependency::Event(EventId(0)), Condition::Set),
        (Dependency::Queue(QueueId(0)), Condition::Drained),
        (Dependency::Pool(PoolId(0)), Condition::Succeeded),
    ];
    assert_eq!(waits, expected, "and a process that never runs is not waited for");
}

#[test]
fn holds_are_merged_and_in_the_global_order() {
    let plan = plan(
        "{locks: {l1: {}, l2: {}}, semaphores: {s: {permits: 9}}, processes: {a: {run: x, holds: [s, l2, {s: 3}, l1, l2]}}}",
    );
    let (_, a) = process(&plan, "a");
    let holds: Vec<_> = a.holds.iter().map(|hold| (hold.resource, hold.permits)).collect();
    let expected = [
        (Resource::Lock(crate::id::LockId(0)), 1),
        (Resource::Lock(crate::id::LockId(1)), 1),
        (Resource::Semaphore(crate::id::SemaphoreId(0)), 4),
    ];
    assert_eq!(holds, expected);
}

#[test]
fn streams_are_wired_and_channels_know_their_parties() {
    let plan = plan(
        "{queues: {q: {}}, pipes: {p: {}}, processes: {
          a: {run: x, stdin: {text: hello}, stdout: p, stderr: stdout, fds: {3: {send: q}, 4: {append: f}}, sends: q},
          b: {run: x, stdin: p, stdout: {file: out}, fds: {5: {receive: q}}},
          c: {run: x, stdin: {file: in}, receives: q}}}",
    );
    let q = QueueId(0);
    let p = crate::id::PipeId(0);
    let a = [
        (0, Wire::Text("hello".into())),
        (1, Wire::PipeWriter(p)),
        (2, Wire::Stdout),
        (3, Wire::ToQueue(q)),
        (4, Wire::AppendFile("f".into())),
    ];
    assert_eq!(wires(&plan, "a"), a);
    let b = [
        (0, Wire::PipeReader(p)),
        (1, Wire::WriteFile("out".into())),
        (2, Wire::Log),
        (5, Wire::FromQueue(q)),
    ];
    assert_eq!(wires(&plan, "b"), b);
    assert_eq!(wires(&plan, "c")[0], (0, Wire::ReadFile("in".into())));
    let party = |id| Party::Process(ProcessId(id));
    assert_eq!(plan.queues[0].senders, [party(0)], "each party once");
    assert_eq!(plan.queues[0].receivers, [party(1), party(2)]);
    assert_eq!(plan.pipes[0].senders, [ProcessId(0)]);
    assert_eq!(plan.pipes[0].receivers, [ProcessId(1)]);
}

#[test]
fn a_pool_works_from_a_queue_into_a_queue() {
    let plan = plan(
        "{queues: {jobs: {}, done: {}}, processes: {a: {run: x, stdout: jobs}, b: {run: x, stdin: done}},
          pools: {work: {size: 2, run: x, stdin: jobs, stdout: done, holds: [l], timeout: 3s, stop: {grace: 1s}, on_failure: ignore}}, locks: {l: {}}}",
    );
    let work = plan.pools[0].work.as_ref().expect("the pool runs something");
    assert_eq!(work.source, TaskSource::Queue(QueueId(0)));
    assert_eq!(work.results, Some(QueueId(1)));
    assert_eq!(plan.queues[0].receivers, [Party::Pool(PoolId(0))]);
    assert_eq!(plan.queues[1].senders, [Party::Pool(PoolId(0))]);
    let expected = [(0, Wire::Tasks), (1, Wire::Results), (2, Wire::Log)];
    assert_eq!(wires(&plan, "work.1"), expected);
    let (_, worker) = process(&plan, "work.1");
    assert_eq!(worker.holds.len(), 1);
    assert_eq!(worker.timeout, Some(Duration::from_secs(3)));
    assert_eq!(worker.grace, Duration::from_secs(1));
    assert_eq!(worker.on_failure, spec::OnFailure::Ignore);
}

#[test]
fn a_pool_that_logs_has_no_results_queue_and_its_workers_share_a_pipe() {
    let plan = plan(
        "{pipes: {p: {}}, pools: {a: {size: 2, run: x, tasks: [1], stderr: p}}, processes: {b: {run: x, stdin: p}}}",
    );
    let work = plan.pools[0].work.as_ref().expect("the pool runs something");
    assert_eq!(work.results, None);
    assert_eq!(work.source, TaskSource::Tasks(Tasks::Listed(vec!["1".into()])));
    let p = crate::id::PipeId(0);
    let expected = [(0, Wire::Tasks), (1, Wire::Log), (2, Wire::PipeWriter(p))];
    assert_eq!(wires(&plan, "a.0"), expected);
    assert_eq!(plan.pipes[0].senders, [ProcessId(1), ProcessId(2)]);
}

#[test]
fn a_pool_of_slots_has_no_workers() {
    let plan = plan("{pools: {slots: {size: 3}}, processes: {a: {run: x, pool: slots}}}");
    assert!(plan.pools[0].work.is_none());
    assert!(plan.pools[0].workers.is_empty());
    assert_eq!(plan.pools[0].size, 3);
    assert_eq!(plan.processes.len(), 1);
    assert_eq!(plan.processes[0].slot_in, Some(PoolId(0)));
}

#[test]
fn ends_of_a_duplex_pipe_are_connected_or_wired() {
    let plan = plan(
        "{pipes: {talk: {duplex: true}}, processes: {a: {run: x, connects: talk.left}, b: {run: x, fds: {5: {end: talk.right}}}}}",
    );
    let talk = crate::id::PipeId(0);
    assert_eq!(plan.launches[0].connects, [(talk, crate::plan::Side::Left)]);
    assert_eq!(wires(&plan, "b")[3], (5, Wire::Duplex(talk, crate::plan::Side::Right)));
    assert_eq!(plan.pipes[0].senders, [ProcessId(0)]);
    assert_eq!(plan.pipes[0].receivers, [ProcessId(1)]);
}

#[test]
fn grants_are_what_the_process_declares() {
    let plan = plan(
        "{queues: {q: {}}, locks: {l: {}}, semaphores: {s: {permits: 2}}, events: {e: {}, f: {}}, processes: {
          a: {run: x, sends: q, receives: q, acquires: [s, l, s], sets: e, waits: [f, e]}}}",
    );
    let expected = [
        Grant::Put(QueueId(0)),
        Grant::Get(QueueId(0)),
        Grant::Acquire(Resource::Lock(crate::id::LockId(0))),
        Grant::Acquire(Resource::Semaphore(crate::id::SemaphoreId(0))),
        Grant::Set(EventId(0)),
        Grant::Wait(EventId(0)),
        Grant::Wait(EventId(1)),
    ];
    assert_eq!(plan.launches[0].grants, expected);
}

#[test]
fn the_runs_on_failure_is_the_default() {
    let mut workflow = sample::workflow("{processes: {a: {run: x}, b: {run: x, on_failure: ignore}}}");
    workflow.options.on_failure = spec::OnFailure::Stop;
    let plan = build(&workflow).expect("every reference resolves");
    assert_eq!(plan.processes[0].on_failure, spec::OnFailure::Stop);
    assert_eq!(plan.processes[1].on_failure, spec::OnFailure::Ignore);
}

#[test]
fn what_does_not_resolve_is_refused_once_for_all_replicas() {
    let text = "{locks: {l: {}}, processes: {a: {run: x, replicas: 3, stdin: lines, stdout: l, pool: l}}}";
    let problems = build(&sample::workflow(text)).expect_err("three references are wrong");
    let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected = [
        "there is no `lines` in this workflow",
        "`l` is a lock; `stdout` takes a queue or a pipe",
        "`l` is a lock; `pool` takes a pool",
    ];
    assert_eq!(told, expected);
}
