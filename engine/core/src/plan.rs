//! The plan: a sound workflow with its names turned into dense ids.
//!
//! The first half of each entry is for the machine, which knows ids alone; names, and
//! [`Launch`], are for the driver and the reporters.

mod build;
mod wires;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::id::{EventId, GroupId, LockId, PipeId, PoolId, ProcessId, QueueId, SemaphoreId};
pub use crate::spec::target::Side;
pub use crate::spec::{
    Address, Backoff, Condition, Dispatch, Endings, EnvValue, FIRST_SOCKET, Framing, Intensity, Limits, Listening,
    OnDeadlock, OnEngineLoss, OnFailure, Order, Otherwise, PATTERN_BYTES_MAX, Policy, Probe, Program, Restart, Rotate,
    Socket, SocketKind, Strategy, Tasks, Way, WhenFull, WorkerKind,
};

pub use build::build;
pub use wires::Wires;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The workflow's name.
    pub name: String,
    /// `options.timeout`.
    pub timeout: Option<Duration>,
    /// `options.on_deadlock`.
    pub on_deadlock: OnDeadlock,
    /// `options.pipefail`.
    pub pipefail: bool,
    /// Instances of processes in the order of the file, then the workers of each pool.
    pub processes: Vec<Process>,
    /// How the driver starts each process; the same index as `processes`.
    pub launches: Vec<Launch>,
    /// Pools.
    pub pools: Vec<Pool>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Pipes.
    pub pipes: Vec<Pipe>,
    /// Locks.
    pub locks: Vec<Lock>,
    /// Semaphores.
    pub semaphores: Vec<Semaphore>,
    /// Events.
    pub events: Vec<Event>,
    /// Groups.
    pub groups: Vec<Group>,
}

/// The declaration of an instance or a worker, by its name: of `count.2` it is `count`. Names have no dots of their own.
#[must_use]
pub fn declared(name: &str) -> &str {
    name.split_once('.').map_or(name, |(declared, _)| declared)
}

/// One instance of a process, or one worker of a pool.
#[derive(Clone, Debug)]
pub struct Process {
    /// `count.2`; a worker is `squares.0`.
    pub name: String,
    /// The pool whose worker it is.
    pub worker_of: Option<PoolId>,
    /// What it waits for before it starts; empty for a worker, whose pool waits.
    pub after: Vec<Wait>,
    /// What the engine acquires before the start, in the one global order (locks by id, then semaphores by id).
    pub holds: Vec<Hold>,
    /// The slot-only pool in which it runs.
    pub slot_in: Option<PoolId>,
    /// Stopped once no other process needs to run.
    pub daemon: bool,
    /// How long it may run; a worker: how long a task may take.
    pub timeout: Option<Duration>,
    /// How long after the stop signal it is killed.
    pub grace: Duration,
    /// The ends that mean success.
    pub success: Endings,
    /// When it is started again; `None`: it has one life. A worker's lives are its pool's affair.
    pub restart: Option<Restart>,
    /// How long it may take to become ready; `None`: nobody looks.
    pub ready: Option<Duration>,
    /// The group it is a member of.
    pub group: Option<GroupId>,
    /// What its failure does.
    pub on_failure: OnFailure,
}

/// Processes that are restarted together.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its members, in the order of the file.
    pub members: Vec<ProcessId>,
    /// Who is restarted with a member that is.
    pub strategy: Strategy,
    /// When there are more restarts, the run has failed.
    pub intensity: Intensity,
}

/// One wait of `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For whom or what.
    pub on: Dependency,
    /// How far it must have come.
    pub is: Condition,
    /// How long at most, counted from the start of the run.
    pub timeout: Option<Duration>,
    /// What then.
    pub otherwise: Otherwise,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dependency {
    /// A process instance.
    Process(ProcessId),
    /// A pool, all of its tasks.
    Pool(PoolId),
    /// An event.
    Event(EventId),
    /// A queue.
    Queue(QueueId),
}

/// A lock or some permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold {
    /// Which.
    pub resource: Resource,
    /// How many permits; 1 for a lock.
    pub permits: u32,
}

/// What can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// A lock.
    Lock(LockId),
    /// A semaphore.
    Semaphore(SemaphoreId),
}

/// A pool.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many workers, or slots.
    pub size: u32,
    /// Its workers; empty for a pool that has only slots.
    pub workers: Range<u32>,
    /// The task source, its kind and its rules; `None` for a pool that has only slots.
    pub work: Option<Work>,
    /// What it waits for before it starts.
    pub after: Vec<Wait>,
    /// Stopped once no other process needs to run.
    pub daemon: bool,
    /// What its failure does.
    pub on_failure: OnFailure,
}

impl Pool {
    /// The ids of its workers.
    pub fn worker_ids(&self) -> impl Iterator<Item = ProcessId> + use<> {
        self.workers.clone().map(ProcessId)
    }
}

/// How a pool works.
#[derive(Clone, Debug)]
pub struct Work {
    /// Where its tasks come from.
    pub source: TaskSource,
    /// Fresh processes, or persistent workers.
    pub worker: WorkerKind,
    /// At once, or one after another.
    pub dispatch: Dispatch,
    /// The order of results.
    pub order: Order,
    /// A persistent worker is replaced after so many tasks.
    pub recycle: Option<u32>,
    /// How often a failed task is tried again.
    pub retry_max: u32,
    /// How long to wait before.
    pub retry_backoff: Duration,
    /// The queue its results go to.
    pub results: Option<QueueId>,
}

