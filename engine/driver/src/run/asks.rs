//! Who waits for what in the yard on the engine's own behalf, by ticket.

use std::collections::{BTreeMap, VecDeque};

use crate::yard::Ticket;
use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use tokio::sync::oneshot;

use super::PumpId;
use crate::stdio::receiver::TakeAnswer;
use crate::stdio::sender::PutAnswer;

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
    /// An item that a pump puts; more follow it.
    Put(Batch),
    /// An item that a pump takes; further ones that are there at once go with it.
    Take(Take),
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

/// What a pump wants.
#[derive(Debug)]
pub struct Take {
    /// Who asked.
    pub pump: PumpId,
    /// For whom: what it takes is that process's until it is known to be read.
    pub process: ProcessId,
    /// Which queue.
    pub queue: QueueId,
    /// How many at most.
    pub at_most: usize,
    /// Where to.
    pub answer: oneshot::Sender<TakeAnswer>,
}

/// Items that a pump puts, the first of them being asked for.
#[derive(Debug)]
pub struct Batch {
    /// Which queue.
    pub queue: QueueId,
    /// What follows.
    pub rest: VecDeque<Vec<u8>>,
    /// When all are put, or cannot be.
    pub answer: oneshot::Sender<PutAnswer>,
}

/// All that is being waited for.
#[derive(Debug, Default)]
pub struct Asks {
    parked: BTreeMap<Ticket, Ask>,
    pumps: BTreeMap<PumpId, Ticket>,
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
            Ask::Take(take) => {
                self.pumps.insert(take.pump, ticket);
            }
            Ask::Task { pool, .. } => {
                self.tasks.insert(*pool, ticket);
            }
            Ask::Hold { .. } | Ask::Put(_) | Ask::Result { .. } => {}
        }
        self.parked.insert(ticket, ask);
    }

    /// What the ticket was for; it is not being waited for any more.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Ask> {
        let ask = self.parked.remove(&ticket)?;
        match &ask {
            Ask::Take(take) => {
                self.pumps.remove(&take.pump);
            }
            Ask::Task { pool, .. } => {
                self.tasks.remove(pool);
            }
            Ask::Hold { .. } | Ask::Put(_) | Ask::Result { .. } => {}
        }
        Some(ask)
    }

    /// The items that pumps have read and not put, by queue.
    pub(super) fn unput(&self) -> impl Iterator<Item = (QueueId, u64)> {
        self.parked.values().filter_map(|ask| match ask {
            Ask::Put(batch) => Some((batch.queue, 1 + batch.rest.len() as u64)),
            Ask::Hold { .. } | Ask::Take(_) | Ask::Task { .. } | Ask::Result { .. } => None,
        })
    }

    /// The ticket on which a pump waits.
    pub(super) fn of_pump(&self, pump: PumpId) -> Option<Ticket> {
        self.pumps.get(&pump).copied()
    }

    /// The ticket on which a pool waits for a task.
    pub(super) fn of_pool(&self, pool: PoolId) -> Option<Ticket> {
        self.tasks.get(&pool).copied()
    }
}
