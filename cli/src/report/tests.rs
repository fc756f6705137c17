//! A small plan that the tests of the reporters share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use forkyard_core::machine::{Exit, Outcome, Record};
use forkyard_core::plan::{
    Condition, Dependency, Dispatch, Framing, Inside, Launch, Limits, OnFailure, Order, Otherwise, Plan, Pool, Process,
    Program, Queue, TaskSource, Tasks, Wait, Work, WorkerKind,
};
use forkyard_core::source::Span;
use forkyard_core::time::Time;
use forkyard_driver::news::{News, Stream};

pub const READ: ProcessId = ProcessId(0);
pub const COUNT_0: ProcessId = ProcessId(1);
pub const COUNT_1: ProcessId = ProcessId(2);
pub const PUBLISH: ProcessId = ProcessId(3);
pub const ANNOUNCE: ProcessId = ProcessId(4);
pub const WORKER: ProcessId = ProcessId(5);
pub const SQUARES: PoolId = PoolId(0);
pub const LINES: QueueId = QueueId(0);

/// `read` and two instances of `count`; `publish` after `count`, `announce` after `publish`; a pool of one worker.
pub fn plan() -> Arc<Plan> {
    let on = |process| vec![wait(process)];
    let processes = vec![
        process("read", Vec::new()),
        process("count.0", Vec::new()),
        process("count.1", Vec::new()),
        process("publish", [COUNT_0, COUNT_1].into_iter().flat_map(on).collect()),
        process("announce", on(PUBLISH)),
        Process {
            worker_of: Some(SQUARES),
            ..process("squares.0", Vec::new())
        },
    ];
    let launches = processes.iter().map(|process| launch(&process.name)).collect();
    Arc::new(Plan {
        name: "word-count".to_owned(),
        timeout: None,
        pipefail: false,
        on_deadlock: forkyard_core::plan::OnDeadlock::Fail,
        processes,
        launches,
        pools: vec![pool()],
        queues: vec![queue()],
        pipes: Vec::new(),
        locks: Vec::new(),
        semaphores: Vec::new(),
        events: Vec::new(),
        groups: Vec::new(),
    })
}

fn wait(on: ProcessId) -> Wait {
    Wait {
        on: Dependency::Process(on),
        is: Condition::Succeeded,
        timeout: None,
        otherwise: Otherwise::Fail,
    }
}

fn process(name: &str, after: Vec<Wait>) -> Process {
    Process {
        name: name.to_owned(),
        worker_of: None,
        after,
        holds: Vec::new(),
        slot_in: None,
        daemon: false,
        timeout: None,
        grace: Duration::from_secs(10),
        success: forkyard_core::plan::Endings::of_codes(&[0]),
        restart: None,
        ready: None,
        group: None,
        on_failure: OnFailure::Fail,
    }
}

pub fn launch(name: &str) -> Launch {
    Launch {
        program: Program {
            argv: vec![
                format!("./{}.sh", name.split('.').next().unwrap_or(name)),
                "two words".to_owned(),
            ],
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
        fds: forkyard_core::plan::Wires::default(),
        connects: Vec::new(),
        grants: Vec::new(),
        inside: Inside::default(),
        log_file: None,
        prefix: None,
        ready: None,
        live: None,
        sockets: Vec::new(),
        rotate: None,
        when_full: forkyard_core::plan::WhenFull::Drop,
        on_engine_loss: forkyard_core::plan::OnEngineLoss::Kill,
    }
}

fn pool() -> Pool {
    Pool {
        name: "squares".to_owned(),
        size: 1,
        workers: 5..6,
        work: Some(Work {
            source: TaskSource::Tasks(Tasks::Range(0, 10)),
            worker: WorkerKind::Task,
            dispatch: Dispatch::Async,
            order: Order::Completed,
            recycle: None,
            retry_max: 0,
            retry_backoff: Duration::ZERO,
            results: Some(LINES),
        }),
        after: Vec::new(),
        daemon: false,
        on_failure: OnFailure::Fail,
    }
}

fn queue() -> Queue {
    Queue {
        name: "lines".to_owned(),
        capacity: 1024,
        framing: Framing::Lines,
        max_item: 1000,
        senders: Vec::new(),
        receivers: Vec::new(),
    }
}

pub fn record(record: Record) -> News {
    News::Record {
        at: Time(3_250_000_000),
        record,
        pid: Some(123),
        reason: None,
        usage: None,
        taken_over: false,
    }
}

pub fn started(process: ProcessId) -> News {
    record(Record::Started {
        process,
        attempt: 1,
        task: (process == WORKER).then_some(TaskId(4)),
    })
}

pub fn exited(process: ProcessId, exit: Exit, outcome: Outcome) -> News {
    record(Record::Exited {
        process,
        attempt: 1,
        exit,
        lasted: Duration::from_millis(1200),
        outcome,
    })
}

pub fn output(process: ProcessId, line: &[u8]) -> News {
    News::Output {
        at: Time(1),
        process,
        task: None,
        stream: Stream::Stdout,
        line: line.into(),
        ended: true,
    }
}
