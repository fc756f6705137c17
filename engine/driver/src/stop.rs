//! Asks the run of a directory to stop, from outside of it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::directory::RunDirectory;
use crate::exit::{open_pidfd_if_there, signal_by_pidfd};
use crate::tree;

/// How a run is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In reverse order of the dependencies, each process with its grace.
    InOrder,
    /// All processes are killed.
    AtOnce,
}

impl How {
    /// A second signal says that there is no time; equal ones that wait to be taken would be one. One that is suspended has to
    /// go on to hear them.
    const fn signals(self) -> &'static [Signal] {
        match self {
            Self::InOrder => &[Signal::SIGTERM, Signal::SIGCONT],
            Self::AtOnce => &[Signal::SIGTERM, Signal::SIGINT, Signal::SIGCONT],
        }
    }
}

/// A run that has been asked to stop: its engine, and the two guardians above it.
#[derive(Debug)]
pub struct Stopping {
    processes: Vec<OwnedFd>,
    was_stopping: bool,
}

/// How many guardians there are above an engine.
const GUARDIANS: usize = 2;

/// How long it is waited for an engine to note that it stops. One that is suspended, or works on something else, may need longer.
const NOTE_PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked for that note.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Asks the engine of the run to stop; one that has ended needs no asking.
///
/// # Errors
/// When it is another user's, or cannot be found.
pub fn ask(directory: &RunDirectory, how: How) -> io::Result<Stopping> {
    let mut processes = Vec::new();
    let mut pid = i32::try_from(directory.about()?.pid).map_err(io::Error::other)?;
    for level in 0..=GUARDIANS {
        let Some(process) = open_pidfd_if_there(pid)? else {
            break;
        };
        processes.push(process);
        match tree::parent(pid).ok().flatten() {
            // Before there is an engine, whoever makes one stands in its place, and above it is a shell.
            Some(parent) if level < GUARDIANS && program(parent) == program(pid) => pid = parent,
            Some(_) | None => break,
        }
    }
    // From here on the pids are pinned. If the run had ended before, they could be other processes'.
    if directory.about()?.exit_code.is_some() || directory.is_let_go() {
        processes.clear();
    }
    let was_stopping = match (processes.first(), how) {
        (None, _) => false,
        (Some(engine), How::AtOnce) => {
            send(engine, how.signals())?;
            false
        }
        (Some(engine), How::InOrder) => ask_once(directory, engine)?,
    };
    Ok(Stopping {
        processes,
        was_stopping,
    })
}

/// Asks the engine to stop in order, unless its run is being stopped: a further signal would mean that there is no time.
/// Whether it is. Of several who ask in the same moment one does, and the others see what comes of it.
fn ask_once(directory: &RunDirectory, engine: &OwnedFd) -> io::Result<bool> {
    let turn = File::open(directory.path())?;
    turn.lock()?;
    if directory.about()?.stopping {
        send(engine, &[Signal::SIGCONT])?;
        return Ok(true);
    }
    send(engine, How::InOrder.signals())?;
    let until = Instant::now() + NOTE_PATIENCE;
    while Instant::now() < until && !directory.about()?.stopping && !ended(engine, Some(Instant::now()))? {
        thread::sleep(LOOK_AGAIN);
    }
    Ok(false)
}

fn send(engine: &OwnedFd, signals: &[Signal]) -> io::Result<()> {
    let mut signals = signals.iter();
    signals.try_for_each(|signal| signal_by_pidfd(engine.as_fd(), *signal as libc::c_int))
}

impl Stopping {
    /// Whether the run was being stopped before it was asked.
    #[must_use]
    pub const fn was_stopping(&self) -> bool {
        self.was_stopping
    }

    /// Waits until nothing of the run is left, until that time at most. Whether it was in time.
    ///
    /// # Errors
    /// When it cannot be waited.
    pub fn wait(&self, until: Option<Instant>) -> io::Result<bool> {
        for process in &self.processes {
            if !ended(process, until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn ended(process: &OwnedFd, until: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let mut end = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut end, patience(left)) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// So long as the kernel can wait: what is longer is asked for again. Rounded up, so that nobody spins.
pub(crate) fn patience(left: Option<Duration>) -> PollTimeout {
    match left {
        None => PollTimeout::NONE,
        Some(left) if left.is_zero() => PollTimeout::ZERO,
        Some(left) => PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX),
    }
}

/// The file that a process executes, as far as that can be read.
fn program(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}
