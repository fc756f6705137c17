use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use forkyard_core::machine::Exit;

use super::*;
use crate::alarm::Alarm;
use crate::alone::passes_alone;
use crate::exit::{reap, reap_blocking};
use crate::spawner::{Child, Executable, Job, Spawner};

/// A shell with its tree; what it and its descendants write can be read.
struct Shell {
    child: Child,
    tree: Tree,
    output: BufReader<PipeReader>,
}

impl Shell {
    fn start(token: &str, script: &str) -> Self {
        let c = |text: &str| CString::new(text).expect("no NUL in tests");
        let (reader, writer) = io::pipe().expect("a pipe can be made");
        let job = Job {
            program: Executable::At(c("/bin/sh")),
            argv: vec![c("sh"), c("-c"), c(script)],
            envp: vec![
                c("PATH=/usr/bin:/bin").into(),
                c(&format!("FORKYARD_TOKEN={token}")).into(),
            ],
            listens: false,
            cwd: None,
            fds: vec![(None, 0), (Some(writer.into()), 1), (None, 2)],
            umask: None,
            nice: None,
            terminal: None,
            confinement: crate::spawner::Confinement::default(),
            identity: None,
            outlives: false,
            until_program: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let started = Spawner::start(&Alarm::default(), Arc::default())
            .expect("the spawner starts")
            .0
            .spawn(job);
        let child = runtime.expect("a runtime").block_on(started).expect("the shell starts");
        let tree = Tree::new(child.pid, token);
        let output = BufReader::new(reader);
        Self { child, tree, output }
    }

    /// The next line its tree writes, a pid.
    fn read_pid(&mut self) -> Pid {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("readable");
        line.trim().parse().expect("the script writes a pid")
    }

    fn members(&self) -> Vec<Pid> {
        self.tree.members().expect("/proc is readable")
    }

    fn wait(&self) -> Exit {
        let exit = reap_blocking(self.child.pidfd.as_fd()).expect("the child is ours");
        exit.expect("a blocking wait ends with an exit")
    }
}

/// Asks again until it is so, for some seconds at most.
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    (0..5_000).any(|_| {
        let held = holds();
        if !held {
            thread::sleep(Duration::from_millis(1));
        }
        held
    })
}

fn read(pid: Pid) -> Option<Process> {
    Process::read(pid).expect("/proc is readable")
}

fn lives(pid: Pid) -> bool {
    read(pid).is_some_and(|process| process.living)
}

/// A script that leaves a sleeper behind, in a session of its own, and writes the sleeper's pid.
const DAEMONISE: &str = "(setsid sh -c 'echo $$; exec sleep 60' &)";

#[test]
fn a_lone_process_is_its_tree() {
    passes_alone("tree::tests::a_lone_process_is_its_tree", || {
        let shell = Shell::start("t", "exec sleep 60");
        assert_eq!(shell.members(), [shell.child.pid]);
        assert!(!shell.tree.is_empty());
        shell.tree.signal(libc::SIGTERM).expect("/proc is readable");
        assert_eq!(shell.wait(), Exit::Signal(libc::SIGTERM));
        assert!(shell.tree.is_empty());
        assert!(shell.tree.kill());
    });
}

#[test]
fn a_zombie_is_no_member() {
    passes_alone("tree::tests::a_zombie_is_no_member", || {
        let shell = Shell::start("t", "exit 3");
        assert!(eventually(|| shell.tree.is_empty()));
        assert!(shell.members().is_empty());
        reap_adopted();
        assert_eq!(shell.wait(), Exit::Code(3), "the leader is not reaped with orphans");
    });
}

#[test]
fn a_daemonised_grandchild_is_found_and_killed() {
    passes_alone("tree::tests::a_daemonised_grandchild_is_found_and_killed", || {
        let mut shell = Shell::start("t", DAEMONISE);
        let daemon = shell.read_pid();
        assert_eq!(shell.wait(), Exit::Code(0));
        assert_eq!(shell.members(), [daemon]);
        assert!(!shell.tree.is_empty());
        assert!(eventually(|| shell.tree.kill()));
        assert!(shell.tree.is_empty() && !lives(daemon));
    });
}

#[test]
fn a_background_process_of_the_group_is_found_and_killed() {
    passes_alone(
        "tree::tests::a_background_process_of_the_group_is_found_and_killed",
        || {
            let mut shell = Shell::start("t", "env -i sh -c 'echo $$; exec sleep 60' &");
            let left = shell.read_pid();
            assert_eq!(shell.wait(), Exit::Code(0));
            assert_eq!(shell.members(), [left]);
            assert!(eventually(|| shell.tree.kill()));
        },
    );
}

#[test]
fn one_that_hides_its_environment_is_known_once_seen() {
    passes_alone("tree::tests::one_that_hides_its_environment_is_known_once_seen", || {
        let mut shell = Shell::start("t", "setsid env -i /bin/sh -c 'echo $$; exec /bin/sleep 60' & wait");
        let hidden = shell.read_pid();
        assert!(shell.members().contains(&hidden));
        read(shell.child.pid)
            .expect("it waits")
            .signal(&[libc::SIGKILL])
            .expect("it can be signalled");
        assert_eq!(shell.wait(), Exit::Signal(libc::SIGKILL));
        assert_eq!(shell.members(), [hidden]);
        assert!(eventually(|| shell.tree.kill()));
    });
}

#[test]
fn the_orphans_of_another_tree_are_left_alone() {
    passes_alone("tree::tests::the_orphans_of_another_tree_are_left_alone", || {
        let mut one = Shell::start("one", DAEMONISE);
        let mut other = Shell::start("other", DAEMONISE);
        let (mine, theirs) = (one.read_pid(), other.read_pid());
        one.wait();
        other.wait();
        assert!(eventually(|| one.tree.kill()));
        assert!(!lives(mine) && lives(theirs));
        assert_eq!(other.members(), [theirs]);
        assert!(eventually(|| other.tree.kill()));
    });
}

