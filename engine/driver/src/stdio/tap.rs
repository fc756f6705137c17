//! The engine's end of a pipe that a process writes to.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::Poll;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::over::Over;
use crate::run::Happening;
use crate::spent::{Spent, put_aside};

/// Most processes write little, and there may be many: a tap begins to read in pieces of so many bytes.
const READ_BYTES_MIN: usize = 4 * 1024;

/// One that fills its pieces gets larger ones, up to a full pipe of the kernel's default size.
const READ_BYTES_MAX: usize = 64 * 1024;

/// How long the end of a stream is waited for when the whole process tree is gone and somebody outside of it
/// still holds the other end.
const LEAK_PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// A small buffer that nobody uses just now: one is enough for all who find nothing to read.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn borrow() -> Vec<u8> {
    let mut buffer = SPARE.take();
    buffer.resize(READ_BYTES_MIN, 0);
    buffer
}

/// Reads until the end of the stream, or until nobody of the process's tree can write any more.
#[derive(Debug)]
pub struct Tap {
    pipe: Receiver,
    /// The process's tree is empty.
    over: Over,
    /// Set once the tree is known to be gone.
    last: Option<Box<Last>>,
    buffer: Vec<u8>,
    /// The turn loop.
    inbox: mpsc::Sender<Happening>,
}

/// What is still read when the tree is gone.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// So many bytes were in the pipe: what the tree wrote is among them.
    bytes: u64,
    /// Until then strangers are listened to.
    deadline: Instant,
}

impl Tap {
    /// Reads from `pipe`, or the engine's side of a terminal, which must not wait ([`pipes::to_read`](crate::pipes::to_read));
    /// a fault goes to `inbox`. Within a runtime.
    pub fn new(pipe: OwnedFd, over: Over, inbox: mpsc::Sender<Happening>) -> io::Result<Self> {
        Ok(Self {
            pipe: Receiver::from_owned_fd_unchecked(pipe)?,
            over,
            last: None,
            buffer: Vec::new(),
            inbox,
        })
    }

    /// What was written next; `None` at the end, or when the stream has been left open by strangers. An error is an end
    /// too, and a fault of the run: what was still to come is lost.
    pub async fn read(&mut self) -> Option<&[u8]> {
        loop {
            if self.is_given_up() {
                return None;
            }
            if self.buffer.is_empty() {
                self.buffer = borrow();
            }
            match self.pipe.try_read(&mut self.buffer) {
                Ok(0) => {
                    self.give_back();
                    return None;
                }
                Ok(count) => {
                    let is_full = count == self.buffer.len() && count < READ_BYTES_MAX;
                    match &mut self.last {
                        Some(last) => last.bytes = last.bytes.saturating_sub(count as u64),
                        None => self.note_end(),
                    }
                    if is_full {
                        self.buffer.resize(READ_BYTES_MAX, 0);
                    }
                    return Some(&self.buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.note_end(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A terminal ends like that.
                Err(error) if error.raw_os_error() == Some(libc::EIO) && is_terminal(&self.pipe) => return None,
                Err(error) => {
                    let reason = format!("what a process has written cannot be read: {error}").into();
                    // Nobody listens when the run is over.
                    let _ = Box::pin(self.inbox.send(Happening::Fault { reason })).await;
                    return None;
                }
            }
            self.give_back();
            self.wait().await;
        }
    }

    /// Most processes are silent most of the time, and thousands may be: waiting takes no memory for what may come.
    fn give_back(&mut self) {
        if self.buffer.len() == READ_BYTES_MIN {
            SPARE.set(std::mem::take(&mut self.buffer));
        }
    }

    /// Once the tree is gone and the stream has not ended with it: how much of what is still to come may be the tree's.
    fn note_end(&mut self) {
        if self.last.is_none() && self.over.is_so() {
            self.last = Some(Box::new(Last {
                bytes: unread_bytes(&self.pipe),
                deadline: Instant::now() + LEAK_PATIENCE,
            }));
        }
    }

    /// There is nothing more to read: it is closed when there is time.
    pub fn put_aside(self) {
        put_aside(Spent::Stream(self.pipe));
    }

    /// Whether all that the tree wrote has been read, and strangers have had their time.
    fn is_given_up(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.bytes == 0 && Instant::now() >= last.deadline)
    }

    /// Waits until there is more to read, or something else to know.
    async fn wait(&mut self) {
        // Whatever comes first, the next try to read tells what there is.
        if let Some(last) = &self.last {
            // It is rare: what it needs is not part of every stream that waits.
            let _ = Box::pin(tokio::time::timeout_at(last.deadline, self.pipe.readable())).await;
            return;
        }
        // The runtime's own futures for both would make up half of a pump.
        poll_fn(|context| match self.pipe.poll_read_ready(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.over.poll_come(context),
        })
        .await;
    }
}

fn is_terminal(pipe: &impl AsRawFd) -> bool {
    // SAFETY: isatty takes a number, of a descriptor that is open.
    unsafe { libc::isatty(pipe.as_raw_fd()) == 1 }
}

/// How many bytes are in a pipe; either end may ask. None when it cannot tell.
pub(super) fn unread_bytes(pipe: &impl AsRawFd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to where the pointer leads, and that outlives the call.
    let answered = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if answered == 0 {
        u64::try_from(count).unwrap_or(0)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;
    use crate::over::Ending;

    fn pipe() -> (OwnedFd, File) {
        let (reader, writer) = crate::pipes::to_read().expect("a pipe");
        (reader, writer.into())
    }

    #[tokio::test]
    async fn all_is_read_up_to_the_end() {
        let (reader, mut writer) = pipe();
        let (_keep, over) = Ending::new();
        let (inbox, _happenings) = mpsc::channel(1);
        let mut tap = Tap::new(reader, over, inbox).expect("a tap");
        writer.write_all(b"one").expect("written");
        assert_eq!(tap.read().await, Some(&b"one"[..]));
        writer.write_all(b"two").expect("written");
        drop(writer);
        assert_eq!(tap.read().await, Some(&b"two"[..]));
        assert_eq!(tap.read().await, None);
    }

    #[tokio::test]
    async fn strangers_that_go_on_writing_do_not_hold_up_the_end() {
        let (reader, mut writer) = pipe();
        let (ending, over) = Ending::new();
        let (inbox, _happenings) = mpsc::channel(1);
        let mut tap = Tap::new(reader, over, inbox).expect("a tap");
        let stranger = std::thread::spawn(move || while writer.write_all(b"noise").is_ok() {});
        ending.tell();
        while tap.read().await.is_some() {}
        drop(tap);
        stranger.join().expect("it saw the broken pipe");
    }

    #[tokio::test]
    async fn strangers_that_hold_the_pipe_do_not_hold_up_the_end() {
        let (reader, mut writer) = pipe();
        let (ending, over) = Ending::new();
        let (inbox, _happenings) = mpsc::channel(1);
        let mut tap = Tap::new(reader, over, inbox).expect("a tap");
        writer.write_all(b"last").expect("written");
        ending.tell();
        assert_eq!(tap.read().await, Some(&b"last"[..]));
        assert_eq!(tap.read().await, None, "though the writer is still open");
        drop(writer);
    }
}
