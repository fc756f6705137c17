//! Puts the answer together, from the one who was asked about to whoever he waits for.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use forkyard_core::id::{EventId, LockId, PoolId, ProcessId, QueueId, SemaphoreId};
use forkyard_core::machine::{Because, Record, Standing};
use forkyard_core::plan::{Condition, Dependency, Party, Resource};
use forkyard_core::time::Time;

use super::{Answer, Cause, End, Kind, Ledger, NODES_MAX, Node, State, Wait};
use crate::deadlock::{Awaited, Scene, What};
use crate::records::{dependency_name, party_name, what_to_words};

/// From this similarity on (Jaro and Winkler's, 1 is equal) a name is taken for a misspelling.
const SIMILAR: f64 = 0.8;

/// Why there is no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

/// The place of a name among those that are known; `among` says whose these are, after "there is no such name".
///
/// # Errors
/// When it is not there, or only with the numbers of several instances behind it.
pub fn find(names: &[&str], name: &str, among: &str) -> Result<usize, Unknown> {
    if let Some(found) = names.iter().position(|known| *known == name) {
        return Ok(found);
    }
    let is_instance = |known: &&&str| known.split_once('.').is_some_and(|(base, _)| base == name);
    let instances: Vec<&&str> = names.iter().filter(is_instance).collect();
    if let Some(first) = instances.first() {
        let count = instances.len();
        let message = format!("`{name}` has {count} instances; ask for one of them: `{first}`, say");
        return Err(Unknown(message));
    }
    let rated = names.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let nearest = rated
        .filter(|(rate, _)| *rate >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = nearest.map_or_else(String::new, |(_, nearest)| format!("; did you mean `{nearest}`?"));
    Err(Unknown(format!("there is no `{}` {among}{hint}", name.escape_debug())))
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Party(Party),
    Queue(QueueId),
    Held(Resource),
    Event(EventId),
}

/// What there is to say about a name, at this moment of a run.
///
/// # Errors
/// When nothing has that name, or several have it.
pub fn answer(scene: &Scene<'_>, ledger: &Ledger, run: &str, at: Time, name: &str) -> Result<Answer, Unknown> {
    let gathering = Gathering { scene, ledger };
    let mut left = VecDeque::from([gathering.find(name)?]);
    let mut seen: BTreeSet<Target> = left.iter().copied().collect();
    let mut nodes = Vec::new();
    while let Some(target) = left.pop_front() {
        let (node, further) = gathering.node(target);
        nodes.push(node);
        for next in further {
            if seen.len() < NODES_MAX && seen.insert(next) {
                left.push_back(next);
            }
        }
    }
    Ok(Answer {
        run: run.to_owned(),
        at: Some(at),
        nodes,
    })
}

struct Gathering<'a> {
    scene: &'a Scene<'a>,
    ledger: &'a Ledger,
}

/// Names.
impl Gathering<'_> {
    fn named(&self) -> impl Iterator<Item = (&str, Target)> {
        let plan = self.scene.plan();
        let processes = (0..).zip(&plan.processes);
        let processes = processes.map(|(id, it)| (it.name.as_str(), Target::Party(Party::Process(ProcessId(id)))));
        let pools = (0..).zip(&plan.pools);
        let pools = pools.map(|(id, it)| (it.name.as_str(), Target::Party(Party::Pool(PoolId(id)))));
        let queues = (0..).zip(&plan.queues);
        let queues = queues.map(|(id, it)| (it.name.as_str(), Target::Queue(QueueId(id))));
        let locks = (0..).zip(&plan.locks);
        let locks = locks.map(|(id, it)| (it.name.as_str(), Target::Held(Resource::Lock(LockId(id)))));
        let semaphores = (0..).zip(&plan.semaphores);
        let semaphores =
            semaphores.map(|(id, it)| (it.name.as_str(), Target::Held(Resource::Semaphore(SemaphoreId(id)))));
        let events = (0..).zip(&plan.events);
        let events = events.map(|(id, it)| (it.name.as_str(), Target::Event(EventId(id))));
        let others = queues.chain(locks).chain(semaphores).chain(events);
        processes.chain(pools).chain(others)
    }

    fn find(&self, name: &str) -> Result<Target, Unknown> {
        let plan = self.scene.plan();
        if plan.pipes.iter().any(|pipe| pipe.name == name) {
            return Err(Unknown(format!(
                "`{name}` is a pipe; ask for a process at one of its ends"
            )));
        }
        let (names, targets): (Vec<&str>, Vec<Target>) = self.named().unzip();
        find(&names, name, "in this workflow").map(|found| targets[found])
    }
}

