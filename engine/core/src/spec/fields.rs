//! The fields of processes, pools, templates and `defaults`, word for word.

use serde::Deserialize;

use super::decode::{Any, Command, Keyed, Many, Nullable, Spanned, TextOr};
use super::environment::{EnvFields, EnvFiles};
use super::limits::LimitFields;
use super::ready::ProbeFields;
use super::restart::{Ending, RestartFields};
use super::sockets::SocketsField;
use super::values::{Bytes, Cpus, Period, Signal, Size, Text, Umask, Whole};
use super::{Condition, Dispatch, OnEngineLoss, OnFailure, Order, Otherwise, WhenFull, WorkerKind};

/// Fields that only a process has.
pub(crate) const PROCESS_KEYS: [&str; 8] = [
    "replicas",
    "each",
    "pool",
    "restart",
    "ready",
    "live",
    "sockets",
    "on_engine_loss",
];
/// Fields that only a pool has.
pub(crate) const POOL_KEYS: [&str; 7] = ["size", "worker", "tasks", "dispatch", "order", "recycle", "retry"];
/// The only fields of a pool that just has slots.
pub(crate) const SLOT_KEYS: [&str; 5] = ["size", "description", "if", "use", "with"];

/// `stdin` and its like.
pub(crate) type StreamField = Spanned<Nullable<TextOr<Box<StreamFields>>>>;
/// `after`.
pub(crate) type AfterField = Many<Spanned<TextOr<Keyed<Spanned<TextOr<WaitFields>>>>>>;
/// `holds` and `acquires`.
pub(crate) type HoldsField = Many<Spanned<TextOr<Keyed<Whole<1, 1_000_000>>>>>;
/// A list of names.
pub(crate) type Names = Many<Spanned<Text>>;

/// All fields that a process or a pool can have; which of them fit is looked at elsewhere. What is large and rare is
/// boxed: of a million processes each has such fields for a moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct Fields {
    /// What it is for, for people.
    pub description: Option<Bytes>,
    /// The program: a text is executed by the shell, a list as it is.
    pub run: Option<Spanned<Command>>,
    /// The shell that executes a text, by name, or as a list to which the script is added; `sh` by default.
    pub shell: Option<Spanned<Command>>,
    /// The template that it fills in.
    #[serde(rename = "use")]
    pub template: Option<Any>,
    /// The params of the template.
    pub with: Option<Any>,
    /// Whether it is there at all; who waits for it need not wait when it is not.
    #[serde(rename = "if")]
    pub condition: Option<Any>,
    /// How many processes of the kind there are; 1 by default.
    pub replicas: Option<Any>,
    /// One process for each value: of a list, or all combinations of a map of lists.
    pub each: Option<Any>,
    /// The folder it runs in; that of the workflow by default.
    pub cwd: Option<Spanned<Text>>,
    /// Variables of its environment: a map of names to values, or to {value, secret: true}.
    pub env: Option<EnvFields>,
    /// Files with NAME=value lines; `env` wins over them.
    pub env_file: Option<EnvFiles>,
    /// Whether it inherits nothing of the environment of Forkyard.
    pub clear_env: Option<bool>,
    /// Sockets that are opened for it before anything starts: names with addresses.
    #[serde(deserialize_with = "super::sockets::field")]
    pub sockets: Option<SocketsField>,
    /// The user it runs as, which needs root.
    pub user: Option<Spanned<Text>>,
    /// The group it runs as.
    pub group: Option<Spanned<Text>>,
    /// Its file mode mask, in octal.
    pub umask: Option<Umask>,
    /// Its niceness, from -20, the most urgent, to 19.
    pub nice: Option<Whole<-20, 19>>,
    /// The CPUs it may use.
    pub cpus: Option<Many<Cpus>>,
    /// What it may use up.
    pub limits: Option<Box<Spanned<LimitFields>>>,
    /// Whether it has a terminal.
    pub tty: Option<Spanned<bool>>,
    /// Whether it is stopped once no other process needs to run any more.
    pub daemon: Option<bool>,
    /// When it is started again after its end.
    pub restart: Option<Box<Spanned<TextOr<RestartFields>>>>,
    /// It fails when it takes longer; in a pool, each task does.
    pub timeout: Option<Spanned<Period>>,
    /// How it is stopped: SIGTERM, and SIGKILL 10 seconds later, by default.
    pub stop: Option<Box<StopFields>>,
    /// How its readiness is seen.
    pub ready: Option<Box<Spanned<ProbeFields>>>,
    /// How it is seen to be alive.
    pub live: Option<Box<Spanned<ProbeFields>>>,
    /// The exit codes and signals that mean success; 0 by default.
    pub success: Option<Many<Ending>>,
    /// What its failure does to the run.
    pub on_failure: Option<OnFailure>,
    /// What becomes of it when the engine is killed.
    pub on_engine_loss: Option<Spanned<OnEngineLoss>>,
    /// Where its output is logged besides, and how it is shown.
    pub log: Option<Box<LogFields>>,
    /// It starts only when others have come so far: names, or names with a condition.
    pub after: Option<AfterField>,
    /// Where its input comes from: a queue, a pipe, a file, a text; nothing by default.
    pub stdin: Option<StreamField>,
    /// Where its output goes: a queue, a pipe, a file, or the log, which is the default.
    pub stdout: Option<StreamField>,
    /// Where its errors go: as its output, or to wherever that goes; the log by default.
    pub stderr: Option<StreamField>,
    /// Where further descriptors lead, by number.
    pub fds: Option<Keyed<Spanned<Nullable<TextOr<DescriptorFields>>>>>,
    /// Queues that it puts into itself, by `forkyard put` and its like.
    pub sends: Option<Names>,
    /// Queues that it gets from itself, by `forkyard get` and its like.
    pub receives: Option<Names>,
    /// Ends of duplex pipes that it has, as `talk.left`.
    pub connects: Option<Names>,
    /// Locks and permits that are acquired before it starts and held until it has ended.
    pub holds: Option<HoldsField>,
    /// Locks and permits that it acquires itself, nested in this order.
    pub acquires: Option<HoldsField>,
    /// Events that it sets or clears itself.
    pub sets: Option<Names>,
    /// Events that it waits for itself.
    pub waits: Option<Names>,
    /// What it does by itself, step by step.
    pub protocol: Option<Any>,
    /// The pool in whose slots it runs.
    pub pool: Option<Spanned<Text>>,
    /// How many workers, or slots, there are; by default as many as CPUs.
    pub size: Option<Whole<1, 100_000>>,
    /// Whether each task has a fresh process, or workers live on.
    pub worker: Option<WorkerKind>,
    /// What there is to do: a list, {range: [first, end]}, {lines: file}; or nothing, with a queue as `stdin`.
    pub tasks: Option<Spanned<TextOr<Any>>>,
    /// Whether tasks are done at once, or one after another.
    pub dispatch: Option<Dispatch>,
    /// The order of results.
    pub order: Option<Order>,
    /// After how many tasks a worker is replaced.
    pub recycle: Option<Whole<1, 4_294_967_295>>,
    /// Whether a failed task is tried again.
    pub retry: Option<Box<RetryFields>>,
}

