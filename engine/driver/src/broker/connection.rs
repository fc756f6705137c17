//! Connections: accepted, read and written by tasks of their own, and what the broker knows of each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forkyard_ipc::wire::{Answer, Ask, Decoder, OVERHEAD_BYTES_MAX};
use forkyard_ipc::yard::{ItemId, Slot, Ticket};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{ANSWERS_MAX, Asked, CONNECTIONS_MAX, ConnectionId, FromClient, What};
use crate::alarm::Alarm;

/// A connection begins to read in chunks of so many bytes: most clients say little, and there may be many.
const CHUNK_BYTES_MIN: usize = 4 * 1024;

/// A connection that fills its chunks gets larger ones, up to this.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Answers are joined into one write up to about this.
const WRITE_BYTES: usize = 64 * 1024;

/// How long accepting pauses when the engine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the broker knows of a connection. Dropped, the connection is closed at once, but for one
/// that was told to [`Connection::end`].
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) answers: mpsc::Sender<Outgoing>,
    pub(super) speaker: Speaker,
    /// Its requests that wait in the yard, by their number.
    pub(super) parked: BTreeMap<u64, Ticket>,
    /// What it has taken and not acknowledged, by queue.
    pub(super) items: BTreeSet<(u32, ItemId)>,
    /// How long a payload its frames may have.
    limit: Arc<AtomicUsize>,
    cut: Option<oneshot::Sender<Cut>>,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The number of the request.
    pub(super) request: u64,
    pub(super) answer: Answer,
    /// What travels with it: a channel's file and its bell.
    pub(super) descriptors: Option<[OwnedFd; 2]>,
}

/// For whom a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// It has not said yet.
    Unknown,
    /// No process of the run.
    Nobody,
    /// A process.
    Process(Slot),
}

/// How a connection is closed by the broker. That its sender is dropped means at once.
#[derive(Debug)]
pub(super) enum Cut {
    /// When what was answered is written.
    AfterAnswers,
}

impl Speaker {
    pub(super) const fn slot(self) -> Option<Slot> {
        match self {
            Self::Unknown | Self::Nobody => None,
            Self::Process(slot) => Some(slot),
        }
    }
}

impl Connection {
    pub(super) fn speaks_for(&self, slot: Slot) -> bool {
        self.speaker == Speaker::Process(slot)
    }

    /// Lets its items be as long as the largest it may put.
    pub(super) fn allow(&self, item_bytes: u64) {
        let item_bytes = usize::try_from(item_bytes).unwrap_or(usize::MAX);
        self.limit
            .store(item_bytes.saturating_add(OVERHEAD_BYTES_MAX), Ordering::Relaxed);
    }

    /// What has been answered is still written, then the connection is closed.
    pub(super) fn end(&mut self) {
        if let Some(cut) = self.cut.take() {
            // A connection whose task has ended needs no telling.
            let _told = cut.send(Cut::AfterAnswers);
        }
    }
}

/// Accepts connections for as long as it is let.
pub(super) async fn accept(listener: UnixListener, inbox: mpsc::Sender<FromClient>, alarm: Alarm) {
    let _cord = alarm.cord();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    for id in (0..).map(ConnectionId) {
        let stream = accept_one(&listener).await;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        if !is_own(&stream) {
            continue;
        }
        let (inbox, cord) = (inbox.clone(), alarm.cord());
        tokio::spawn(async move {
            let _cord = cord;
            serve(id, stream, inbox).await;
            drop(permit);
        });
    }
}

