//! The fields of processes, pools, templates and `defaults`, word for word.

use serde::Deserialize;

use super::decode::{Any, Command, Keyed, Many, Nullable, Spanned, TextOr};
use super::environment::{EnvFields, EnvFiles};
use super::limits::LimitFields;
use super::ready::ProbeFields;
use super::restart::{Ending, RestartFields};
use super::values::{Bytes, Cpus, Period, Signal, Size, Text, Umask, Whole};
use super::{Condition, Dispatch, OnFailure, Order, Otherwise, WorkerKind};

/// Fields that only a process has.
pub(crate) const PROCESS_KEYS: [&str; 7] = ["replicas", "each", "pool", "restart", "ready", "live", "sockets"];
/// Fields that only a pool has.
pub(crate) const POOL_KEYS: [&str; 7] = ["size", "worker", "tasks", "dispatch", "order", "recycle", "retry"];
/// The only fields of a pool that just has slots.
pub(crate) const SLOT_KEYS: [&str; 5] = ["size", "description", "if", "use", "with"];

/// `stdin` and its like.
pub(crate) type StreamField = Spanned<Nullable<TextOr<StreamFields>>>;
/// `after`.
pub(crate) type AfterField = Many<Spanned<TextOr<Keyed<Spanned<TextOr<WaitFields>>>>>>;
/// `holds` and `acquires`.
pub(crate) type HoldsField = Many<Spanned<TextOr<Keyed<Whole<1, 1_000_000>>>>>;
/// A list of names.
pub(crate) type Names = Many<Spanned<Text>>;

/// All fields that a process or a pool can have; which of them fit is looked at elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    /// What it is for, in a sentence.
    pub description: Option<Bytes>,
    /// A list is executed as it is, text is given to a shell.
    pub run: Option<Spanned<Command>>,
    /// Which shell, by name or as a list to which the script is added.
    pub shell: Option<Spanned<Command>>,
    /// The template to be filled in.
    #[serde(rename = "use")]
    pub template: Option<Any>,
    /// The template's params.
    pub with: Option<Any>,
    /// Whether it is there at all.
    #[serde(rename = "if")]
    pub condition: Option<Any>,
    /// How many there are.
    pub replicas: Option<Any>,
    /// For which items there is one.
    pub each: Option<Any>,
    /// The folder it runs in.
    pub cwd: Option<Spanned<Text>>,
    /// Variables of its environment.
    pub env: Option<EnvFields>,
    /// Files with more of them.
    pub env_file: Option<EnvFiles>,
    /// Whether it inherits no environment.
    pub clear_env: Option<bool>,
    /// Sockets opened for it.
    pub sockets: Option<Many<Spanned<Text>>>,
    /// The user it runs as.
    pub user: Option<Spanned<Text>>,
    /// The group it runs as.
    pub group: Option<Spanned<Text>>,
    /// Its file mode mask.
    pub umask: Option<Umask>,
    /// Its niceness.
    pub nice: Option<Whole<-20, 19>>,
    /// The CPUs it may use.
    pub cpus: Option<Many<Cpus>>,
    /// What it may use up.
    pub limits: Option<Spanned<LimitFields>>,
    /// Whether it has a terminal.
    pub tty: Option<bool>,
    /// Whether it is stopped once nothing else needs to run.
    pub daemon: Option<bool>,
    /// When it is started again.
    pub restart: Option<Spanned<TextOr<RestartFields>>>,
    /// How long it may run.
    pub timeout: Option<Period>,
    /// How it is stopped.
    pub stop: Option<StopFields>,
    /// How its readiness is seen.
    pub ready: Option<Spanned<ProbeFields>>,
    /// How it is seen to be alive.
    pub live: Option<Spanned<ProbeFields>>,
    /// The exit codes and signals that mean success.
    pub success: Option<Many<Ending>>,
    /// What its failure does.
    pub on_failure: Option<OnFailure>,
    /// Where its log goes.
    pub log: Option<LogFields>,
    /// For whom it waits before it starts.
    pub after: Option<AfterField>,
    /// Where its input comes from.
    pub stdin: Option<StreamField>,
    /// Where its output goes.
    pub stdout: Option<StreamField>,
    /// Where its errors go.
    pub stderr: Option<StreamField>,
    /// Further descriptors.
    pub fds: Option<Keyed<Spanned<Nullable<TextOr<DescriptorFields>>>>>,
    /// Queues it puts into itself.
    pub sends: Option<Names>,
    /// Queues it gets from itself.
    pub receives: Option<Names>,
    /// Ends of duplex pipes it takes.
    pub connects: Option<Names>,
    /// What is acquired for it.
    pub holds: Option<HoldsField>,
    /// What it acquires itself.
    pub acquires: Option<HoldsField>,
    /// Events it sets.
    pub sets: Option<Names>,
    /// Events it waits for.
    pub waits: Option<Names>,
    /// The pool in whose slots it runs.
    pub pool: Option<Spanned<Text>>,
    /// How many workers, or slots.
    pub size: Option<Whole<1, 100_000>>,
    /// Fresh processes, or persistent ones.
    pub worker: Option<WorkerKind>,
    /// What there is to do.
    pub tasks: Option<Spanned<TextOr<Any>>>,
    /// At once, or one after another.
    pub dispatch: Option<Dispatch>,
    /// The order of results.
    pub order: Option<Order>,
    /// After how many tasks a worker is replaced.
    pub recycle: Option<Whole<1, 4_294_967_295>>,
    /// Whether a failed task is tried again.
    pub retry: Option<RetryFields>,
}

/// `after: {x: {is, timeout, else}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WaitFields {
    /// How far it must have come.
    pub is: Option<Condition>,
    /// How long to wait.
    pub timeout: Option<Spanned<Period>>,
    /// What then.
    #[serde(rename = "else")]
    pub otherwise: Option<Spanned<Otherwise>>,
}

/// `stdin: {…}` and its like: one of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamFields {
    /// A file read, or created or emptied.
    pub file: Option<Spanned<Text>>,
    /// A file appended to.
    pub append: Option<Spanned<Text>>,
    /// This text.
    pub text: Option<Spanned<Bytes>>,
}

/// `fds: {3: {…}}`: one of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DescriptorFields {
    /// A channel written to.
    pub send: Option<Spanned<Text>>,
    /// A channel read from.
    pub receive: Option<Spanned<Text>>,
    /// An end of a duplex pipe.
    pub end: Option<Spanned<Text>>,
    /// A file.
    pub file: Option<Spanned<Text>>,
    /// A file appended to.
    pub append: Option<Spanned<Text>>,
    /// This text.
    pub text: Option<Spanned<Bytes>>,
}

/// `stop`.
#[derive(Clone, Debug, Default, Deserialize)]
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
#[serde(default)]
pub(crate) struct LogFields {
    /// A further file.
    pub file: Option<Spanned<Text>>,
    /// When a new file is begun.
    pub rotate: Option<Spanned<RotateFields>>,
    /// Shown before each line.
    pub prefix: Option<Bytes>,
}

/// `retry` of a pool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RetryFields {
    /// How often a task is tried again.
    pub max: Option<Whole<0, 1_000_000>>,
    /// How long to wait before.
    pub backoff: Option<Period>,
}

/// Keys that are read for their form alone: what they ask for is not built, so nothing looks at the values.
macro_rules! define_forms {
    ($($(#[$doc:meta])* $name:ident { $($key:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default)]
        pub(crate) struct $name {
            $($key: Option<$kind>),*
        }
    )*};
}

define_forms! {
    /// `log.rotate`.
    RotateFields { size: Size, keep: Whole<0, 10_000> }
}
