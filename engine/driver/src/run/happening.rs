//! What the tasks of the engine tell the turn loop.

use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{ProcessId, QueueId, TaskId};
use forkyard_core::machine::Exit;
use forkyard_core::plan::Program;
use tokio::sync::oneshot;

use super::lives::Tries;
use super::looks::Seen;
use crate::exit::Usage;

/// How much a process has read of a queue by its stdin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Items of which it has read something.
    pub items: u64,
    /// Bytes of its stdin.
    pub bytes: u64,
    /// Items that it has not touched, and that went back.
    pub returned: u64,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Happening {
    /// The pause before another try to start it is over.
    TryAgain {
        /// Whom.
        process: ProcessId,
        /// Which life.
        attempt: u32,
        /// With which task.
        task: Option<TaskId>,
        /// Which try it will be.
        tries: Tries,
    },
    /// Its first process has ended.
    Ended {
        /// Whose.
        process: ProcessId,
        /// Which life.
        attempt: u32,
        /// How.
        exit: Exit,
        /// What it has used, if that is known.
        usage: Option<Usage>,
        /// Who is left of its tree, in words; `None`: nobody.
        left: Option<Arc<str>>,
    },
    /// Its tree is empty and its output has been taken in.
    Gone {
        /// Whose.
        process: ProcessId,
        /// Which life.
        attempt: u32,
    },
    /// What a process was to read from a queue cannot be had: it must not take that for the end.
    Cut {
        /// Who.
        process: ProcessId,
    },
    /// A process reads no more of a queue by its stdin.
    Read {
        /// Who.
        process: ProcessId,
        /// From which queue.
        queue: QueueId,
        /// How much it had read.
        read: Read,
    },
    /// A process wrote items that are too large for their queue.
    Oversized {
        /// Who.
        process: ProcessId,
        /// For which queue.
        queue: QueueId,
        /// How many.
        refused: u64,
    },
    /// All that a worker of kind `task` wrote for its task.
    Result {
        /// Who.
        process: ProcessId,
        /// What, without its last newline.
        result: Vec<u8>,
    },
    /// What a persistent worker answered to the first of its tasks.
    Answers {
        /// Who.
        process: ProcessId,
        /// In which life.
        attempt: u32,
        /// What, to each; `None` when it was too large to be taken in.
        lines: Vec<Option<Vec<u8>>>,
    },
    /// What was seen of it, or what it tells of itself.
    Seen {
        /// Who.
        process: ProcessId,
        /// In which life.
        attempt: u32,
        /// What.
        what: Seen,
    },
    /// A command is to be run that looks at it.
    Look {
        /// At whom.
        process: ProcessId,
        /// At which life.
        attempt: u32,
        /// What to run.
        command: Program,
        /// For how long.
        at_most: Duration,
        /// What it has seen; else why it has seen nothing.
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// Nobody waits any more for everything to come up.
    Abandoned,
    /// The engine cannot do its work any more.
    Fault {
        /// Why, in words.
        reason: Arc<str>,
    },
}
