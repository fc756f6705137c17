//! From a queue to a process's stdin, item by item.
//!
//! An item is acknowledged once the process has read it out of the kernel's pipe. What it has not touched when it
//! ends goes back to where it was in the queue.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::plan::Framing;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::framing::frame;
use super::tap::unread_bytes;
use crate::run::{Happening, Read, is_transient};
use crate::yard::{Commons, Handful, ItemId, Reply, Slot};

/// How much is taken at once for the only reader of a queue, and what goes over it: a batch of the largest items would be a
/// gigabyte.
const BATCH: Handful = Handful {
    items: 8192,
    bytes: 256 * 1024,
};

/// The same for one of several.
const ONE: Handful = Handful {
    items: 1,
    bytes: usize::MAX,
};

/// How often the engine looks whether the last items have been read: the kernel does not tell.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(200);

/// How long a descriptor is waited for: as long as for one to start a process with.
const REOPEN_PATIENCE: Duration = Duration::from_secs(10);

/// How items are handed to one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nobody else reads from the queue: the pipe is kept full.
    Alone,
    /// Others do: an item is taken only when the process has read what it had.
    OneByOne,
}

/// A pump from a queue to a process.
#[derive(Debug)]
pub struct Receiver {
    process: ProcessId,
    queue: QueueId,
    framing: Framing,
    share: Share,
    commons: Commons,
    inbox: mpsc::Sender<Happening>,
    /// Items handed to the process and not known to be read, with the bytes of the stream they fill.
    given: VecDeque<Given>,
    /// How many bytes of the stream have been written.
    written: u64,
    /// What is known to have been read, and what went back.
    read: Read,
    /// What is written next, kept to be used again.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Given {
    item: ItemId,
    start: u64,
    end: u64,
}

/// How a write or a take ended.
enum Flow {
    On,
    /// The queue has no more.
    Closed,
    /// The process reads no more.
    Over,
    /// What the queue still has cannot be had.
    Cut,
}

impl Receiver {
    /// A pump that takes items for `process`: they are its own until it is known to have read them.
    #[must_use]
    pub fn new(
        process: ProcessId,
        queue: QueueId,
        framing: Framing,
        share: Share,
        commons: Commons,
        inbox: mpsc::Sender<Happening>,
    ) -> Self {
        Self {
            process,
            queue,
            framing,
            share,
            commons,
            inbox,
            given: VecDeque::new(),
            written: 0,
            read: Read::default(),
            buffer: Vec::new(),
        }
    }

    /// Pumps until the queue or the process has ended; then says what was read and what was not.
    pub async fn pump(mut self, pipe: OwnedFd, tree_gone: watch::Receiver<bool>) {
        let pipe = match watched(pipe) {
            Ok(pipe) => pipe,
            Err(error) => {
                let reason = format!("a process's stdin cannot be watched: {error}").into();
                // Nobody listens when the run is over.
                let _ = self.inbox.send(Happening::Fault { reason }).await;
                return;
            }
        };
        let mut over = tree_gone.clone();
        loop {
            match self.turn(&pipe, &mut over).await {
                Flow::On => {}
                Flow::Closed => return self.wait_until_read(pipe.into_inner(), over).await,
                Flow::Over => return self.settle(pipe.get_ref()).await,
                Flow::Cut => {
                    let cut = Happening::Cut { process: self.process };
                    // Nobody listens when the run is over.
                    let _ = self.inbox.send(cut).await;
                    let _ = over.wait_for(|over| *over).await;
                    return self.settle(pipe.get_ref()).await;
                }
            }
        }
    }

    async fn turn(&mut self, pipe: &AsyncFd<OwnedFd>, over: &mut watch::Receiver<bool>) -> Flow {
        if self.share == Share::OneByOne
            && let Flow::Over = emptied(pipe, over).await
        {
            return Flow::Over;
        }
        self.acknowledge(pipe.get_ref());
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let flow = match self.take(pipe, over, &mut bytes).await {
            Flow::On => self.write(pipe, &bytes, over).await,
            Flow::Closed => Flow::Closed,
            Flow::Over => Flow::Over,
            Flow::Cut => Flow::Cut,
        };
        // A huge item is no reason to keep as much for ever.
        if bytes.capacity() <= 2 * BATCH.bytes {
            self.buffer = bytes;
        }
        flow
    }

    /// Waits for items. A process that closes its stdin meanwhile takes nothing away from the others.
    async fn take(&mut self, pipe: &AsyncFd<OwnedFd>, over: &mut watch::Receiver<bool>, bytes: &mut Vec<u8>) -> Flow {
        let handful = match self.share {
            Share::Alone => BATCH,
            Share::OneByOne => ONE,
        };
        let (slot, written, framing, given) = (self.slot(), self.written, self.framing, &mut self.given);
        let each = |item, payload: &[u8]| {
            let start = written + bytes.len() as u64;
            frame(framing, payload, bytes);
            let end = written + bytes.len() as u64;
            given.push_back(Given { item, start, end });
        };
        let taken = tokio::select! {
            biased;
            _ = pipe.ready(Interest::ERROR) => return Flow::Over,
            _ = over.wait_for(|over| *over) => return Flow::Over,
            taken = self.commons.take_some(slot, self.queue.0, handful, each) => taken,
        };
        match taken {
            Ok(()) => Flow::On,
            Err(Reply::Failed(_)) => Flow::Cut,
            Err(
                Reply::Closed
                | Reply::Broken
                | Reply::Done
                | Reply::Item { .. }
                | Reply::Granted { .. }
                | Reply::WouldBlock
                | Reply::TooLarge { .. }
                | Reply::TooMany { .. },
            ) => Flow::Closed,
        }
    }