/// Nodes.
impl Gathering<'_> {
    /// One node, and those that it leads to.
    fn node(&self, target: Target) -> (Node, Vec<Target>) {
        match target {
            Target::Party(party) => self.party(party),
            Target::Queue(queue) => self.queue(queue),
            Target::Held(resource) => self.held(resource),
            Target::Event(event) => self.event(event),
        }
    }

    fn party(&self, party: Party) -> (Node, Vec<Target>) {
        let plan = self.scene.plan();
        let kind = match party {
            Party::Pool(_) => Kind::Pool,
            Party::Process(process) if plan.processes[process.index()].worker_of.is_some() => Kind::Worker,
            Party::Process(_) => Kind::Process,
        };
        let standing = self.scene.standing(party);
        let waits = self.scene.waits(party);
        let mut further: Vec<Target> = waits
            .iter()
            .flat_map(|wait| wait.from.iter().copied().map(Target::Party))
            .collect();
        let mut node = Node {
            waits: waits.iter().map(|wait| self.wait(wait, &standing)).collect(),
            ..named(party_name(plan, party), kind, state(&standing, kind))
        };
        if let (Party::Process(process), Standing::Running { since }) = (party, &standing) {
            node.since = *since;
            node.pid = self.scene.pid(process);
        }
        if let Some((record, reason)) = self.ledger.of(party) {
            self.last_word(&mut node, &mut further, record, reason, party);
        }
        if let Party::Pool(pool) = party {
            let present = self.scene.present(pool);
            node.holders = self.names(&present);
        }
        (node, further)
    }

    fn last_word(&self, node: &mut Node, further: &mut Vec<Target>, record: Record, reason: Option<&str>, who: Party) {
        node.reason = reason.map(ToOwned::to_owned);
        match record {
            Record::Exited {
                exit, lasted, outcome, ..
            } => node.end = Some(End { exit, lasted, outcome }),
            Record::NotStarted { .. } => node.state = State::NotStarted,
            Record::Stopping { why, .. } => node.stopped = Some(why),
            Record::Skipped { because, .. } | Record::PoolSkipped { because, .. } => {
                node.state = State::Skipped;
                node.because = Some(self.cause(because, who));
                further.extend(target_of(because));
            }
            Record::PoolEnded { .. }
            | Record::RunStarted
            | Record::Started { .. }
            | Record::Ready { .. }
            | Record::Restarting { .. }
            | Record::NotRestarted { .. }
            | Record::GaveUp { .. }
            | Record::Killing { .. }
            | Record::LeftBehind { .. }
            | Record::TaskDone { .. }
            | Record::TaskRetried { .. }
            | Record::TaskFailed { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunStopping { .. }
            | Record::RunEnded { .. } => {}
        }
    }

    fn cause(&self, because: Because, who: Party) -> Cause {
        let plan = self.scene.plan();
        let waits = match who {
            Party::Process(process) => &plan.processes[process.index()].after,
            Party::Pool(pool) => &plan.pools[pool.index()].after,
        };
        let name = |on: Dependency| dependency_name(plan, on).to_owned();
        match because {
            Because::Of(on) => Cause::Of {
                name: name(on),
                is: waits
                    .iter()
                    .find(|wait| wait.on == on)
                    .map(|wait| condition(wait.is).to_owned()),
            },
            Because::WaitedTooLong { on, .. } => Cause::WaitedTooLong { name: name(on) },
            Because::RunStops => Cause::RunStops,
            Because::NotNeeded => Cause::NotNeeded,
        }
    }

    fn wait(&self, awaited: &Awaited, standing: &Standing) -> Wait {
        let (kind, name) = what_to_words(self.scene.plan(), awaited.what);
        let (is, timeout): (_, Option<Duration>) = match awaited.what {
            What::Condition(wait) => (Some(condition(wait.is).to_owned()), wait.timeout),
            What::Slot(_)
            | What::Held(_)
            | What::Room(_)
            | What::Item(_)
            | What::Event(_)
            | What::Pipe(_)
            | What::Task(_)
            | What::Worker(_) => (None, None),
        };
        let ahead = match standing {
            Standing::Queued { ahead, .. } => Some(ahead.len()),
            Standing::Pending { .. }
            | Standing::Acquiring { .. }
            | Standing::Starting
            | Standing::Running { .. }
            | Standing::Stopping
            | Standing::Leaving
            | Standing::Settling
            | Standing::Ended => None,
        };
        Wait {
            r#for: kind.to_owned(),
            name: name.to_owned(),
            is,
            from: self.names(&awaited.from),
            ahead,
            timeout,
        }
    }

    fn queue(&self, queue: QueueId) -> (Node, Vec<Target>) {
        let declared = &self.scene.plan().queues[queue.index()];
        let state = if self.scene.has_ended(queue) {
            State::Ended
        } else {
            State::Open
        };
        let left: Vec<Party> = declared
            .senders
            .iter()
            .copied()
            .filter(|sender| self.scene.is_left(*sender))
            .collect();
        let waiting = self
            .scene
            .waiting_for(|what| matches!(what, What::Room(of) | What::Item(of) if of == queue));
        let node = Node {
            holders: self.names(&left),
            waiting: self.names(&waiting),
            left: Some(self.scene.items(queue)),
            ..named(&declared.name, Kind::Queue, state)
        };
        (node, parties(left))
    }

    fn held(&self, resource: Resource) -> (Node, Vec<Target>) {
        let holders = self.scene.holders(resource);
        let waiting = self.scene.waiting_for(|what| what == What::Held(resource));
        let (_, name) = what_to_words(self.scene.plan(), What::Held(resource));
        let (kind, left) = match resource {
            Resource::Lock(_) => (Kind::Lock, None),
            Resource::Semaphore(semaphore) => (Kind::Semaphore, Some(self.scene.free_permits(semaphore))),
        };
        let is_free = left.map_or(holders.is_empty(), |free| free > 0);
        let state = if is_free { State::Free } else { State::Held };
        let node = Node {
            holders: self.names(&holders),
            waiting: self.names(&waiting),
            left,
            ..named(name, kind, state)
        };
        (node, parties(holders))
    }

    fn event(&self, event: EventId) -> (Node, Vec<Target>) {
        let state = if self.scene.is_set(event) {
            State::Set
        } else {
            State::Clear
        };
        let setters = self.scene.setters_left(event);
        let waiting = self.scene.waiting_for(|what| match what {
            What::Event(of) => of == event,
            What::Condition(wait) => wait.on == Dependency::Event(event),
            What::Slot(_)
            | What::Held(_)
            | What::Room(_)
            | What::Item(_)
            | What::Pipe(_)
            | What::Task(_)
            | What::Worker(_) => false,
        });
        let node = Node {
            holders: self.names(&setters),
            waiting: self.names(&waiting),
            ..named(&self.scene.plan().events[event.index()].name, Kind::Event, state)
        };
        (node, parties(setters))
    }

    fn names(&self, parties: &[Party]) -> Vec<String> {
        let plan = self.scene.plan();
        let names = parties.iter().map(|party| party_name(plan, *party).to_owned());
        names.take(NODES_MAX).collect()
    }
}

