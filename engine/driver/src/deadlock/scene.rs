//! Who waits for whom at one moment, put together from what the machine, the yard and the kernel know.

mod inspect;
mod look;
mod needs;

use std::collections::{BTreeMap, BTreeSet};

use forkyard_core::id::{LockId, PoolId, ProcessId, QueueId, SemaphoreId};
use forkyard_core::knot::{self, Blocked, Need, Way};
use forkyard_core::machine::{Machine, Standing};
use forkyard_core::plan::{Condition, Dependency, Hold, Party, Plan, Resource, Wait, Wire};

use super::threads::{Asleep, At};
use super::{Awaited, Deadlock, Lives, Stuck, What};
use crate::broker::ClientWait;
use crate::yard::{Parked, Sleeper, Slot, Station, Ticket, Yard};

/// What is known of the run at this moment.
#[derive(Debug)]
pub struct Scene<'a> {
    plan: &'a Plan,
    machine: &'a Machine,
    yard: &'a Yard,
    parked: BTreeMap<Slot, Vec<Parked>>,
    sleepers: BTreeMap<Slot, Vec<Sleeper>>,
    clients: BTreeMap<Ticket, ClientWait>,
    pids: &'a [Option<i32>],
}

/// A knot as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What is the same as long as it is this knot.
    knot: Vec<Member>,
    /// What is the same as long as nobody of it has moved at all.
    traces: Vec<Vec<(u32, String)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    party: usize,
    standing: Standing,
    blocked: Blocked<What>,
    tickets: Vec<Ticket>,
    /// By station, how often somebody of it has been woken there.
    woken: Vec<(u32, Station, u32)>,
}

impl Sight {
    /// Whether it is the same knot, though somebody may have turned in his sleep.
    pub(super) fn is_same_knot(&self, other: &Self) -> bool {
        self.knot == other.knot
    }
}

/// Finding knots.
impl<'a> Scene<'a> {
    /// `pids`: the pid that each process of the plan has, or had last.
    #[must_use]
    pub fn new(
        plan: &'a Plan,
        machine: &'a Machine,
        yard: &'a Yard,
        clients: Vec<ClientWait>,
        pids: &'a [Option<i32>],
    ) -> Self {
        let mut parked: BTreeMap<Slot, Vec<Parked>> = BTreeMap::new();
        for request in yard.parked() {
            parked.entry(request.slot).or_default().push(request);
        }
        let mut sleepers: BTreeMap<Slot, Vec<Sleeper>> = BTreeMap::new();
        for sleeper in yard.sleepers() {
            sleepers.entry(sleeper.slot).or_default().push(sleeper);
        }
        Self {
            plan,
            machine,
            yard,
            parked,
            sleepers,
            clients: clients.into_iter().map(|client| (client.ticket, client)).collect(),
            pids,
        }
    }

    /// The knots there are. First every process that runs counts as waiting for whatever it could be waiting for; then those of the knots that come of
    /// it are looked at one after another, until none is left or all of their members are known to wait.
    pub(super) fn knots(&self, lives: &impl Lives, turn: usize, mut inspections: usize) -> Vec<Sight> {
        let mut table: Vec<Option<Blocked<What>>> = (0..self.parties()).map(|index| self.may_wait(index)).collect();
        let mut inspected: BTreeMap<usize, Asleep> = BTreeMap::new();
        loop {
            let knots = knot::knots(&table);
            let mut is_done = true;
            for knot in &knots {
                let unknown = knot.iter().filter(|party| self.runs(**party));
                let unknown: Vec<usize> = unknown
                    .copied()
                    .filter(|party| !inspected.contains_key(party))
                    .collect();
                if unknown.is_empty() {
                    continue;
                }
                if inspections == 0 {
                    return Vec::new();
                }
                inspections -= 1;
                is_done = false;
                let party = unknown[turn % unknown.len()];
                match self.inspect(ProcessId::at(party), lives) {
                    Some((blocked, asleep)) => {
                        table[party] = Some(blocked);
                        inspected.insert(party, asleep);
                    }
                    None => table[party] = None,
                }
            }
            if is_done {
                let harmful = self.harmful(knots, &table, &inspected);
                return harmful
                    .iter()
                    .map(|knot| self.sight(knot, &table, &inspected))
                    .collect();
            }
        }
    }

