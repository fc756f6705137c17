//! Where the tasks of pools come from: as many as are assumed, or the items of a queue.

use std::collections::BTreeMap;

use super::scenario::Scenario;
use crate::id::{PoolId, ProcessId, QueueId};
use crate::plan::{Party, Plan, TaskSource};

/// The source of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Where its tasks lie; `None`: in the file.
    pub queue: Option<QueueId>,
    /// How many tasks of the file are left.
    pub left: u64,
    /// How many more the pool wants.
    pub credit: u32,
    /// It gives no more, and the machine knows.
    pub ended: bool,
}

/// The items of a queue that feeds a pool; of any other they are not counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    /// Those who take tasks from it.
    pub pools: Vec<PoolId>,
    pub count: u64,
    pub closed: bool,
    pub broken: bool,
    /// Nothing more will be taken.
    pub finished: bool,
}

pub(super) fn sources(plan: &Plan, scenario: &Scenario) -> Vec<Source> {
    let pools = plan.pools.iter().zip(&scenario.tasks);
    let source = |(pool, tasks): (&crate::plan::Pool, &u64)| Source {
        queue: match pool.work.as_ref().map(|work| &work.source) {
            Some(TaskSource::Queue(queue)) => Some(*queue),
            Some(TaskSource::Tasks(_)) | None => None,
        },
        left: *tasks,
        credit: 0,
        ended: false,
    };
    pools.map(source).collect()
}

pub(super) fn items(plan: &Plan, sources: &[Source]) -> Vec<Items> {
    let mut items = vec![Items::default(); plan.queues.len()];
    for (index, source) in sources.iter().enumerate() {
        if let Some(queue) = source.queue {
            items[queue.index()].pools.push(PoolId::at(index));
        }
    }
    items
}

/// How many items each process puts, into queues whose items are tasks: those of a queue are dealt out evenly, the first
/// senders have the rest.
pub(super) fn shares(plan: &Plan, scenario: &Scenario, items: &[Items]) -> BTreeMap<ProcessId, Vec<(QueueId, u64)>> {
    let mut shares: BTreeMap<ProcessId, Vec<(QueueId, u64)>> = BTreeMap::new();
    for (index, queue) in plan.queues.iter().enumerate() {
        if items[index].pools.is_empty() {
            continue;
        }
        let senders = queue.senders.iter().filter_map(|party| match party {
            Party::Process(process) => Some(*process),
            Party::Pool(_) => None,
        });
        let senders: Vec<ProcessId> = senders.collect();
        let count = senders.len().max(1) as u64;
        let all = scenario.items[index].unwrap_or(count);
        for (place, sender) in (0..).zip(senders) {
            let share = all / count + u64::from(place < all % count);
            shares.entry(sender).or_default().push((QueueId::at(index), share));
        }
    }
    shares
}
