//! What must hold after every step, derived again from scratch. Slow, and only in debug builds.

use super::process::{End, State};
use super::timer::Timer;
use super::{Machine, Pool, Run};
use crate::id::{GroupId, PoolId, ProcessId};
use crate::plan::{Dependency, Party};

impl Machine {
    /// # Panics
    /// When the machine is in a state it must never be in: a bug in the machine.
    pub(super) fn assert_invariants(&self) {
        self.assert_counts();
        for index in 0..self.processes.len() {
            self.assert_process(ProcessId::at(index));
        }
        for index in 0..self.pools.len() {
            self.assert_pool(PoolId::at(index));
        }
        for index in 0..self.plan.groups.len() {
            self.assert_gathering(GroupId::at(index));
        }
        self.assert_goes_on();
    }

    /// The counters are what counting gives.
    fn assert_counts(&self) {
        let ended = |id: &usize| matches!(self.processes[*id].state, State::Ended(_));
        let own = |id: &usize| self.plan.processes[*id].worker_of.is_none();
        let unended = (0..self.processes.len()).filter(own).filter(|id| !ended(id)).count();
        assert_eq!(self.unended, unended, "processes that have not ended");
        let crews = self.pools.iter().filter(|pool| pool.is_unended_crew()).count();
        assert_eq!(self.crews_unended, crews, "pools that have not ended");
        for (queue, plan) in self.queues.iter().zip(&self.plan.queues) {
            let left = |parties: &[Party]| parties.iter().filter(|party| !self.has_left(**party)).count();
            assert_eq!(queue.senders_left, left(&plan.senders), "senders of a queue");
            assert_eq!(queue.receivers_left, left(&plan.receivers), "receivers of a queue");
        }
    }

    fn has_left(&self, party: Party) -> bool {
        match party {
            Party::Process(process) => {
                let state = self.process(process).state;
                let is_last = !self.is_restartable(process);
                matches!(state, State::Ended(_)) || is_last && matches!(state, State::Settling { .. })
            }
            Party::Pool(pool) => !self.pools[pool.index()].is_unended_crew(),
        }
    }

    fn assert_process(&self, id: ProcessId) {
        let process = self.process(id);
        let party = Party::Process(id);
        let begun = process.is_alive() || matches!(process.state, State::Queued | State::Acquiring { .. });
        if begun && self.plan.processes[id.index()].worker_of.is_none() {
            assert_eq!(
                self.waits.count_open(&self.plan, party),
                0,
                "a process began before its conditions"
            );
        }
        assert_eq!(
            self.waits.open(&self.plan, party) as usize,
            self.waits.count_open(&self.plan, party),
            "open waits of a process"
        );
        if let State::Acquiring { granted } = process.state {
            assert!(
                granted < self.plan.processes[id.index()].holds.len(),
                "nothing is left to acquire"
            );
        }
        let stopping = matches!(self.run, Run::Stopping(_) | Run::Killing(_));
        let fresh = matches!(process.state, State::Queued | State::Acquiring { .. });
        let waits = matches!(process.state, State::Backoff | State::Regrouping);
        assert!(!(stopping && (fresh || waits)), "a stopping run starts nothing");
        if process.state == State::Backoff {
            let restart = Timer::Restart {
                process: id,
                attempt: process.attempt,
            };
            assert!(
                self.timers.contains(|timer| *timer == restart),
                "a pause without an end"
            );
        }
        if let State::Ready { .. } = process.state {
            assert!(self.plan.processes[id.index()].ready.is_some(), "nobody has looked");
        }
        assert!(
            process.state != State::Ended(End::Late) || process.attempt == 0,
            "a late process never ran"
        );
    }

    fn assert_pool(&self, id: PoolId) {
        let plan = &self.plan.pools[id.index()];
        match &self.pools[id.index()] {
            Pool::Slots(slots) => {
                let members = || {
                    self.plan
                        .processes
                        .iter()
                        .zip(&self.processes)
                        .filter(|(plan, _)| plan.slot_in == Some(id))
                };
                let used = members()
                    .filter(|(_, process)| process.is_alive() || matches!(process.state, State::Acquiring { .. }))
                    .count();
                assert_eq!(slots.free as usize + used, plan.size as usize, "slots of a pool");
                let left = members()
                    .filter(|(_, process)| !matches!(process.state, State::Ended(_)))
                    .count();
                assert_eq!(slots.members_left, left, "processes of a pool");
            }
            Pool::Crew(crew) => crew.assert_sound(),
        }
    }

    /// A run in which nothing runs, nothing is awaited from outside and no timer is set has ended. Who explores keeps no timers: of
    /// a wait with a time-out it says by itself when that comes.
    fn assert_goes_on(&self) {
        if matches!(self.run, Run::Before | Run::Ended) {
            return;
        }
        assert!(self.progress.is_empty(), "a change was not passed on");
        let waits_outside = |on: Dependency| matches!(on, Dependency::Event(_) | Dependency::Queue(_));
        let moving = (0..self.processes.len()).any(|index| {
            let process = &self.processes[index];
            process.is_alive()
                || matches!(process.state, State::Acquiring { .. })
                || (process.state == State::Pending
                    && self
                        .waits
                        .of(&self.plan, Party::Process(ProcessId::at(index)))
                        .any(|wait| waits_outside(wait.on) || wait.timeout.is_some()))
        });
        let pools = self.pools.iter().any(Pool::is_unended_crew);
        assert!(
            moving || pools || self.timers.contains(|_| true),
            "nothing moves, and the run has not ended: {self:#?}"
        );
    }
}
