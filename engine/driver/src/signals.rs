//! The signals the engine listens to.

use std::io;

use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};
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

/// How many stop signals may wait for the engine; further ones say nothing new.
const STOPS_MAX: usize = 16;

/// Begins to listen; must be called within a runtime and a local set. SIGPIPE is ignored from now on: a broken
/// pipe is an error of a write.
pub fn listen(alarm: &Alarm) -> io::Result<mpsc::Receiver<Heard>> {
    let (sender, receiver) = mpsc::channel(STOPS_MAX);
    for stop in STOPS {
        watch(stop, Heard::Stop(stop as i32), sender.clone(), alarm)?;
    }
    watch(Signal::SIGTSTP, Heard::Suspend, sender.clone(), alarm)?;
    watch(Signal::SIGWINCH, Heard::Resized, sender.clone(), alarm)?;
    watch(Signal::SIGCHLD, Heard::Child, sender, alarm)?;
    // SAFETY: ignoring a signal installs no handler; nothing can be run at a bad moment.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(receiver)
}

/// Listens no more: what asks a run to stop ends this process from now on, as it would without us. SIGCHLD keeps its
/// handler, which does nothing any more, and SIGPIPE stays ignored.
pub fn let_go() {
    for stop in STOPS {
        // SAFETY: the default action runs no code of ours. It is refused only for signals that cannot be caught.
        let _ = unsafe { nix::sys::signal::signal(stop, SigHandler::SigDfl) };
    }
}

fn watch(which: Signal, heard: Heard, sender: mpsc::Sender<Heard>, alarm: &Alarm) -> io::Result<()> {
    let mut arrivals = signal(SignalKind::from_raw(which as i32))?;
    let guardian = getppid();
    alarm.start(async move {
        while arrivals.recv().await.is_some() {
            // The parent-death signal says that nobody is left above: there is no time for an orderly stop.
            let times = if which == Signal::SIGTERM && getppid() != guardian {
                2
            } else {
                1
            };
            for _ in 0..times {
                if sender.send(heard).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}

/// Sleeps until SIGCONT comes, which this process blocks: so one that came too early is not missed.
pub fn wait_for_continue() {
    // It fails for an invalid set alone.
    let _ = SigSet::from_iter([Signal::SIGCONT]).wait();
}
