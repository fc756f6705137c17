//! What a client's words mean: tokens, names, and what each process has declared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::yard::{Held, Slot, Station};
use forkyard_core::id::{EventId, LockId, QueueId, SemaphoreId};
use forkyard_core::plan::{Grant, Plan, Resource};
use forkyard_ipc::channel::Kind;
use forkyard_ipc::wire::{Ask, Touch, Why};

use super::requests::Refused;

/// From this similarity on (Jaro and Winkler's, 1 is equal) a name is taken for a misspelling.
const SIMILAR: f64 = 0.8;

/// The names and tokens of a run.
#[derive(Clone, Debug)]
pub struct Names {
    tokens: BTreeMap<String, Slot>,
    channels: BTreeMap<String, Channel>,
    processes: Vec<Declared>,
    /// `max_item` of each queue, in bytes.
    max_items: Vec<u64>,
}

/// A process, with what it may touch.
#[derive(Clone, Debug)]
struct Declared {
    /// In words, where a line of YAML would go: the process without the index of its replica, or the pool.
    declared_at: String,
    grants: BTreeSet<Grant>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Queue(u32),
    Lock(u32),
    Semaphore(u32),
    Event(u32),
    Pipe,
    Process,
    Pool,
}

impl Names {
    /// The names of a plan; `tokens` has one for each of its processes, in their order.
    #[must_use]
    pub fn new(plan: &Plan, tokens: Vec<String>) -> Self {
        Self {
            tokens: tokens.into_iter().zip((0..).map(Slot)).collect(),
            channels: channels(plan),
            processes: plan
                .processes
                .iter()
                .zip(&plan.launches)
                .map(|(process, launch)| Declared {
                    declared_at: declared_at(&process.name, process.worker_of.is_some()),
                    grants: launch.grants.iter().copied().collect(),
                })
                .collect(),
            max_items: plan.queues.iter().map(|queue| queue.max_item).collect(),
        }
    }

    pub(super) fn slot(&self, token: &str) -> Option<Slot> {
        self.tokens.get(token).copied()
    }

    /// The largest item that the process may put anywhere, in bytes.
    pub(super) fn largest_item(&self, slot: Slot) -> u64 {
        let grants = self
            .processes
            .get(slot.0 as usize)
            .into_iter()
            .flat_map(|process| &process.grants);
        let queues = grants.filter_map(|grant| match grant {
            Grant::Put(queue) => self.max_items.get(queue.index()).copied(),
            Grant::Get(_) | Grant::Acquire(_) | Grant::Set(_) | Grant::Wait(_) => None,
        });
        queues.max().unwrap_or(0)
    }

    /// The queue of that name, for a process that may put or get there.
    pub(super) fn queue(&self, slot: Slot, name: &str, touch: Touch) -> Result<u32, Refused> {
        let channel = self.channel(name)?;
        let Channel::Queue(queue) = channel else {
            return Err(wrong_kind(name, channel, touch));
        };
        let grant = if touch == Touch::Put { Grant::Put } else { Grant::Get };
        self.declared(slot, name, touch, grant(QueueId(queue)))?;
        Ok(queue)
    }

    /// The lock or semaphore of that name, for a process that may acquire it.
    pub(super) fn held(&self, slot: Slot, name: &str) -> Result<Held, Refused> {
        let channel = self.channel(name)?;
        let (held, resource) = match channel {
            Channel::Lock(lock) => (Held::Lock(lock), Resource::Lock(LockId(lock))),
            Channel::Semaphore(number) => (Held::Semaphore(number), Resource::Semaphore(SemaphoreId(number))),
            Channel::Queue(_) | Channel::Event(_) | Channel::Pipe | Channel::Process | Channel::Pool => {
                return Err(wrong_kind(name, channel, Touch::Hold));
            }
        };
        self.declared(slot, name, Touch::Hold, Grant::Acquire(resource))?;
        Ok(held)
    }

    /// The event of that name, for a process that may set it or wait for it.
    pub(super) fn event(&self, slot: Slot, name: &str, touch: Touch) -> Result<u32, Refused> {
        let channel = self.channel(name)?;
        let Channel::Event(event) = channel else {
            return Err(wrong_kind(name, channel, touch));
        };
        let grant = if touch == Touch::Set { Grant::Set } else { Grant::Wait };
        self.declared(slot, name, touch, grant(EventId(event)))?;
        Ok(event)
    }

