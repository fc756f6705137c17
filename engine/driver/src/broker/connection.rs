//! Connections: accepted, read and written by tasks of their own, and what the broker knows of each.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::yard::{Held, ItemId, Slot, Ticket};
use forkyard_ipc::wire::{Answer, Ask, Decoder, OVERHEAD_BYTES_MAX};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::delivery::Delivered;
use super::http;
use super::{ANSWERS_MAX, Asked, CONNECTIONS_MAX, ConnectionId, FromClient, What};
use crate::alarm::Alarm;

/// A connection begins to read in chunks of so many bytes: most clients say little, and there may be many.
const CHUNK_BYTES_MIN: usize = 4 * 1024;

/// A connection that fills its chunks gets larger ones, up to this.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Answers are joined into one write up to about this.
const WRITE_BYTES: usize = 64 * 1024;

/// How long a client may take for its first bytes.
const BEGIN_TIME: Duration = Duration::from_secs(30);

/// How long accepting pauses when the engine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long it is tried again, as a start of a process is: about ten seconds.
const ACCEPTS_MAX: u32 = 200;

/// What has been taken and not acknowledged, by queue and number.
pub(super) type Items = BTreeMap<(u32, u64), ItemId>;

/// What the broker knows of a connection. Dropped, the connection is closed at once, but for one
/// that was told to [`Connection::end`].
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) answers: mpsc::Sender<Outgoing>,
    pub(super) speaker: Speaker,
    /// Its requests that wait in the yard, by their number.
    pub(super) parked: BTreeMap<u64, Ticket>,
    pub(super) items: Items,
    /// What it was granted over HTTP, until that has reached the client.
    pub(super) grants: Vec<(Held, u32)>,
    /// How long a payload its frames may have.
    limit: Arc<AtomicUsize>,
    manner: Manner,
    /// The pid of the process that has connected, as far as it can be known.
    pub(super) peer: Option<i32>,
    cut: Option<oneshot::Sender<Cut>>,
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Frames,
    Http,
}

/// Where connections begin: the way into the turn loop, and numbers for them.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) inbox: mpsc::Sender<FromClient>,
    pub(super) delivered: mpsc::UnboundedSender<Delivered>,
    numbers: Arc<AtomicU64>,
}

/// The connection's own side of a [`Connection`].
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: ConnectionId,
    pub(super) answers: mpsc::Receiver<Outgoing>,
    pub(super) limit: Arc<AtomicUsize>,
    was_cut: oneshot::Receiver<Cut>,
}

impl Door {
    pub(super) fn new(inbox: mpsc::Sender<FromClient>) -> (Self, mpsc::UnboundedReceiver<Delivered>) {
        let (sender, delivered) = mpsc::unbounded_channel();
        let door = Self {
            inbox,
            delivered: sender,
            numbers: Arc::default(),
        };
        (door, delivered)
    }

    /// Begins a connection. `None`: the turn loop has gone.
    pub(super) async fn open(&self, manner: Manner, peer: Option<i32>) -> Option<Opened> {
        let id = ConnectionId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let (cut, was_cut) = oneshot::channel();
        let limit = Arc::new(AtomicUsize::new(OVERHEAD_BYTES_MAX));
        let connection = Connection {
            answers: sender,
            speaker: Speaker::Unknown,
            parked: BTreeMap::new(),
            items: Items::new(),
            grants: Vec::new(),
            limit: Arc::clone(&limit),
            manner,
            peer,
            cut: Some(cut),
        };
        self.tell(id, What::Opened(connection)).await.then_some(Opened {
            id,
            answers,
            limit,
            was_cut,
        })
    }

    /// False: the turn loop has gone.
    pub(super) async fn tell(&self, connection: ConnectionId, what: What) -> bool {
        self.inbox.send(FromClient { connection, what }).await.is_ok()
    }
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

