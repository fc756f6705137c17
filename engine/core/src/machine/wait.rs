//! Waits: who waits for what, and what has come so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::process::{End, State};
use super::queue::QueueState;
use super::touch::{party_at, party_index};
use super::{Because, Machine, PoolOutcome};
use crate::plan::{Condition, Dependency, Party, Plan, Wait};

/// All waits of all parties, those of one party standing together.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    /// What never changes; copies of a machine share it.
    declared: Arc<Declared>,
    /// By place: whether it has come.
    met: Vec<bool>,
    /// By party: how many have not come.
    open: Vec<u32>,
}

#[derive(Debug)]
struct Declared {
    all: Vec<(Party, Wait)>,
    /// By party: where its waits begin, with one more entry for the end.
    first: Vec<usize>,
    dependents: BTreeMap<Dependency, Vec<usize>>,
}

/// Whether a wait's condition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It has.
    Met,
    /// It still may.
    Open,
    /// It can no longer come.
    Never,
}

impl Waits {
    pub(super) fn new(plan: &Plan) -> Self {
        let parties = plan.processes.len() + plan.pools.len();
        let mut open = Vec::with_capacity(parties);
        let mut waits = Declared {
            all: Vec::new(),
            first: vec![0],
            dependents: BTreeMap::new(),
        };
        for index in 0..parties {
            let party = party_at(plan, index);
            let declared = match party {
                Party::Process(process) => &plan.processes[process.index()].after,
                Party::Pool(pool) => &plan.pools[pool.index()].after,
            };
            for wait in declared {
                waits.dependents.entry(wait.on).or_default().push(waits.all.len());
                waits.all.push((party, *wait));
            }
            waits.first.push(waits.all.len());
            open.push(u32::try_from(declared.len()).expect("a party has fewer than 2^32 waits"));
        }
        Self {
            met: vec![false; waits.all.len()],
            declared: Arc::new(waits),
            open,
        }
    }

    /// Every wait with a time-out, by its place.
    pub(super) fn with_timeout(&self) -> impl Iterator<Item = (usize, std::time::Duration)> + '_ {
        let all = self.declared.all.iter().enumerate();
        all.filter_map(|(place, (_, wait))| Some((place, wait.timeout?)))
    }

    /// The wait, if its condition has not come.
    pub(super) fn still_open(&self, place: usize) -> Option<(Party, Wait)> {
        (!self.met[place]).then_some(self.declared.all[place])
    }

    /// How many conditions of this party have not come.
    pub(super) fn open(&self, plan: &Plan, party: Party) -> u32 {
        self.open[party_index(plan, party)]
    }

    /// The condition has to come once more for the party of that index.
    pub(super) fn reopen(&mut self, place: usize, party: usize) {
        if std::mem::take(&mut self.met[place]) {
            self.open[party] += 1;
        }
    }

    /// What this party waits for.
    pub(super) fn of(&self, plan: &Plan, party: Party) -> impl Iterator<Item = Wait> + '_ {
        self.declared.all[self.places(plan, party)]
            .iter()
            .map(|(_, wait)| *wait)
    }

    /// The places of the waits of this party.
    pub(super) fn places(&self, plan: &Plan, party: Party) -> std::ops::Range<usize> {
        let index = party_index(plan, party);
        self.declared.first[index]..self.declared.first[index + 1]
    }

    /// Those who wait for this.
    pub(super) fn dependents(&self, on: Dependency) -> impl Iterator<Item = Party> + '_ {
        self.places_on(on).iter().map(|place| self.declared.all[*place].0)
    }

    fn places_on(&self, on: Dependency) -> &[usize] {
        self.declared.dependents.get(&on).map_or(&[], Vec::as_slice)
    }

    /// How many of a party's waits are open, counted anew.
    pub(super) fn count_open(&self, plan: &Plan, party: Party) -> usize {
        self.places(plan, party).filter(|place| !self.met[*place]).count()
    }
}

impl Machine {
    /// Something has changed about `on`: whoever waits for it may start, or never will.
    pub(super) fn tell_dependents(&mut self, on: Dependency) {
        for place in self.waits.places_on(on).to_vec() {
            self.judge_wait(place);
        }
    }

