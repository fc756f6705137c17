//! What daemons keep for ever that others need: slots of pools, and what they hold.

use super::inside::{Act, Program};
use super::model::{permits, resource_index};
use super::structure::{Layout, Node};
use crate::id::PoolId;
use crate::plan::Plan;

/// How much of something daemons keep, and how much others want of it at once.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// By all daemons together.
    kept: u64,
    /// At most, by one of the others.
    wanted: u64,
}

impl Demand {
    /// Whether somebody may get none of `all`, or only one of the daemons where not all of them can have theirs.
    fn exceeds(self, all: u32) -> bool {
        self.kept > 0 && self.kept + self.wanted > u64::from(all)
    }
}

/// The needs that may never be met since daemons keep what meets them; none in most workflows.
pub(super) fn kept(plan: &Plan, programs: &[Program]) -> Vec<Node> {
    let is_keeper = |actor: usize| {
        let process = &plan.processes[actor];
        process.daemon && process.worker_of.is_none() && !(process.holds.is_empty() && process.slot_in.is_none())
    };
    if !(0..plan.processes.len()).any(is_keeper) {
        return Vec::new();
    }
    let mut resources = vec![Demand::default(); plan.locks.len() + plan.semaphores.len()];
    let mut slots = vec![Demand::default(); plan.pools.len()];
    for (actor, program) in programs.iter().enumerate() {
        let process = &plan.processes[actor];
        if let Some(pool) = process.slot_in {
            slots[pool.index()].enter(1, is_keeper(actor));
        }
        for hold in &process.holds {
            let resource = resource_index(plan, hold.resource);
            resources[resource].enter(hold.permits, is_keeper(actor));
        }
        for act in program.acts() {
            if let Act::Acquire { resource, permits } = act {
                resources[resource].enter(permits, false);
            }
        }
    }
    let layout = Layout::of(plan);
    let resources = permits(plan).into_iter().zip(&resources).enumerate();
    let resources = resources.filter(|(_, (all, demand))| demand.exceeds(*all));
    let pools = plan.pools.iter().zip(&slots).enumerate();
    let pools = pools.filter(|(_, (pool, demand))| demand.exceeds(pool.size));
    let resources = resources.map(|(resource, _)| Layout::resource(resource));
    resources
        .chain(pools.map(|(pool, _)| layout.slot(PoolId::at(pool))))
        .collect()
}

impl Demand {
    fn enter(&mut self, amount: u32, keeps: bool) {
        let amount = u64::from(amount);
        if keeps {
            self.kept += amount;
        } else {
            self.wanted = self.wanted.max(amount);
        }
    }
}
