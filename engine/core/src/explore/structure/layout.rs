//! The needs as numbers.

use super::Node;
use crate::explore::inside::Act;
use crate::explore::model::{Actor, pool_actor};
use crate::id::{PoolId, QueueId};
use crate::plan::{Condition, Dependency, Plan, Wait};

/// Where the nodes of each kind begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::explore) struct Layout {
    ways: u32,
    events: u32,
    drained: u32,
    slots: u32,
    begun: u32,
    over: u32,
    pub end: u32,
}

impl Layout {
    pub fn of(plan: &Plan) -> Self {
        let count = |count: usize| u32::try_from(count).expect("tables hold fewer than 2^32 entries");
        let ways = count(plan.locks.len() + plan.semaphores.len());
        let events = ways + 2 * count(plan.queues.len() + 2 * plan.pipes.len());
        let drained = events + count(plan.events.len());
        let slots = drained + count(plan.queues.len());
        let begun = slots + count(plan.pools.len());
        let parties = count(plan.processes.len() + plan.pools.len());
        Self {
            ways,
            events,
            drained,
            slots,
            begun,
            over: begun + parties,
            end: begun + 2 * parties,
        }
    }

    pub fn resource(resource: usize) -> Node {
        node(0, resource)
    }

    pub fn room(self, way: usize) -> Node {
        node(self.ways, 2 * way)
    }

    pub fn item(self, way: usize) -> Node {
        node(self.ways, 2 * way + 1)
    }

    pub fn event(self, event: usize) -> Node {
        node(self.events, event)
    }

    pub fn slot(self, pool: PoolId) -> Node {
        node(self.slots, pool.index())
    }

    pub fn drained(self, queue: QueueId) -> Node {
        node(self.drained, queue.index())
    }

    pub fn begun(self, actor: Actor) -> Node {
        node(self.begun, actor)
    }

    pub fn over(self, actor: Actor) -> Node {
        node(self.over, actor)
    }

    /// The node of a wait of `after`.
    pub fn wait(self, plan: &Plan, wait: Wait) -> Node {
        let party = |actor| {
            if matches!(wait.is, Condition::Started | Condition::Ready) {
                self.begun(actor)
            } else {
                self.over(actor)
            }
        };
        match wait.on {
            Dependency::Process(process) => party(process.index()),
            Dependency::Pool(pool) => party(pool_actor(plan, pool)),
            Dependency::Event(event) => self.event(event.index()),
            Dependency::Queue(queue) => self.drained(queue),
        }
    }

    /// The node of an act that may have to wait.
    pub fn act(self, act: Act) -> Option<Node> {
        match act {
            Act::Acquire { resource, .. } => Some(Self::resource(resource)),
            Act::Put(way) => Some(self.room(way)),
            Act::Get(way) => Some(self.item(way)),
            Act::Wait(event) => Some(self.event(event)),
            Act::Release { .. } | Act::Set(_) => None,
        }
    }
}

pub(super) fn node(first: u32, place: usize) -> Node {
    first + u32::try_from(place).expect("tables hold fewer than 2^32 entries")
}
