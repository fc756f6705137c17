//! Plans made by hand, and at random.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::Random;
use crate::id::{EventId, GroupId, LockId, PoolId, ProcessId, QueueId, SemaphoreId};
use crate::plan::{
    Backoff, Condition, Dependency, Dispatch, Endings, Event, Framing, Grant, Group, Hold, Inside, Intensity, Launch,
    Limits, Lock, OnDeadlock, OnFailure, Order, Otherwise, Party, Pipe, Plan, Policy, Pool, Process, Program, Queue,
    Resource, Restart, Semaphore, Strategy, TaskSource, Tasks, Wait, Wires, Work, WorkerKind,
};
use crate::source::Span;

pub fn process(name: &str) -> Process {
    Process {
        name: name.to_owned(),
        worker_of: None,
        after: Vec::new(),
        holds: Vec::new(),
        slot_in: None,
        daemon: false,
        timeout: None,
        grace: Duration::from_secs(10),
        success: Endings::of_codes(&[0]),
        restart: None,
        ready: None,
        group: None,
        on_failure: OnFailure::Fail,
    }
}

pub fn after(mut process: Process, on: u32, is: Condition) -> Process {
    process.after.push(wait(Dependency::Process(ProcessId(on)), is));
    process
}

fn wait(on: Dependency, is: Condition) -> Wait {
    Wait {
        on,
        is,
        timeout: None,
        otherwise: Otherwise::Fail,
    }
}

fn launch() -> Launch {
    Launch {
        program: Program {
            argv: vec!["true".to_owned()],
            script: false,
            place: Span::default(),
        },
        cwd: None,
        env: BTreeMap::new(),
        clear_env: false,
        user: None,
        group: None,
        limits: Limits::default(),
        cpus: Vec::new(),
        tty: false,
        umask: None,
        nice: None,
        index: 0,
        stop_signal: 15,
        stop_command: None,
        fds: Wires::default(),
        connects: Vec::new(),
        grants: Vec::new(),
        inside: Inside::default(),
        log_file: None,
        prefix: None,
        ready: None,
        live: None,
        sockets: Vec::new(),
        rotate: None,
        when_full: crate::plan::WhenFull::Drop,
        on_engine_loss: crate::plan::OnEngineLoss::Kill,
    }
}

pub fn plan(processes: Vec<Process>) -> Plan {
    Plan {
        name: "test".to_owned(),
        timeout: None,
        on_deadlock: OnDeadlock::Fail,
        pipefail: false,
        launches: processes.iter().map(|_| launch()).collect(),
        processes,
        pools: Vec::new(),
        queues: Vec::new(),
        pipes: Vec::new(),
        locks: Vec::new(),
        semaphores: Vec::new(),
        events: Vec::new(),
        groups: Vec::new(),
    }
}

pub fn pipe(sender: u32, receiver: u32) -> Pipe {
    Pipe {
        name: "pipe".to_owned(),
        duplex: false,
        size: None,
        senders: vec![ProcessId(sender)],
        receivers: vec![ProcessId(receiver)],
    }
}

fn work() -> Work {
    Work {
        source: TaskSource::Tasks(Tasks::Range(0, 5)),
        worker: WorkerKind::Task,
        dispatch: Dispatch::Async,
        order: Order::Completed,
        recycle: None,
        retry_max: 0,
        retry_backoff: Duration::ZERO,
        results: None,
    }
}

/// A plan with one pool of `size` workers and nothing else.
pub fn pool(size: u32, change: impl FnOnce(&mut Work)) -> Plan {
    let mut plan = plan(Vec::new());
    let mut work = work();
    change(&mut work);
    add_pool(&mut plan, size, work);
    plan
}

fn add_pool(plan: &mut Plan, size: u32, work: Work) -> PoolId {
    let id = PoolId::at(plan.pools.len());
    let first = u32::try_from(plan.processes.len()).expect("a small plan");
    for _ in 0..size {
        plan.processes.push(Process {
            worker_of: Some(id),
            ..process("worker")
        });
        plan.launches.push(launch());
    }
    plan.pools.push(Pool {
        name: "pool".to_owned(),
        size,
        workers: first..first + size,
        work: Some(work),
        after: Vec::new(),
        daemon: false,
        on_failure: OnFailure::Fail,
    });
    id
}

