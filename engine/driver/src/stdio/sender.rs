//! From a process's output into a queue, item by item.

use std::sync::Arc;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_ipc::queue::Sheaf;
use tokio::sync::mpsc;

use super::framing::{Cut, Cutter, Items};
use super::tap::Tap;
use crate::run::Happening;
use crate::yard::{Commons, Reply, Slot, Trouble};

/// A pump from a process to a queue.
#[derive(Debug)]
pub struct Sender {
    /// Who writes.
    pub process: ProcessId,
    /// Where to.
    pub queue: QueueId,
    /// What that is called.
    pub name: Box<str>,
    /// Whether all goes to one reader, as a stream: then many items are put as one thing.
    pub is_stream: bool,
    /// Who puts: what was read is put though the process has ended.
    pub slot: Slot,
    /// The yard.
    pub commons: Commons,
    /// The turn loop.
    pub inbox: mpsc::Sender<Happening>,
}

impl Sender {
    /// Pumps until the end of the stream; while the queue is full nothing is read, so that the process waits. When
    /// the queue is broken, the pipe is closed, and the process learns it by SIGPIPE or EPIPE.
    pub async fn pump(self, mut tap: Tap, mut cutter: Cutter) {
        let mut items = Items::default();
        let mut together = Together::default();
        loop {
            let bytes = tap.read().await;
            let ended = bytes.is_none();
            items.clear();
            together.bytes.clear();
            match bytes {
                Some(bytes) if self.is_stream => cutter.feed_together(bytes, |cut| match cut {
                    Cut::Item(item) => items.push(item),
                    Cut::Together(bytes, delimiter) => together.set(bytes, delimiter),
                }),
                Some(bytes) => cutter.feed(bytes, |item| items.push(item)),
                None => cutter.finish(|item| items.push(item)),
            }
            let is_told = self.tell_refused(cutter.take_refused()).await;
            if !is_told || !self.put_together(&together).await || !self.put(&items).await || ended {
                return;
            }
            // A pipe that is always full must not keep the others from their turn.
            tokio::task::yield_now().await;
        }
    }

    /// False when the run is over.
    async fn tell_refused(&self, refused: u64) -> bool {
        let oversized = Happening::Oversized {
            process: self.process,
            queue: self.queue,
            refused,
        };
        refused == 0 || self.inbox.send(oversized).await.is_ok()
    }

    /// Puts items in order; false when nothing can be put any more.
    async fn put(&self, items: &Items) -> bool {
        let items: Vec<&[u8]> = items.iter().collect();
        let put = self.commons.put_all(self.slot, self.queue.0, &items).await;
        self.went_well(put).await
    }

    /// The same for items that came together.
    async fn put_together(&self, together: &Together) -> bool {
        let put = match Sheaf::new(&together.bytes, together.delimiter) {
            Ok(sheaf) => self.commons.put_sheaf(self.slot, self.queue.0, &sheaf).await,
            Err(error) => Err(Reply::Failed(Trouble::Other(error.to_string().into()))),
        };
        self.went_well(put).await
    }

    async fn went_well(&self, put: Result<(), Reply>) -> bool {
        match put {
            Ok(()) => true,
            // What a damaged queue is to its users has been told.
            Err(Reply::Failed(Trouble::Damaged)) => false,
            Err(Reply::Failed(trouble)) => {
                let reason = Arc::from(format!("nothing can be put into `{}`: {trouble}", self.name));
                // Nobody listens when the run is over.
                let _ = self.inbox.send(Happening::Fault { reason }).await;
                false
            }
            Err(_) => false,
        }
    }
}

/// Items that came together, as they stand in the stream.
#[derive(Debug, Default)]
struct Together {
    bytes: Vec<u8>,
    delimiter: u8,
}

impl Together {
    fn set(&mut self, bytes: &mut Vec<u8>, delimiter: u8) {
        std::mem::swap(&mut self.bytes, bytes);
        self.delimiter = delimiter;
    }
}
