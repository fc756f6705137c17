//! A run in simulated time: how long it takes, what it waits for, how well its slots and locks are used.
//!
//! ```text
//!  Agenda ──Event──▶ World ──Input──▶ Machine::step(now)
//!    ▲                 ▲                    │
//!    └── later ────────┴────── Action ──────┘
//! ```
//!
//! The machine is the one that runs; the world around it is assumed. No process is started: each life lasts as long as the
//! [`Scenario`] says, and every action is answered late, as in the world. What happens is noted with what made it happen, so
//! that the way back from the end of the run is its critical path. One scenario is one history.
//!
//! Assumed is: a process that reads a queue or pipe as a stream, or waits for an event, ends no earlier than that has ended, or is
//! set; events are set when the time of a process is over, and items are put evenly over it; a full queue keeps nobody waiting; what
//! a process acquires by itself, it finds free; whoever is asked to stop does so at once.

mod agenda;
mod cause;
mod chronicle;
mod gauge;
mod life;
mod path;
mod played;
mod reader;
mod scenario;
mod tasks;
#[cfg(test)]
mod tests;
mod world;
mod yard;

use std::sync::Arc;

use crate::machine::{Input, Machine, Outbox, Verdict};
use crate::plan::Plan;
use crate::time::Time;
pub use cause::How;
pub use gauge::{Use, Waits};
pub use path::Step;
pub use played::{Counts, Ending, LongWait, Played, Stuck};
pub use reader::Feed;
pub use scenario::{Latencies, Scenario, share_slots};
use world::World;

/// A run with more lives and tasks than this is given up: it would take gigabytes, and has perhaps no end.
pub const SPANS_MAX: usize = 20_000_000;

/// So many of those who wait for ever are named.
const STUCK_NAMED_MAX: usize = 20;

/// The signal by which a run is stopped that goes on until somebody stops it: SIGTERM.
const STOP: i32 = 15;

/// Plays the run of `plan` to its end.
#[must_use]
pub fn simulate(plan: &Arc<Plan>, scenario: &Scenario) -> Played {
    let mut game = Play {
        machine: Machine::new(Arc::clone(plan)),
        world: World::new(plan, scenario),
        out: Outbox::default(),
        services: None,
    };
    game.step(Input::Seed { seed: scenario.seed });
    game.step(Input::Start);
    let ending = game.end();
    game.world.tell(ending, game.services)
}

struct Play<'a> {
    machine: Machine,
    world: World<'a>,
    out: Outbox,
    /// When nothing but services was left, and the run was stopped for that.
    services: Option<Time>,
}

impl Play<'_> {
    /// Lets everything happen until nothing does any more.
    fn end(&mut self) -> Ending {
        loop {
            if let Some(verdict) = self.world.verdict() {
                return self.ending(verdict);
            }
            if self.world.spans() > SPANS_MAX {
                return Ending::TooLong;
            }
            if let Some(input) = self.world.next() {
                self.step(input);
            } else if self.world.has_nothing_left() {
                if self.services.is_some() || !self.world.has_services() {
                    return self.world.stuck(&self.machine, STUCK_NAMED_MAX);
                }
                self.services = Some(self.world.now());
                self.step(Input::Interrupt { signal: STOP });
            }
        }
    }

    /// Who stops a run that has nothing but services has let it succeed.
    fn ending(&self, verdict: Verdict) -> Ending {
        match (verdict, self.services) {
            (Verdict::Signal(_), Some(_)) if self.world.has_failed() => Ending::Ended(Verdict::Failed),
            (Verdict::Signal(_), Some(_)) => Ending::Ended(Verdict::Succeeded),
            (
                Verdict::Succeeded
                | Verdict::Failed
                | Verdict::TimedOut
                | Verdict::Signal(_)
                | Verdict::Fault
                | Verdict::Deadlock,
                _,
            ) => Ending::Ended(verdict),
        }
    }

    fn step(&mut self, input: Input) {
        self.machine.step(self.world.now(), input, &mut self.out);
        for action in self.out.actions.drain(..) {
            self.world.act(action);
        }
        for record in self.out.records.drain(..) {
            self.world.note(record);
        }
    }
}
