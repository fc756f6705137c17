//! From a process's output into a queue, item by item.

use forkyard_core::id::{ProcessId, QueueId};
use tokio::sync::{mpsc, oneshot};

use super::framing::Cutter;
use super::tap::Tap;
use crate::run::Happening;

/// Whether the queue takes further items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutAnswer {
    /// All are put.
    Done,
    /// Nobody will ever take them.
    Broken,
}

/// Pumps until the end of the stream; while the queue is full nothing is read, so that the process waits. When
/// the queue is broken, the pipe is closed, and the process learns it by SIGPIPE or EPIPE.
pub async fn pump(
    mut tap: Tap,
    mut cutter: Cutter,
    process: ProcessId,
    queue: QueueId,
    inbox: mpsc::Sender<Happening>,
) {
    let mut items = Vec::new();
    loop {
        let bytes = tap.read().await;
        let ended = bytes.is_none();
        match bytes {
            Some(bytes) => cutter.feed(bytes, &mut items),
            None => cutter.finish(&mut items),
        }
        let refused = cutter.take_refused();
        if refused > 0
            && inbox
                .send(Happening::Oversized {
                    process,
                    queue,
                    refused,
                })
                .await
                .is_err()
        {
            return;
        }
        if !items.is_empty() && !put(&inbox, queue, std::mem::take(&mut items)).await || ended {
            return;
        }
    }
}

/// Puts items in order; false when the queue is broken or the run over.
async fn put(inbox: &mpsc::Sender<Happening>, queue: QueueId, items: Vec<Vec<u8>>) -> bool {
    let (answer, answered) = oneshot::channel();
    let put = Happening::Put { queue, items, answer };
    inbox.send(put).await.is_ok() && matches!(answered.await, Ok(PutAnswer::Done))
}
