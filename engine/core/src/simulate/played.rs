//! What came of a simulated run.

use std::time::Duration;

use super::gauge::Use;
use super::path::Step;
use super::reader::Feed;
use crate::id::ProcessId;
use crate::machine::{Standing, Verdict};
use crate::plan::{Party, Resource};

/// What came of a simulated run.
#[derive(Clone, Debug)]
pub struct Played {
    /// How it ended.
    pub ending: Ending,
    /// How long it took, from its start to its end: the makespan.
    pub lasted: Duration,
    /// When nothing was left but processes that live until they are stopped, and it was stopped for that.
    pub stopped: Option<Duration>,
    /// What became of everybody.
    pub counts: Counts,
    /// The time of all lives, workers included.
    pub work: Duration,
    /// Processes that ran at the same time.
    pub running: Use,
    /// By pool: slots, or workers with a task.
    pub pools: Vec<Use>,
    /// By lock.
    pub locks: Vec<Use>,
    /// By semaphore: permits.
    pub semaphores: Vec<Use>,
    /// The chain of lives and tasks of which each let the next one begin, or end, up to the end of the run: it lasts as long as
    /// that. The first stands first.
    pub path: Vec<Step>,
    /// Who waited longest for a slot, or for what he holds, the longest first.
    pub waits: Vec<LongWait>,
}

/// How a simulated run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, or stopped as nothing but services was left.
    Ended(Verdict),
    /// Those that are left wait for what can never come.
    Stuck {
        /// The first of them.
        first: Vec<Stuck>,
        /// How many more there are.
        more: usize,
    },
    /// There were more lives and tasks than [`super::SPANS_MAX`].
    TooLong,
}

/// Someone who waits for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who.
    pub party: Party,
    /// How far it has come.
    pub standing: Standing,
    /// What it reads, or waits for by itself, that will not end.
    pub feeds: Vec<Feed>,
}

/// What became of everybody; tasks are counted by themselves, and workers not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that ended well.
    pub done: u64,
    /// Processes that failed.
    pub failed: u64,
    /// Processes that were stopped.
    pub stopped: u64,
    /// Processes that never ran.
    pub skipped: u64,
    /// How often a process was started again.
    pub restarts: u64,
    /// Tasks that are done.
    pub tasks_done: u64,
    /// How often a task was tried again.
    pub tasks_retried: u64,
    /// Tasks that have failed for good.
    pub tasks_failed: u64,
}

/// Someone who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongWait {
    /// Who.
    pub process: ProcessId,
    /// For what; `None`: for a slot of its pool.
    pub on: Option<Resource>,
    /// How long.
    pub waited: Duration,
}