async fn accept_one(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a client cannot be accepted now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The folder keeps other users out already; this holds even where its mode was changed.
fn is_own(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

async fn serve(id: ConnectionId, stream: UnixStream, inbox: mpsc::Sender<FromClient>) {
    let (reading, writing) = stream.into_split();
    let (answers, to_write) = mpsc::channel(ANSWERS_MAX);
    let (cut, was_cut) = oneshot::channel();
    let limit = Arc::new(AtomicUsize::new(OVERHEAD_BYTES_MAX));
    let opened = Connection {
        answers,
        speaker: Speaker::Unknown,
        parked: BTreeMap::new(),
        items: BTreeSet::new(),
        limit: Arc::clone(&limit),
        cut: Some(cut),
    };
    let tell = |what| FromClient { connection: id, what };
    if inbox.send(tell(What::Opened(opened))).await.is_err() {
        return;
    }
    let mut writer = std::pin::pin!(write(writing, to_write));
    tokio::select! {
        () = read(id, reading, &limit, &inbox) => {}
        () = &mut writer => {}
        cut = was_cut => match cut {
            Ok(Cut::AfterAnswers) => writer.await,
            Err(_dropped) => {}
        }
    }
    // When the turn loop has gone there is nobody to tell.
    let _told = inbox.send(tell(What::Closed)).await;
}

/// Reads frames until the client closes, or sends what is none; then it waits to be closed.
async fn read(id: ConnectionId, mut stream: OwnedReadHalf, limit: &AtomicUsize, inbox: &mpsc::Sender<FromClient>) {
    let mut decoder = Decoder::new(OVERHEAD_BYTES_MAX);
    let mut chunk = vec![0; CHUNK_BYTES_MIN];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        decoder.feed(&chunk[..length]);
        decoder.set_limit(limit.load(Ordering::Relaxed));
        while let Some(what) = next(&mut decoder) {
            let is_last = matches!(what, What::Malformed { .. });
            // When the turn loop has gone the connection goes with it.
            let _told = inbox.send(FromClient { connection: id, what }).await;
            if is_last {
                return std::future::pending().await;
            }
        }
        if length == chunk.len() && length < CHUNK_BYTES_MAX {
            chunk.resize(length * 4, 0);
        }
    }
}

/// The next request that is there whole.
fn next(decoder: &mut Decoder) -> Option<What> {
    let malformed = |request| move |error| What::Malformed { request, error };
    let frame = match decoder.next_frame() {
        Ok(frame) => frame?,
        Err(error) => return Some(malformed(0)(error)),
    };
    let (request, cut) = (frame.request, frame.cut);
    let asked = Ask::decode(&frame).map(|ask| What::Asked(Asked { request, ask, cut }));
    Some(asked.unwrap_or_else(malformed(request)))
}

/// Writes answers until there will be no more, or the client reads none.
pub(super) async fn write(mut stream: OwnedWriteHalf, mut answers: mpsc::Receiver<Outgoing>) {
    while let Some(first) = answers.recv().await {
        let mut bytes = Vec::new();
        let mut next = Some(first);
        while let Some(outgoing) = next {
            let Ok(frame) = outgoing.answer.encode(outgoing.request) else {
                return;
            };
            if let Some(descriptors) = outgoing.descriptors {
                if stream.write_all(&bytes).await.is_err() || hand_out(&mut stream, &frame, &descriptors).await.is_err()
                {
                    return;
                }
                bytes.clear();
            } else if bytes.is_empty() {
                bytes = frame;
            } else {
                bytes.extend(frame);
            }
            next = if bytes.len() < WRITE_BYTES {
                answers.try_recv().ok()
            } else {
                None
            };
        }
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Writes a frame with descriptors at its first byte.
async fn hand_out(stream: &mut OwnedWriteHalf, frame: &[u8], descriptors: &[OwnedFd; 2]) -> io::Result<()> {
    let numbers = descriptors.each_ref().map(AsRawFd::as_raw_fd);
    let socket: &UnixStream = stream.as_ref();
    let once = || {
        let parts = [IoSlice::new(frame)];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<()>(socket.as_raw_fd(), &parts, &rights, flags, None).map_err(io::Error::from)
    };
    let sent = socket.async_io(Interest::WRITABLE, once).await?;
    stream.write_all(&frame[sent..]).await
}
