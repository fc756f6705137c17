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

use crate::yard::ItemId;
use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::plan::Framing;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};

use super::framing::framed;
use super::tap::unread_bytes;
use crate::run::{Happening, PumpId};

/// How many items are taken at once for the only reader of a queue.
const BATCH_ITEMS: usize = 64;

/// How often the engine looks whether the last items have been read: the kernel does not tell.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(200);

/// What a take brought.
#[derive(Debug)]
pub enum TakeAnswer {
    /// At least one item.
    Items(Vec<(ItemId, Vec<u8>)>),
    /// There will be no more.
    Closed,
}

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
    id: PumpId,
    process: ProcessId,
    queue: QueueId,
    framing: Framing,
    share: Share,
    inbox: mpsc::Sender<Happening>,
    /// Items handed to the process and not known to be read, with the bytes of the stream they fill.
    given: VecDeque<Given>,
    /// How many bytes of the stream have been written.
    written: u64,
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
}

impl Receiver {
    /// A pump that takes items for `process`, and identifies itself by `id` when it asks for them.
    #[must_use]
    pub fn new(
        id: PumpId,
        process: ProcessId,
        queue: QueueId,
        framing: Framing,
        share: Share,
        inbox: mpsc::Sender<Happening>,
    ) -> Self {
        Self {
            id,
            process,
            queue,
            framing,
            share,
            inbox,
            given: VecDeque::new(),
            written: 0,
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
            }
        }
    }

    async fn turn(&mut self, pipe: &AsyncFd<OwnedFd>, over: &mut watch::Receiver<bool>) -> Flow {
        if self.share == Share::OneByOne
            && let Flow::Over = emptied(pipe, over).await
        {
            return Flow::Over;
        }
        if !self.acknowledge(pipe.get_ref()).await {
            return Flow::Over;
        }
        let items = match self.take(pipe, over).await {
            Ok(items) => items,
            Err(flow) => return flow,
        };
        let mut bytes = Vec::new();
        for (item, payload) in items {
            let start = self.written + bytes.len() as u64;
            bytes.extend_from_slice(&framed(self.framing, &payload));
            let end = self.written + bytes.len() as u64;
            self.given.push_back(Given { item, start, end });
        }
        self.write(pipe, &bytes, over).await
    }

    /// Waits for items. A process that closes its stdin meanwhile takes nothing away from the others.
    async fn take(
        &self,
        pipe: &AsyncFd<OwnedFd>,
        over: &mut watch::Receiver<bool>,
    ) -> Result<Vec<(ItemId, Vec<u8>)>, Flow> {
        let (answer, mut answered) = oneshot::channel();
        let at_most = match self.share {
            Share::Alone => BATCH_ITEMS,
            Share::OneByOne => 1,
        };
        let take = Happening::Take {
            pump: self.id,
            process: self.process,
            queue: self.queue,
            at_most,
            answer,
        };
        if self.inbox.send(take).await.is_err() {
            return Err(Flow::Over);
        }
        tokio::select! {
            answer = &mut answered => return taken(answer.ok()),
            _ = pipe.ready(Interest::ERROR) => {}
            _ = over.wait_for(|over| *over) => {}
        }
        // What was answered in this very moment goes back; a later answer finds nobody and goes back as well.
        answered.close();
        if let Ok(TakeAnswer::Items(items)) = answered.try_recv() {
            let unread = items.into_iter().map(|(item, _)| item).collect();
            self.tell(Vec::new(), unread).await;
        }
        let _ = self.inbox.send(Happening::Withdraw { pump: self.id }).await;
        Err(Flow::Over)
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
                Err(_) => return Flow::Over,
            }
        }
        Flow::On
    }

    /// Acknowledges what has been read meanwhile; false when the run is over.
    async fn acknowledge(&mut self, pipe: &OwnedFd) -> bool {
        let read_to = self.written.saturating_sub(unread_bytes(pipe));
        let read: Vec<ItemId> = self.drain_read(|given| given.end <= read_to);
        read.is_empty() || self.tell(read, Vec::new()).await
    }

    fn drain_read(&mut self, is_read: impl Fn(&Given) -> bool) -> Vec<ItemId> {
        let count = self.given.iter().take_while(|given| is_read(given)).count();
        self.given.drain(..count).map(|given| given.item).collect()
    }

    /// The queue has ended, the process may still have some of it to read: its stdin ends behind that.
    async fn wait_until_read(mut self, pipe: OwnedFd, mut over: watch::Receiver<bool>) {
        // Opened anew for reading, the pipe can be looked at though its writing end is closed.
        let Ok(reader) = reopened(&pipe) else {
            return self.settle(&pipe).await;
        };
        drop(pipe);
        let reader = OwnedFd::from(reader);
        let mut pause = LOOK_FIRST;
        while unread_bytes(&reader) > 0 {
            let waited = tokio::time::timeout(pause, over.wait_for(|over| *over)).await;
            if waited.is_ok() || !self.acknowledge(&reader).await {
                break;
            }
            pause = LOOK_LAST.min(pause * 2);
        }
        self.settle(&reader).await;
    }

    /// The end: an item of which nothing was read, or of which the process could not see the end, goes back.
    async fn settle(&mut self, pipe: &OwnedFd) {
        let read_to = self.written.saturating_sub(unread_bytes(pipe));
        let written = self.written;
        let read = self.drain_read(|given| given.start < read_to && given.end <= written);
        let unread = self.given.drain(..).map(|given| given.item).collect();
        self.tell(read, unread).await;
    }

    async fn tell(&self, read: Vec<ItemId>, unread: Vec<ItemId>) -> bool {
        let settled = Happening::Settled {
            process: self.process,
            queue: self.queue,
            read,
            unread,
        };
        self.inbox.send(settled).await.is_ok()
    }
}

fn taken(answer: Option<TakeAnswer>) -> Result<Vec<(ItemId, Vec<u8>)>, Flow> {
    match answer {
        Some(TakeAnswer::Items(items)) => Ok(items),
        Some(TakeAnswer::Closed) => Err(Flow::Closed),
        None => Err(Flow::Over),
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