/// A small sound plan: parties wait only for earlier ones, so that a run of it can always end.
pub fn random(random: &mut Random) -> Plan {
    let mut plan = plan(Vec::new());
    plan.timeout = random.one_in(4).then(|| random.duration());
    plan.pipefail = random.one_in(8);
    for _ in 0..random.below(3) {
        plan.locks.push(Lock {
            name: "lock".to_owned(),
            reentrant: false,
        });
        plan.semaphores.push(Semaphore {
            name: "semaphore".to_owned(),
            permits: 1 + random.below(3),
        });
        plan.events.push(Event {
            name: "event".to_owned(),
            set: random.one_in(4),
        });
    }
    for _ in 0..random.below(3) {
        plan.queues.push(queue());
    }
    add_slots(&mut plan, random);
    for _ in 0..=random.below(6) {
        add_process(&mut plan, random);
    }
    for _ in 0..random.below(3) {
        add_crew(&mut plan, random);
    }
    if random.one_in(3) {
        add_group(&mut plan, random);
    }
    for _ in 0..random.below(3) {
        let count = u32::try_from(plan.processes.len()).expect("a small plan");
        plan.pipes.push(pipe(random.below(count), random.below(count)));
    }
    plan
}

fn queue() -> Queue {
    Queue {
        name: "queue".to_owned(),
        capacity: 4,
        framing: Framing::Lines,
        max_item: 100,
        senders: Vec::new(),
        receivers: Vec::new(),
    }
}

fn add_slots(plan: &mut Plan, random: &mut Random) {
    if random.one_in(2) {
        plan.pools.push(Pool {
            name: "slots".to_owned(),
            size: 1 + random.below(2),
            workers: 0..0,
            work: None,
            after: Vec::new(),
            daemon: false,
            on_failure: OnFailure::Fail,
        });
    }
}

fn add_process(plan: &mut Plan, random: &mut Random) {
    let id = ProcessId::at(plan.processes.len());
    let mut process = process("process");
    let earlier = id.0;
    for _ in 0..random.below(3) {
        if let Some(wait) = random_wait(plan, random, earlier) {
            process.after.push(wait);
        }
    }
    process.holds = random_holds(plan, random);
    process.slot_in = (!plan.pools.is_empty() && random.one_in(2)).then_some(PoolId(0));
    process.daemon = random.one_in(5);
    process.timeout = random.one_in(4).then(|| random.duration());
    process.ready = random.one_in(4).then(|| random.duration());
    process.restart = random.one_in(3).then(|| restart(random));
    process.grace = random.duration();
    process.on_failure = [OnFailure::Fail, OnFailure::Ignore, OnFailure::Stop][random.below(3) as usize];
    plan.processes.push(process);
    let mut launch = launch();
    // Who sets an event stands before all who wait for it, so that the run can always end.
    if id.0 == 0 {
        launch.grants = (0..plan.events.len())
            .map(|event| Grant::Set(EventId::at(event)))
            .collect();
    }
    plan.launches.push(launch);
    touch_queues(plan, random, Party::Process(id));
}

fn restart(random: &mut Random) -> Restart {
    let policy = if random.one_in(3) {
        Policy::Always
    } else {
        Policy::OnFailure
    };
    Restart {
        // So few that a run can always end.
        intensity: Intensity {
            max: random.below(4),
            within: Duration::from_hours(1),
        },
        backoff: Backoff {
            initial: random.duration(),
            reset: random.duration(),
            ..Backoff::default()
        },
        never_on: Endings {
            codes: Vec::new(),
            signals: if random.one_in(4) { vec![9] } else { Vec::new() },
        },
        ..Restart::under(policy)
    }
}

