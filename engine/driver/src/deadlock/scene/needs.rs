//! What has to happen for each kind of thing to come, and who could do it.

use forkyard_core::id::{EventId, LockId, PipeId, ProcessId, QueueId, SemaphoreId};
use forkyard_core::knot::Need;
use forkyard_core::machine::Standing;
use forkyard_core::plan::{Grant, Hold, Party, Resource};

use super::Scene;
use crate::deadlock::What;
use crate::deadlock::threads::At;
use crate::yard::{Held, Parked, Place, Sleeper, Slot, Station};

/// Somebody who waits for nothing that we know of: whoever waits for him may go on.
const AWAKE: usize = usize::MAX;

impl Scene<'_> {
    /// Whoever has ended brings nothing. When nobody is left, what is waited for is about to be told.
    pub(super) fn need(&self, what: What, wakers: Vec<Party>) -> Need<What> {
        let left = wakers.into_iter().filter(|waker| self.is_left(*waker));
        let mut wakers: Vec<usize> = left.map(|waker| self.index(waker)).collect();
        wakers.sort_unstable();
        wakers.dedup();
        if wakers.is_empty() {
            wakers.push(AWAKE);
        }
        Need { what, wakers }
    }

    pub(crate) fn is_left(&self, party: Party) -> bool {
        self.machine.standing(party) != Standing::Ended
    }

    pub(super) fn coming(what: What) -> Need<What> {
        Need {
            what,
            wakers: vec![AWAKE],
        }
    }

    pub(super) fn parked_need(&self, parked: &Parked) -> Need<What> {
        match parked.place {
            Place::Put(queue) => self.room(QueueId(queue)),
            Place::Take(queue) => self.item(QueueId(queue)),
            Place::Acquire(held) => self.held(held, self.ahead_of(parked)),
            Place::Wait(event) => self.event(EventId(event)),
        }
    }

    /// Who has asked before for the same: for many permits at once he may be waited for.
    pub(super) fn ahead_of(&self, parked: &Parked) -> Vec<Party> {
        let all = self.parked.values().flatten();
        let before = all.filter(|other| other.place == parked.place && other.ticket < parked.ticket);
        before.filter_map(|other| self.party_of(other.slot)).collect()
    }

    pub(super) fn party_of(&self, slot: Slot) -> Option<Party> {
        let index = slot.0 as usize;
        (index < self.parties()).then(|| self.party(index))
    }

    pub(super) fn hold(&self, slot: Slot, hold: Hold) -> Need<What> {
        let wanted = match hold.resource {
            Resource::Lock(lock) => Held::Lock(lock.0),
            Resource::Semaphore(semaphore) => Held::Semaphore(semaphore.0),
        };
        let asked = self
            .parked_of(slot)
            .find(|parked| parked.place == Place::Acquire(wanted));
        match asked {
            Some(parked) => self.held(wanted, self.ahead_of(parked)),
            // It has just been granted.
            None => Self::coming(What::Held(hold.resource)),
        }
    }

    pub(super) fn held(&self, held: Held, ahead: Vec<Party>) -> Need<What> {
        match held {
            Held::Lock(lock) => {
                let what = What::Held(Resource::Lock(LockId(lock)));
                let owner = self.yard.owner(lock).and_then(|owner| self.party_of(owner));
                owner.map_or_else(|| Self::coming(what), |owner| self.need(what, vec![owner]))
            }
            Held::Semaphore(semaphore) => {
                let what = What::Held(Resource::Semaphore(SemaphoreId(semaphore)));
                let holders = self.yard.holders(semaphore).into_iter();
                let mut wakers: Vec<Party> = ahead;
                for (holder, _) in holders {
                    match self.party_of(holder) {
                        Some(holder) => wakers.push(holder),
                        None => return Self::coming(what),
                    }
                }
                self.need(what, wakers)
            }
        }
    }

    /// Room comes by whoever gets, and by the end of all of them.
    pub(super) fn room(&self, queue: QueueId) -> Need<What> {
        let what = What::Room(queue);
        if !self.yard.is_full(queue.0) {
            return Self::coming(what);
        }
        self.need(what, self.plan.queues[queue.index()].receivers.clone())
    }

    /// An item comes by whoever puts, by the end of all of them, and from those who have taken one and do not acknowledge it.
    pub(super) fn item(&self, queue: QueueId) -> Need<What> {
        let what = What::Item(queue);
        let counts = self.yard.counts(queue.0);
        if counts.len > 0 {
            return Self::coming(what);
        }
        let declared = &self.plan.queues[queue.index()];
        let mut wakers = declared.senders.clone();
        if counts.taken > 0 {
            wakers.extend(&declared.receivers);
        }
        self.need(what, wakers)
    }

    /// An event that nobody is left to set does not come any more.
    pub(super) fn event(&self, event: EventId) -> Need<What> {
        let what = What::Event(event);
        if self.yard.is_set(event.0) {
            return Self::coming(what);
        }
        let setters: Vec<Party> = self
            .setters(event)
            .into_iter()
            .filter(|setter| self.is_left(*setter))
            .collect();
        Need {
            what,
            wakers: setters.into_iter().map(|setter| self.index(setter)).collect(),
        }
    }

    pub(super) fn setters(&self, event: EventId) -> Vec<Party> {
        let may_set = |grants: &[Grant]| grants.contains(&Grant::Set(event));
        let setters = self
            .plan
            .launches
            .iter()
            .enumerate()
            .filter(|(_, launch)| may_set(&launch.grants));
        let party = |index: usize| match self.plan.processes[index].worker_of {
            Some(pool) => Party::Pool(pool),
            None => Party::Process(ProcessId::at(index)),
        };
        setters.map(|(index, _)| party(index)).collect()
    }

    /// Whether it waits for an item or for room is known from the queue: it is full or it is empty.
    pub(super) fn sleeper_need(&self, sleeper: &Sleeper) -> Need<What> {
        match sleeper.station {
            Station::Queue(queue) if self.yard.is_full(queue) => self.room(QueueId(queue)),
            Station::Queue(queue) => self.item(QueueId(queue)),
            Station::Lock(lock) => self.held(Held::Lock(lock), Vec::new()),
            Station::Semaphore(semaphore) => self.held(Held::Semaphore(semaphore), Vec::new()),
            Station::Event(event) => self.event(EventId(event)),
        }
    }

    /// The pipes at that side of which a process is: whoever is at the other side may bring what it waits for.
    pub(super) fn pipe(&self, process: ProcessId, at: At) -> Option<Need<What>> {
        let (mut wakers, mut first) = (Vec::new(), None);
        for (index, pipe) in self.plan.pipes.iter().enumerate() {
            let sides = [(&pipe.senders, &pipe.receivers), (&pipe.receivers, &pipe.senders)];
            let reads = matches!(at, At::Empty(_));
            for (side, (own, others)) in sides.into_iter().enumerate() {
                let has_it = pipe.duplex || (side == 1) == reads;
                if has_it && own.contains(&process) {
                    first = first.or(Some(PipeId::at(index)));
                    wakers.extend(others.iter().map(|other| Party::Process(*other)));
                }
            }
        }
        Some(self.need(What::Pipe(first?), wakers))
    }
}