/// Where the tasks of a pool come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskSource {
    /// They are in the file.
    Tasks(Tasks),
    /// They arrive in a queue.
    Queue(QueueId),
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// In items; 0 is unbounded.
    pub capacity: u64,
    /// How items stand in streams wired to it.
    pub framing: Framing,
    /// In bytes.
    pub max_item: u64,
    /// Who puts into it, by stdout, descriptor or verb. When all have ended, it closes. Pools by their id.
    pub senders: Vec<Party>,
    /// Who gets from it. When all have ended, it is broken.
    pub receivers: Vec<Party>,
}

/// A process, or a pool as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A process instance.
    Process(ProcessId),
    /// A pool.
    Pool(PoolId),
}

/// A pipe.
#[derive(Clone, Debug)]
pub struct Pipe {
    /// Its name.
    pub name: String,
    /// A socket pair instead of a pipe.
    pub duplex: bool,
    /// In bytes; `None` is the kernel's default.
    pub size: Option<u64>,
    /// Who holds the writing end (of a duplex pipe: `.left`).
    pub senders: Vec<ProcessId>,
    /// Who holds the reading end (of a duplex pipe: `.right`).
    pub receivers: Vec<ProcessId>,
}

/// A lock.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Whether its owner may acquire it again.
    pub reentrant: bool,
}

/// A semaphore.
#[derive(Clone, Debug)]
pub struct Semaphore {
    /// Its name.
    pub name: String,
    /// How many permits.
    pub permits: u32,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Whether it is set from the start.
    pub set: bool,
}

/// How the driver starts a process.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What to execute.
    pub program: Program,
    /// `cwd`; relative to the folder of the workflow.
    pub cwd: Option<String>,
    /// What the workflow adds to the environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Start from nothing instead of from the engine's environment.
    pub clear_env: bool,
    /// By name or number.
    pub user: Option<String>,
    /// By name or number.
    pub group: Option<String>,
    /// `limits`.
    pub limits: Limits,
    /// `cpus`; empty: all.
    pub cpus: Vec<u32>,
    /// Those of its standard streams that lead nowhere else are a terminal.
    pub tty: bool,
    /// `umask`.
    pub umask: Option<u32>,
    /// `nice`.
    pub nice: Option<i32>,
    /// The replica's index; a worker's index in its pool.
    pub index: u32,
    /// The signal that asks it to stop.
    pub stop_signal: i32,
    /// Run instead of sending that signal.
    pub stop_command: Option<Program>,
    /// Descriptors 0, 1, 2 and those of `fds`.
    pub fds: Wires,
    /// Ends of duplex pipes whose number the process finds in `FORKYARD_FD_<PIPE>`.
    pub connects: Vec<(PipeId, Side)>,
    /// What its clients may touch.
    pub grants: Vec<Grant>,
    /// What it does by itself, as far as the file says.
    pub inside: Inside,
    /// `log.file`.
    pub log_file: Option<String>,
    /// `log.prefix`.
    pub prefix: Option<String>,
    /// How it is seen that it is ready.
    pub ready: Option<Probe>,
    /// How it is seen that it still works.
    pub live: Option<Probe>,
    /// What it finds open, and listening.
    pub sockets: Vec<Socket>,
    /// `log.rotate`.
    pub rotate: Option<Rotate>,
    /// `log.when_full`.
    pub when_full: WhenFull,
    /// `on_engine_loss`.
    pub on_engine_loss: OnEngineLoss,
}

/// What a descriptor is wired to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// /dev/null.
    Null,
    /// The engine's own descriptor of the same number (0, 1 or 2).
    Inherit,
    /// The log.
    Log,
    /// The same as descriptor 1.
    Stdout,
    /// A pump into a queue.
    ToQueue(QueueId),
    /// A pump out of a queue.
    FromQueue(QueueId),
    /// The writing end of a pipe.
    PipeWriter(PipeId),
    /// The reading end of a pipe.
    PipeReader(PipeId),
    /// An end of a duplex pipe.
    Duplex(PipeId, Side),
    /// A file read from, relative to the folder of the workflow.
    ReadFile(String),
    /// A file created or emptied.
    WriteFile(String),
    /// A file appended to.
    AppendFile(String),
    /// A text to be read.
    Text(String),
    /// A newline here says that it is ready.
    Notify,
    /// A pool's worker: tasks arrive here.
    Tasks,
    /// A pool's worker: results leave here, as items of the pool's `results` when it has any.
    Results,
}

/// Something a client of a process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// `sends`
    Put(QueueId),
    /// `receives`
    Get(QueueId),
    /// `acquires`; of a lock or semaphore
    Acquire(Resource),
    /// `sets`: set and clear
    Set(EventId),
    /// `waits`
    Wait(EventId),
}

/// What a process does by itself, as far as the file says: the explorer goes by it, the run does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// `acquires`, nested in this order.
    pub acquires: Vec<Hold>,
    /// `protocol`: all that it does, in this order; `None` when nothing is said.
    pub protocol: Option<Vec<Op>>,
}

/// One step of a `protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `acquire`
    Acquire(Hold),
    /// `release`
    Release(Hold),
    /// `put`, or a write to a pipe.
    Put(Channel),
    /// `get`, or a read from a pipe.
    Get(Channel),
    /// `wait`
    Wait(EventId),
    /// `set`
    Set(EventId),
    /// `try`: the same, but it goes on where it would have to wait.
    Try(Box<Self>),
    /// `repeat`: any number of times; with a `get`, until the queue of the first one has ended.
    Repeat(Vec<Self>),
}

/// One way for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Through a queue.
    Queue(QueueId),
    /// Through a pipe, from the end at this side; only a duplex pipe has the other way too.
    Pipe(PipeId, Side),
}
