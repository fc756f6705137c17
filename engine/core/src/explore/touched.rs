//! Who has to do with what in the whole plan.

use super::inside::{Act, Program};
use super::model::{Actor, pool_actor, resource_index};
use super::structure::members_by_pool;
use crate::plan::{Grant, Party, Plan};

/// Who touches what in the whole plan.
pub(super) struct Touched {
    pub users: Vec<Vec<Actor>>,
    pub setters: Vec<Vec<Actor>>,
    pub ends: Vec<Vec<Actor>>,
    pub members: Vec<Vec<Actor>>,
}

impl Touched {
    pub fn of(plan: &Plan, programs: &[Program]) -> Self {
        let mut touched = Self {
            users: vec![Vec::new(); plan.locks.len() + plan.semaphores.len()],
            setters: vec![Vec::new(); plan.events.len()],
            ends: vec![Vec::new(); plan.queues.len() + 2 * plan.pipes.len()],
            members: members_by_pool(plan),
        };
        for (actor, program) in programs.iter().enumerate() {
            for hold in &plan.processes[actor].holds {
                touched.users[resource_index(plan, hold.resource)].push(actor);
            }
            for act in program.acts() {
                match act {
                    Act::Acquire { resource, .. } => touched.users[resource].push(actor),
                    Act::Put(way) | Act::Get(way) => touched.ends[way].push(actor),
                    Act::Set(event) => touched.setters[event].push(actor),
                    Act::Release { .. } | Act::Wait(_) => {}
                }
            }
            for grant in &plan.launches[actor].grants {
                if let Grant::Set(event) = grant {
                    touched.setters[event.index()].push(actor);
                }
            }
        }
        for (index, queue) in plan.queues.iter().enumerate() {
            for party in queue.senders.iter().chain(&queue.receivers) {
                touched.ends[index].push(match party {
                    Party::Process(process) => process.index(),
                    Party::Pool(pool) => pool_actor(plan, *pool),
                });
            }
        }
        touched
    }
}