    /// The channel of that name, for a process that has declared that touch.
    pub(super) fn station(&self, slot: Slot, name: &str, touch: Touch) -> Result<Station, Refused> {
        Ok(match touch {
            Touch::Put | Touch::Get => Station::Queue(self.queue(slot, name, touch)?),
            Touch::Hold => match self.held(slot, name)? {
                Held::Lock(lock) => Station::Lock(lock),
                Held::Semaphore(semaphore) => Station::Semaphore(semaphore),
            },
            Touch::Set | Touch::Wait => Station::Event(self.event(slot, name, touch)?),
        })
    }

    /// Whether the name in that request is of the kind that the client has said it is.
    pub(super) fn expect(&self, kind: Option<Kind>, ask: &Ask) -> Result<(), Refused> {
        let (Ask::Acquire { name, .. } | Ask::Release { name, .. }, Some(kind)) = (ask, kind) else {
            // All other requests are for one kind only.
            return Ok(());
        };
        let channel = self.channel(name)?;
        let other = matches!(
            (channel, kind),
            (Channel::Lock(_), Kind::Semaphore) | (Channel::Semaphore(_), Kind::Lock)
        );
        if other {
            return Err((Why::WrongKind, format!("`{name}` is {channel}, not {kind}")));
        }
        Ok(())
    }

    fn channel(&self, name: &str) -> Result<Channel, Refused> {
        self.channels.get(name).copied().ok_or_else(|| {
            let nearest = self
                .nearest(name)
                .map(|nearest| format!("; did you mean `{nearest}`?"))
                .unwrap_or_default();
            (
                Why::NoSuchName,
                format!("there is no `{}` in this workflow{nearest}", name.escape_debug()),
            )
        })
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let rated = self
            .channels
            .keys()
            .map(|known| (strsim::jaro_winkler(known, name), known));
        let (_, nearest) = rated
            .filter(|(rate, _)| *rate >= SIMILAR)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some(nearest)
    }

    fn declared(&self, slot: Slot, name: &str, touch: Touch, grant: Grant) -> Result<(), Refused> {
        let Some(process) = self.processes.get(slot.0 as usize) else {
            return Err((Why::UnknownToken, "the workflow has no such process".to_owned()));
        };
        if process.grants.contains(&grant) {
            return Ok(());
        }
        let (at, key) = (&process.declared_at, touch.key());
        Err((
            Why::NotDeclared,
            format!("{at} has not declared that it {touch} `{name}`: add `{key}: [{name}]` to {at}"),
        ))
    }
}

fn channels(plan: &Plan) -> BTreeMap<String, Channel> {
    let mut channels = BTreeMap::new();
    let mut add = |name: &str, channel| channels.insert(name.to_owned(), channel);
    for process in &plan.processes {
        add(base(&process.name), Channel::Process);
    }
    for pool in &plan.pools {
        add(&pool.name, Channel::Pool);
    }
    for pipe in &plan.pipes {
        add(&pipe.name, Channel::Pipe);
    }
    for (queue, number) in plan.queues.iter().zip(0..) {
        add(&queue.name, Channel::Queue(number));
    }
    for (lock, number) in plan.locks.iter().zip(0..) {
        add(&lock.name, Channel::Lock(number));
    }
    for (semaphore, number) in plan.semaphores.iter().zip(0..) {
        add(&semaphore.name, Channel::Semaphore(number));
    }
    for (event, number) in plan.events.iter().zip(0..) {
        add(&event.name, Channel::Event(number));
    }
    channels
}

/// The name in the file: `count` of the replica `count.2`. Names themselves have no dots.
fn base(name: &str) -> &str {
    name.split_once('.').map_or(name, |(base, _)| base)
}

fn declared_at(name: &str, is_worker: bool) -> String {
    let kind = if is_worker { "pool" } else { "process" };
    format!("{kind} `{}`", base(name))
}

fn wrong_kind(name: &str, channel: Channel, touch: Touch) -> Refused {
    let takes = match touch {
        Touch::Put => "items are put into a queue",
        Touch::Get => "items are got from a queue",
        Touch::Hold => "only a lock or a semaphore is acquired and released",
        Touch::Set => "only an event is set and cleared",
        Touch::Wait => "only an event is waited for",
    };
    (Why::WrongKind, format!("`{name}` is {channel}; {takes}"))
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue(_) => "a queue",
            Self::Lock(_) => "a lock",
            Self::Semaphore(_) => "a semaphore",
            Self::Event(_) => "an event",
            Self::Pipe => "a pipe",
            Self::Process => "a process",
            Self::Pool => "a pool",
        })
    }
}
