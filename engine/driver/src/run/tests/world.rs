//! Small plans written by hand, run in a process of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{PoolId, ProcessId, QueueId};
use forkyard_core::machine::{Record, Verdict};
use forkyard_core::plan::{
    Dispatch, Framing, Inside, Launch, Limits, OnFailure, Order, Party, Plan, Pool, Process, Program, Queue,
    TaskSource, Tasks, Wire, Wires, Work, WorkerKind,
};
use forkyard_core::source::Span;

use super::super::{Engine, OpenFiles, Options, RunError};
use crate::directory::RunDirectory;
use crate::news::{BATCHES_MAX, News};
use crate::signals;
use crate::sockets::Sockets;

/// A plan in the making.
pub struct World {
    pub plan: Plan,
    pub folder: tempfile::TempDir,
}

/// What a run has shown.
pub struct Shown {
    pub verdict: Verdict,
    pub news: Vec<News>,
    pub directory: RunDirectory,
    pub plan: Arc<Plan>,
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let plan = Plan {
            name: "test".to_owned(),
            timeout: None,
            pipefail: false,
            on_deadlock: forkyard_core::plan::OnDeadlock::Fail,
            processes: Vec::new(),
            launches: Vec::new(),
            pools: Vec::new(),
            queues: Vec::new(),
            pipes: Vec::new(),
            locks: Vec::new(),
            semaphores: Vec::new(),
            events: Vec::new(),
            groups: Vec::new(),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { plan, folder }
    }

    /// A process that runs a shell script; `wires` replace null, log, log.
    pub fn process<const N: usize>(&mut self, name: &str, script: &str, wires: [(i32, Wire); N]) -> ProcessId {
        let id = ProcessId::at(self.plan.processes.len());
        self.plan.processes.push(Process {
            name: name.to_owned(),
            worker_of: None,
            after: Vec::new(),
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
        });
        let standard = [(0, Wire::Null), (1, Wire::Log), (2, Wire::Log)];
        let fds: Wires = standard.into_iter().chain(wires).collect();
        for wire in fds.values() {
            self.join(Party::Process(id), wire);
        }
        self.plan.launches.push(launch(script, fds));
        id
    }

    fn join(&mut self, party: Party, wire: &Wire) {
        match wire {
            Wire::ToQueue(queue) => self.plan.queues[queue.index()].senders.push(party),
            Wire::FromQueue(queue) => self.plan.queues[queue.index()].receivers.push(party),
            Wire::PipeWriter(pipe) | Wire::PipeReader(pipe) => {
                let Party::Process(process) = party else { return };
                let pipe = &mut self.plan.pipes[pipe.index()];
                if matches!(wire, Wire::PipeWriter(_)) {
                    pipe.senders.push(process);
                } else {
                    pipe.receivers.push(process);
                }
            }
            _ => {}
        }
    }

    pub fn queue(&mut self, name: &str, capacity: u64) -> QueueId {
        self.plan.queues.push(Queue {
            name: name.to_owned(),
            capacity,
            framing: Framing::Lines,
            max_item: 100,
            senders: Vec::new(),
            receivers: Vec::new(),
        });
        QueueId::at(self.plan.queues.len() - 1)
    }

    pub fn pipe(&mut self, name: &str) -> forkyard_core::id::PipeId {
        self.plan.pipes.push(forkyard_core::plan::Pipe {
            name: name.to_owned(),
            duplex: false,
            size: None,
            senders: Vec::new(),
            receivers: Vec::new(),
        });
        forkyard_core::id::PipeId::at(self.plan.pipes.len() - 1)
    }

    /// A pool; its workers come after all processes declared so far.
    pub fn pool(&mut self, name: &str, size: u32, script: &str, work: Work) -> PoolId {
        let pool = PoolId::at(self.plan.pools.len());
        let first = ProcessId::at(self.plan.processes.len()).0;
        if let TaskSource::Queue(queue) = work.source {
            self.plan.queues[queue.index()].receivers.push(Party::Pool(pool));
        }
        if let Some(queue) = work.results {
            self.plan.queues[queue.index()].senders.push(Party::Pool(pool));
        }
        for index in 0..size {
            let worker = self.process(
                &format!("{name}.{index}"),
                script,
                [(0, Wire::Tasks), (1, Wire::Results)],
            );
            self.plan.processes[worker.index()].worker_of = Some(pool);
            self.plan.launches[worker.index()].index = index;
        }
        self.plan.pools.push(Pool {
            name: name.to_owned(),
            size,
            workers: first..first + size,
            work: Some(work),
            after: Vec::new(),
            daemon: false,
            on_failure: OnFailure::Fail,
        });
        pool
    }

