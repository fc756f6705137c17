//! What is done to a run: who is hit, when, and by which signal.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Live, Random};

/// Whom a blow hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// One of the processes of the workflow, by its place among them.
    Process(u64),
    /// The outermost process of ours, which the user started.
    Guardian,
    /// The one between.
    Deputy,
    /// The engine.
    Engine,
}

#[derive(Clone, Copy, Debug)]
struct Blow {
    pause: Duration,
    victim: Victim,
    signal: Signal,
}

/// The plan, and what became of it.
pub struct Blows {
    plan: Vec<Blow>,
    dealt: Vec<(Victim, Signal)>,
}

impl Blows {
    pub fn of(random: &mut Random) -> Self {
        let mut plan: Vec<Blow> = (0..random.below(14)).map(|_| at_a_process(random)).collect();
        if random.one_in(2) {
            plan.extend(at_ours(random));
        }
        Self {
            plan,
            dealt: Vec::new(),
        }
    }

    /// Deals them one after the other; at the end whoever stands still goes on.
    pub fn deal(&mut self, live: &Live) {
        for blow in self.plan.clone() {
            thread::sleep(blow.pause);
            let Some(pid) = find(live, blow.victim) else { continue };
            // It may have ended in the meantime.
            if kill(pid, blow.signal).is_ok() {
                self.dealt.push((blow.victim, blow.signal));
            }
        }
        thread::sleep(Duration::from_millis(20));
        for (pid, _) in live.world().living() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }

    /// How many have reached somebody.
    pub fn dealt(&self) -> usize {
        self.dealt.len()
    }

    /// Whether somebody of ours was hit by this signal.
    pub fn hit(&self, victim: Victim, signal: Signal) -> bool {
        self.dealt.contains(&(victim, signal))
    }

    /// Whether one of the three of ours was killed.
    pub fn killed_one_of_ours(&self) -> bool {
        let ours = [Victim::Guardian, Victim::Deputy, Victim::Engine];
        ours.into_iter().any(|victim| self.hit(victim, Signal::SIGKILL))
    }
}

fn at_a_process(random: &mut Random) -> Blow {
    const SIGNALS: [Signal; 8] = [
        Signal::SIGKILL,
        Signal::SIGKILL,
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGSTOP,
        Signal::SIGSTOP,
        Signal::SIGCONT,
        Signal::SIGSEGV,
    ];
    Blow {
        pause: Duration::from_millis(random.below(60)),
        victim: Victim::Process(random.below(1_000)),
        signal: random.one_of(&SIGNALS),
    }
}

/// One that ends the run, or two; or ours stand still for a while.
fn at_ours(random: &mut Random) -> Vec<Blow> {
    let blow = |victim, signal, millis| Blow {
        pause: Duration::from_millis(millis),
        victim,
        signal,
    };
    let millis = random.below(200);
    let who = random.one_of(&[Victim::Guardian, Victim::Deputy, Victim::Engine]);
    match random.below(6) {
        0 => vec![blow(Victim::Guardian, Signal::SIGTERM, millis)],
        1 => vec![blow(Victim::Guardian, Signal::SIGINT, millis)],
        2 => vec![
            blow(Victim::Guardian, Signal::SIGINT, millis),
            blow(Victim::Guardian, Signal::SIGINT, random.below(50)),
        ],
        3 => vec![
            blow(who, Signal::SIGSTOP, millis),
            blow(Victim::Process(random.below(1_000)), Signal::SIGKILL, random.below(50)),
            blow(who, Signal::SIGCONT, random.below(100)),
        ],
        _ => vec![blow(who, Signal::SIGKILL, millis)],
    }
}

/// The victim's pid, as long as it lives.
fn find(live: &Live, victim: Victim) -> Option<Pid> {
    let guardian = live.pid();
    let deputy = only_child(guardian);
    let engine = deputy.and_then(only_child);
    match victim {
        Victim::Guardian => Some(guardian),
        Victim::Deputy => deputy,
        Victim::Engine => engine,
        Victim::Process(place) => {
            let ours = [Some(guardian), deputy, engine];
            let mut pids: Vec<Pid> = live
                .world()
                .living()
                .into_iter()
                .map(|(pid, _)| Pid::from_raw(pid))
                .collect();
            pids.retain(|pid| !ours.contains(&Some(*pid)));
            pids.sort();
            let count = u64::try_from(pids.len()).expect("a few processes");
            let index = place.checked_rem(count)?;
            Some(pids[usize::try_from(index).expect("a small number")])
        }
    }
}

fn only_child(pid: Pid) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    Some(Pid::from_raw(child))
}

impl fmt::Display for Blows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for blow in &self.plan {
            write!(f, "after {:?} {} to {:?}; ", blow.pause, blow.signal, blow.victim)?;
        }
        Ok(())
    }
}