    /// Daemons that wait for each other do no harm as long as nobody else waits for them: they end with the run.
    fn harmful(
        &self,
        knots: Vec<Vec<usize>>,
        table: &[Option<Blocked<What>>],
        inspected: &BTreeMap<usize, Asleep>,
    ) -> Vec<Vec<usize>> {
        let is_stuck = knot::stuck(table);
        let is_known = |party: usize| !self.runs(party) || inspected.contains_key(&party);
        let is_needed = |party: usize| !self.is_daemon(party);
        let somebody = (0..table.len()).any(|party| is_stuck[party] && is_known(party) && is_needed(party));
        let mut knots = knots;
        knots.retain(|knot| somebody || knot.iter().any(|party| is_needed(*party)));
        knots
    }

    fn sight(&self, knot: &[usize], table: &[Option<Blocked<What>>], inspected: &BTreeMap<usize, Asleep>) -> Sight {
        let member = |party: &usize| {
            let slot = Self::slot(*party);
            let sleepers = self.sleepers.get(&slot).into_iter().flatten();
            Some(Member {
                party: *party,
                standing: self.machine.standing(self.party(*party)),
                blocked: table[*party].clone()?,
                tickets: self.parked_of(slot).map(|parked| parked.ticket).collect(),
                woken: sleepers
                    .map(|sleeper| (sleeper.pid, sleeper.station, sleeper.waiting.woken))
                    .collect(),
            })
        };
        let traces = knot.iter().filter_map(|party| inspected.get(party));
        Sight {
            knot: knot.iter().filter_map(member).collect(),
            traces: traces.map(|asleep| asleep.traces.clone()).collect(),
        }
    }

    /// The knot in words that only lack names.
    pub(super) fn describe(&self, sight: &Sight) -> Deadlock {
        let members: BTreeSet<usize> = sight.knot.iter().map(|member| member.party).collect();
        let stuck = |member: &Member| {
            let needs = member.blocked.ways.iter().flat_map(|way| &way.needs);
            let hopeless = needs.filter(|need| need.wakers.iter().all(|waker| members.contains(waker)));
            let mut waits: Vec<Awaited> = Vec::new();
            for need in hopeless {
                let awaited = Awaited {
                    what: need.what,
                    from: need.wakers.iter().map(|waker| self.party(*waker)).collect(),
                };
                if !waits.contains(&awaited) {
                    waits.push(awaited);
                }
            }
            let who = self.party(member.party);
            Stuck {
                who,
                pid: self
                    .runs(member.party)
                    .then(|| self.pids.get(member.party).copied().flatten())
                    .flatten(),
                holds: self.holds(Self::slot(member.party)),
                slot: self.slot_of(who),
                waits,
            }
        };
        Deadlock {
            parties: sight.knot.iter().map(stuck).collect(),
        }
    }
}

/// Parties by number: the processes, then the pools; the same numbers as the slots of the yard.
impl Scene<'_> {
    fn parties(&self) -> usize {
        self.plan.processes.len() + self.plan.pools.len()
    }

    fn party(&self, index: usize) -> Party {
        match index.checked_sub(self.plan.processes.len()) {
            None => Party::Process(ProcessId::at(index)),
            Some(pool) => Party::Pool(PoolId::at(pool)),
        }
    }

    fn index(&self, party: Party) -> usize {
        match party {
            Party::Process(process) => process.index(),
            Party::Pool(pool) => self.plan.processes.len() + pool.index(),
        }
    }

    fn slot(index: usize) -> Slot {
        Slot(ProcessId::at(index).0)
    }

    fn runs(&self, index: usize) -> bool {
        match self.party(index) {
            Party::Process(process) => {
                matches!(self.machine.standing(Party::Process(process)), Standing::Running { .. })
            }
            Party::Pool(_) => false,
        }
    }

    fn is_daemon(&self, index: usize) -> bool {
        match self.party(index) {
            Party::Pool(pool) => self.plan.pools[pool.index()].daemon,
            Party::Process(process) => {
                let process = &self.plan.processes[process.index()];
                let of_pool = process.worker_of.map(|pool| self.plan.pools[pool.index()].daemon);
                of_pool.unwrap_or(process.daemon)
            }
        }
    }

    fn slot_of(&self, who: Party) -> Option<PoolId> {
        let Party::Process(process) = who else { return None };
        let pool = self.plan.processes[process.index()].slot_in?;
        self.machine.slot_holders(pool).contains(&process).then_some(pool)
    }

    fn parked_of(&self, slot: Slot) -> impl Iterator<Item = &Parked> {
        self.parked.get(&slot).into_iter().flatten()
    }

    /// What somebody holds in the yard.
    fn holds(&self, slot: Slot) -> Vec<Hold> {
        let locks = (0..)
            .zip(&self.plan.locks)
            .filter(|(lock, _)| self.yard.owner(*lock) == Some(slot));
        let mut holds: Vec<Hold> = locks
            .map(|(lock, _)| Hold {
                resource: Resource::Lock(LockId(lock)),
                permits: 1,
            })
            .collect();
        for (semaphore, _) in (0..).zip(&self.plan.semaphores) {
            for (holder, permits) in self.yard.holders(semaphore) {
                if holder == slot {
                    let resource = Resource::Semaphore(SemaphoreId(semaphore));
                    holds.push(Hold { resource, permits });
                }
            }
        }
        holds
    }
}

