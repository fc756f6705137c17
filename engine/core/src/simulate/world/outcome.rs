//! The end of a simulated run: what is told about it.

use super::super::life::Phase;
use super::super::path::critical_path;
use super::super::played::{Ending, Played, Stuck};
use super::World;
use crate::id::{LockId, PoolId, ProcessId, SemaphoreId};
use crate::machine::{Machine, Standing};
use crate::plan::{Party, Resource};
use crate::time::Time;

impl World<'_> {
    /// Whether somebody runs who lives until he is stopped, and of whom the run does not get rid by itself.
    pub(in super::super) fn has_services(&self) -> bool {
        let services = self.scenario.lasts.iter().zip(&self.lives).zip(&self.plan.processes);
        services
            .filter(|((lasts, _), process)| lasts.is_none() && !process.daemon)
            .any(|((_, life), _)| matches!(life.phase, Phase::Running | Phase::Due))
    }

    /// Nothing will happen any more, and the run has not ended: who waits for ever.
    pub(in super::super) fn stuck(&self, machine: &Machine, named_max: usize) -> Ending {
        let processes = (0..self.lives.len()).filter(|index| self.is_stuck(*index));
        let processes = processes.map(|index| Party::Process(ProcessId::at(index)));
        let pools = (0..self.plan.pools.len()).filter(|index| self.plan.pools[*index].work.is_some());
        let pools = pools.map(|index| Party::Pool(PoolId::at(index)));
        let pools = pools.filter(|pool| machine.standing(*pool) != Standing::Ended);
        let mut all = processes.chain(pools);
        let first = all.by_ref().take(named_max).map(|party| Stuck {
            party,
            standing: machine.standing(party),
            feeds: match party {
                Party::Process(process) => self.readers.open(process).collect(),
                Party::Pool(_) => Vec::new(),
            },
        });
        let first = first.collect();
        Ending::Stuck {
            first,
            more: all.count(),
        }
    }

    fn is_stuck(&self, index: usize) -> bool {
        let is_service = self.scenario.lasts[index].is_none();
        let is_up = matches!(self.lives[index].phase, Phase::Running | Phase::Due);
        let is_over = self.lives[index].phase == Phase::Over;
        self.plan.processes[index].worker_of.is_none() && !is_over && !(is_service && is_up)
    }

    /// All that is told.
    pub(in super::super) fn tell(self, ending: Ending, stopped: Option<Time>) -> Played {
        // Timers after the last event are nobody's time.
        let end = if self.verdict.is_some() {
            self.now
        } else {
            self.busy_until
        };
        let size = |pool: &crate::plan::Pool| u64::from(pool.size);
        let pools = self.chronicle.pools.iter().zip(&self.plan.pools);
        let locks = (0..).map(LockId).take(self.plan.locks.len());
        let semaphores = (0..).map(SemaphoreId).zip(&self.plan.semaphores);
        let used = |resource, size| self.yard.of(resource).gauge.sum(end, size);
        Played {
            ending,
            lasted: end.since(Time::START),
            stopped: stopped.map(|at| at.since(Time::START)),
            counts: self.chronicle.counts,
            work: self.chronicle.running.area(end),
            running: self.chronicle.running.sum(end, 0),
            pools: pools.map(|(gauge, pool)| gauge.sum(end, size(pool))).collect(),
            locks: locks.map(|lock| used(Resource::Lock(lock), 1)).collect(),
            semaphores: semaphores
                .map(|(id, semaphore)| used(Resource::Semaphore(id), u64::from(semaphore.permits)))
                .collect(),
            path: critical_path(&self.chronicle.spans, self.cause, end),
            waits: self.chronicle.longest(),
        }
    }
}
