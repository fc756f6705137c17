//! What references refer to: the kinds of targets, and which of them each place of the language takes.

mod names;

use std::fmt;
use std::ops::Range;

use super::Condition;
use crate::id::{EventId, LockId, PipeId, PoolId, ProcessId, QueueId, SemaphoreId};
pub use names::Names;

/// An end of a duplex pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// `.left`
    Left,
    /// `.right`
    Right,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Instances of a process, by their places in [`Workflow::processes`].
    Processes(Range<u32>),
    /// A process of which no instance runs.
    Absent,
    /// A pool.
    Pool(PoolId),
    /// A queue.
    Queue(QueueId),
    /// A pipe as a whole.
    Pipe(PipeId),
    /// One end of a duplex pipe.
    End(PipeId, Side),
    /// A lock.
    Lock(LockId),
    /// A semaphore.
    Semaphore(SemaphoreId),
    /// An event.
    Event(EventId),
    /// A template, which nothing can refer to but `use`.
    Template,
    /// A group.
    Group,
}

impl Target {
    /// The ids of the process instances it stands for.
    pub fn process_ids(&self) -> impl Iterator<Item = ProcessId> + use<> {
        match self {
            Self::Processes(range) => range.clone(),
            Self::Absent
            | Self::Pool(_)
            | Self::Queue(_)
            | Self::Pipe(_)
            | Self::End(..)
            | Self::Lock(_)
            | Self::Semaphore(_)
            | Self::Event(_)
            | Self::Template
            | Self::Group => 0..0,
        }
        .map(ProcessId)
    }

    /// The pool it is, if it is one.
    #[must_use]
    pub const fn pool(&self) -> Option<PoolId> {
        if let Self::Pool(id) = self { Some(*id) } else { None }
    }

    /// The queue it is, if it is one.
    #[must_use]
    pub const fn queue(&self) -> Option<QueueId> {
        if let Self::Queue(id) = self { Some(*id) } else { None }
    }

    /// The pipe it is, as a whole or one of its ends.
    #[must_use]
    pub const fn pipe(&self) -> Option<PipeId> {
        if let Self::Pipe(id) | Self::End(id, _) = self {
            Some(*id)
        } else {
            None
        }
    }

    /// The lock it is, if it is one.
    #[must_use]
    pub const fn lock(&self) -> Option<LockId> {
        if let Self::Lock(id) = self { Some(*id) } else { None }
    }

    /// The semaphore it is, if it is one.
    #[must_use]
    pub const fn semaphore(&self) -> Option<SemaphoreId> {
        if let Self::Semaphore(id) = self {
            Some(*id)
        } else {
            None
        }
    }

    /// The event it is, if it is one.
    #[must_use]
    pub const fn event(&self) -> Option<EventId> {
        if let Self::Event(id) = self { Some(*id) } else { None }
    }

    /// The kind in the words of the language.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Processes(_) | Self::Absent => "process",
            Self::Pool(_) => "pool",
            Self::Queue(_) => "queue",
            Self::Pipe(_) => "pipe",
            Self::End(..) => "end of a duplex pipe",
            Self::Lock(_) => "lock",
            Self::Semaphore(_) => "semaphore",
            Self::Event(_) => "event",
            Self::Template => "template",
            Self::Group => "group",
        }
    }

    /// The kind with its article: "a queue", "an event".
    #[must_use]
    pub fn kind(&self) -> String {
        let noun = self.noun();
        let article = if noun.starts_with('e') { "an" } else { "a" };
        format!("{article} {noun}")
    }
}

impl Target {
    /// The condition `after` means when it names none; `None` for what cannot be waited for.
    #[must_use]
    pub const fn default_condition(&self) -> Option<Condition> {
        match self {
            Self::Processes(_) | Self::Absent | Self::Pool(_) => Some(Condition::Succeeded),
            Self::Event(_) => Some(Condition::Set),
            Self::Queue(_) => Some(Condition::Drained),
            Self::Pipe(_) | Self::End(..) | Self::Lock(_) | Self::Semaphore(_) | Self::Template | Self::Group => None,
        }
    }
}

/// A place of the language where a reference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `after`
    After,
    /// `stdin`
    Stdin,
    /// `stdin` of a pool, where its tasks come from.
    TaskSource,
    /// `stdout`
    Stdout,
    /// `stderr`
    Stderr,
    /// `send` of the descriptor of `fds`.
    Send(i32),
    /// `receive` of the descriptor of `fds`.
    Receive(i32),
    /// `end` of the descriptor of `fds`.
    End(i32),
    /// `sends`
    Sends,
    /// `receives`
    Receives,
    /// `connects`
    Connects,
    /// `holds`
    Holds,
    /// `acquires`
    Acquires,
    /// `sets`
    Sets,
    /// `waits`
    Waits,
    /// `pool`
    InPool,
    /// `members` of a group.
    Members,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After => f.write_str("after"),
            Self::Stdin | Self::TaskSource => f.write_str("stdin"),
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::Send(number) => write!(f, "fds {number} send"),
            Self::Receive(number) => write!(f, "fds {number} receive"),
            Self::End(number) => write!(f, "fds {number} end"),
            Self::Sends => f.write_str("sends"),
            Self::Receives => f.write_str("receives"),
            Self::Connects => f.write_str("connects"),
            Self::Holds => f.write_str("holds"),
            Self::Acquires => f.write_str("acquires"),
            Self::Sets => f.write_str("sets"),
            Self::Waits => f.write_str("waits"),
            Self::InPool => f.write_str("pool"),
            Self::Members => f.write_str("members"),
        }
    }
}

impl Role {
    /// Whether this place takes `target`.
    fn accepts(self, target: &Target) -> bool {
        match target {
            Target::Processes(_) | Target::Absent => matches!(self, Self::After | Self::Members),
            Target::Pool(_) => matches!(self, Self::After | Self::InPool),
            Target::Queue(_) => {
                matches!(self, Self::After | Self::TaskSource | Self::Sends | Self::Receives) || self.is_stream()
            }
            Target::Pipe(_) => self.is_stream(),
            Target::End(..) => matches!(self, Self::End(_) | Self::Connects),
            Target::Lock(_) | Target::Semaphore(_) => matches!(self, Self::Holds | Self::Acquires),
            Target::Event(_) => matches!(self, Self::After | Self::Sets | Self::Waits),
            Target::Template | Target::Group => false,
        }
    }

    const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Stdin | Self::Stdout | Self::Stderr | Self::Send(_) | Self::Receive(_)
        )
    }

    /// What this place takes, for people.
    const fn takes(self) -> &'static str {
        match self {
            Self::After => "processes, pools, events and queues",
            Self::Stdin | Self::Stdout | Self::Stderr | Self::Send(_) | Self::Receive(_) => "a queue or a pipe",
            Self::TaskSource => "a queue (it holds the pool's tasks)",
            Self::End(_) | Self::Connects => "an end of a duplex pipe",
            Self::Sends | Self::Receives => "queues",
            Self::Holds | Self::Acquires => "locks and semaphores",
            Self::Sets | Self::Waits => "events",
            Self::InPool => "a pool",
            Self::Members => "processes",
        }
    }
}
