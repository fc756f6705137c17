//! A workflow as it is meant: files merged, expressions evaluated, templates, replicas and `each`
//! expanded, every value of its type, and every thing with its place in the file. References are
//! still names; the checks resolve them.

use std::collections::BTreeMap;
use std::time::Duration;

pub use super::ready::{Address, PATTERN_BYTES_MAX, Probe, Way};
pub use super::restart::{Backoff, Endings, Intensity, Policy, Restart, Wish};
pub use super::sockets::{FIRST_SOCKET, Listening, Socket, SocketKind};
pub use super::terms::{Body, Terms};
use crate::source::Span;

/// A name with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As written: `lines`, a replica `count.2`, an end of a duplex pipe `talk.left`.
    pub name: String,
    /// Where it stands.
    pub place: Span,
}

/// A whole workflow.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// `name`, or the stem of the first file.
    pub name: String,
    /// `description`.
    pub description: Option<String>,
    /// `options`.
    pub options: Options,
    /// Params with the values in force, as they are shown to people.
    pub params: BTreeMap<String, String>,
    /// All instances of all processes, in the order of the file; instances of one process stand together.
    pub processes: Vec<Process>,
    /// Pools, in the order of the file.
    pub pools: Vec<Pool>,
    /// Queues, in the order of the file.
    pub queues: Vec<Queue>,
    /// Pipes, in the order of the file.
    pub pipes: Vec<Pipe>,
    /// Locks, in the order of the file.
    pub locks: Vec<Lock>,
    /// Semaphores, in the order of the file.
    pub semaphores: Vec<Semaphore>,
    /// Events, in the order of the file.
    pub events: Vec<Event>,
    /// Templates: only who used them is left of them.
    pub templates: Vec<Template>,
    /// Groups, in the order of the file.
    pub groups: Vec<Group>,
    /// Processes whose `if` was false, and processes with `each: []` or `replicas: 0`: declared, but no instance
    /// runs. A wait for one is satisfied at once; its touches do not count.
    pub absent: Vec<Declared>,
    /// Params of the workflow, and of templates that are used, that nothing mentions.
    pub unused_params: Vec<Declared>,
    /// Variables of `env` that hold a secret, written out in a file.
    pub clear_secrets: Vec<Declared>,
    /// Expressions that put text from outside the file into a script, unquoted.
    pub unquoted: Vec<super::Unquoted>,
    /// Keys that are understood but whose behaviour is not built yet; `run` refuses them.
    pub unbuilt: Vec<Unbuilt>,
}

/// The head of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name, without an index.
    pub name: String,
    /// The place of the name.
    pub place: Span,
    /// `description`.
    pub description: Option<String>,
}

/// A key whose behaviour is not built yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbuilt {
    /// The key, with its owner: "`ready` of process `db`".
    pub what: String,
    /// Where it stands.
    pub place: Span,
}

/// `options`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `timeout` of the whole run.
    pub timeout: Option<(Duration, Span)>,
    /// What a failure does where the process does not say so itself.
    pub on_failure: OnFailure,
    /// `on_deadlock`: what becomes of the run when some wait for each other for ever.
    pub on_deadlock: OnDeadlock,
    /// `pipefail`: dying by SIGPIPE is a failure even when the receivers ended well.
    pub pipefail: bool,
    /// `isolation`: by what it is made sure that nothing outlives the run.
    pub isolation: Isolation,
}

/// By what it is made sure that nothing outlives a run, whoever of the engine and its guardians is killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// The guardians, and a cgroup where one can be made.
    #[default]
    Auto,
    /// The guardians alone.
    Guardian,
    /// The guardians, and a namespace of processes; the run is refused where none can be made.
    Pidns,
    /// The guardians and a cgroup; the run is refused where none can be made.
    Cgroup,
}

/// `on_deadlock`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnDeadlock {
    /// The run is stopped, and fails.
    #[default]
    Fail,
    /// It is told, and the others go on.
    Report,
}

/// `on_failure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Dependents are skipped, the rest go on, the run fails.
    #[default]
    Fail,
    /// The whole run stops.
    Stop,
    /// It counts as a success.
    Ignore,
}