#[test]
fn a_stopped_process_sees_the_signal() {
    passes_alone("tree::tests::a_stopped_process_sees_the_signal", || {
        let shell = Shell::start("t", "kill -STOP $$");
        let stat = format!("/proc/{}/stat", shell.child.pid);
        let stopped = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        assert!(eventually(stopped));
        shell.tree.terminate(libc::SIGTERM).expect("/proc is readable");
        assert_eq!(shell.wait(), Exit::Signal(libc::SIGTERM));
    });
}

#[test]
fn cc9_walkers_that_fork_and_exit_for_ever_are_killed() {
    passes_alone(
        "tree::tests::cc9_walkers_that_fork_and_exit_for_ever_are_killed",
        || {
            // Each generation starts the next, half of them in a new session, and exits.
            let walker = r#"walk() { sh -c "$WALK" & setsid sh -c "$WALK2" & }; walk"#;
            let script = format!(
                "WALK='sleep 0.001; sh -c \"$WALK\" &'; WALK2='sleep 0.001; setsid sh -c \"$WALK2\" &'; \
             export WALK WALK2; {walker}; echo $$; sleep 60"
            );
            let mut shell = Shell::start("t", &script);
            assert_eq!(shell.read_pid(), shell.child.pid);
            let first = shell.members();
            let later_ones = || shell.members().iter().filter(|pid| !first.contains(pid)).count() > 3;
            assert!(eventually(later_ones), "they walk");
            assert!(eventually(|| shell.tree.kill()));
            assert_eq!(shell.wait(), Exit::Signal(libc::SIGKILL));
            assert!(shell.members().is_empty());
        },
    );
}

#[test]
fn adopted_orphans_are_reaped() {
    passes_alone("tree::tests::adopted_orphans_are_reaped", || {
        let mut shell = Shell::start("t", DAEMONISE);
        let daemon = shell.read_pid();
        shell.wait();
        assert!(proc::adopted().expect("/proc is readable").contains(&daemon));
        read(daemon)
            .expect("it sleeps")
            .signal(&[libc::SIGKILL])
            .expect("it can be signalled");
        assert!(eventually(|| {
            reap_adopted();
            read(daemon).is_none()
        }));
        assert!(shell.tree.is_empty());
    });
}

#[test]
fn p10_cc19_a_pid_with_another_start_is_never_signalled() {
    passes_alone(
        "tree::tests::p10_cc19_a_pid_with_another_start_is_never_signalled",
        || {
            let shell = Shell::start("t", "exec sleep 60");
            let mut stranger = read(shell.child.pid).expect("it sleeps");
            stranger.start += 1;
            stranger.signal(&[libc::SIGKILL]).expect("it can be signalled");
            let tree = Tree {
                leader_start: Cell::new(Some(stranger.start)),
                ..Tree::new(shell.child.pid, "u")
            };
            assert!(tree.kill(), "it has no members");
            assert_eq!(reap(shell.child.pidfd.as_fd()).expect("the child is ours"), None);
        },
    );
}

#[test]
fn a_sweep_kills_all_trees() {
    passes_alone("tree::tests::a_sweep_kills_all_trees", || {
        let script = format!("trap '' TERM; {DAEMONISE}; while :; do sleep 60; done");
        let mut shells: Vec<_> = (0..5).map(|token| Shell::start(&token.to_string(), &script)).collect();
        let daemons: Vec<_> = shells.iter_mut().map(Shell::read_pid).collect();
        sweep_all().expect("all can be killed");
        assert!(daemons.iter().all(|&daemon| !lives(daemon)));
        for shell in &shells {
            assert!(shell.tree.is_empty());
            assert_eq!(shell.wait(), Exit::Signal(libc::SIGKILL));
        }
    });
}

#[test]
fn a_sweep_meets_those_whose_parents_end_meanwhile() {
    passes_alone("tree::tests::a_sweep_meets_those_whose_parents_end_meanwhile", || {
        // Each starts the next in a session of its own and exits.
        let script =
            "N='setsid sh -c \"$M\" &'; M='setsid sh -c \"$L\" &'; L='sleep 60 & exec true'; export M L; eval \"$N\"";
        for round in 0..100 {
            let shell = Shell::start(&round.to_string(), script);
            thread::sleep(Duration::from_micros(100 * round));
            sweep_all().expect("all can be killed");
            assert!(shell.members().is_empty(), "in round {round}");
        }
    });
}

#[test]
fn a_leader_that_hands_over_and_exits_never_leaves_an_empty_tree() {
    passes_alone(
        "tree::tests::a_leader_that_hands_over_and_exits_never_leaves_an_empty_tree",
        || {
            // The one left behind changes its session and its program while the leader exits.
            for round in 0..50 {
                let shell = Shell::start(&round.to_string(), "setsid sleep 60 &");
                assert_eq!(shell.wait(), Exit::Code(0));
                assert!(!shell.tree.is_empty(), "in round {round}");
                assert!(eventually(|| shell.tree.kill()));
            }
        },
    );
}

#[test]
fn a_tree_that_cannot_be_listed_is_not_called_empty() {
    passes_alone("tree::tests::a_tree_that_cannot_be_listed_is_not_called_empty", || {
        let mut shell = Shell::start("t", DAEMONISE);
        shell.read_pid();
        shell.wait();
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        assert!(!shell.tree.is_empty());
        assert!(!shell.tree.kill());
        drop(taken);
        assert!(eventually(|| shell.tree.kill()));
    });
}