    /// It holds that now. Who speaks frames is sure to get to know.
    pub(super) fn granted(&mut self, held: Held, permits: u32) {
        match self.manner {
            Manner::Frames => {}
            Manner::Http => self.grants.push((held, permits)),
        }
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
pub(super) async fn accept(listener: UnixListener, door: Door, alarm: Alarm) {
    let cord = alarm.cord();
    cord.begin();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut silent = Silent::default();
    loop {
        let stream = accept_one(&listener, &door).await;
        if !is_own(&stream) {
            continue;
        }
        let Some(permit) = admitted(&room, &mut silent).await else {
            return;
        };
        let (door, cord, dismissed) = (door.clone(), alarm.cord(), silent.enter());
        tokio::spawn(async move {
            cord.begin();
            receive(stream, door, dismissed).await;
            drop(permit);
        });
    }
}

/// Room for one more: where there is none, the one who has said nothing for longest leaves. Where all have said something, the
/// next waits until any of them leaves, and those after it in the kernel's queue. `None`: nobody is admitted any more.
async fn admitted(room: &Arc<Semaphore>, silent: &mut Silent) -> Option<OwnedSemaphorePermit> {
    if room.available_permits() == 0 {
        silent.dismiss_oldest();
    }
    Arc::clone(room).acquire_owned().await.ok()
}

/// Those who have connected and said nothing yet, the oldest first; who has said something is no longer listening here.
#[derive(Default)]
struct Silent(VecDeque<oneshot::Sender<()>>);

impl Silent {
    fn enter(&mut self) -> oneshot::Receiver<()> {
        if self.0.len() >= 2 * CONNECTIONS_MAX {
            self.0.retain(|connection| !connection.is_closed());
        }
        let (dismiss, dismissed) = oneshot::channel();
        self.0.push_back(dismiss);
        dismissed
    }

    fn dismiss_oldest(&mut self) {
        while let Some(connection) = self.0.pop_front() {
            if connection.send(()).is_ok() {
                return;
            }
        }
    }
}

async fn accept_one(listener: &UnixListener, door: &Door) -> UnixStream {
    let mut failed = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a client cannot be accepted now");
                failed += 1;
                if failed == ACCEPTS_MAX {
                    let reason = Arc::from(format!("no client can be accepted: {error}"));
                    // When the turn loop has gone there is nobody to tell.
                    let _told = door.tell(ConnectionId(u64::MAX), What::Deaf(reason)).await;
                }
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

/// Who has connected.
pub(super) fn peer(stream: &UnixStream) -> Option<i32> {
    stream.peer_cred().ok()?.pid()
}

/// The first bytes tell frames from HTTP: the first frame is short, so its third byte is 0; a request begins with
/// the letters of its method.
async fn receive(mut stream: UnixStream, door: Door, dismissed: oneshot::Receiver<()>) {
    let mut first = Vec::with_capacity(CHUNK_BYTES_MIN);
    let begin = async {
        while first.len() < 3 {
            let Ok(1..) = stream.read_buf(&mut first).await else {
                return;
            };
        }
    };
    // Who says nothing does not keep others out.
    tokio::select! {
        () = begin => {}
        () = tokio::time::sleep(BEGIN_TIME) => {}
        _ = dismissed => {}
    }
    match first.get(2) {
        None => {}
        Some(byte) if byte.is_ascii_graphic() => http::serve(stream, first, door).await,
        Some(_) => serve(stream, &first, &door).await,
    }
}

async fn serve(stream: UnixStream, first: &[u8], door: &Door) {
    let peer = peer(&stream);
    let (reading, writing) = stream.into_split();
    let Some(opened) = door.open(Manner::Frames, peer).await else {
        return;
    };
    let Opened {
        id,
        answers,
        limit,
        was_cut,
    } = opened;
    let mut writer = std::pin::pin!(write(writing, answers));
    tokio::select! {
        () = read(id, reading, first, &limit, door) => {}
        () = &mut writer => {}
        cut = was_cut => match cut {
            Ok(Cut::AfterAnswers) => writer.await,
            Err(_dropped) => {}
        }
    }
    // When the turn loop has gone there is nobody to tell.
    let _told = door.tell(id, What::Closed).await;
}

/// Reads frames until the client closes, or sends what is none; then it waits to be closed.
async fn read(id: ConnectionId, mut stream: OwnedReadHalf, first: &[u8], limit: &AtomicUsize, door: &Door) {
    let mut decoder = Decoder::new(OVERHEAD_BYTES_MAX);
    let mut chunk = vec![0; CHUNK_BYTES_MIN];
    decoder.feed(first);
    loop {
        decoder.set_limit(limit.load(Ordering::Relaxed));
        while let Some(what) = next(&mut decoder) {
            let is_last = matches!(what, What::Malformed { .. });
            // When the turn loop has gone the connection goes with it.
            let _told = door.tell(id, what).await;
            if is_last {
                return std::future::pending().await;
            }
        }
        let Ok(length @ 1..) = stream.read(&mut chunk).await else {
            return;
        };
        decoder.feed(&chunk[..length]);
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
    let asked = Ask::decode(&frame).map(|ask| {
        What::Asked(Asked {
            request,
            ask,
            cut,
            kind: None,
            // Who has a time-out sees to it himself, and is seen to.
            is_timed: false,
        })
    });
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
