//! The streams of a pool's workers: results, and the tasks of persistent workers.

use std::io;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::AHEAD_MAX;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::sync::mpsc;

use super::framing::Cutter;
use super::output::Output;
use super::tap::Tap;
use crate::run::Happening;

/// Collects all that a worker of kind `task` writes: one result. More than `item_bytes_max` is too much for
/// whoever gets it; one byte more is kept, so that the queue refuses and counts it.
pub async fn collect(mut tap: Tap, process: ProcessId, item_bytes_max: u64, inbox: mpsc::Sender<Happening>) {
    let kept_max = usize::try_from(item_bytes_max).unwrap_or(usize::MAX).saturating_add(2);
    let mut result = Vec::new();
    while let Some(bytes) = tap.read().await {
        let room = kept_max - result.len();
        result.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    if result.last() == Some(&b'\n') {
        result.pop();
    }
    // The engine has ended when it does not listen any more; nobody needs the result then.
    let _ = inbox.send(Happening::Result { process, result }).await;
}

/// Passes on each line that a persistent worker writes: the answer to its task. A last line without its newline is
/// none: the worker died while it wrote it. What is logged too goes to `output`.
pub async fn answers(
    mut tap: Tap,
    mut cutter: Cutter,
    mut output: Option<Output>,
    process: ProcessId,
    attempt: u32,
    inbox: mpsc::Sender<Happening>,
) {
    let mut lines = Vec::new();
    while let Some(bytes) = tap.read().await {
        cutter.feed(bytes, |line| lines.push(line.to_vec()));
        if let Some(output) = &mut output {
            output.take(bytes).await;
        }
        // An answer that is too large is still an answer: without it the task would wait for ever.
        let oversized = (0..cutter.take_refused()).map(|_| None);
        let lines: Vec<_> = lines.drain(..).map(Some).chain(oversized).collect();
        if lines.is_empty() {
            continue;
        }
        let answers = Happening::Answers {
            process,
            attempt,
            lines,
        };
        if inbox.send(answers).await.is_err() {
            return;
        }
    }
    if let Some(output) = &mut output {
        output.finish().await;
    }
}

/// Writes tasks, framed already, to a persistent worker, until there are no more. A worker that has closed its
/// stdin is noticed by its exit, or by its `timeout`.
pub async fn feed(mut pipe: Sender, mut tasks: mpsc::Receiver<Vec<u8>>) {
    let mut batch = Vec::new();
    while tasks.recv_many(&mut batch, AHEAD_MAX).await > 0 {
        let bytes = batch.concat();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match pipe.write(rest).await {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        batch.clear();
    }
}
