//! Whether the declared graph can come to a deadlock, found out before anything runs.
//!
//! ```text
//!  Plan ──▶ structure: a cycle of needs? ── none ──▶ proved, whatever the size
//!               │ a knot, and another …
//!               ▼
//!             part: a small plan ──▶ search: Machine::step through all orders ──▶ proved, or a deadlock, or the budget is spent
//!                                       │
//!                                     trace: made again on a fresh machine, and shortened
//! ```
//!
//! The very machine that runs a workflow is stepped, in a world that does at once what it asks for, and in which processes do what the
//! file allows them. What is assumed of the inside of a process is in [`inside`], and for people in `docs/deadlocks.md`.
//!
//! The way of it, and what it was measured to be good for, is that of explicit model checking with partial orders: Valmari's stubborn
//! sets, Ip and Dill's symmetry ("Better verification through symmetry", 1996), Holzmann's hashing of states.

mod inside;
mod kept;
mod model;
mod moves;
mod part;
mod search;
mod structure;
mod stubborn;
#[cfg(test)]
mod tests;
mod touched;
mod trace;
mod world;

use crate::id::{EventId, PoolId, QueueId};
use crate::plan::{Channel, Hold, Party, Plan, Wait};
use inside::Program;
use part::Part;
use search::{Method, Outcome, Search};
use structure::{Knot, Structure};
use touched::Touched;

/// What is known about the deadlocks of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The deadlocks found: one for each part of the graph that has any.
    pub deadlocks: Vec<Deadlock>,
    /// How many parts of the graph have a cycle of needs, and had to be searched.
    pub knots: usize,
    /// How many different situations were seen in all of them.
    pub states: usize,
    /// Whether all of them were searched to the end, or to a deadlock.
    pub is_exhaustive: bool,
}

/// A way into a deadlock. Numbers are those of the plan; of a pool's workers it is told which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// What happens, in this order.
    pub steps: Vec<Happening>,
    /// Who waits for ever then, each for another of them, or for a daemon.
    pub blocked: Vec<Blocked>,
    /// Whether it follows from what the file says alone; otherwise from what a process may do by itself, too.
    pub is_certain: bool,
    /// Whether no way is shorter.
    pub is_shortest: bool,
}

/// One step of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Who: a process, a worker, or a pool as a whole.
    pub who: Party,
    /// Does what.
    pub does: Does,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It is given what it `holds`.
    Holds(Hold),
    /// It acquires something by itself.
    Acquires(Hold),
    /// It puts an item; `fills`: and with that, or later ones, the channel is full.
    Puts {
        /// Into this.
        channel: Channel,
        /// There is no room left.
        fills: bool,
    },
    /// It gets an item.
    Gets(Channel),
    /// It sees that no item will come any more.
    SeesEnd(Channel),
    /// It has waited for the event.
    PassesWait(EventId),
    /// It sets the event.
    Sets(EventId),
    /// It begins a round of a `repeat`.
    BeginsRound,
    /// It leaves a `repeat`.
    LeavesRound,
    /// It has done its task.
    Answers,
    /// It ends well.
    Ends,
    /// It ends badly.
    Fails,
    /// A pool takes a task, or sees that there will be no more.
    TakesTask(QueueId),
    /// A pool puts a result.
    PutsResult(QueueId),
    /// It has waited for too long.
    GivesUp(Wait),
}

/// Somebody who waits for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Who.
    pub who: Party,
    /// For what.
    pub by: Obstacle,
    /// Who could help, and is blocked as well.
    pub helpers: Vec<Party>,
    /// Daemons that have what it waits for, and keep it as long as they run.
    pub keepers: Vec<Party>,
    /// Whether it waits before its start.
    pub has_not_started: bool,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A lock or permits; `lent`: the engine asks for it, because of `holds`.
    Hold {
        /// Which, and how many.
        hold: Hold,
        /// By `holds`, not by `acquires`.
        lent: bool,
    },
    /// Room.
    Room(Channel),
    /// An item.
    Item(Channel),
    /// An event, by itself.
    Event(EventId),
    /// One of its `after`.
    After(Wait),
    /// A slot.
    Slot(PoolId),
    /// The pool's own work.
    Work(PoolId),
}

/// Looks for deadlocks. `budget` is asked every few situations whether the search may go on; the structural proof needs no budget.
pub fn explore(plan: &Plan, budget: &mut dyn FnMut() -> bool) -> Report {
    let mut report = Report {
        deadlocks: Vec::new(),
        knots: 0,
        states: 0,
        is_exhaustive: true,
    };
    if !has_channels(plan) {
        return report;
    }
    let programs: Vec<Program> = (0..plan.processes.len())
        .map(|actor| Program::of(plan, actor))
        .collect();
    let knots = knots(plan, &programs);
    if knots.is_empty() {
        return report;
    }
    let touched = Touched::of(plan, &programs);
    report.knots = knots.len();
    for knot in &knots {
        if !budget() {
            report.is_exhaustive = false;
            break;
        }
        let part = Part::new(plan, &programs, &touched, knot);
        search_part(&part, budget, &mut report);
    }
    report
}

/// What has to be searched, the smallest first: they are the soonest done.
fn knots(plan: &Plan, programs: &[Program]) -> Vec<Knot> {
    let structure = Structure::of(plan, programs);
    let mut knots = if structure.is_free_of_cycles() {
        Vec::new()
    } else {
        structure.knots()
    };
    let kept = kept::kept(plan, programs);
    if !kept.is_empty() {
        knots.extend(structure.knots_of_daemons(&kept));
    }
    knots.sort_by_key(|knot| knot.actors.len());
    knots.dedup_by(|knot, other| knot == other);
    knots
}

/// Whether anything but `after` can keep anybody: that alone cannot, since the rules refuse its cycles.
fn has_channels(plan: &Plan) -> bool {
    let lends = plan.pools.iter().any(|pool| pool.work.is_none());
    let meets = plan.queues.len() + plan.pipes.len() + plan.events.len() > 0;
    lends || meets || plan.locks.len() + plan.semaphores.len() > 0
}

/// As many steps of a way are told at most.
const STEPS_TOLD_MAX: usize = 1_000;

fn search_part(part: &Part, budget: &mut dyn FnMut() -> bool, report: &mut Report) {
    let mut search = Search::new(&part.model, Method::REDUCED, budget);
    let outcome = search.in_depth(&mut |_, _| true);
    report.states += search.states();
    let far = match outcome {
        Outcome::Exhausted => return,
        Outcome::Spent => {
            report.is_exhaustive = false;
            return;
        }
        Outcome::Deadlock(moves) => trace::shortened(&part.model, moves, budget),
    };
    if far.len() > STEPS_TOLD_MAX {
        // A way that nobody could follow tells nobody anything.
        report.is_exhaustive = false;
        return;
    }
    let mut search = Search::new(&part.model, Method::REDUCED, budget);
    let nearest = search.in_breadth(far.len());
    let (moves, is_shortest) = match nearest {
        Outcome::Deadlock(moves) => (moves, true),
        Outcome::Exhausted => (far, true),
        Outcome::Spent => (far, false),
    };
    match trace::told(part, &moves, is_shortest) {
        Some(deadlock) => report.deadlocks.push(deadlock),
        // Where daemons stay, one that comes of nothing they keep was found before, without them, or there was no time for it.
        None => report.is_exhaustive = false,
    }
}
