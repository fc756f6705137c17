//! Who touches which channels: the plan's lists turned round, so that an end is passed on in
//! proportion to what the ended one touched.

use std::collections::BTreeMap;

use super::{Event, Machine};
use crate::id::{EventId, PipeId, PoolId, ProcessId, QueueId};
use crate::plan::{Dependency, Grant, Party, Plan};

/// What a process, or a pool as a whole, touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touch {
    /// Queues it puts into.
    pub sends: Vec<QueueId>,
    /// Queues it gets from.
    pub receives: Vec<QueueId>,
    /// Pipes it writes to.
    pub pipes: Vec<PipeId>,
    /// Events it may set.
    pub sets: Vec<EventId>,
}

/// All touches; a party that touches nothing has no entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Touches {
    of: BTreeMap<Party, Touch>,
}

impl Touches {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut touches = Self::default();
        for (index, queue) in plan.queues.iter().enumerate() {
            for party in &queue.senders {
                touches.entry(*party).sends.push(QueueId::at(index));
            }
            for party in &queue.receivers {
                touches.entry(*party).receives.push(QueueId::at(index));
            }
        }
        for (index, pipe) in plan.pipes.iter().enumerate() {
            for process in &pipe.senders {
                touches.entry(Party::Process(*process)).pipes.push(PipeId::at(index));
            }
        }
        for (index, launch) in plan.launches.iter().enumerate() {
            let party = plan.party_of(ProcessId::at(index));
            for grant in &launch.grants {
                if let Grant::Set(event) = grant {
                    let sets = &mut touches.entry(party).sets;
                    if !sets.contains(event) {
                        sets.push(*event);
                    }
                }
            }
        }
        touches
    }

    fn entry(&mut self, party: Party) -> &mut Touch {
        self.of.entry(party).or_default()
    }

    pub(super) fn of(&self, party: Party) -> Option<&Touch> {
        self.of.get(&party)
    }

    /// The events before the start, with the number of those who may set each.
    pub(super) fn events(&self, plan: &Plan) -> Vec<Event> {
        let mut events: Vec<Event> = plan
            .events
            .iter()
            .map(|event| Event {
                seen: event.set,
                setters_left: 0,
            })
            .collect();
        for event in self.of.values().flat_map(|touch| &touch.sets) {
            events[event.index()].setters_left += 1;
        }
        events
    }
}

impl Plan {
    /// The pool of a worker, and the process itself otherwise.
    pub(super) fn party_of(&self, id: ProcessId) -> Party {
        self.processes[id.index()]
            .worker_of
            .map_or(Party::Process(id), Party::Pool)
    }
}

impl Machine {
    /// A process or pool has ended: its touches end with it.
    pub(super) fn party_left(&mut self, party: Party) {
        let Some(touch) = self.touches.of(party).cloned() else {
            return;
        };
        for queue in touch.sends {
            self.sender_left(queue);
        }
        for queue in touch.receives {
            self.receiver_left(queue);
        }
        for event in touch.sets {
            let state = &mut self.events[event.index()];
            state.setters_left -= 1;
            if state.setters_left == 0 && !state.seen {
                self.progress.push_back(Dependency::Event(event));
            }
        }
    }
}

/// The party as something that others wait for.
pub(super) fn dependency(party: Party) -> Dependency {
    match party {
        Party::Process(process) => Dependency::Process(process),
        Party::Pool(pool) => Dependency::Pool(pool),
    }
}

/// The pool's place behind the processes in tables that hold both.
pub(super) fn party_index(plan: &Plan, party: Party) -> usize {
    match party {
        Party::Process(process) => process.index(),
        Party::Pool(pool) => plan.processes.len() + pool.index(),
    }
}

/// The reverse of [`party_index`].
pub(super) fn party_at(plan: &Plan, index: usize) -> Party {
    match index.checked_sub(plan.processes.len()) {
        None => Party::Process(ProcessId::at(index)),
        Some(pool) => Party::Pool(PoolId::at(pool)),
    }
}
