//! One guardian and the process it watches.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};

use forkyard_core::machine::Exit;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, raise, signal};
use nix::unistd::{ForkResult, Pid, fork, getpid, setpgid};

use super::group::Group;
use super::keeper::Farewell;
use super::{FAULT, tell};
use crate::exit::{open_pidfd, reap, signal_by_pidfd};
use crate::kept::{self, Place};
use crate::tree::{Tree, adopt_orphans, sweep_all_but};
use crate::words::{io_reason, reason};

/// What asks a run to stop.
pub(super) const STOP_SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// What suspends a run, what lets it go on, and what tells of another size of the terminal.
const TERMINAL_SIGNALS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH];

/// What makes an engine stop at once, suspended or not: the second stop signal does. Two different ones, since equal
/// signals that wait to be taken are one.
const AT_ONCE: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCONT];

/// Whom a guardian watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ward {
    /// The guardian watches the deputy.
    Deputy,
    /// The deputy watches the engine.
    Engine,
}

impl Ward {
    const fn word(self) -> &'static str {
        match self {
            Self::Deputy => "guardian of the engine",
            Self::Engine => "engine",
        }
    }
}

/// The process above: readable once it has ended. Its pid would say nothing across the border of a namespace.
pub(super) struct Above(OwnedFd);

impl Above {
    /// This process, for the one below.
    fn own() -> io::Result<Self> {
        open_pidfd(getpid().as_raw()).map(Self)
    }

    fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Wakes it; nobody is woken when it is gone.
    pub(super) fn wake(&self) {
        let _ = signal_by_pidfd(self.0.as_fd(), libc::SIGCHLD);
    }
}

/// Who is to outlive the engine.
#[derive(Clone, Copy)]
pub(super) struct Spared<'a> {
    /// Where they are noted.
    pub place: &'a Place,
    /// The deputy's word when it stays with them.
    pub farewell: &'a Farewell,
}

/// How a guardian is done with whom it watches.
enum Done {
    /// It has ended.
    Ended(Exit),
    /// It stays as a keeper; the run has ended with this code.
    Stays(i32),
}

/// Runs `work` in a child process, watches it, and clears up after it. Returns the exit code of the child, or 3 when
/// it panicked or was killed. `above` watches this process in its turn; when it is gone, the child has to end at once.
/// The work is told whether it is in the `group`, if there is one.
pub(super) fn watch_over(
    ward: Ward,
    above: Option<&Above>,
    spared: Option<Spared<'_>>,
    group: Option<&Group>,
    work: impl FnOnce(Above, io::Result<()>) -> i32,
) -> i32 {
    match start(ward, above, spared, group, work) {
        Ok(guard) => match guard.watch() {
            Ok(Done::Ended(exit)) => guard.finish(exit),
            Ok(Done::Stays(code)) => code,
            Err(error) => guard.fault(&error),
        },
        Err(error) => {
            tell(&format!("cannot start the {}: {}", ward.word(), io_reason(&error)));
            FAULT
        }
    }
}

/// A guardian at its post.
struct Guard<'a> {
    ward: Ward,
    pid: Pid,
    /// Blocked in this process, and waited for.
    signals: SigSet,
    above: Option<&'a Above>,
    spared: Option<Spared<'a>>,
}

fn start<'a>(
    ward: Ward,
    above: Option<&'a Above>,
    spared: Option<Spared<'a>>,
    group: Option<&Group>,
    work: impl FnOnce(Above, io::Result<()>) -> i32,
) -> io::Result<Guard<'a>> {
    adopt_orphans()?;
    let signals = block_signals()?;
    let own = Above::own()?;
    let (born, entered) = bear(group)?;
    match born {
        ForkResult::Parent { child } => Ok(Guard {
            ward,
            pid: child,
            signals,
            above,
            spared,
        }),
        ForkResult::Child => run(ward, own, |above| work(above, entered)),
    }
}

/// Forks, and puts the child into the group.
fn bear(group: Option<&Group>) -> io::Result<(ForkResult, io::Result<()>)> {
    // SAFETY: this process has one thread, and who has a group is the deputy, which starts none.
    if let Some(Ok(born)) = group.map(|group| unsafe { group.bear() }) {
        return Ok((born, Ok(())));
    }
    // SAFETY: this process has one thread, so the child may do what it likes.
    let born = unsafe { fork() }?;
    let entered = match (born, group) {
        (ForkResult::Child, Some(group)) => group.enter(),
        (ForkResult::Child, None) | (ForkResult::Parent { .. }, _) => Ok(()),
    };
    Ok((born, entered))
}

/// Blocks what a guardian waits for. A signal that is ignored (`nohup`) is left out: it stays ignored.
fn block_signals() -> Result<SigSet, Errno> {
    // SAFETY: no handler is installed. Were SIGCHLD ignored by inheritance, exits could not be taken.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    let forwarded = STOP_SIGNALS.into_iter().chain(TERMINAL_SIGNALS);
    signals.extend(forwarded.filter(|&signal| !is_ignored(signal)));
    signals.thread_block()?;
    Ok(signals)
}

fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only the present action is asked for, and all zero is a valid one.
    unsafe {
        libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// The child, from its first instruction to its last.
fn run(ward: Ward, above: Above, work: impl FnOnce(Above) -> i32) -> ! {
    let code = match settle(ward, &above) {
        // A panic has been reported by its hook; the guardian clears up.
        Ok(()) => panic::catch_unwind(AssertUnwindSafe(|| work(above))).unwrap_or(FAULT),
        Err(errno) => {
            tell(&format!("cannot set up the {}: {}", ward.word(), reason(errno)));
            FAULT
        }
    };
    // Whoever read our output may be gone; the code is what counts.
    let _ = io::stdout().flush();
    // SAFETY: the process ends here. What would run at exit belongs to the guardian's copy of this memory.
    unsafe { libc::_exit(code) }
}

/// Makes the child what it has to be, before it starts anything.
fn settle(ward: Ward, above: &Above) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if above.is_gone() {
        // It ended before the signal was asked for.
        return Err(Errno::ESRCH);
    }
    // SAFETY: no handler is installed. The child is not in the terminal's foreground, yet it writes there.
    unsafe { signal(Signal::SIGTTOU, SigHandler::SigIgn) }?;
    match ward {
        // It takes them one by one, as its guardian does.
        Ward::Deputy => Ok(()),
        Ward::Engine => {
            adopt_orphans()?;
            // The engine waits for SIGCONT when it has been suspended, and listens to SIGCHLD by a signalfd, which tells of
            // it only if every thread blocks it.
            SigSet::from_iter([Signal::SIGCONT, Signal::SIGCHLD]).thread_set_mask()
        }
    }
}

impl Guard<'_> {
    /// Forwards signals to the child until it has ended.
    fn watch(&self) -> io::Result<Done> {
        let pidfd: OwnedFd = open_pidfd(self.pid.as_raw())?;
        loop {
            if let Some(exit) = reap(pidfd.as_fd())? {
                return Ok(Done::Ended(exit));
            }
            if let (Ward::Deputy, Some(spared)) = (self.ward, self.spared)
                && let Some(code) = spared.farewell.heard()
            {
                return Ok(Done::Stays(code));
            }
            match self.signals.wait() {
                Ok(Signal::SIGCHLD) | Err(Errno::EINTR) => {}
                // The child has not been reaped: its pid is its own.
                Ok(signal) => self.forward(signal)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn forward(&self, signal: Signal) -> Result<(), Errno> {
        if self.above.is_some_and(Above::is_gone) {
            return AT_ONCE.into_iter().try_for_each(|signal| kill(self.pid, signal));
        }
        kill(self.pid, signal)?;
        match (self.ward, signal) {
            // The shell, which watches the guardian, is to see that the run is suspended.
            (Ward::Deputy, Signal::SIGTSTP) => raise(Signal::SIGSTOP),
            (Ward::Deputy | Ward::Engine, _) => Ok(()),
        }
    }

    /// What is left to do, and the exit code, once the child has ended.
    fn finish(&self, exit: Exit) -> i32 {
        let (swept, kept) = self.sweep();
        let number = match exit {
            Exit::Code(code) => {
                if self.ward == Ward::Engine && !kept.is_empty() && !self.is_another_run_in_charge() {
                    tell(&format!("the engine has failed, and leaves {}", kept.join(", ")));
                }
                return code;
            }
            Exit::Signal(number) => number,
            Exit::Unknown => return FAULT,
        };
        match Signal::try_from(number) {
            // It came before the engine had started anything, or when all of that had ended.
            Ok(stop) if STOP_SIGNALS.contains(&stop) => 128 + number,
            Ok(signal) => self.tell_killed(signal.as_str(), swept, &kept),
            Err(_) => self.tell_killed(&format!("signal {number}"), swept, &kept),
        }
    }

    /// Whether those that are kept are another run's, which goes on: the engine that has ended was refused because of that.
    /// Its own lock is free by now.
    fn is_another_run_in_charge(&self) -> bool {
        self.spared
            .is_some_and(|spared| spared.place.is_claimed().unwrap_or(false))
    }

    fn tell_killed(&self, signal: &str, swept: bool, kept: &[String]) -> i32 {
        let rest = match (swept, kept) {
            (false, _) => String::new(),
            (true, []) => "; everything it had started has been stopped".to_owned(),
            (true, kept) => format!(
                "; everything it had started has been stopped but {}, as `on_engine_loss: keep` asks: the next run of the \
                 workflow takes over",
                kept.join(", ")
            ),
        };
        tell(&format!("the {} was killed ({signal}){rest}", self.ward.word()));
        FAULT
    }

    /// Kills all that is left of the run, those left out that are kept: they are named.
    fn sweep(&self) -> (bool, Vec<String>) {
        let (names, trees): (Vec<String>, Vec<Tree>) = self.wards().into_iter().map(named).unzip();
        let swept = sweep_all_but(&trees);
        if let Err(left) = &swept {
            tell(&left.to_string());
        }
        (swept.is_ok(), names)
    }

    /// Whom it is not known of whether they are to be kept is not left behind.
    fn wards(&self) -> Vec<kept::Ward> {
        let wards = self.spared.map_or(Ok(Vec::new()), |spared| spared.place.wards());
        wards.unwrap_or_else(|error| {
            tell(&format!("it cannot be read who is to be kept: {}", io_reason(&error)));
            Vec::new()
        })
    }

    /// The guardian itself cannot go on: without it there must be nobody below it.
    fn fault(&self, error: &io::Error) -> i32 {
        tell(&format!("cannot watch the {}: {}", self.ward.word(), io_reason(error)));
        // It is our child, dead or alive, and has not been reaped.
        let _ = kill(self.pid, Signal::SIGKILL);
        self.sweep();
        FAULT
    }
}

/// How it is named to people, and its tree.
fn named(ward: kept::Ward) -> (String, Tree) {
    (
        format!("`{}` (pid {})", ward.note.process, ward.identity.pid),
        ward.tree,
    )
}