    fn slot(&self) -> Slot {
        Slot(self.process.0)
    }

    async fn write(&mut self, pipe: &AsyncFd<OwnedFd>, mut bytes: &[u8], over: &mut watch::Receiver<bool>) -> Flow {
        while !bytes.is_empty() {
            let write = pipe.async_io(Interest::WRITABLE, |pipe| Ok(nix::unistd::write(pipe, bytes)?));
            let count = tokio::select! {
                count = write => count,
                _ = over.wait_for(|over| *over) => return Flow::Over,
            };
            match count {
                Ok(count) => {
                    self.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Flow::Over,
                Err(error) => {
                    self.fault(&error).await;
                    return Flow::Cut;
                }
            }
        }
        Flow::On
    }

    /// The process is not to take it for the end of the queue.
    async fn fault(&self, error: &io::Error) {
        let reason = format!("what a process reads from a queue cannot be written: {error}").into();
        // Nobody listens when the run is over.
        let _ = self.inbox.send(Happening::Fault { reason }).await;
    }

    /// Acknowledges what has been read meanwhile.
    fn acknowledge(&mut self, pipe: &OwnedFd) {
        let read_to = self.written.saturating_sub(unread_bytes(pipe));
        let read = self.drain_read(|given| given.end <= read_to);
        self.tell(&read, &[]);
    }

    fn drain_read(&mut self, is_read: impl Fn(&Given) -> bool) -> Vec<ItemId> {
        let count = self.given.iter().take_while(|given| is_read(given)).count();
        self.given.drain(..count).map(|given| given.item).collect()
    }

    /// The queue has ended, the process may still have some of it to read: its stdin ends behind that.
    async fn wait_until_read(mut self, pipe: OwnedFd, mut over: watch::Receiver<bool>) {
        // Opened anew for reading, the pipe can be looked at though its writing end is closed. As long as there is no
        // descriptor for that, it stays open.
        let begun = Instant::now();
        let reader = loop {
            match reopened(&pipe) {
                Ok(reader) => break OwnedFd::from(reader),
                Err(error) if is_transient(&error) && begun.elapsed() < REOPEN_PATIENCE => {}
                Err(error) => {
                    self.fault(&error).await;
                    return self.settle(&pipe).await;
                }
            }
            if let Ok(_over) = tokio::time::timeout(LOOK_LAST, over.wait_for(|over| *over)).await {
                return self.settle(&pipe).await;
            }
        };
        drop(pipe);
        let mut pause = LOOK_FIRST;
        while unread_bytes(&reader) > 0 {
            let waited = tokio::time::timeout(pause, over.wait_for(|over| *over)).await;
            self.acknowledge(&reader);
            if waited.is_ok() {
                break;
            }
            pause = LOOK_LAST.min(pause * 2);
        }
        self.settle(&reader).await;
    }

    /// The end: an item of which nothing was read, or of which the process could not see the end, goes back.
    async fn settle(mut self, pipe: &OwnedFd) {
        let read_to = self.written.saturating_sub(unread_bytes(pipe));
        let written = self.written;
        let read = self.drain_read(|given| given.start < read_to && given.end <= written);
        let unread: Vec<ItemId> = self.given.drain(..).map(|given| given.item).collect();
        self.tell(&read, &unread);
        self.read.bytes = read_to;
        let (process, queue, read) = (self.process, self.queue, self.read);
        // Nobody listens when the run is over.
        let _ = self.inbox.send(Happening::Read { process, queue, read }).await;
    }

    fn tell(&mut self, read: &[ItemId], unread: &[ItemId]) {
        self.read.items += read.len() as u64;
        self.read.returned += unread.len() as u64;
        if self.commons.settle(self.slot(), self.queue.0, read, unread).is_err() {
            tracing::error!("an item of a queue was acknowledged, or given back, that was not taken");
        }
    }
}

/// Waits until the process has read everything. A pipe of one page becomes writable just then.
async fn emptied(pipe: &AsyncFd<OwnedFd>, over: &mut watch::Receiver<bool>) -> Flow {
    let empty = pipe.async_io(Interest::WRITABLE, |pipe| match unread_bytes(pipe) {
        0 => Ok(()),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    });
    // The closed end is looked for first: a pipe nobody reads counts as writable for ever, empty or not.
    tokio::select! {
        biased;
        _ = pipe.ready(Interest::ERROR) => Flow::Over,
        _ = over.wait_for(|over| *over) => Flow::Over,
        empty = empty => if empty.is_ok() { Flow::On } else { Flow::Over },
    }
}

fn watched(pipe: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // SAFETY: an `OwnedFd` stays open, and the same, until the `AsyncFd` that owns it now is dropped.
    let pipe = unsafe { AsyncFd::register_with_interest(pipe, Interest::WRITABLE | Interest::ERROR) }?;
    Ok(pipe)
}

fn reopened(pipe: &OwnedFd) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
}
