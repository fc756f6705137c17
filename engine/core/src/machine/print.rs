//! The machine as the explorer sees it: who stands where, and a fingerprint of all that decides what may come.
//!
//! What the future does not depend on is left out of the print: moments, numbers of lives and tasks, counts of what was done. So two
//! histories that lead to the same situation have the same print.

use super::process::State;
use super::{Machine, Outbox, Pool, Run};
use crate::id::{PoolId, ProcessId, QueueId};
use crate::plan::{Condition, Dependency, Order, Party, Wait};

/// Makes a fingerprint of 64 bits out of words, the same in every run.
///
/// Each word is mixed in by the finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014): of two million different states, the chance that any two have the same print is about one in ten million.
#[derive(Clone, Copy, Debug, Default)]
pub struct Print(u64);

impl Print {
    /// Adds a word; the order of words counts.
    pub fn add(&mut self, word: u64) {
        let mut mixed = (self.0 ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.0 = mixed ^ (mixed >> 31);
    }

    /// The fingerprint of all words so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// How far a process has come, as far as others can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It waits for its conditions; a worker: for work.
    Pending,
    /// It waits for a slot of its pool.
    InLine,
    /// Some of its holds are granted, and the next one is asked for.
    Acquiring {
        /// How many are granted.
        granted: usize,
    },
    /// It is alive.
    Alive,
    /// Nothing more will happen.
    Ended,
}

impl Machine {
    /// How far this process has come.
    #[must_use]
    pub fn stand(&self, id: ProcessId) -> Stand {
        match self.process(id).state {
            State::Queued => Stand::InLine,
            State::Acquiring { granted } => Stand::Acquiring { granted },
            State::Starting { .. }
            | State::Running
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Leaving { .. } => Stand::Alive,
            // The explorer knows no restarts.
            State::Pending | State::Backoff | State::Regrouping => Stand::Pending,
            State::Settling { .. } | State::Ended(_) => Stand::Ended,
        }
    }

    /// Which life of this process it is, from 1; 0 before the first.
    #[must_use]
    pub fn attempt(&self, id: ProcessId) -> u32 {
        self.process(id).attempt
    }

    /// Whether nothing more will come of this pool.
    #[must_use]
    pub fn pool_has_ended(&self, pool: PoolId) -> bool {
        let outcome = self.pools[pool.index()].judge(Condition::Finished);
        outcome == super::wait::Judgement::Met
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.run == Run::Ended
    }

    /// Whether this process or pool still waits for its conditions.
    #[must_use]
    pub fn has_not_begun(&self, party: Party) -> bool {
        self.is_waiting(party)
    }

    /// The waits of a party that has not begun whose conditions have not come, each with its place among all waits.
    pub fn open_waits(&self, party: Party) -> impl Iterator<Item = (usize, Wait)> + '_ {
        let waiting = self.is_waiting(party);
        let places = self.waits.places(&self.plan, party).filter(move |_| waiting);
        places.filter_map(|place| Some((place, self.waits.still_open(place)?.1)))
    }

    /// The `timeout` of the wait at this place has come, whatever the time is.
    pub fn give_up_wait(&mut self, place: usize, out: &mut Outbox) {
        self.waited_too_long(place);
        self.settle();
        out.actions.append(&mut self.out.actions);
        out.records.append(&mut self.out.records);
    }

    /// Forgets all timers: for who lets no time pass.
    pub fn forget_timers(&mut self) {
        self.timers = super::Timers::default();
    }

    /// What is known of one process, without its name or number, so that like ones in like situations have the same print.
    #[must_use]
    pub fn print_process(&self, id: ProcessId) -> u64 {
        let mut print = Print::default();
        let process = self.process(id);
        print.add(state_word(process.state));
        match self.plan.party_of(id) {
            Party::Process(_) => print.add(u64::from(self.waits.open(&self.plan, Party::Process(id)))),
            Party::Pool(pool) => {
                let planned = &self.plan.pools[pool.index()];
                if let (Pool::Crew(crew), Some(work)) = (&self.pools[pool.index()], &planned.work) {
                    let place = id.0 - planned.workers.start;
                    crew.print_worker(id, place as usize, work, &mut print);
                }
            }
        }
        if let Some(pool) = self.plan.processes[id.index()].slot_in
            && let Pool::Slots(slots) = &self.pools[pool.index()]
        {
            let place = slots.line.iter().position(|waiting| *waiting == id);
            print.add(place.map_or(u64::MAX, |place| place as u64));
        }
        print.value()
    }

    fn order(&self, pool: PoolId) -> Order {
        let work = self.plan.pools[pool.index()].work.as_ref();
        work.map_or(Order::Completed, |work| work.order)
    }

    /// All that is about no single process.
    #[must_use]
    pub fn print_rest(&self) -> u64 {
        let mut print = Print::default();
        print.add(match self.run {
            Run::Before => 0,
            Run::Going => 1,
            Run::Winding => 2,
            Run::Stopping(_) => 3,
            Run::Killing(_) => 4,
            Run::Ended => 5,
        });
        for (pool, id) in self.pools.iter().zip(0..) {
            match pool {
                Pool::Slots(slots) => slots.print(&mut print),
                Pool::Crew(crew) => crew.print(self.order(PoolId(id)), &mut print),
            }
        }
        for (queue, id) in self.queues.iter().zip(0..) {
            // How it ended is of interest only to who waits for it.
            let on = Dependency::Queue(QueueId(id));
            if self.waits.dependents(on).next().is_some() {
                print.add(queue.state as u64);
            }
        }
        for event in &self.events {
            print.add(u64::from(event.seen));
        }
        print.value()
    }
}

fn state_word(state: State) -> u64 {
    match state {
        State::Pending => 0,
        State::Queued => 1,
        State::Starting { .. } => 2,
        State::Running => 3,
        State::Stopping { .. } => 4,
        State::Leaving { .. } => 5,
        State::Settling { .. } => 6,
        State::Ended(end) => 7 + end as u64,
        State::Ready { .. } => 50,
        State::Backoff => 51,
        State::Regrouping => 52,
        State::Acquiring { granted } => 100 + granted as u64,
    }
}
