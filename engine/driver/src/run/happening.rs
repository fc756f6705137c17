//! What the tasks of the engine tell the turn loop.

use std::sync::Arc;

use crate::yard::ItemId;
use forkyard_core::id::{ProcessId, QueueId, TaskId};
use forkyard_core::machine::Exit;
use tokio::sync::oneshot;

use super::lives::Tries;
use super::wiring::Streams;
use crate::spawner::{Child, SpawnError};
use crate::stdio::receiver::TakeAnswer;
use crate::stdio::sender::PutAnswer;

/// The number of a pump from a queue; no two of a run have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PumpId(pub u64);

/// One thing that happened.
#[derive(Debug)]
pub enum Happening {
    /// The spawner has done its work.
    Launched {
        /// Of whom.
        process: ProcessId,
        /// Which life.
        attempt: u32,
        /// With which task.
        task: Option<TaskId>,
        /// Which try it was.
        tries: Tries,
        /// How it went.
        result: Result<Child, SpawnError>,
        /// The engine's ends of its streams.
        streams: Streams,
    },
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
    /// A pump has items for a queue.
    Put {
        /// Which.
        queue: QueueId,
        /// In this order.
        items: Vec<Vec<u8>>,
        /// When all are put, or cannot be.
        answer: oneshot::Sender<PutAnswer>,
    },
    /// A pump wants items from a queue.
    Take {
        /// Who asks.
        pump: PumpId,
        /// For whom.
        process: ProcessId,
        /// Which queue.
        queue: QueueId,
        /// How many at most; it waits for one.
        at_most: usize,
        /// Where to.
        answer: oneshot::Sender<TakeAnswer>,
    },
    /// A pump does not want items any more.
    Withdraw {
        /// Who had asked.
        pump: PumpId,
    },
    /// What has become of items that a pump took.
    Settled {
        /// For whom it took them.
        process: ProcessId,
        /// Of which queue.
        queue: QueueId,
        /// Read by the process.
        read: Vec<ItemId>,
        /// Not read: they go back.
        unread: Vec<ItemId>,
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
    /// The engine cannot do its work any more.
    Fault {
        /// Why, in words.
        reason: Arc<str>,
    },
}