/// Own processes, at random, in one group.
fn add_group(plan: &mut Plan, random: &mut Random) {
    let mut members = Vec::new();
    for (index, process) in plan.processes.iter_mut().enumerate() {
        if process.worker_of.is_none() && random.one_in(2) {
            process.group = Some(GroupId(0));
            members.push(ProcessId::at(index));
        }
    }
    plan.groups.push(Group {
        name: "group".to_owned(),
        members,
        strategy: [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][random.below(3) as usize],
        intensity: Intensity {
            max: random.below(4),
            within: Duration::from_hours(1),
        },
    });
}

fn touch_queues(plan: &mut Plan, random: &mut Random, party: Party) {
    for queue in &mut plan.queues {
        match random.below(5) {
            0 | 1 => queue.senders.push(party),
            2 => queue.receivers.push(party),
            _ => {}
        }
    }
}

fn random_wait(plan: &Plan, random: &mut Random, earlier: u32) -> Option<Wait> {
    if earlier == 0 {
        return None;
    }
    let conditions = [
        Condition::Started,
        Condition::Succeeded,
        Condition::Failed,
        Condition::Finished,
    ];
    let mut condition = conditions[random.below(4) as usize];
    let mut wait = if !plan.events.is_empty() && random.one_in(3) {
        wait(Dependency::Event(EventId(0)), Condition::Set)
    } else {
        let on = ProcessId(random.below(earlier));
        if plan.processes[on.index()].ready.is_some() && random.one_in(2) {
            condition = Condition::Ready;
        }
        wait(Dependency::Process(on), condition)
    };
    if random.one_in(4) {
        wait.timeout = Some(random.duration());
        wait.otherwise = [Otherwise::Fail, Otherwise::Skip, Otherwise::Start][random.below(3) as usize];
    }
    Some(wait)
}

fn random_holds(plan: &Plan, random: &mut Random) -> Vec<Hold> {
    let mut holds = Vec::new();
    for index in 0..plan.locks.len() {
        if random.one_in(4) {
            holds.push(Hold {
                resource: Resource::Lock(LockId::at(index)),
                permits: 1,
            });
        }
    }
    for (index, semaphore) in plan.semaphores.iter().enumerate() {
        if random.one_in(4) {
            let permits = 1 + random.below(semaphore.permits);
            holds.push(Hold {
                resource: Resource::Semaphore(SemaphoreId::at(index)),
                permits,
            });
        }
    }
    holds
}

fn add_crew(plan: &mut Plan, random: &mut Random) {
    let mut work = work();
    work.worker = if random.one_in(2) {
        WorkerKind::Task
    } else {
        WorkerKind::Persistent
    };
    work.dispatch = if random.one_in(3) {
        Dispatch::Sync
    } else {
        Dispatch::Async
    };
    work.order = if random.one_in(2) {
        Order::Completed
    } else {
        Order::Submitted
    };
    work.recycle = (work.worker == WorkerKind::Persistent && random.one_in(3)).then(|| 1 + random.below(2));
    work.retry_max = random.below(3);
    work.retry_backoff = if random.one_in(2) {
        Duration::ZERO
    } else {
        random.duration()
    };
    let from_queue = !plan.queues.is_empty() && random.one_in(2);
    if from_queue {
        work.source = TaskSource::Queue(QueueId(0));
    }
    let holds = random_holds(plan, random);
    let timeout = random.one_in(3).then(|| random.duration());
    let pool = add_pool(plan, 1 + random.below(3), work);
    let first = plan.pools[pool.index()].workers.start;
    for worker in plan.pools[pool.index()].worker_ids() {
        let process = &mut plan.processes[worker.index()];
        process.holds.clone_from(&holds);
        process.timeout = timeout;
    }
    if random.one_in(2)
        && let Some(wait) = random_wait(plan, random, first)
    {
        let on_worker = matches!(wait.on, Dependency::Process(id) if plan.processes[id.index()].worker_of.is_some());
        if !on_worker {
            plan.pools[pool.index()].after.push(wait);
        }
    }
    plan.pools[pool.index()].daemon = random.one_in(5);
    plan.pools[pool.index()].on_failure =
        [OnFailure::Fail, OnFailure::Ignore, OnFailure::Stop][random.below(3) as usize];
    if from_queue {
        plan.queues[0].receivers.push(Party::Pool(pool));
    }
}
