//! Where everybody stands: what the machine can say to the question why somebody does not run.

use super::process::State;
use super::{Machine, Pool};
use crate::id::{PoolId, ProcessId};
use crate::plan::{Dependency, Hold, Party, Wait};
use crate::time::Time;

/// How far a process, a worker or a pool has come, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for conditions: those that have not come. Of a worker, none: it waits for work.
    Pending {
        /// What is still to come.
        open: Vec<Wait>,
    },
    /// It waits for a slot of its pool.
    Queued {
        /// Which.
        pool: PoolId,
        /// Who stands in line before it.
        ahead: Vec<ProcessId>,
    },
    /// It waits for something that it holds while it runs.
    Acquiring {
        /// What it has got already, in order.
        granted: Vec<Hold>,
        /// What is asked for now.
        hold: Hold,
    },
    /// It is being started.
    Starting,
    /// It runs; of a pool: it has begun.
    Running {
        /// Since when; of a pool that is not kept.
        since: Option<Time>,
    },
    /// It has been asked to stop.
    Stopping,
    /// Its first process has ended, and others of its tree, or output, are left.
    Leaving,
    /// It has died since a receiver was gone, and what that means is not certain yet.
    Settling,
    /// Nothing more will happen.
    Ended,
}

impl Machine {
    /// Where a process or pool stands.
    #[must_use]
    pub fn standing(&self, party: Party) -> Standing {
        match party {
            Party::Process(process) => self.process_standing(process),
            Party::Pool(pool) => self.pool_standing(pool),
        }
    }

    fn process_standing(&self, id: ProcessId) -> Standing {
        let process = self.process(id);
        match process.state {
            State::Pending => Standing::Pending {
                open: self.open_waits(Party::Process(id)).map(|(_, wait)| wait).collect(),
            },
            State::Queued => self.queued(id),
            State::Acquiring { granted } => self.acquiring(id, granted),
            // Nothing but time is between these and their start.
            State::Starting { .. } | State::Backoff | State::Regrouping => Standing::Starting,
            State::Running | State::Ready { .. } => Standing::Running {
                since: Some(process.since),
            },
            State::Stopping { .. } => Standing::Stopping,
            State::Leaving { .. } => Standing::Leaving,
            State::Settling { .. } => Standing::Settling,
            State::Ended(_) => Standing::Ended,
        }
    }

    fn queued(&self, id: ProcessId) -> Standing {
        let Some(pool) = self.plan.processes[id.index()].slot_in else {
            return Standing::Starting;
        };
        let ahead = match &self.pools[pool.index()] {
            Pool::Slots(slots) => slots.line.iter().copied().take_while(|other| *other != id).collect(),
            Pool::Crew(_) => Vec::new(),
        };
        Standing::Queued { pool, ahead }
    }

    fn acquiring(&self, id: ProcessId, granted: usize) -> Standing {
        let holds = &self.plan.processes[id.index()].holds;
        match holds.get(granted) {
            Some(hold) => Standing::Acquiring {
                granted: holds[..granted].to_vec(),
                hold: *hold,
            },
            None => Standing::Starting,
        }
    }

    fn pool_standing(&self, id: PoolId) -> Standing {
        let pool = &self.pools[id.index()];
        if pool.is_waiting() {
            return Standing::Pending {
                open: self.open_waits(Party::Pool(id)).map(|(_, wait)| wait).collect(),
            };
        }
        let has_ended = match pool {
            Pool::Slots(slots) => slots.has_ended(),
            Pool::Crew(crew) => crew.is_ended(),
        };
        if has_ended {
            Standing::Ended
        } else {
            Standing::Running { since: None }
        }
    }

    /// Whether the pool will go on after some time, whatever others do.
    #[must_use]
    pub fn is_backing_off(&self, pool: PoolId) -> bool {
        match &self.pools[pool.index()] {
            Pool::Slots(_) => false,
            Pool::Crew(crew) => crew.is_backing_off(),
        }
    }

    /// The processes that have a slot of a pool.
    #[must_use]
    pub fn slot_holders(&self, pool: PoolId) -> Vec<ProcessId> {
        let members = self.slot_members(pool);
        members
            .filter(|id| matches!(self.process(*id).state, State::Acquiring { .. }) || self.process(*id).is_alive())
            .collect()
    }

    /// The processes that run in the slots of a pool, sooner or later.
    pub fn slot_members(&self, pool: PoolId) -> impl Iterator<Item = ProcessId> {
        let processes = self.plan.processes.iter().enumerate();
        processes
            .filter(move |(_, process)| process.slot_in == Some(pool))
            .map(|(index, _)| ProcessId::at(index))
    }

    /// Whether something that others wait for has come to its end, whatever that was.
    #[must_use]
    pub fn has_ended(&self, on: Dependency) -> bool {
        match on {
            Dependency::Process(process) => self.standing(Party::Process(process)) == Standing::Ended,
            Dependency::Pool(pool) => self.standing(Party::Pool(pool)) == Standing::Ended,
            Dependency::Event(event) => self.events[event.index()].seen || self.events[event.index()].setters_left == 0,
            Dependency::Queue(queue) => self.queues[queue.index()].has_ended(),
        }
    }
}
