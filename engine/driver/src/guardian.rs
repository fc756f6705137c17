//! The guardian: a tiny process above the engine that does one thing, which is to leave nobody behind.
//!
//! When the engine is killed, the kernel kills its direct children, but not what these have started. The guardian
//! is a subreaper: it adopts all of them, and kills them. When the guardian is killed, the engine gets SIGTERM and
//! stops the run in order. The guardian forwards the signals that ask a run to stop; the engine is in a process
//! group of its own, so that Ctrl-C reaches it once.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};

use forkyard_core::machine::Exit;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, setpgid};

use crate::exit::{open_pidfd, reap};
use crate::tree::{adopt_orphans, sweep_all};

/// What asks a run to stop.
const STOP_SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// The exit code of `forkyard run` when the engine could not do its work.
const FAULT: i32 = 3;

/// Runs `engine` in a child process and returns the exit code of `forkyard run`: the engine's, or 3 when it panicked
/// or was killed. When this returns, no process of the run is left. To be called while this process has one thread.
pub fn guard(engine: impl FnOnce() -> i32) -> i32 {
    match start(engine) {
        Ok((pid, signals)) => watch(pid, &signals).map_or_else(|error| fault(pid, &error), finish),
        Err(errno) => {
            tell(&format!("cannot start the engine: {}", errno.desc()));
            FAULT
        }
    }
}

/// Forks the engine; returns its pid and the signals to be watched, which are blocked here.
fn start(engine: impl FnOnce() -> i32) -> Result<(Pid, SigSet), Errno> {
    adopt_orphans()?;
    let signals = block_signals()?;
    let guardian = getpid();
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok((child, signals)),
        ForkResult::Child => run(engine, guardian),
    }
}

/// Blocks what the guardian waits for. A stop signal that is ignored (`nohup`) is left out: it stays ignored.
fn block_signals() -> Result<SigSet, Errno> {
    // SAFETY: no handler is installed. Were SIGCHLD ignored by inheritance, exits could not be taken.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.extend(STOP_SIGNALS.into_iter().filter(|&stop| !is_ignored(stop)));
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

/// The engine's process, from its first instruction to its last.
fn run(engine: impl FnOnce() -> i32, guardian: Pid) -> ! {
    let code = match settle(guardian) {
        // A panic has been reported by its hook; the guardian clears up.
        Ok(()) => panic::catch_unwind(AssertUnwindSafe(engine)).unwrap_or(FAULT),
        Err(errno) => {
            tell(&format!("cannot set up the engine: {}", errno.desc()));
            FAULT
        }
    };
    // Whoever read our output may be gone; the code is what counts.
    let _ = io::stdout().flush();
    // SAFETY: the process ends here. What would run at exit belongs to the guardian's copy of this memory.
    unsafe { libc::_exit(code) }
}

/// Makes the engine's process what it has to be, before it starts anything.
fn settle(guardian: Pid) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if getppid() != guardian {
        return Err(Errno::ESRCH);
    }
    adopt_orphans()?;
    // SAFETY: no handler is installed. The engine is not in the terminal's foreground, yet it writes there.
    unsafe { signal(Signal::SIGTTOU, SigHandler::SigIgn) }?;
    SigSet::empty().thread_set_mask()
}