fn parties(parties: Vec<Party>) -> Vec<Target> {
    parties.into_iter().map(Target::Party).collect()
}

fn target_of(because: Because) -> Option<Target> {
    match because {
        Because::Of(on) | Because::WaitedTooLong { on, .. } => Some(match on {
            Dependency::Process(process) => Target::Party(Party::Process(process)),
            Dependency::Pool(pool) => Target::Party(Party::Pool(pool)),
            Dependency::Event(event) => Target::Event(event),
            Dependency::Queue(queue) => Target::Queue(queue),
        }),
        Because::RunStops | Because::NotNeeded => None,
    }
}

/// A node of which nothing is known yet but its state.
fn named(name: &str, kind: Kind, state: State) -> Node {
    Node {
        name: name.to_owned(),
        kind,
        state,
        pid: None,
        since: None,
        waits: Vec::new(),
        end: None,
        stopped: None,
        because: None,
        reason: None,
        holders: Vec::new(),
        waiting: Vec::new(),
        left: None,
    }
}

fn state(standing: &Standing, kind: Kind) -> State {
    match standing {
        Standing::Pending { .. } if kind == Kind::Worker => State::Idle,
        Standing::Pending { .. } => State::Pending,
        Standing::Queued { .. } => State::Queued,
        Standing::Acquiring { .. } => State::Acquiring,
        Standing::Starting => State::Starting,
        Standing::Running { .. } => State::Running,
        Standing::Stopping => State::Stopping,
        Standing::Leaving => State::Leaving,
        Standing::Settling => State::Settling,
        Standing::Ended => State::Ended,
    }
}

/// As it stands in a workflow.
const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Succeeded => "succeeded",
        Condition::Failed => "failed",
        Condition::Finished => "finished",
        Condition::Set => "set",
        Condition::Drained => "drained",
    }
}
