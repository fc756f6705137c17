//! A run in the background: who has started it stays until it has come up, and leaves.
//!
//! ```text
//!  the foreground ─▶ the guardian, in a session of its own ─▶ the deputy ─▶ the engine
//!        ▲                                                                     │
//!        └────────── over a pair of sockets: `up`, or who has failed ──────────┘
//! ```
//!
//! As long as nothing has been told, either end sees when the other is gone: the run stops when nobody waits for it any
//! more, and who waits for a run that ends has the exit code of it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use forkyard_core::machine::Exit;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use crate::exit::{open_pidfd, reap};
use crate::guardian::FAULT;
use crate::signals::STOPS;
use crate::stop::patience;

/// More than the longest message: a name has 64 bytes, its index some more.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What is told when everything has come up.
const UP: &str = "\0up";

/// The engine's way to who waits for it.
#[derive(Debug)]
pub struct Teller(UnixStream);

impl Teller {
    /// The end of it that sees when nobody waits any more.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn ear(&self) -> io::Result<UnixStream> {
        self.0.try_clone()
    }

    /// Everything has come up.
    ///
    /// # Errors
    /// When nobody waits any more.
    pub(crate) fn up(self) -> io::Result<()> {
        (&self.0).write_all(UP.as_bytes())
    }

    /// It never will, since this process has failed.
    ///
    /// # Errors
    /// When nobody waits any more.
    pub(crate) fn failed(self, process: &str) -> io::Result<()> {
        (&self.0).write_all(process.as_bytes())
    }
}

/// What there is to know of a run in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Everything has come up.
    Up,
    /// This process has failed before.
    Failed(String),
    /// The run has ended before, with this exit code.
    Ended(i32),
    /// The time is over.
    Late,
}

/// A run in the background, as long as somebody waits for it.
#[derive(Debug)]
pub struct Background {
    guardian: Pid,
    pidfd: OwnedFd,
    news: UnixStream,
    /// Those that ask to stop: they are passed on.
    signals: SignalFd,
}

/// Holds back, until [`start`] passes it on, what asks a run to stop: one whose directory is there is to say how it has ended.
pub fn hold_stops() {
    // It fails for an invalid set alone.
    let _ = SigSet::from_iter(STOPS).thread_block();
}

/// Runs `work` in a child process that leads a session of its own, reads nothing, and writes its output to `output`. To be
/// called while this process has one thread.
///
/// # Errors
/// When there is no room for a further process, or for descriptors.
pub fn start(output: &File, work: impl FnOnce(Teller) -> i32) -> io::Result<Background> {
    let (news, theirs) = UnixStream::pair()?;
    let null = File::open("/dev/null")?;
    // The guardian blocks these as well, so that it does not matter who inherits that.
    hold_stops();
    let signals = SignalFd::with_flags(
        &SigSet::from_iter(STOPS),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?;
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Background {
            guardian: child,
            pidfd: open_pidfd(child.as_raw())?,
            news,
            signals,
        }),
        ForkResult::Child => {
            drop((news, signals));
            let settled = settle(&null, output);
            let code = settled.map_or(FAULT, |()| {
                // A panic has been reported by its hook.
                panic::catch_unwind(AssertUnwindSafe(|| work(Teller(theirs)))).unwrap_or(FAULT)
            });
            // SAFETY: the process ends here. What would run at exit belongs to the parent's copy of this memory.
            unsafe { libc::_exit(code) }
        }
    }
}

fn settle(null: &File, output: &File) -> Result<(), Errno> {
    setsid()?;
    dup2_stdin(null)?;
    dup2_stdout(output)?;
    dup2_stderr(output)
}

impl Background {
    /// Waits until there is something to know, until that time at most.
    ///
    /// # Errors
    /// When it cannot be waited.
    pub fn listen(&mut self, until: Option<Instant>) -> io::Result<Heard> {
        loop {
            // What was told before the end counts, so it is read before the end is looked for.
            if let Some(told) = self.told()? {
                return Ok(told);
            }
            if let Some(exit) = reap(self.pidfd.as_fd())? {
                return Ok(self.told()?.unwrap_or(Heard::Ended(code(exit))));
            }
            self.pass_on_signals()?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Heard::Late);
            }
            let news = PollFd::new(self.news.as_fd(), PollFlags::POLLIN);
            let end = PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN);
            let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
            // Once nobody will tell anything any more, its socket would only wake us.
            let is_silent = self.is_silent()?;
            let mut fds = if is_silent {
                vec![end, signals]
            } else {
                vec![end, signals, news]
            };
            match poll(&mut fds, patience(left)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Asks the run to stop in order, and waits for its end. Gives its exit code.
    ///
    /// # Errors
    /// When it cannot be waited.
    pub fn stop(mut self) -> io::Result<i32> {
        self.pass_on(Signal::SIGTERM);
        loop {
            if let Heard::Ended(code) = self.listen(None)? {
                return Ok(code);
            }
        }
    }

    /// What has been told, if anything has.
    fn told(&mut self) -> io::Result<Option<Heard>> {
        let mut message = [0; MESSAGE_BYTES_MAX];
        self.news.set_nonblocking(true)?;
        let count = match self.news.read(&mut message) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            read => read?,
        };
        let text = String::from_utf8_lossy(&message[..count]);
        Ok(match &*text {
            "" => None,
            UP => Some(Heard::Up),
            process => Some(Heard::Failed(process.to_owned())),
        })
    }

    /// Whether the other end of the news is closed, and all has been read.
    fn is_silent(&self) -> io::Result<bool> {
        let mut news = [PollFd::new(self.news.as_fd(), PollFlags::POLLIN)];
        poll(&mut news, PollTimeout::ZERO)?;
        let hung_up = news[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLHUP));
        Ok(hung_up)
    }

    fn pass_on_signals(&self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).ok();
            if let Some(signal) = number.and_then(|number| Signal::try_from(number).ok()) {
                self.pass_on(signal);
            }
        }
        Ok(())
    }

    /// It is our child, and has not been reaped, so the pid is its own; one that has ended needs no signal.
    fn pass_on(&self, signal: Signal) {
        let _ = kill(self.guardian, signal);
    }
}

const fn code(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(number) => 128 + number,
        Exit::Unknown => FAULT,
    }
}
