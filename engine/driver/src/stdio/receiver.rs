//! From a queue to a process's stdin, item by item.
//!
//! An item is acknowledged once the process has read it out of the kernel's pipe. What it has not touched when it
//! ends goes back to where it was in the queue.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::plan::Framing;
use memchr::{memchr, memchr_iter, memrchr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::framing::frame;
use super::tap::unread_bytes;
use crate::over::Over;
use crate::run::{Happening, Read, is_transient};
use crate::yard::{Commons, Handful, ItemId, Part, Piece, Reply, Slot};

/// How much is taken at once for the only reader of a queue, and what goes over it: as many bytes as a pipe mostly holds, since what does
/// not fit there is taken from the queue and serves nobody yet. The items are as many as have so many bytes, but for empty ones.
const BATCH: Handful = Handful {
    items: 32 * 1024,
    bytes: 64 * 1024,
};

/// The capacity of the pipe to such a reader, in bytes: it reads one handful while the next one is written whole. With the usual capacity, which
/// is a handful's, a few bytes were left over mostly, and were waited for once more.
const PIPE_BYTES: i32 = 128 * 1024;

/// The same for one of several.
const ONE: Handful = Handful {
    items: 1,
    bytes: usize::MAX,
};

/// So many sheets at most are kept: what is in the pipe, and what is about to be written, are rarely on more.
const SPARE_SHEETS: usize = 3;

/// How often the engine looks whether items have been read that no others follow: the kernel does not tell.
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

impl Share {
    /// That of one of so many receivers.
    #[must_use]
    pub const fn among(receivers: usize) -> Self {
        if receivers > 1 { Self::OneByOne } else { Self::Alone }
    }
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
    /// What has been written and is not known to be read, and where in the stream it begins.
    sheets: VecDeque<(u64, Vec<u8>)>,
    /// Sheets that were used, to be used again: the system is not asked for as much memory for each.
    spare: Vec<Vec<u8>>,
}

/// An item, or what is left of a sheaf.
#[derive(Debug)]
struct Given {
    item: ItemId,
    start: u64,
    end: u64,
    sheaf: Option<Bundle>,
}

/// Of a sheaf: how many items of it are not known to be read, and the byte behind each.
#[derive(Clone, Copy, Debug)]
struct Bundle {
    items: u32,
    delimiter: u8,
}

/// What has been read.
#[derive(Debug, Default)]
struct Done {
    items: Vec<ItemId>,
    parts: Vec<Part>,
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
            sheets: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Pumps until the queue or the process has ended; then says what was read and what was not.
    pub async fn pump(mut self, pipe: OwnedFd, over: Over) {
        let pipe = match watched(pipe, self.share) {
            Ok(pipe) => pipe,
            Err(error) => {
                let reason = format!("a process's stdin cannot be watched: {error}").into();
                // Nobody listens when the run is over.
                let _ = self.inbox.send(Happening::Fault { reason }).await;
                return;
            }
        };
        loop {
            match self.turn(&pipe, &over).await {
                Flow::On => {}
                Flow::Closed => return self.wait_until_read(pipe.into_inner(), over).await,
                Flow::Over => return self.settle(pipe.get_ref()).await,
                Flow::Cut => {
                    let cut = Happening::Cut { process: self.process };
                    // Nobody listens when the run is over.
                    let _ = self.inbox.send(cut).await;
                    over.come().await;
                    return self.settle(pipe.get_ref()).await;
                }
            }
        }
    }

    async fn turn(&mut self, pipe: &AsyncFd<OwnedFd>, over: &Over) -> Flow {
        if self.share == Share::OneByOne
            && let Flow::Over = emptied(pipe, over).await
        {
            return Flow::Over;
        }
        self.acknowledge(pipe.get_ref());
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        let start = self.written;
        let flow = match self.take(pipe, over, &mut bytes).await {
            Flow::On => self.write(pipe, &bytes, over).await,
            Flow::Closed => Flow::Closed,
            Flow::Over => Flow::Over,
            Flow::Cut => Flow::Cut,
        };
        self.sheets.push_back((start, bytes));
        flow
    }

    /// Waits for items. A process that closes its stdin meanwhile takes nothing away from the others.
    async fn take(&mut self, pipe: &AsyncFd<OwnedFd>, over: &Over, bytes: &mut Vec<u8>) -> Flow {
        let handful = match self.share {
            Share::Alone => BATCH,
            Share::OneByOne => ONE,
        };
        let (written, framing, mut fresh) = (self.written, self.framing, VecDeque::new());
        let each = |piece: Piece<'_>| {
            let start = written + bytes.len() as u64;
            let (item, sheaf) = match piece {
                Piece::Item(item, payload) => {
                    frame(framing, payload, bytes);
                    (item, None)
                }
                Piece::Sheaf(sheaf, payload) => {
                    bytes.extend_from_slice(payload);
                    let (items, delimiter) = (sheaf.items, sheaf.delimiter);
                    (sheaf.item, Some(Bundle { items, delimiter }))
                }
            };
            let end = written + bytes.len() as u64;
            fresh.push_back(Given {
                item,
                start,
                end,
                sheaf,
            });
        };
        let commons = self.commons.clone();
        let taken = tokio::select! {
            biased;
            _ = pipe.ready(Interest::ERROR) => return Flow::Over,
            () = over.come() => return Flow::Over,
            taken = commons.take_some(self.slot(), self.queue.0, handful, each) => taken,
            never = self.acknowledge_now_and_then(pipe.get_ref()) => match never {},
        };
        self.given.append(&mut fresh);
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

    /// While nothing comes: senders may be waiting until what the process has read is acknowledged, if it has made its pipe so long that more
    /// items stand there than a queue gives out.
    async fn acknowledge_now_and_then(&mut self, pipe: &OwnedFd) -> Infallible {
        let mut pause = LOOK_FIRST;
        while !self.given.is_empty() {
            // It is rare: what it needs is not part of every pump that waits.
            Box::pin(tokio::time::sleep(pause)).await;
            self.acknowledge(pipe);
            pause = LOOK_LAST.min(pause * 2);
        }
        std::future::pending().await
    }

    fn slot(&self) -> Slot {
        Slot(self.process.0)
    }

    async fn write(&mut self, pipe: &AsyncFd<OwnedFd>, mut bytes: &[u8], over: &Over) -> Flow {
        while !bytes.is_empty() {
            let write = pipe.async_io(Interest::WRITABLE, |pipe| Ok(nix::unistd::write(pipe, bytes)?));
            let count = tokio::select! {
                count = write => count,
                () = over.come() => return Flow::Over,
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
        let read = self.drain_read(read_to, read_to);
        self.tell(&read, &[]);
        self.forget_sheets();
    }

    /// Of the items that begin before `touched`, those that end by `whole`.
    fn drain_read(&mut self, touched: u64, whole: u64) -> Done {
        let mut done = Done::default();
        while let Some(given) = self.given.front_mut()
            && given.start < touched
        {
            match &mut given.sheaf {
                None if given.end <= whole => done.items.push(given.item),
                None => break,
                Some(bundle) => {
                    let sheet = sheet_of(&self.sheets, given.start, given.end);
                    let (items, bytes) = bundle.read(sheet, touched - given.start, whole.saturating_sub(given.start));
                    if items > 0 {
                        let item = given.item;
                        done.parts.push(Part { item, items, bytes });
                    }
                    bundle.items -= items;
                    given.start += bytes;
                    if bundle.items > 0 {
                        break;
                    }
                }
            }
            self.given.pop_front();
        }
        done
    }

    /// Nothing is looked for any more in what has been read.
    fn forget_sheets(&mut self) {
        let needed = self.given.front().map_or(self.written, |given| given.start);
        while let Some((start, sheet)) = self.sheets.front()
            && start + sheet.len() as u64 <= needed
        {
            let sheet = self.sheets.pop_front().map(|(_, sheet)| sheet).unwrap_or_default();
            // A huge item is no reason to keep as much for ever.
            if sheet.capacity() <= 4 * BATCH.bytes && self.spare.len() < SPARE_SHEETS {
                self.spare.push(sheet);
            }
        }
    }

    /// The queue has ended, the process may still have some of it to read: its stdin ends behind that.
    async fn wait_until_read(mut self, pipe: OwnedFd, over: Over) {
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
            if let Ok(_over) = tokio::time::timeout(LOOK_LAST, over.come()).await {
                return self.settle(&pipe).await;
            }
        };
        drop(pipe);
        let mut pause = LOOK_FIRST;
        while unread_bytes(&reader) > 0 {
            let waited = tokio::time::timeout(pause, over.come()).await;
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
        let read = self.drain_read(read_to, written);
        let unread: Vec<Given> = self.given.drain(..).collect();
        self.tell(&read, &unread);
        self.read.bytes = read_to;
        let (process, queue, read) = (self.process, self.queue, self.read);
        // Nobody listens when the run is over.
        let _ = self.inbox.send(Happening::Read { process, queue, read }).await;
    }

    fn tell(&mut self, read: &Done, unread: &[Given]) {
        let in_parts: u64 = read.parts.iter().map(|part| u64::from(part.items)).sum();
        self.read.items += read.items.len() as u64 + in_parts;
        self.read.returned += unread.iter().map(Given::items).sum::<u64>();
        let (slot, queue) = (self.slot(), self.queue.0);
        let unread: Vec<ItemId> = unread.iter().map(|given| given.item).collect();
        let acked = self.commons.ack_parts(slot, queue, &read.parts);
        let settled = self.commons.settle(slot, queue, &read.items, &unread);
        if acked.and(settled).is_err() {
            tracing::error!("an item of a queue was acknowledged, or given back, that was not taken");
        }
    }
}

impl Given {
    /// How many items there are.
    fn items(&self) -> u64 {
        self.sheaf.map_or(1, |bundle| bundle.items.into())
    }
}

impl Bundle {
    /// How many of the items of `sheet` begin before `touched` and end by `whole`, and how many bytes these have.
    fn read(self, sheet: &[u8], touched: u64, whole: u64) -> (u32, u64) {
        let within = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX).min(sheet.len());
        let (touched, whole) = (within(touched), within(whole));
        if touched == sheet.len() && whole == sheet.len() {
            return (self.items, sheet.len() as u64);
        }
        let surely = touched.min(whole);
        let mut end = memrchr(self.delimiter, &sheet[..surely]).map_or(0, |last| last + 1);
        let mut items = memchr_iter(self.delimiter, &sheet[..end]).count();
        // The one of which only a piece has been read.
        if end < touched
            && let Some(last) = memchr(self.delimiter, &sheet[end..whole])
        {
            end += last + 1;
            items += 1;
        }
        // There are no more items than were taken, whatever their bytes say.
        (u32::try_from(items).unwrap_or(u32::MAX).min(self.items), end as u64)
    }
}

/// What was written from `start` to `end` of the stream, which is all in one sheet.
fn sheet_of(sheets: &VecDeque<(u64, Vec<u8>)>, start: u64, end: u64) -> &[u8] {
    let inside = |(first, sheet): &(u64, Vec<u8>)| {
        let from = usize::try_from(start.checked_sub(*first)?).ok()?;
        let to = usize::try_from(end - *first).ok()?;
        (from <= to && to <= sheet.len()).then_some((from, to))
    };
    sheets
        .iter()
        .find_map(|sheet| inside(sheet).map(|(from, to)| &sheet.1[from..to]))
        .unwrap_or_default()
}

/// Waits until the process has read everything. A pipe of one page becomes writable just then.
async fn emptied(pipe: &AsyncFd<OwnedFd>, over: &Over) -> Flow {
    let empty = pipe.async_io(Interest::WRITABLE, |pipe| match unread_bytes(pipe) {
        0 => Ok(()),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    });
    // The closed end is looked for first: a pipe nobody reads counts as writable for ever, empty or not.
    tokio::select! {
        biased;
        _ = pipe.ready(Interest::ERROR) => Flow::Over,
        () = over.come() => Flow::Over,
        empty = empty => if empty.is_ok() { Flow::On } else { Flow::Over },
    }
}

fn watched(pipe: OwnedFd, share: Share) -> io::Result<AsyncFd<OwnedFd>> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if share == Share::Alone {
        // A user may have so many pipes that this one cannot be longer; it is as good as others then.
        let _ = fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sheaf_that_is_read_which_was_begun_and_was_there_whole() {
        let bundle = Bundle {
            items: 3,
            delimiter: b'\n',
        };
        let read = |touched, whole| bundle.read(b"ab\n\ncd\n", touched, whole);
        for (to, items, bytes) in [
            (0, 0, 0),
            (2, 0, 0),
            (3, 1, 3),
            (4, 2, 4),
            (6, 2, 4),
            (7, 3, 7),
            (9, 3, 7),
        ] {
            assert_eq!(read(to, to), (items, bytes), "all of the first {to} bytes");
        }
        assert_eq!(read(0, 7), (0, 0), "nothing");
        assert_eq!(read(1, 7), (1, 3), "a piece of the first");
        assert_eq!(read(3, 7), (1, 3), "the first");
        assert_eq!(read(5, 7), (3, 7), "a piece of the last");
        assert_eq!(
            read(5, 6),
            (2, 4),
            "a piece of the last, which was not written to its end"
        );
    }
}
