//! The signals the engine listens to.
//!
//! A handler may do next to nothing: it counts the signal and writes to an eventfd, which a task of the engine reads. The
//! runtime's own listener would do the same, but panics when it finds no descriptor for that. SIGCHLD, of which there is
//! one for each process of a run, has no handler: it is blocked, and a signalfd tells that it is pending.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::alarm::Alarm;

/// What a signal to the engine means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A child, direct or adopted, has ended.
    Child,
    /// Somebody asks the run to stop: SIGINT, SIGTERM, SIGHUP or SIGQUIT.
    Stop(i32),
    /// The run is to be suspended: SIGTSTP.
    Suspend,
    /// The terminal has another size: SIGWINCH.
    Resized,
}

/// The signals that ask a run to stop.
pub(crate) const STOPS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// All that have a handler; what asks for a stop is told first.
pub(crate) const LISTENED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// How long the ends of children are not listened to after one has been told. Its own processes a run knows by their
/// pidfds; for what is adopted beside them an end that is told so much later is soon enough, and a thousand ends in a row
/// are no thousand wakes.
const CHILDREN_REST: Duration = Duration::from_millis(2);

/// How many stop signals may wait for the engine; further ones say nothing new.
const STOPS_MAX: usize = 16;

/// How often each of [`LISTENED`] has come since it was told last. A handler belongs to the process, hence statics.
static ARRIVED: [AtomicU32; LISTENED.len()] = [const { AtomicU32::new(0) }; LISTENED.len()];

/// What the handler writes to: made once, and open for ever, since a signal may come at any time.
static EVENT: OnceLock<EventFd> = OnceLock::new();

/// The number of its descriptor, which a handler can read.
static EVENT_NUMBER: AtomicI32 = AtomicI32::new(-1);

/// Signals that wait until they are listened to: a run that has begun is to end as it was asked to, and to say so, rather
/// than to be gone without a word.
#[derive(Debug)]
pub struct Held {
    guardian: Pid,
}

/// Holds back what [`listen`] hears, in this thread and those that it starts. To be called while this process
/// has no other thread.
#[must_use]
pub fn hold() -> Held {
    // Should it be gone before they are held back, its end is ours.
    let guardian = getppid();
    // It fails for an invalid set alone.
    let _ = SigSet::from_iter(LISTENED).thread_block();
    Held { guardian }
}

