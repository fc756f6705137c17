//! The same scene for people who ask: who waits for what, without looking at any thread.

use forkyard_core::id::{EventId, PoolId, ProcessId, QueueId, SemaphoreId};
use forkyard_core::knot::Need;
use forkyard_core::machine::Standing;
use forkyard_core::plan::{Dependency, Party, Plan, Resource};

use super::Scene;
use crate::deadlock::{Awaited, What};
use crate::yard::Slot;

impl Scene<'_> {
    pub(crate) fn plan(&self) -> &Plan {
        self.plan
    }

    pub(crate) fn standing(&self, party: Party) -> Standing {
        self.machine.standing(party)
    }

    pub(crate) fn pid(&self, process: ProcessId) -> Option<i32> {
        self.pids.get(process.index()).copied().flatten()
    }

    /// What a party waits for; of a process that runs: where one of its programs waits in the yard.
    pub(crate) fn waits(&self, party: Party) -> Vec<Awaited> {
        let needs = match (self.standing(party), party) {
            (Standing::Pending { open }, _) => open.iter().flat_map(|wait| self.condition(*wait)).collect(),
            (Standing::Running { .. }, Party::Process(process)) => self.known(process),
            (
                Standing::Running { .. }
                | Standing::Queued { .. }
                | Standing::Acquiring { .. }
                | Standing::Leaving
                | Standing::Starting
                | Standing::Stopping
                | Standing::Settling
                | Standing::Ended,
                _,
            ) => {
                let blocked = self.may_wait(self.index(party));
                blocked
                    .into_iter()
                    .flat_map(|blocked| blocked.ways)
                    .flat_map(|way| way.needs)
                    .collect()
            }
        };
        self.joined(needs)
    }

    /// What is needed of several for the same reason is one thing to wait for.
    fn joined(&self, needs: Vec<Need<What>>) -> Vec<Awaited> {
        let mut waits: Vec<Awaited> = Vec::new();
        for need in needs {
            let known = need.wakers.iter().filter(|waker| **waker < self.parties());
            let from: Vec<Party> = known.map(|waker| self.party(*waker)).collect();
            match waits.iter_mut().find(|wait| wait.what == need.what) {
                Some(wait) => wait.from.extend(from),
                None => waits.push(Awaited { what: need.what, from }),
            }
        }
        waits
    }

    /// Requests of the engine's own pumps are left out: whether the process itself waits for them is not known.
    fn known(&self, process: ProcessId) -> Vec<Need<What>> {
        let slot = Slot(process.0);
        let requests = self
            .parked_of(slot)
            .filter(|parked| self.clients.contains_key(&parked.ticket));
        let mut needs: Vec<Need<What>> = requests.map(|parked| self.parked_need(parked)).collect();
        let sleepers = self.sleepers.get(&slot).into_iter().flatten();
        needs.extend(sleepers.map(|sleeper| self.sleeper_need(sleeper)));
        needs
    }

    /// Whoever waits for such a thing.
    pub(crate) fn waiting_for(&self, is_it: impl Fn(What) -> bool) -> Vec<Party> {
        let parties = (0..self.parties()).map(|index| self.party(index));
        parties
            .filter(|party| self.waits(*party).iter().any(|wait| is_it(wait.what)))
            .collect()
    }

    pub(crate) fn holders(&self, resource: Resource) -> Vec<Party> {
        let slots: Vec<Slot> = match resource {
            Resource::Lock(lock) => self.yard.owner(lock.0).into_iter().collect(),
            Resource::Semaphore(semaphore) => {
                let holders = self.yard.holders(semaphore.0).into_iter();
                holders.map(|(slot, _)| slot).collect()
            }
        };
        slots.into_iter().filter_map(|slot| self.party_of(slot)).collect()
    }

    pub(crate) fn free_permits(&self, semaphore: SemaphoreId) -> u64 {
        u64::from(self.yard.free(semaphore.0))
    }

    pub(crate) fn items(&self, queue: QueueId) -> u64 {
        self.yard.counts(queue.0).left
    }

    pub(crate) fn has_ended(&self, queue: QueueId) -> bool {
        self.machine.has_ended(Dependency::Queue(queue))
    }

    pub(crate) fn is_set(&self, event: EventId) -> bool {
        self.yard.is_set(event.0)
    }

    pub(crate) fn setters_left(&self, event: EventId) -> Vec<Party> {
        let setters = self.setters(event).into_iter();
        let mut left: Vec<Party> = setters.filter(|setter| self.is_left(*setter)).collect();
        left.dedup();
        left
    }

    /// Of a pool with work: its workers that are alive. Of one that lends slots: who has one.
    pub(crate) fn present(&self, pool: PoolId) -> Vec<Party> {
        if self.plan.pools[pool.index()].work.is_none() {
            return self
                .machine
                .slot_holders(pool)
                .into_iter()
                .map(Party::Process)
                .collect();
        }
        let workers = self.plan.pools[pool.index()].worker_ids().map(Party::Process);
        let is_present = |worker: &Party| !matches!(self.standing(*worker), Standing::Pending { .. } | Standing::Ended);
        workers.filter(is_present).collect()
    }
}