/// One instance of a process.
#[derive(Clone, Debug)]
pub struct Process {
    /// The declaration it comes from; its name is the instance's name without the index.
    pub declared: Declared,
    /// The index of a replica or of an `each` instance; `None` for a process that is just one.
    pub index: Option<u32>,
    /// What it does, and how it touches others.
    pub body: Body,
    /// `pool`: the pool in whose slots it runs.
    pub pool: Option<Box<Reference>>,
}

impl Process {
    /// `count` or, for an instance, `count.2`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.index {
            None => self.declared.name.clone(),
            Some(index) => format!("{}.{index}", self.declared.name),
        }
    }
}

/// `limits`: what a process may use; `None` is as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory`, in bytes, of the whole tree.
    pub memory: Option<u64>,
    /// `cpu`, in thousandths of one, of the whole tree.
    pub cpu_thousandths: Option<u32>,
    /// `cpu_time`, whole seconds, of each process.
    pub cpu_time: Option<Duration>,
    /// `pids`: processes and threads of the whole tree.
    pub pids: Option<u32>,
    /// `files`: how many each process may have open.
    pub files: Option<u32>,
    /// `core`: the largest core dump, in bytes.
    pub core: Option<u64>,
    /// `stack`, in bytes.
    pub stack: Option<u64>,
    /// `file_size`: the largest file that may be written, in bytes.
    pub file_size: Option<u64>,
}

/// `run` with `shell`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The whole argument vector: a list as it is, or a shell's words with the script as the last.
    pub argv: Vec<String>,
    /// Whether the last argument is a script for a shell.
    pub script: bool,
    /// Where `run` stands.
    pub place: Span,
}

/// A value of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvValue {
    /// The text.
    pub value: String,
    /// Masked wherever it is shown.
    pub secret: bool,
}

impl EnvValue {
    /// The text, and each of its lines where it has several.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.value.as_str()).chain(self.value.lines())
    }
}

/// One wait of `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// For whom or what.
    pub on: Reference,
    /// How far it must have come; `None`: the default of its kind.
    pub is: Option<Condition>,
    /// How long to wait at most.
    pub timeout: Option<Duration>,
    /// What then.
    pub otherwise: Otherwise,
}

/// How far a dependency has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// A process or pool runs, or has run.
    Started,
    /// Its readiness has been seen.
    Ready,
    /// It has ended well.
    Succeeded,
    /// It has ended badly.
    Failed,
    /// It has ended.
    Finished,
    /// An event is set.
    Set,
    /// A queue has no senders and no items left.
    Drained,
}

/// `else`: what happens when a wait takes longer than its `timeout`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// The process fails.
    #[default]
    Fail,
    /// It is skipped, which is no failure.
    Skip,
    /// It starts all the same.
    Start,
}

/// Where a standard stream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// /dev/null.
    Null,
    /// The engine's own.
    Inherit,
    /// The process's log, and the screen.
    Log,
    /// stderr only: wherever stdout leads.
    Stdout,
    /// A queue or a pipe.
    Channel(Reference),
    /// A file: read as stdin, created or emptied as an output.
    File(String, Span),
    /// A file appended to.
    Append(String, Span),
    /// stdin only: this text.
    Text(String),
}

/// A descriptor of `fds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// The writing end of a pipe, or a pipe whose lines become items of a queue.
    Send(Reference),
    /// The reading end of a pipe, or a pipe on which items of a queue arrive.
    Receive(Reference),
    /// An end of a duplex pipe.
    End(Reference),
    /// As for a standard stream: `file`, `append`, `text`, null or inherit.
    Stream(Stream),
}

/// A lock or permits of a semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub on: Reference,
    /// How many permits; 1 for a lock.
    pub permits: u32,
}

/// `stop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The signal's number; SIGTERM by default.
    pub signal: i32,
    /// How long until SIGKILL; 10 s by default.
    pub grace: Duration,
    /// A command run instead of sending the signal.
    pub command: Option<Box<Program>>,
}