/// Forwards signals to the engine until it has ended.
fn watch(engine: Pid, signals: &SigSet) -> io::Result<Exit> {
    let pidfd: OwnedFd = open_pidfd(engine.as_raw())?;
    loop {
        if let Some(exit) = reap(pidfd.as_fd())? {
            return Ok(exit);
        }
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(Errno::EINTR) => {}
            // The engine has not been reaped: its pid is its own.
            Ok(stop) => kill(engine, stop)?,
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What is left to do, and the exit code, once the engine has ended.
fn finish(exit: Exit) -> i32 {
    let swept = sweep();
    let number = match exit {
        Exit::Code(code) => return code,
        Exit::Signal(number) => number,
    };
    match Signal::try_from(number) {
        // It came before the engine could handle it, hence before it had started anything.
        Ok(stop) if STOP_SIGNALS.contains(&stop) => 128 + number,
        Ok(signal) => tell_killed(signal.as_str(), swept),
        Err(_) => tell_killed(&format!("signal {number}"), swept),
    }
}

fn tell_killed(signal: &str, swept: bool) -> i32 {
    let rest = if swept {
        "; everything it had started has been stopped"
    } else {
        ""
    };
    tell(&format!("the engine was killed ({signal}){rest}"));
    FAULT
}

/// The guardian itself cannot go on: without it there must be no engine.
fn fault(engine: Pid, error: &io::Error) -> i32 {
    tell(&format!("cannot watch the engine: {error}"));
    // It is our child, dead or alive, and has not been reaped.
    let _ = kill(engine, Signal::SIGKILL);
    sweep();
    FAULT
}

/// Kills all that is left of the run.
fn sweep() -> bool {
    let swept = sweep_all();
    if !swept {
        tell("some processes of the run do not die even by SIGKILL: they hang in the kernel");
    }
    swept
}

/// Nobody can be told when stderr does not take it.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "forkyard: {what}");
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
    use std::process::Command;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::getpgrp;

    use super::*;
    use crate::alone::{PASSED, alone, passes_alone, stderr};

    /// A guardian in a process of its own, with one thread, and what the engine writes.
    struct Guarded {
        pid: Pid,
        output: BufReader<PipeReader>,
    }

    impl Guarded {
        fn start(engine: impl FnOnce(PipeWriter) -> i32) -> Self {
            let (reader, writer) = io::pipe().expect("a pipe can be made");
            // SAFETY: the child has the calling thread alone, which holds no lock.
            match unsafe { fork() }.expect("a process can be made") {
                ForkResult::Parent { child } => Self {
                    pid: child,
                    output: BufReader::new(reader),
                },
                ForkResult::Child => {
                    let code = guard(|| engine(writer));
                    // SAFETY: the process ends here.
                    unsafe { libc::_exit(code) }
                }
            }
        }

        fn line(&mut self) -> String {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("readable");
            line
        }

        fn send(&self, signal: Signal) {
            kill(self.pid, signal).expect("it is our child");
        }

        fn code(&self) -> i32 {
            match waitpid(self.pid, None).expect("it is our child") {
                WaitStatus::Exited(_, code) => code,
                other => panic!("the guardian ended by {other:?}"),
            }
        }
    }

    /// An engine that says when it is ready, and exits with 100 and the first signal it gets.
    fn engine_that_waits(mut ready: PipeWriter) -> i32 {
        let signals = SigSet::from_iter(STOP_SIGNALS);
        signals.thread_block().expect("signals can be blocked");
        writeln!(ready, "ready").expect("somebody reads");
        let signal = signals.wait().expect("a signal comes");
        writeln!(ready, "{signal}").expect("somebody reads");
        100 + signal as i32
    }

    #[test]
    fn the_exit_code_is_the_engines() {
        passes_alone("guardian::tests::the_exit_code_is_the_engines", || {
            for code in [0, 1, 2, 3, 124, 130] {
                assert_eq!(Guarded::start(|_| code).code(), code);
            }
        });
    }

    #[test]
    fn a_panic_is_a_fault() {
        let output = alone("guardian::tests::a_panic_is_a_fault", || {
            assert_eq!(Guarded::start(|_| panic!("injected")).code(), FAULT);
            PASSED
        });
        assert_eq!(output.status.code(), Some(PASSED));
        assert!(stderr(&output).contains("injected"));
    }

    #[test]
    fn a_stop_signal_that_comes_too_early_for_the_engine_stops_it() {
        passes_alone(
            "guardian::tests::a_stop_signal_that_comes_too_early_for_the_engine_stops_it",
            || {
                let guarded = Guarded::start(|_| nix::sys::signal::raise(Signal::SIGINT).map_or(0, |()| 1));
                assert_eq!(guarded.code(), 128 + libc::SIGINT);
            },
        );
    }

    #[test]
    fn the_engine_leads_a_group_of_its_own() {
        passes_alone("guardian::tests::the_engine_leads_a_group_of_its_own", || {
            assert_eq!(Guarded::start(|_| i32::from(getpgrp() == getpid())).code(), 1);
        });
    }

    #[test]
    fn stop_signals_are_forwarded() {
        passes_alone("guardian::tests::stop_signals_are_forwarded", || {
            for signal in STOP_SIGNALS {
                let mut guarded = Guarded::start(engine_that_waits);
                assert_eq!(guarded.line(), "ready\n");
                guarded.send(signal);
                assert_eq!(guarded.code(), 100 + signal as i32);
            }
        });
    }

    #[test]
    fn an_ignored_signal_stays_ignored() {
        passes_alone("guardian::tests::an_ignored_signal_stays_ignored", || {
            // SAFETY: no handler is installed.
            unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }.expect("it can be ignored");
            let mut guarded = Guarded::start(engine_that_waits);
            assert_eq!(guarded.line(), "ready\n");
            guarded.send(Signal::SIGHUP);
            guarded.send(Signal::SIGTERM);
            assert_eq!(guarded.code(), 100 + Signal::SIGTERM as i32);
        });
    }

    #[test]
    fn the_engine_is_asked_to_stop_when_the_guardian_is_killed() {
        passes_alone(
            "guardian::tests::the_engine_is_asked_to_stop_when_the_guardian_is_killed",
            || {
                let mut guarded = Guarded::start(engine_that_waits);
                assert_eq!(guarded.line(), "ready\n");
                guarded.send(Signal::SIGKILL);
                assert_eq!(guarded.line(), "SIGTERM\n");
            },
        );
    }

    /// Starts a shell that leaves three sleepers, two of them in sessions of their own; all keep the pipe open.
    fn leave_sleepers(pipe: PipeWriter) {
        let script = "echo sleeping; sleep 60 & setsid sleep 60 & (setsid sh -c 'sleep 60 & sleep 60' &)";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdout(pipe)
            .spawn()
            .expect("sh is there");
        shell.wait().expect("it is our child");
    }

    #[test]
    fn nothing_is_left_of_a_killed_engine() {
        let output = alone("guardian::tests::nothing_is_left_of_a_killed_engine", || {
            let mut guarded = Guarded::start(|pipe| {
                leave_sleepers(pipe);
                nix::sys::signal::raise(Signal::SIGKILL).map_or(0, |()| 1)
            });
            assert_eq!(guarded.line(), "sleeping\n");
            assert_eq!(guarded.code(), FAULT);
            assert_eq!(guarded.line(), "", "nobody has the pipe any more");
            PASSED
        });
        assert_eq!(output.status.code(), Some(PASSED));
        assert_eq!(
            stderr(&output),
            "forkyard: the engine was killed (SIGKILL); everything it had started has been stopped\n"
        );
    }

    #[test]
    fn nothing_is_left_when_the_engine_forgets_it() {
        passes_alone("guardian::tests::nothing_is_left_when_the_engine_forgets_it", || {
            let mut guarded = Guarded::start(|pipe| {
                leave_sleepers(pipe);
                5
            });
            assert_eq!(guarded.line(), "sleeping\n");
            assert_eq!(guarded.code(), 5);
            assert_eq!(guarded.line(), "", "nobody has the pipe any more");
        });
    }
}