/// `after: {x: {is, timeout, else}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct WaitFields {
    /// How far it must have come; `succeeded`, or `set`, by default.
    pub is: Option<Condition>,
    /// How long to wait, from the start of the run on.
    pub timeout: Option<Spanned<Period>>,
    /// What happens when the wait takes too long.
    #[serde(rename = "else")]
    pub otherwise: Option<Spanned<Otherwise>>,
}

/// `stdin: {…}` and its like: one of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct StreamFields {
    /// A file that is read, or created or emptied.
    pub file: Option<Spanned<Text>>,
    /// A file that is appended to.
    pub append: Option<Spanned<Text>>,
    /// This text is read.
    pub text: Option<Spanned<Bytes>>,
}

/// `fds: {3: {…}}`: one of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct DescriptorFields {
    /// A queue or pipe that is written to.
    pub send: Option<Spanned<Text>>,
    /// A queue or pipe that is read from.
    pub receive: Option<Spanned<Text>>,
    /// An end of a duplex pipe.
    pub end: Option<Spanned<Text>>,
    /// A file that is created or emptied.
    pub file: Option<Spanned<Text>>,
    /// A file that is appended to.
    pub append: Option<Spanned<Text>>,
    /// This text is read.
    pub text: Option<Spanned<Bytes>>,
}

/// `stop`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct StopFields {
    /// The signal that asks it to stop.
    pub signal: Option<Signal>,
    /// How long until it is killed.
    pub grace: Option<Period>,
    /// Run instead of sending the signal.
    pub command: Option<Spanned<Command>>,
}

/// `log`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct LogFields {
    /// A further file for its output.
    pub file: Option<Spanned<Text>>,
    /// When a new file is begun.
    pub rotate: Option<RotateFields>,
    /// What happens when nobody takes its lines from the engine.
    pub when_full: Option<WhenFull>,
    /// Shown instead of its name before each line.
    pub prefix: Option<Bytes>,
}

/// `log.rotate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RotateFields {
    /// A new file is begun when the old one has so many bytes.
    pub size: Option<Size>,
    /// And when it is so old.
    pub age: Option<Period>,
    /// So many old files are kept.
    pub keep: Option<Whole<0, 10_000>>,
}

/// `retry` of a pool.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RetryFields {
    /// How often a failed task is tried again; 0 by default.
    pub max: Option<Whole<0, 1_000_000>>,
    /// How long to wait before that.
    pub backoff: Option<Period>,
}