/// What somebody waits for.
impl Scene<'_> {
    /// What a party waits for or, as long as its threads are not known, might wait for: all of it together, so that it counts as waiting when any
    /// of it cannot come. `None`: it does not wait.
    fn may_wait(&self, index: usize) -> Option<Blocked<What>> {
        let party = self.party(index);
        match (self.machine.standing(party), party) {
            (Standing::Pending { open }, _) => self.pending(&open),
            (Standing::Queued { pool, ahead }, _) => Some(Blocked::on(self.slot_in(pool, &ahead))),
            (Standing::Acquiring { hold, .. }, Party::Process(process)) => {
                Some(Blocked::on(self.hold(Slot(process.0), hold)))
            }
            (Standing::Running { .. }, Party::Process(process)) => {
                let needs = self.possible(process);
                (!needs.is_empty()).then(|| Blocked::on_all(needs))
            }
            (Standing::Running { .. }, Party::Pool(pool)) => self.crew(pool),
            (Standing::Leaving, Party::Process(process)) => self.leaving(process),
            (Standing::Acquiring { .. } | Standing::Leaving, Party::Pool(_))
            | (Standing::Starting | Standing::Stopping | Standing::Settling | Standing::Ended, _) => None,
        }
    }

    fn pending(&self, open: &[Wait]) -> Option<Blocked<What>> {
        // A worker waits for work, and a wait with a time-out comes to its end.
        if open.is_empty() || open.iter().any(|wait| wait.timeout.is_some()) {
            return None;
        }
        Some(Blocked::on_all(
            open.iter().flat_map(|wait| self.condition(*wait)).collect(),
        ))
    }

    /// Of a pool that lends slots, all of its processes must end.
    fn condition(&self, wait: Wait) -> Vec<Need<What>> {
        let what = What::Condition(wait);
        let one = |wakers| vec![self.need(what, wakers)];
        match wait.on {
            Dependency::Process(process) => one(vec![Party::Process(process)]),
            Dependency::Event(event) => one(self.setters(event)),
            Dependency::Queue(queue) => {
                let queue = &self.plan.queues[queue.index()];
                one(queue.senders.iter().chain(&queue.receivers).copied().collect())
            }
            Dependency::Pool(pool) if self.plan.pools[pool.index()].work.is_some() => one(vec![Party::Pool(pool)]),
            Dependency::Pool(pool) => {
                let members = self.machine.slot_members(pool).map(Party::Process);
                let mut members: Vec<Party> = members.filter(|member| self.is_left(*member)).collect();
                members.extend(self.is_pending(pool).then_some(Party::Pool(pool)));
                match wait.is {
                    Condition::Started => one(members),
                    Condition::Ready
                    | Condition::Succeeded
                    | Condition::Failed
                    | Condition::Finished
                    | Condition::Set
                    | Condition::Drained => members
                        .into_iter()
                        .map(|member| self.need(what, vec![member]))
                        .collect(),
                }
            }
        }
    }

    fn is_pending(&self, pool: PoolId) -> bool {
        matches!(self.machine.standing(Party::Pool(pool)), Standing::Pending { .. })
    }

    fn slot_in(&self, pool: PoolId, ahead: &[ProcessId]) -> Need<What> {
        let holders = self.machine.slot_holders(pool).into_iter().chain(ahead.iter().copied());
        let mut wakers: Vec<Party> = holders.map(Party::Process).collect();
        wakers.extend(self.is_pending(pool).then_some(Party::Pool(pool)));
        self.need(What::Slot(pool), wakers)
    }

    /// A pool with work goes on when one of its workers does, or when what it waits for itself comes.
    fn crew(&self, pool: PoolId) -> Option<Blocked<What>> {
        // Of a pool that lends slots, everything is known from its processes.
        if self.plan.pools[pool.index()].work.is_none() || self.machine.is_backing_off(pool) {
            return None;
        }
        let workers = self.plan.pools[pool.index()].worker_ids();
        let present = workers.filter(|worker| {
            let standing = self.machine.standing(Party::Process(*worker));
            !matches!(standing, Standing::Pending { .. } | Standing::Ended)
        });
        let mut needs: Vec<Need<What>> = present
            .map(|worker| self.need(What::Worker(worker), vec![Party::Process(worker)]))
            .collect();
        let slot = Self::slot(self.index(Party::Pool(pool)));
        needs.extend(self.parked_of(slot).map(|parked| self.parked_need(parked)));
        let ways = needs.into_iter().map(|need| Way { needs: vec![need] });
        let ways: Vec<Way<What>> = ways.collect();
        (!ways.is_empty()).then_some(Blocked { ways })
    }

    /// A process that has ended, and whose output is still on its way into a full queue.
    fn leaving(&self, process: ProcessId) -> Option<Blocked<What>> {
        let full = self.queues_written(process).filter(|queue| self.yard.is_full(queue.0));
        let ways: Vec<Way<What>> = full
            .map(|queue| Way {
                needs: vec![self.room(queue)],
            })
            .collect();
        let has_left_others = self
            .pids
            .get(process.index())
            .copied()
            .flatten()
            .is_some_and(is_group_alive);
        (!ways.is_empty() && !has_left_others).then_some(Blocked { ways })
    }

    /// Everything a process that runs could be waiting for.
    fn possible(&self, process: ProcessId) -> Vec<Need<What>> {
        let slot = Slot(process.0);
        let mut needs: Vec<Need<What>> = self.parked_of(slot).map(|parked| self.parked_need(parked)).collect();
        let sleepers = self.sleepers.get(&slot).into_iter().flatten();
        needs.extend(sleepers.map(|sleeper| self.sleeper_need(sleeper)));
        let written = self.queues_written(process).filter(|queue| self.yard.is_full(queue.0));
        needs.extend(written.map(|queue| self.room(queue)));
        needs.extend(self.pipe(process, At::Empty(0)));
        needs.extend(self.pipe(process, At::Full(0)));
        needs.extend(self.tasks(process));
        needs
    }

    fn queues_written(&self, process: ProcessId) -> impl Iterator<Item = QueueId> {
        let wires = self.plan.launches[process.index()].fds.values();
        wires.filter_map(|wire| match wire {
            Wire::ToQueue(queue) => Some(*queue),
            Wire::Null
            | Wire::Inherit
            | Wire::Log
            | Wire::Stdout
            | Wire::FromQueue(_)
            | Wire::PipeWriter(_)
            | Wire::PipeReader(_)
            | Wire::Duplex(..)
            | Wire::ReadFile(_)
            | Wire::WriteFile(_)
            | Wire::AppendFile(_)
            | Wire::Text(_)
            | Wire::Notify
            | Wire::Tasks
            | Wire::Results => None,
        })
    }

    fn tasks(&self, process: ProcessId) -> Option<Need<What>> {
        let pool = self.plan.processes[process.index()].worker_of?;
        Some(self.need(What::Task(pool), vec![Party::Pool(pool)]))
    }
}

/// Whether somebody of a process group lives.
fn is_group_alive(group: i32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { libc::kill(-group, 0) == 0 }
}
