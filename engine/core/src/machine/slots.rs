//! A pool that only lends slots to processes.

use std::collections::VecDeque;

use super::print::Print;
use super::process::{End, State};
use super::wait::{Judgement, judge_outcome};
use super::{Because, Machine, Pool, PoolOutcome};
use crate::id::{PoolId, ProcessId};
use crate::plan::{Condition, Dependency, Party};

/// Slots that are free, and who stands in line for one.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    phase: Phase,
    pub free: u32,
    pub line: VecDeque<ProcessId>,
    /// Its processes that have not ended.
    pub members_left: usize,
    member_failed: bool,
    member_started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The pool waits for its own conditions; nobody gets a slot.
    Waiting,
    Open,
    Ended(PoolOutcome),
}

impl Slots {
    pub(super) fn new(size: u32, members: usize) -> Self {
        Self {
            phase: Phase::Waiting,
            free: size,
            line: VecDeque::new(),
            members_left: members,
            member_failed: false,
            member_started: false,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// All but the line, which is told of by those who stand in it.
    pub(super) fn print(&self, print: &mut Print) {
        print.add(match self.phase {
            Phase::Waiting => 0,
            Phase::Open => 1,
            Phase::Ended(outcome) => 2 + outcome as u64,
        });
        print.add(u64::from(self.free));
        print.add(self.members_left as u64);
        print.add(u64::from(self.member_failed) << 1 | u64::from(self.member_started));
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    pub(super) fn judge(&self, is: Condition) -> Judgement {
        let outcome = match self.phase {
            Phase::Waiting | Phase::Open => None,
            Phase::Ended(outcome) => Some(outcome),
        };
        judge_outcome(self.member_started, outcome, is)
    }
}

impl Machine {
    fn slots(&mut self, pool: PoolId) -> Option<&mut Slots> {
        match &mut self.pools[pool.index()] {
            Pool::Slots(slots) => Some(slots),
            Pool::Crew(_) => None,
        }
    }

    pub(super) fn open_slots(&mut self, pool: PoolId) {
        if let Some(slots) = self.slots(pool) {
            slots.phase = Phase::Open;
            self.end_slots_if_done(pool);
            self.lend_slots(pool);
        }
    }

    pub(super) fn ask_slot(&mut self, pool: PoolId, process: ProcessId) {
        self.set_state(process, State::Queued);
        if let Some(slots) = self.slots(pool) {
            slots.line.push_back(process);
            self.lend_slots(pool);
        }
    }

    fn lend_slots(&mut self, pool: PoolId) {
        loop {
            let Some(slots) = self.slots(pool) else { return };
            if slots.phase != Phase::Open || slots.free == 0 {
                return;
            }
            let Some(process) = slots.line.pop_front() else { return };
            slots.free -= 1;
            slots.member_started = true;
            self.progress.push_back(Dependency::Pool(pool));
            self.begin_life(process);
        }
    }

    /// A process that is about to leave its present state gives its slot back, if it has one.
    pub(super) fn free_slot_of(&mut self, id: ProcessId) {
        let Some(pool) = self.plan.processes[id.index()].slot_in else {
            return;
        };
        if matches!(self.process(id).state, State::Acquiring { .. }) || self.process(id).is_alive() {
            if let Some(slots) = self.slots(pool) {
                slots.free += 1;
            }
            self.lend_slots(pool);
        }
    }

    /// A process that will not run does not stand in line any longer.
    pub(super) fn leave_line(&mut self, id: ProcessId) {
        let Some(pool) = self.plan.processes[id.index()].slot_in else {
            return;
        };
        if self.process(id).state == State::Queued
            && let Some(slots) = self.slots(pool)
        {
            // When a run stops, the line is mostly left from its front, perhaps by a million.
            if slots.line.front() == Some(&id) {
                slots.line.pop_front();
            } else {
                slots.line.retain(|waiting| *waiting != id);
            }
        }
    }

    /// One of the pool's processes has ended.
    pub(super) fn member_ended(&mut self, id: ProcessId, end: End) {
        let Some(pool) = self.plan.processes[id.index()].slot_in else {
            return;
        };
        if let Some(slots) = self.slots(pool) {
            slots.members_left -= 1;
            slots.member_failed |= matches!(end, End::Failed | End::NotStarted | End::Late);
            self.end_slots_if_done(pool);
        }
    }

    fn end_slots_if_done(&mut self, pool: PoolId) {
        let Some(slots) = self.slots(pool) else { return };
        if slots.members_left == 0 && slots.phase == Phase::Open {
            let outcome = if slots.member_failed {
                PoolOutcome::Failed
            } else {
                PoolOutcome::Succeeded
            };
            slots.phase = Phase::Ended(outcome);
            self.progress.push_back(Dependency::Pool(pool));
        }
    }

    /// The pool will never open: neither will its processes.
    pub(super) fn skip_slots(&mut self, pool: PoolId, because: Because) {
        let Some(slots) = self.slots(pool) else { return };
        slots.phase = Phase::Ended(PoolOutcome::Skipped);
        slots.line.clear();
        self.progress.push_back(Dependency::Pool(pool));
        let because = match because {
            Because::RunStops | Because::NotNeeded => because,
            Because::Of(_) | Because::WaitedTooLong { .. } => Because::Of(Dependency::Pool(pool)),
        };
        for index in 0..self.plan.processes.len() {
            let id = ProcessId::at(index);
            if self.plan.processes[index].slot_in == Some(pool)
                && matches!(self.process(id).state, State::Pending | State::Queued)
            {
                self.skip(Party::Process(id), because);
            }
        }
    }
}