/// Begins to listen in this thread; must be called within a runtime and a local set. SIGPIPE is ignored from now on: a
/// broken pipe is an error of a write.
///
/// # Errors
/// When there are no descriptors for that.
pub fn listen(held: &Held, alarm: &Alarm) -> io::Result<mpsc::Receiver<Heard>> {
    let (sender, receiver) = mpsc::channel(STOPS_MAX);
    let event = event()?.as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` stays open, and the same, until the `AsyncFd` that owns it now is dropped.
    let event = unsafe { AsyncFd::register_with_interest(event, Interest::READABLE) }?;
    for signal in LISTENED {
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does what a handler may.
        unsafe { sigaction(signal, &action) }?;
    }
    // SAFETY: ignoring a signal installs no handler; nothing can be run at a bad moment.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    alarm.start(tell_of_children(children()?, sender.clone()));
    alarm.start(tell(event, sender, held.guardian));
    SigSet::from_iter(LISTENED).thread_unblock()?;
    Ok(receiver)
}

/// Readable while the end of a child is pending. Each thread of the process has to block SIGCHLD, else the kernel may give it
/// to one that does not: so the engine's first one blocks it from its birth on.
fn children() -> io::Result<AsyncFd<SignalFd>> {
    // Were it ignored, by inheritance, nobody would ever learn how a child has ended.
    // SAFETY: the default action runs no code of ours.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let ended = SigSet::from_iter([Signal::SIGCHLD]);
    ended.thread_block()?;
    let ended = SignalFd::with_flags(&ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    // SAFETY: a `SignalFd` has one descriptor, open until the `AsyncFd` that owns it now is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(ended, Interest::READABLE) }?)
}

/// Listens no more, and holds nothing back: what asks a run to stop ends this process from now on, as it would without us,
/// also what has been held back. SIGCHLD stays blocked, and SIGPIPE ignored.
pub fn let_go() {
    for stop in STOPS {
        // SAFETY: the default action runs no code of ours. It is refused only for signals that cannot be caught.
        let _ = unsafe { nix::sys::signal::signal(stop, SigHandler::SigDfl) };
    }
    // It fails for an invalid set alone.
    let _ = SigSet::from_iter(LISTENED).thread_unblock();
}

fn event() -> io::Result<&'static EventFd> {
    if EVENT.get().is_none() {
        let made = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        // Another thread may have been first; then this one is closed.
        let _ = EVENT.set(made);
    }
    let event = EVENT.get().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    EVENT_NUMBER.store(event.as_fd().as_raw_fd(), Ordering::Relaxed);
    Ok(event)
}

/// The handler: atomics and `write` alone, and the interrupted code's `errno` is put back.
extern "C" fn note(signal: c_int) {
    let errno = Errno::last();
    for (listened, arrived) in LISTENED.iter().zip(&ARRIVED) {
        if *listened as c_int == signal {
            arrived.fetch_add(1, Ordering::Release);
        }
    }
    let one = 1_u64;
    // SAFETY: eight bytes are read from `one`. Should the count of the eventfd be full, it is readable all the same.
    let _ = unsafe {
        libc::write(
            EVENT_NUMBER.load(Ordering::Relaxed),
            (&raw const one).cast(),
            size_of::<u64>(),
        )
    };
    errno.set();
}

/// Tells of what has come, as long as somebody listens.
async fn tell(event: AsyncFd<OwnedFd>, sender: mpsc::Sender<Heard>, guardian: Pid) {
    loop {
        // Before it is looked what has come: what comes later makes it readable again.
        let Ok(mut ready) = event.readable().await else {
            return;
        };
        hush(event.get_ref());
        ready.clear_ready();
        for (signal, arrived) in LISTENED.into_iter().zip(&ARRIVED) {
            for _ in 0..times(signal, arrived.swap(0, Ordering::Acquire), guardian) {
                if sender.send(heard(signal)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Tells that children have ended, as long as somebody listens.
async fn tell_of_children(ended: AsyncFd<SignalFd>, sender: mpsc::Sender<Heard>) {
    loop {
        let Ok(mut ready) = ended.readable().await else {
            return;
        };
        // However many have ended, it is pending once for the process, and perhaps once for this thread. What comes later
        // makes it readable again.
        while let Ok(Some(_)) = ended.get_ref().read_signal() {}
        ready.clear_ready();
        if sender.send(Heard::Child).await.is_err() {
            return;
        }
        tokio::time::sleep(CHILDREN_REST).await;
    }
}

/// The eventfd is no longer readable.
fn hush(event: &OwnedFd) {
    let mut count = [0; size_of::<u64>()];
    // It may have been read already.
    let _ = nix::unistd::read(event, &mut count);
}

/// How often a signal is told that has come so often.
fn times(signal: Signal, arrived: u32, guardian: Pid) -> u32 {
    match heard(signal) {
        // The parent-death signal says that nobody is left above: there is no time for an orderly stop.
        Heard::Stop(libc::SIGTERM) if arrived > 0 && getppid() != guardian => 2,
        Heard::Stop(_) => arrived,
        Heard::Child | Heard::Suspend | Heard::Resized => arrived.min(1),
    }
}

const fn heard(signal: Signal) -> Heard {
    match signal {
        Signal::SIGTSTP => Heard::Suspend,
        Signal::SIGWINCH => Heard::Resized,
        stop => Heard::Stop(stop as i32),
    }
}

/// Sleeps until SIGCONT comes, which this process blocks: so one that came too early is not missed.
pub fn wait_for_continue() {
    // It fails for an invalid set alone.
    let _ = SigSet::from_iter([Signal::SIGCONT]).wait();
}
