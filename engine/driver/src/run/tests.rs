//! Whole runs, with real processes, of plans written by hand.

mod clients;
mod panics;
mod pools;
mod streams;
mod world;

use std::time::Duration;

use forkyard_core::id::LockId;
use forkyard_core::machine::{Exit, Outcome, Record, Verdict};
use forkyard_core::plan::{Hold, Lock, Resource, Wire};

use super::RunError;
use crate::alone::passes_alone;
use crate::news::{News, Stream};
use world::World;

#[test]
fn a_process_runs_and_its_log_has_every_byte() {
    passes_alone("run::tests::a_process_runs_and_its_log_has_every_byte", || {
        let mut world = World::new();
        world.process("one", r"printf 'out\n\377no end'; echo err >&2", []);
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Succeeded);
        let log = shown.directory.read_log("one").expect("a log");
        assert_eq!(log.len(), b"out\n\xffno enderr\n".len());
        let lines: Vec<_> = shown
            .news
            .iter()
            .filter_map(|news| match news {
                News::Output {
                    stream, line, ended, ..
                } => Some((*stream, line.to_vec(), *ended)),
                _ => None,
            })
            .collect();
        assert!(lines.contains(&(Stream::Stdout, b"out".to_vec(), true)), "{lines:?}");
        assert!(
            lines.contains(&(Stream::Stdout, b"\xffno end".to_vec(), false)),
            "{lines:?}"
        );
        assert!(lines.contains(&(Stream::Stderr, b"err".to_vec(), true)), "{lines:?}");
        assert_eq!(shown.directory.about().expect("run.json").exit_code, Some(0));
        let records = std::fs::read_to_string(shown.directory.records()).expect("records");
        assert!(records.contains(r#""process":"one""#), "{records}");
    });
}

#[test]
fn a_panic_ends_the_run_and_that_is_written_down() {
    passes_alone("run::tests::a_panic_ends_the_run_and_that_is_written_down", || {
        let mut world = World::new();
        world.process("left", "setsid sleep 1000 & sleep 1000", []);
        let broken = world.process("broken", "echo never", []);
        // No check lets such a plan pass: there is no such queue.
        world.plan.launches[broken.index()]
            .fds
            .insert(1, Wire::ToQueue(forkyard_core::id::QueueId(7)));
        let (error, exit_code) = world.fail();
        assert!(matches!(error, RunError::Panicked), "{error}");
        assert_eq!(exit_code, Some(3));
    });
}

#[test]
fn the_environment_tells_who_and_where() {
    passes_alone("run::tests::the_environment_tells_who_and_where", || {
        let mut world = World::new();
        let id = world.process(
            "who.3",
            "echo $FORKYARD_NAME $FORKYARD_INDEX $FORKYARD_ATTEMPT $FORKYARD_CPUS $X \
             ${#FORKYARD_TOKEN} $FORKYARD_RUN $FORKYARD_SOCKET; test -x \"$(command -v forkyard)\" && pwd",
            [],
        );
        let launch = &mut world.plan.launches[id.index()];
        launch.index = 3;
        launch.cwd = Some("sub".to_owned());
        launch.env.insert(
            "X".to_owned(),
            forkyard_core::plan::EnvValue {
                value: "a".to_owned(),
                secret: false,
            },
        );
        std::fs::create_dir(world.folder.path().join("sub")).expect("made");
        let shown = world.run();
        let (run, socket) = (shown.directory.id(), shown.directory.socket().display());
        let cwd = shown.folder().canonicalize().expect("there").join("sub");
        assert_eq!(
            shown.log("who.3"),
            format!("who.3 3 1 4 a 32 {run} {socket}\n{}\n", cwd.display())
        );
    });
}

#[test]
fn what_cannot_be_started_says_why_and_fails() {
    passes_alone("run::tests::what_cannot_be_started_says_why_and_fails", || {
        let mut world = World::new();
        let missing = world.process("missing", "", []);
        world.plan.launches[missing.index()].program.argv = vec!["./nowhere".to_owned()];
        world.process("reads", "cat", [(0, Wire::ReadFile("absent.txt".to_owned()))]);
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Failed);
        let mut reasons: Vec<String> = shown
            .news
            .iter()
            .filter_map(|news| match news {
                News::Record {
                    record: Record::NotStarted { .. },
                    reason,
                    ..
                } => reason.as_deref().map(str::to_owned),
                _ => None,
            })
            .collect();
        // What the engine finds is told before what the kernel says.
        reasons.sort();
        assert!(reasons[0].contains("nowhere"), "{reasons:?}");
        assert!(reasons[1].contains("cannot read absent.txt"), "{reasons:?}");
    });
}

