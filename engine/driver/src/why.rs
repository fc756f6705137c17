//! Why somebody does not run: the answer of the engine, with names, from what it was asked about to the roots of it.

mod gather;
mod ledger;

use std::time::Duration;

use forkyard_core::machine::{Exit, Outcome, Why};
use forkyard_core::time::Time;
use serde::{Deserialize, Serialize};

pub use gather::{Unknown, answer, find};
pub use ledger::Ledger;

/// So many are told of at most: who waits for thousands learns of the first of them.
pub const NODES_MAX: usize = 64;

/// What is known of the one who was asked about, first, and of all those he waits for, directly or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The run's id.
    pub run: String,
    /// When it was given, in nanoseconds since the start of the run; `None` of a run that is over.
    pub at: Option<Time>,
    /// Each once.
    pub nodes: Vec<Node>,
}

/// One process, worker, pool, queue, lock, semaphore or event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `count.2`
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How far it has come.
    pub state: State,
    /// The pid of a process that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Since when it runs, in nanoseconds since the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What it waits for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Why it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Why>,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Cause>,
    /// What the engine has to say besides, in words: why it could not be started, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a lock or semaphore: who holds it. Of a pool: its workers that are alive, or who has a slot. Of a queue or event: who may put or set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// Of a channel: who waits for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
    /// Of a queue: how many items are in it. Of a semaphore: how many permits are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process.
    Process,
    /// A pool's worker.
    Worker,
    /// A pool.
    Pool,
    /// A queue.
    Queue,
    /// A lock.
    Lock,
    /// A semaphore.
    Semaphore,
    /// An event.
    Event,
}

/// How far somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for conditions.
    Pending,
    /// A worker without work.
    Idle,
    /// It waits for a slot of its pool.
    Queued,
    /// It waits for what it is to hold.
    Acquiring,
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It has been asked to stop.
    Stopping,
    /// Its first process has ended; others, or output, are left.
    Leaving,
    /// Whether it has succeeded is not certain yet.
    Settling,
    /// It has ended.
    Ended,
    /// It could not be started.
    NotStarted,
    /// It will not run.
    Skipped,
    /// Nobody holds it; of a semaphore: some permits are free.
    Free,
    /// Somebody holds it.
    Held,
    /// The event is set.
    Set,
    /// It is not.
    Clear,
    /// Of a queue: it goes on.
    Open,
    /// Of a run that is over: nothing more is known.
    Unknown,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How its first process did.
    pub exit: Exit,
    /// How long it ran.
    pub lasted: Duration,
    /// What that means.
    pub outcome: Outcome,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// `condition`, `slot`, `lock`, `semaphore`, `room`, `item`, `event`, `task` or `worker`.
    pub r#for: String,
    /// Its name.
    pub name: String,
    /// With `condition`: what somebody must have done: `started`, `succeeded` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// Who has it, or could bring it.
    pub from: Vec<String>,
    /// With `slot`: how many stand in line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<usize>,
    /// How long it is waited for at most, counted from the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// Why somebody was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What it waited for cannot come.
    Of {
        /// Who or what.
        name: String,
        /// What it had to do, if that is known.
        is: Option<String>,
    },
    /// It waited longer than the wait's `timeout`.
    WaitedTooLong {
        /// For whom or what.
        name: String,
    },
    /// The run stops.
    RunStops,
    /// Nobody needs it.
    NotNeeded,
}
