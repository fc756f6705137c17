//! Deadlocks as they happen: who waits for whom is looked at now and then, and a knot that is there twice is told.
//!
//! ```text
//!  machine: conditions, slots, holds ─┐
//!  yard: parked requests, sleepers ───┼─▶ Scene ─▶ knots that there might be ─▶ the threads of those who run ─▶ knots that there are
//!  kernel: pipes, threads ────────────┘                                                                           │ the same twice
//!                                                                                                                 ▼
//!                                                                                                           News::Deadlock
//! ```
//! A process that runs counts as waiting only if all of its threads are known to sleep, each where nothing but the run can wake it: a false alarm
//! is worse than a deadlock that is not seen. What is assumed besides: nobody wakes such a thread by a signal, and a name in the workflow file
//! says all that a process will ever put, get, hold, set and wait for.

mod scene;
mod threads;

use std::time::Duration;

use forkyard_core::id::{EventId, PipeId, PoolId, ProcessId, QueueId};
use forkyard_core::plan::{Hold, Party, Resource, Wait};

use crate::tree::Tree;
pub use scene::{Scene, Sight};

/// How often it is looked who waits, while anybody does. A deadlock has to be there at two looks, so that it is told within a second.
pub const LOOK: Duration = Duration::from_millis(300);

/// So many processes are looked at more closely at one look: each costs a few reads of `/proc` for every thread it has.
const INSPECTIONS_MAX: usize = 64;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A condition of `after`.
    Condition(Wait),
    /// A slot of its pool.
    Slot(PoolId),
    /// A lock, or permits.
    Held(Resource),
    /// Room in a queue.
    Room(QueueId),
    /// An item of a queue.
    Item(QueueId),
    /// An event.
    Event(EventId),
    /// Something to read from a pipe, or room in it.
    Pipe(PipeId),
    /// A persistent worker: a task of its pool.
    Task(PoolId),
    /// A pool: that one of its workers gets on.
    Worker(ProcessId),
}

/// A deadlock: those who wait for each other and for nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// Each of them.
    pub parties: Vec<Stuck>,
}

/// One who is part of a deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who.
    pub who: Party,
    /// The pid of a process that runs.
    pub pid: Option<i32>,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// The pool in a slot of which it runs.
    pub slot: Option<PoolId>,
    /// What it waits for.
    pub waits: Vec<Awaited>,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// What.
    pub what: What,
    /// Who could bring it, all of them part of the deadlock; nobody, if it cannot come any more.
    pub from: Vec<Party>,
}

/// The living processes, to be looked at.
pub trait Lives {
    /// The tree of a process that runs, and the engine's ends of its streams.
    fn life(&self, process: ProcessId) -> Option<(&Tree, &[Conduit])>;
}

/// The engine's end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduit {
    /// The number of the pipe.
    pub pipe: u64,
    /// What is at the other end.
    pub end: End,
}

/// What the engine does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It brings items of this queue.
    From(QueueId),
    /// It takes items into this queue.
    Into(QueueId),
    /// It brings tasks to a worker.
    Tasks,
    /// It takes all there is.
    Sink,
}

/// Looks for deadlocks, and remembers what was there at the last look.
#[derive(Debug, Default)]
pub struct Vigil {
    /// Knots of the last look.
    suspected: Vec<Sight>,
    /// Those that have been told.
    told: Vec<Sight>,
    /// Who was looked at first; the next look begins with another one, so that all get their turn where there are many.
    turn: usize,
}

impl Vigil {
    /// Looks once more; the deadlocks that have been there at the last look already, each once.
    pub fn look(&mut self, scene: &Scene<'_>, lives: &impl Lives) -> Vec<Deadlock> {
        self.turn = self.turn.wrapping_add(1);
        let seen = scene.knots(lives, self.turn, INSPECTIONS_MAX);
        let is_told = |sight: &Sight| self.told.iter().any(|told| told.is_same_knot(sight));
        let is_news = |sight: &&Sight| self.suspected.contains(sight) && !is_told(sight);
        let news: Vec<Sight> = seen.iter().filter(is_news).cloned().collect();
        self.suspected = seen;
        let deadlocks = news.iter().map(|sight| scene.describe(sight)).collect();
        self.told.extend(news);
        deadlocks
    }
}