#[test]
fn exits_are_told_apart() {
    passes_alone("run::tests::exits_are_told_apart", || {
        let mut world = World::new();
        world.process("code", "exit 7", []);
        world.process("signal", "kill -SEGV $$", []);
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Failed);
        let exits: std::collections::BTreeMap<_, _> = shown
            .records()
            .into_iter()
            .filter_map(|record| match record {
                Record::Exited {
                    process, exit, outcome, ..
                } => Some((process.0, (exit, outcome))),
                _ => None,
            })
            .collect();
        assert_eq!(exits[&0], (Exit::Code(7), Outcome::Failed));
        assert_eq!(exits[&1], (Exit::Signal(libc::SIGSEGV), Outcome::Failed));
    });
}

#[test]
fn a_timeout_stops_the_whole_tree_and_kills_who_does_not_listen() {
    passes_alone(
        "run::tests::a_timeout_stops_the_whole_tree_and_kills_who_does_not_listen",
        || {
            let mut world = World::new();
            let id = world.process("deaf", "trap '' TERM; setsid sleep 1000 & echo up; sleep 1000", []);
            world.plan.processes[id.index()].timeout = Some(Duration::from_millis(300));
            world.plan.processes[id.index()].grace = Duration::from_millis(100);
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Failed);
            assert!(
                shown
                    .records()
                    .iter()
                    .any(|record| matches!(record, Record::Killing { .. }))
            );
            assert!(shown.records().iter().any(|record| matches!(
                record,
                Record::Exited {
                    outcome: Outcome::TimedOut,
                    ..
                }
            )));
        },
    );
}

#[test]
fn who_is_left_behind_is_named_and_stopped() {
    passes_alone("run::tests::who_is_left_behind_is_named_and_stopped", || {
        let mut world = World::new();
        world.process(
            "parent",
            "sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; echo started",
            [],
        );
        let shown = world.run();
        let who = shown.news.iter().find_map(|news| match news {
            News::Record {
                record: Record::LeftBehind { .. },
                reason,
                ..
            } => reason.clone(),
            _ => None,
        });
        assert!(who.is_some_and(|who| who.contains("sleep (pid ")));
        assert_eq!(shown.verdict, Verdict::Succeeded);
    });
}

#[test]
fn a_stop_command_is_run_instead_of_the_signal() {
    passes_alone("run::tests::a_stop_command_is_run_instead_of_the_signal", || {
        let mut world = World::new();
        let id = world.process(
            "server",
            "trap '' TERM; until test -e stop; do sleep 0.01; done; echo bye",
            [],
        );
        world.plan.processes[id.index()].timeout = Some(Duration::from_millis(50));
        world.plan.launches[id.index()].stop_command = Some(world::program("touch stop"));
        let shown = world.run();
        assert_eq!(shown.log("server"), "bye\n");
        assert!(
            !shown
                .records()
                .iter()
                .any(|record| matches!(record, Record::Killing { .. }))
        );
    });
}

#[test]
fn a_signal_to_the_engine_stops_the_run() {
    passes_alone("run::tests::a_signal_to_the_engine_stops_the_run", || {
        let mut world = World::new();
        world.process(
            "tells",
            &format!("kill -INT {}; exec sleep 1000", std::process::id()),
            [],
        );
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Signal(libc::SIGINT));
    });
}

#[test]
fn holders_of_a_lock_never_run_together() {
    passes_alone("run::tests::holders_of_a_lock_never_run_together", || {
        let mut world = World::new();
        world.plan.locks.push(Lock {
            name: "lock".to_owned(),
            reentrant: false,
        });
        for index in 0..4 {
            // The last one is killed with the lock: the next one has it all the same.
            let script = "echo in >> shared; sleep 0.05; echo out >> shared; test $FORKYARD_INDEX = 3 && kill -KILL $$";
            let id = world.process(&format!("holder.{index}"), script, []);
            world.plan.launches[id.index()].index = 3 - index;
            world.plan.processes[id.index()].success.codes = vec![0, 1];
            world.plan.processes[id.index()].holds.push(Hold {
                resource: Resource::Lock(LockId(0)),
                permits: 1,
            });
        }
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Failed);
        assert_eq!(shown.file("shared"), "in\nout\n".repeat(4));
    });
}

#[test]
fn a_log_that_cannot_be_written_stops_the_run_with_a_reason() {
    passes_alone(
        "run::tests::a_log_that_cannot_be_written_stops_the_run_with_a_reason",
        || {
            let mut world = World::new();
            let log = world.process("log", "echo lost; exec sleep 1000", []);
            world.plan.launches[log.index()].log_file = Some("/dev/full".to_owned());
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Fault);
            let reason = shown.news.iter().find_map(|news| match news {
                News::Record {
                    record: Record::RunStopping { .. },
                    reason,
                    ..
                } => reason.clone(),
                _ => None,
            });
            assert!(reason.is_some_and(|reason| reason.contains("log cannot be written")));
        },
    );
}
