//! Nothing a run has started outlives it, whoever of the engine and its guardians is killed, and by what.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, World, until};

/// Six kinds of processes: one that is plain, one that ignores what asks it to stop, one with a child, one whose child
/// ignores what ends its parent, one with a child in a session of its own, and one with a daemon.
const SIX_KINDS: &str = "
defaults: {stop: {grace: 100ms}}
processes:
  plain: {run: [sleep, '1000']}
  deaf: {run: \"trap '' TERM INT HUP; echo up; sleep 1000; sleep 1000\"}
  parent: {run: 'sleep 1000 & echo up; wait'}
  leader: {run: \"(trap '' TERM INT HUP; exec sleep 1000) & echo up; exec sleep 1000\"}
  session: {run: 'setsid sleep 1000 & echo up; wait'}
  daemon: {run: \"(setsid sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 &' &); echo up; exec sleep 1000\"}
";

/// How many sleepers [`SIX_KINDS`] has when all are up.
const SLEEPERS: usize = 8;

/// The three processes of ours, from the outermost in.
struct Three {
    guardian: Pid,
    deputy: Pid,
    engine: Pid,
}

impl Three {
    fn of(live: &Live) -> Self {
        let guardian = live.pid();
        let deputy = only_child(guardian);
        Self {
            guardian,
            deputy,
            engine: only_child(deputy),
        }
    }
}

fn only_child(pid: Pid) -> Pid {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it lives");
    let mut children = children.split_whitespace().map(|pid| pid.parse().expect("a pid"));
    let child = Pid::from_raw(children.next().expect("it has a child"));
    assert_eq!(children.next(), None, "and no other");
    child
}

fn start(options: &str) -> Live {
    let live = Forkyard::run_of(&format!("forkyard: 1\noptions: {{{options}}}\n{SIX_KINDS}")).start();
    for process in ["deaf", "parent", "leader", "session", "daemon"] {
        live.wait_for(&format!("{process} │ up"));
    }
    until("all sleep", || sleepers(live.world()) == SLEEPERS);
    live
}

fn sleepers(world: &World) -> usize {
    world
        .living()
        .iter()
        .filter(|(_, line)| line.starts_with("sleep "))
        .count()
}

/// Kills all of these in the same instant: nobody runs between the first and the last, as all are stopped first. The
/// innermost first: with the first process of a namespace the kernel kills all others, before they could be killed here.
fn kill_together(pids: &[Pid]) {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in pids.iter().rev() {
            kill(*pid, signal).expect("it is alive");
        }
    }
}

fn dies_out(world: &World) {
    until("nobody is left", || world.living().is_empty());
}

#[test]
fn p3_p4_cc6_dd3_a_signal_that_asks_to_stop_leaves_nobody() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let live = start("");
        live.signal(signal);
        live.end().exit(code);
    }
}

/// Picks some of the three.
type Choice = fn(&Three) -> Vec<Pid>;

#[test]
fn e1_dd1_dd2_whoever_of_the_three_is_killed_nobody_is_left() {
    let choices: [(&str, Choice); 6] = [
        ("the guardian", |three| vec![three.guardian]),
        ("the deputy", |three| vec![three.deputy]),
        ("the engine", |three| vec![three.engine]),
        ("guardian and engine", |three| vec![three.guardian, three.engine]),
        ("deputy and engine", |three| vec![three.deputy, three.engine]),
        ("guardian and deputy", |three| vec![three.guardian, three.deputy]),
    ];
    for (who, chosen) in choices {
        let live = start("isolation: guardian");
        kill_together(&chosen(&Three::of(&live)));
        println!("killed: {who}");
        dies_out(live.world());
    }
}

/// Whether this user may make namespaces and cgroups; it is said when not.
fn is_possible(isolation: &str) -> bool {
    let run = Forkyard::run_of(&format!(
        "forkyard: 1\noptions: {{isolation: {isolation}}}\nprocesses: {{p: {{run: 'true'}}}}\n"
    ))
    .run();
    run.exit_one_of(&[0, 2]);
    let is_refused = run.errors().contains("is not possible");
    if is_refused {
        println!("skipped: {}", run.errors());
    }
    !is_refused
}

#[test]
fn e1_dd2_in_a_namespace_nobody_is_left_even_when_all_three_are_killed() {
    if !is_possible("pidns") {
        return;
    }
    let live = start("isolation: pidns");
    let three = Three::of(&live);
    assert_eq!(live.engine(), three.engine, "a run tells the pids that its user sees");
    kill_together(&[three.guardian, three.deputy, three.engine]);
    dies_out(live.world());
}

#[test]
fn e1_e7_dd2_what_is_left_of_a_run_in_a_cgroup_is_killed_by_the_next() {
    if !is_possible("cgroup") {
        return;
    }
    let live = start("isolation: cgroup");
    let three = Three::of(&live);
    kill_together(&[three.guardian, three.deputy, three.engine]);
    until("the three are dead", || {
        let ours = |line: &str| line.contains("forkyard");
        !live.world().living().iter().any(|(_, line)| ours(line))
    });
    let next = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'true'}}\n").run();
    next.exit(0);
    dies_out(live.world());
}

#[test]
fn e2_dd5_a_suspended_run_stands_still_and_goes_on() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  counts: {run: 'while :; do echo .; sleep 0.01; done', timeout: 1h}
",
    )
    .start();
    live.wait_for("counts │ .");
    live.signal(Signal::SIGTSTP);
    let states = || -> Vec<(i32, char)> {
        let living = live.world().living();
        living
            .into_iter()
            .filter_map(|(pid, _)| Some((pid, state(pid)?)))
            .collect()
    };
    let engine = live.engine().as_raw();
    let deputy = Three::of(&live).deputy.as_raw();
    // The shell is not shown as stopped while it waits for a child that has been stopped before its program was executed:
    // `vfork(2)`. It stands all the same.
    let guardian = live.pid().as_raw();
    let stands = |pid, state| match state {
        'T' => true,
        'D' => pid != guardian,
        _ => [engine, deputy].contains(&pid),
    };
    let all_stand = || states().into_iter().all(|(pid, state)| stands(pid, state));
    until("all stand still", all_stand);
    assert_eq!(
        state(live.pid().as_raw()),
        Some('T'),
        "the shell sees that it is suspended"
    );
    live.signal(Signal::SIGCONT);
    until("they go on", || states().iter().all(|(_, state)| *state != 'T'));
    live.signal(Signal::SIGTERM);
    live.end().exit(143);
}

/// `proc_pid_stat(5)`: the letter behind the name.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Two that end at nearly the same time, so that the second may end while the end of the first is being told.
#[test]
fn an_orphan_that_has_ended_is_reaped_while_its_process_lives() {
    let workflow = "
forkyard: 1
processes:
  parent:
    run: |
      for seconds in 0.2 0.201; do (sleep $seconds & echo $! >> pids); done
      for look in $(seq 200); do
        left=0
        for pid in $(cat pids); do [ -e /proc/$pid ] && left=$((left + 1)); done
        [ $left = 0 ] && echo reaped && exit
        sleep 0.05
      done
";
    let outcome = Forkyard::run_of(workflow).quiet().run();
    assert_eq!(outcome.exit(0).said("parent"), ["reaped"]);
}