/// `log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// `file`: a further file, relative to the folder of the workflow, that gets the same bytes.
    pub file: Option<(String, Span)>,
    /// `prefix`: shown before each line instead of the name; may be empty.
    pub prefix: Option<String>,
    /// `rotate`: when a new file is begun.
    pub rotate: Option<Rotate>,
    /// `when_full`: what happens when nobody takes its lines from the engine.
    pub when_full: WhenFull,
}

/// `rotate` of `log`: when a new file is begun, and how many old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// When the file has so many bytes.
    pub size: Option<u64>,
    /// When the file is so old.
    pub age: Option<Duration>,
    /// So many old files are kept, beside the one that is written.
    pub keep: u32,
}

/// `when_full` of `log`: what happens to lines on their way to a screen that takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// After a second they are left out there, and counted; the log has them.
    #[default]
    Drop,
    /// The process waits, as long as it takes.
    Block,
}

/// A pool.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its head.
    pub declared: Declared,
    /// `size`: how many workers, or slots.
    pub size: u32,
    /// What a worker does; without `run` the pool has only slots.
    pub body: Body,
    /// `tasks`; `None` when they come from the queue at `stdin`, or when there are only slots.
    pub tasks: Option<Tasks>,
    /// `worker`.
    pub worker: WorkerKind,
    /// `dispatch`.
    pub dispatch: Dispatch,
    /// `order` of results.
    pub order: Order,
    /// `recycle`: a persistent worker is replaced after so many tasks.
    pub recycle: Option<u32>,
    /// `retry.max`: how often a task whose process failed is tried again.
    pub retry_max: u32,
    /// `retry.backoff`: how long to wait before.
    pub retry_backoff: Duration,
}

/// `tasks` of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// A list of items.
    Listed(Vec<String>),
    /// `{range: [first, end]}`, the end excluded.
    Range(i64, i64),
    /// `{lines: path}`: each line of a file, relative to the folder of the workflow.
    Lines(String, Span),
}

/// `worker` of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WorkerKind {
    /// A fresh process for each task.
    #[default]
    Task,
    /// Processes that live on and answer each line with a line.
    Persistent,
}

/// `dispatch` of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// Every free worker takes a task.
    #[default]
    Async,
    /// One task after another.
    Sync,
}

/// `order` of a pool's results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they are done.
    #[default]
    Completed,
    /// As they were taken.
    Submitted,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its head.
    pub declared: Declared,
    /// `capacity`, in items; 0 is unbounded.
    pub capacity: u64,
    /// `framing` of the streams wired to it.
    pub framing: Framing,
    /// `max_item`, in bytes.
    pub max_item: u64,
}

/// How items stand in a stream of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Each line is an item, without its newline.
    #[default]
    Lines,
    /// Items end with a NUL byte.
    Nul,
    /// A 32-bit little-endian length, then so many bytes.
    Length,
}

/// A pipe.
#[derive(Clone, Debug)]
pub struct Pipe {
    /// Its head.
    pub declared: Declared,
    /// `duplex`: a socket pair.
    pub duplex: bool,
    /// `size` in bytes; `None` is the kernel's default.
    pub size: Option<u64>,
}

/// A lock.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Its head.
    pub declared: Declared,
    /// `reentrant`.
    pub reentrant: bool,
}

/// A semaphore.
#[derive(Clone, Debug)]
pub struct Semaphore {
    /// Its head.
    pub declared: Declared,
    /// `permits`.
    pub permits: u32,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its head.
    pub declared: Declared,
    /// `set`: whether it is set from the start.
    pub set: bool,
}

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its head.
    pub declared: Declared,
    /// Whether any process or pool uses it.
    pub used: bool,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its head.
    pub declared: Declared,
    /// `members`, in the order of their start.
    pub members: Vec<Reference>,
    /// `strategy`.
    pub strategy: Strategy,
    /// `max_restarts` and `within`: when there are more, the run has failed.
    pub intensity: Intensity,
}

/// `strategy`: who is restarted with a member that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Nobody else.
    #[default]
    OneForOne,
    /// All other members.
    OneForAll,
    /// The members that stand after it.
    RestForOne,
}