    /// Looks at one wait and draws the consequence.
    pub(super) fn judge_wait(&mut self, place: usize) {
        let Some((party, wait)) = self.waits.still_open(place) else {
            return;
        };
        if !self.is_waiting(party) {
            return;
        }
        match self.judge(wait) {
            Judgement::Met => self.wait_met(place),
            Judgement::Open => {}
            Judgement::Never => self.skip(party, Because::Of(wait.on)),
        }
    }

    /// The condition has come, or is no longer waited for; the last one lets its party begin.
    pub(super) fn wait_met(&mut self, place: usize) {
        self.waits.met[place] = true;
        let (party, _) = self.waits.declared.all[place];
        let open = &mut self.waits.open[party_index(&self.plan, party)];
        *open -= 1;
        if *open == 0 && self.is_waiting(party) {
            self.begin(party);
        }
    }

    pub(super) fn judge(&self, wait: Wait) -> Judgement {
        match wait.on {
            Dependency::Process(process) => {
                judge_process(self.process(process).state, !self.is_restartable(process), wait.is)
            }
            Dependency::Pool(pool) => self.pools[pool.index()].judge(wait.is),
            Dependency::Event(event) => {
                let state = self.events[event.index()];
                match (state.seen, state.setters_left) {
                    (true, _) => Judgement::Met,
                    (false, 0) => Judgement::Never,
                    (false, _) => Judgement::Open,
                }
            }
            Dependency::Queue(queue) => match self.queues[queue.index()].state {
                QueueState::Open | QueueState::Closed | QueueState::Broken => Judgement::Open,
                QueueState::Drained => Judgement::Met,
                QueueState::Left => Judgement::Never,
            },
        }
    }
}

/// How far a process has come; `is_last`: when its present life is over, so is it.
fn judge_process(state: State, is_last: bool, is: Condition) -> Judgement {
    if let (State::Ready { .. }, Condition::Ready) = (state, is) {
        return Judgement::Met;
    }
    let (started, end) = match state {
        // Who waited for the start of an earlier life has had it.
        State::Pending
        | State::Queued
        | State::Acquiring { .. }
        | State::Starting { .. }
        | State::Backoff
        | State::Regrouping => (false, None),
        State::Running | State::Ready { .. } | State::Stopping { .. } | State::Leaving { .. } => (true, None),
        // Its end is certain, only what it means is not.
        State::Settling { .. } => (true, (is == Condition::Finished && is_last).then_some(End::Succeeded)),
        State::Ended(End::Skipped | End::Late) => (false, Some(End::Skipped)),
        State::Ended(End::NotStarted) => (false, Some(End::Failed)),
        State::Ended(end) => (true, Some(end)),
    };
    judge_end(started, end, is)
}

/// A process or pool that has `started`, or not, and has this `end`, if any.
fn judge_end(started: bool, end: Option<End>, is: Condition) -> Judgement {
    let come = match is {
        Condition::Started => started,
        Condition::Succeeded => end == Some(End::Succeeded),
        Condition::Failed => matches!(end, Some(End::Failed | End::NotStarted)),
        Condition::Finished => end.is_some(),
        // Who is not ready now may be later, and the others are of other kinds.
        Condition::Ready | Condition::Set | Condition::Drained => false,
    };
    match (come, end) {
        (true, _) => Judgement::Met,
        (false, None) => Judgement::Open,
        (false, Some(_)) => Judgement::Never,
    }
}

/// The same for a pool that has `started`, or not, and has this `outcome`, if any.
pub(super) fn judge_outcome(started: bool, outcome: Option<PoolOutcome>, is: Condition) -> Judgement {
    let end = outcome.map(|outcome| match outcome {
        PoolOutcome::Succeeded | PoolOutcome::Ignored => End::Succeeded,
        PoolOutcome::Failed => End::Failed,
        PoolOutcome::Stopped => End::Stopped,
        PoolOutcome::Skipped => End::Skipped,
    });
    judge_end(started, end, is)
}
