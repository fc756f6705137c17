//! From a process's output into a queue, item by item.

use std::sync::Arc;

use forkyard_core::id::{ProcessId, QueueId};
use tokio::sync::mpsc;

use super::framing::{Cutter, Items};
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
        loop {
            let bytes = tap.read().await;
            let ended = bytes.is_none();
            items.clear();
            match bytes {
                Some(bytes) => cutter.feed(bytes, |item| items.push(item)),
                None => cutter.finish(|item| items.push(item)),
            }
            if !self.tell_refused(cutter.take_refused()).await || !self.put(&items).await || ended {
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
        match self.commons.put_all(self.slot, self.queue.0, &items).await {
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
