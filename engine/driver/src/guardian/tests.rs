//! Guardians in processes of their own, and what becomes of the engine below them.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use forkyard_core::machine::Exit;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgrp, getpid};

use super::ward::STOP_SIGNALS;
use super::*;
use crate::alone::{PASSED, alone, passes_alone, stderr};
use crate::kept::{Identity, Note};

/// A guardian in a process of its own, with one thread, and what the engine writes.
struct Guarded {
    pid: Pid,
    output: BufReader<PipeReader>,
}

impl Guarded {
    fn start(engine: impl FnOnce(PipeWriter) -> i32) -> Self {
        Self::start_keeping(None, engine)
    }

    fn start_keeping(kept: Option<&Place>, engine: impl FnOnce(PipeWriter) -> i32) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe can be made");
        // SAFETY: the child has the calling thread alone, which holds no lock.
        match unsafe { fork() }.expect("a process can be made") {
            ForkResult::Parent { child } => Self {
                pid: child,
                output: BufReader::new(reader),
            },
            ForkResult::Child => {
                // Who is started by hand here stays in the cgroup of the run.
                let isolation = kept.map_or(Isolation::Auto, |_| Isolation::Guardian);
                let code = guard(isolation, kept, || engine(writer));
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
fn the_engine_is_made_to_stop_at_once_when_the_guardian_is_killed() {
    passes_alone(
        "guardian::tests::the_engine_is_made_to_stop_at_once_when_the_guardian_is_killed",
        || {
            let mut guarded = Guarded::start(|mut pipe| {
                let copy = pipe.try_clone().expect("there are descriptors");
                engine_that_waits(copy);
                let second = SigSet::from_iter(STOP_SIGNALS).wait().expect("a signal comes");
                writeln!(pipe, "{second}").map_or(1, |()| 0)
            });
            assert_eq!(guarded.line(), "ready\n");
            guarded.send(Signal::SIGKILL);
            let mut signals = [guarded.line(), guarded.line()];
            signals.sort();
            assert_eq!(signals, ["SIGINT\n", "SIGTERM\n"], "the second stops at once");
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

/// Notes a sleeper as one who is to be kept, and starts it.
#[expect(clippy::zombie_processes, reason = "that its keeper waits for it is what is tested")]
fn keep_sleeper(place: &Path, pipe: &mut PipeWriter) {
    let proc = |path: &str| fs::read_to_string(path).expect("/proc is there");
    let note = Note {
        file: "w.yaml".into(),
        workflow: "w".to_owned(),
        process: "db".to_owned(),
        run: "a run".to_owned(),
        token: "kept-by-a-test".to_owned(),
        digest: String::new(),
        boot: proc("/proc/sys/kernel/random/boot_id").trim().to_owned(),
        namespace: String::new(),
        identity: None,
        ready: false,
        log: None,
        stop_signal: libc::SIGTERM,
        grace_ms: 0,
    };
    for folder in ["notes", "endings"] {
        fs::create_dir_all(place.join(folder)).expect("it can be made");
    }
    let note = serde_json::to_vec(&note).expect("it is plain data");
    fs::write(place.join("notes/db.json"), note).expect("it can be written");
    let mut command = Command::new("sleep");
    command
        .arg("60")
        .env("FORKYARD_TOKEN", "kept-by-a-test")
        .process_group(0);
    let sleeper = command.spawn().expect("sleep is there");
    writeln!(pipe, "{}", sleeper.id()).expect("somebody reads");
}

#[test]
fn who_is_to_be_kept_outlives_a_panic_and_how_it_ends_is_written_down() {
    passes_alone(
        "guardian::tests::who_is_to_be_kept_outlives_a_panic_and_how_it_ends_is_written_down",
        || {
            let state = tempfile::tempdir().expect("a temporary folder can be made");
            fs::create_dir_all(state.path().join("kept/w")).expect("it can be made");
            let kept = Place::all(state.path()).expect("readable").remove(0);
            let folder = state.path().join("kept/w");
            let mut guarded = Guarded::start_keeping(Some(&kept), |mut pipe| {
                keep_sleeper(&folder, &mut pipe);
                panic!("injected")
            });
            let pid: i32 = guarded.line().trim().parse().expect("a pid");
            assert_eq!(guarded.code(), FAULT);
            let start = crate::tree::started(pid).expect("/proc is there").expect("it lives on");
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
            let begun = Instant::now();
            let ending = loop {
                if let Some(ending) = kept.ending(Identity { pid, start }).expect("readable") {
                    break ending;
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "its keeper says nothing");
                thread::sleep(Duration::from_millis(2));
            };
            assert_eq!(ending.exit, Exit::Signal(libc::SIGKILL));
        },
    );
}