    pub fn file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    /// Runs a plan that the engine cannot cope with; returns why not, and what `run.json` says of its exit.
    pub fn fail(self) -> (RunError, Option<i32>) {
        let (ended, exit_code) = self.end();
        (ended.expect_err("the engine cannot cope with it"), exit_code)
    }

    /// Runs it to whatever end; returns that, and what `run.json` says of its exit.
    pub fn end(self) -> (Result<Verdict, RunError>, Option<i32>) {
        let state = self.folder.path().join("state");
        let directory = RunDirectory::create(&state, &self.plan.name, None).expect("a directory");
        let id = directory.id().to_owned();
        let options = Options {
            open_files: OpenFiles::default(),
            shows_output: true,
            folder: self.folder.path().to_owned(),
            directory,
            cpus: 4,
            sockets: Sockets::default(),
            teller: None,
            kept: None,
        };
        let (sender, _reporter) = tokio::sync::mpsc::channel(BATCHES_MAX);
        let engine = Engine::start(signals::hold()).expect("the engine starts");
        let ended = engine.run(Arc::new(self.plan), options, sender);
        let directory = RunDirectory::open(&state, &id).expect("the run's directory");
        (ended, directory.about().expect("run.json").exit_code)
    }

    /// Runs it to its end.
    pub fn run(self) -> Shown {
        let state = self.folder.path().join("state");
        let directory = RunDirectory::create(&state, &self.plan.name, None).expect("a directory");
        let id = directory.id().to_owned();
        let options = Options {
            open_files: OpenFiles::default(),
            shows_output: true,
            folder: self.folder.path().to_owned(),
            directory,
            cpus: 4,
            sockets: Sockets::default(),
            teller: None,
            kept: None,
        };
        let plan = Arc::new(self.plan);
        let (sender, mut receiver) = tokio::sync::mpsc::channel(BATCHES_MAX);
        let reporter = std::thread::spawn(move || {
            let mut news = Vec::new();
            while let Some(batch) = receiver.blocking_recv() {
                news.extend(batch);
            }
            news
        });
        let engine = Engine::start(signals::hold()).expect("the engine starts");
        let verdict = engine
            .run(Arc::clone(&plan), options, sender)
            .expect("the engine can do its work");
        Shown {
            verdict,
            news: reporter.join().expect("a reporter"),
            directory: RunDirectory::open(&state, &id).expect("the run's directory"),
            plan,
            folder: self.folder,
        }
    }
}

impl Shown {
    /// What a process wrote.
    pub fn log(&self, process: &str) -> String {
        String::from_utf8_lossy(&self.directory.read_log(process).expect("a log")).into_owned()
    }

    /// The results of a pool, a line a task.
    pub fn results(&self, pool: &str) -> String {
        fs::read_to_string(self.directory.results(pool)).expect("results")
    }

    /// A file of the workflow's folder.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("a file")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All records, in order.
    pub fn records(&self) -> Vec<Record> {
        let record = |news: &News| match news {
            News::Record { record, .. } => Some(*record),
            News::Output { .. }
            | News::Listening { .. }
            | News::Damaged { .. }
            | News::Deadlock { .. }
            | News::OutputDropped { .. }
            | News::StdinRead { .. }
            | News::QueueCounted { .. }
            | News::PoolCounted { .. } => None,
        };
        self.news.iter().filter_map(record).collect()
    }

    /// `put, got, returned, left, refused` of a queue.
    pub fn counted(&self, name: &str) -> (u64, u64, u64, u64, u64) {
        let counted = self.news.iter().find_map(|news| match news {
            News::QueueCounted {
                queue,
                put,
                got,
                returned,
                left,
                refused,
            } if self.plan.queues[queue.index()].name == name => Some((*put, *got, *returned, *left, *refused)),
            _ => None,
        });
        counted.expect("every queue is counted")
    }
}

/// Fresh processes that take their tasks from `source`.
pub fn work(source: TaskSource) -> Work {
    Work {
        source,
        worker: WorkerKind::Task,
        dispatch: Dispatch::Async,
        order: Order::Submitted,
        recycle: None,
        retry_max: 0,
        retry_backoff: Duration::ZERO,
        results: None,
    }
}

/// Tasks that stand in the workflow.
pub fn listed(items: &[&str]) -> TaskSource {
    TaskSource::Tasks(Tasks::Listed(items.iter().map(|&item| item.to_owned()).collect()))
}

pub fn program(script: &str) -> Program {
    Program {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        script: true,
        place: Span::default(),
    }
}

fn launch(script: &str, fds: Wires) -> Launch {
    Launch {
        program: program(script),
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
        stop_signal: libc::SIGTERM,
        stop_command: None,
        fds,
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
