//! Who waits for what in the yard on the engine's own behalf, by ticket.

use std::collections::BTreeMap;

use crate::yard::Ticket;
use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};

/// What is to be done with a reply.
#[derive(Debug)]
pub enum Ask {
    /// A hold for a process that is to be started.
    Hold {
        /// Whose.
        process: ProcessId,
        /// For which life.
        attempt: u32,
    },
    /// A task for a pool.
    Task {
        /// Which.
        pool: PoolId,
        /// Its source.
        queue: QueueId,
    },
    /// The result of a task on its way.
    Result {
        /// Of which pool.
        pool: PoolId,
        /// Of which task.
        task: TaskId,
    },
}

/// All that is being waited for.
#[derive(Debug, Default)]
pub struct Asks {
    parked: BTreeMap<Ticket, Ask>,
    tasks: BTreeMap<PoolId, Ticket>,
    drawn: u64,
}

impl Asks {
    /// A ticket nobody has had; those of the broker have the top bit set.
    pub(super) fn draw(&mut self) -> Ticket {
        self.drawn += 1;
        Ticket(self.drawn)
    }

    /// Remembers what the ticket is for.
    pub(super) fn park(&mut self, ticket: Ticket, ask: Ask) {
        match &ask {
            Ask::Task { pool, .. } => {
                self.tasks.insert(*pool, ticket);
            }
            Ask::Hold { .. } | Ask::Result { .. } => {}
        }
        self.parked.insert(ticket, ask);
    }

    /// What the ticket was for; it is not being waited for any more.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Ask> {
        let ask = self.parked.remove(&ticket)?;
        match &ask {
            Ask::Task { pool, .. } => {
                self.tasks.remove(pool);
            }
            Ask::Hold { .. } | Ask::Result { .. } => {}
        }
        Some(ask)
    }

    /// The ticket on which a pool waits for a task.
    pub(super) fn of_pool(&self, pool: PoolId) -> Option<Ticket> {
        self.tasks.get(&pool).copied()
    }
}
