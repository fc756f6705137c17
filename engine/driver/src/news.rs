//! What reporters are told: the machine's records with the facts that only the driver knows, and lines of output.

use std::sync::Arc;

use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use forkyard_core::machine::Record;
use forkyard_core::time::Time;

use crate::deadlock::Deadlock;

use crate::exit::Usage;
use crate::sockets::Endpoint;

/// One thing to report. Reporters get them in batches, in order.
#[derive(Clone, Debug)]
pub enum News {
    /// The machine decided or noticed something.
    Record {
        /// When, since the start of the run.
        at: Time,
        /// What.
        record: Record,
        /// With `Started`, `Exited`, `Stopping`: the process's pid.
        pid: Option<i32>,
        /// With `NotStarted`: why not, in words; with `PoolEnded` and `RunStopping`, if something had to fail for it,
        /// what. With `Exited`: what the exit does not say. With `LeftBehind`: who. With `TaskFailed`: its item.
        reason: Option<Arc<str>>,
        /// With `Exited`: what it has used.
        usage: Option<Usage>,
        /// With `Started`: an earlier engine had started it, and this one has taken it over.
        taken_over: bool,
    },
    /// A process wrote a line to its log.
    Output {
        /// When it was read.
        at: Time,
        /// Who wrote it.
        process: ProcessId,
        /// The task at hand, for a pool's worker.
        task: Option<TaskId>,
        /// Where.
        stream: Stream,
        /// Without its newline; as written, any bytes; at most [`LINE_BYTES_MAX`].
        line: Arc<[u8]>,
        /// Whether the line ends here: false for a piece of a longer line, and for a last line without a newline.
        ended: bool,
    },
    /// A socket is open.
    Listening {
        /// When that was told: at the start of the run.
        at: Time,
        /// Whose it is, and where it listens.
        endpoint: Arc<Endpoint>,
    },
    /// A process has overwritten the memory of a queue, lock, semaphore or event: nobody can use it any more.
    Damaged {
        /// When that was found.
        at: Time,
        /// Its name.
        channel: Arc<str>,
    },
    /// Some wait for each other for ever.
    Deadlock {
        /// When that was found.
        at: Time,
        /// Who, and for what.
        deadlock: Arc<Deadlock>,
    },
    /// So many lines were not passed to the reporters, since these took nothing for a second; the logs have them.
    OutputDropped {
        /// How many.
        lines: u64,
    },
    /// A process that has ended had read so much of a queue by its stdin.
    StdinRead {
        /// When that was known.
        at: Time,
        /// Who.
        process: ProcessId,
        /// What it read from.
        queue: QueueId,
        /// Items of which it had read something, the last one perhaps not to its end: these are gone from the queue.
        items: u64,
        /// Bytes that it had read out of its pipe, with the ends of the lines.
        bytes: u64,
        /// Items that were in the pipe, or on their way there, and untouched: these went back to their places.
        returned: u64,
    },
    /// At the end of the run, for each queue: where its items went.
    QueueCounted {
        /// Which.
        queue: QueueId,
        /// Put in all.
        put: u64,
        /// Got and acknowledged.
        got: u64,
        /// Taken by somebody who died, and put back.
        returned: u64,
        /// Still in it at the end: they were never got.
        left: u64,
        /// Refused since larger than `max_item`.
        refused: u64,
    },
    /// At the end of the run, for each pool with work: where its tasks went.
    PoolCounted {
        /// Which.
        pool: PoolId,
        /// Tasks taken from its source.
        taken: u64,
        /// Tasks never taken: the run stopped before, as far as is known.
        left: u64,
    },
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// Longer lines are passed to reporters in pieces of this many bytes (64 KiB, a full kernel pipe).
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// How many batches may wait for a slow reporter: 8 MiB when each is a full pipe.
pub const BATCHES_MAX: usize = 128;

/// The engine's end of the way to a reporter.
pub type Sender = tokio::sync::mpsc::Sender<Vec<News>>;

/// The reporter's end; it is read by `blocking_recv` on a thread of the reporter's own.
pub type Receiver = tokio::sync::mpsc::Receiver<Vec<News>>;
