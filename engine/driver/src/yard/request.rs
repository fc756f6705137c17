//! What is asked of the yard, and what it answers.

use std::fmt;

use forkyard_ipc::Error;

use super::ItemId;
use super::waiting::Place;

/// The identity of a supervised process in the yard: whatever is held or taken bears it. Behind the processes come the pools,
/// and then the engine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// How it is named in the channels, where 0 is nobody.
    #[must_use]
    pub const fn party(self) -> u32 {
        self.0 + 1
    }

    pub(super) const fn of_party(party: u32) -> Option<Self> {
        match party.checked_sub(1) {
            Some(slot) => Some(Self(slot)),
            None => None,
        }
    }
}

/// The number of a request that may have to wait, chosen by the caller and not used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A lock.
    Lock(u32),
    /// Permits of a semaphore.
    Semaphore(u32),
}

/// A request that may have to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Put an item at the end of a queue: `Done`, `Broken`, `Closed` or `TooLarge`; waits while the queue is full.
    Put {
        /// Which.
        queue: u32,
        /// Its bytes.
        item: Vec<u8>,
    },
    /// Take the item at the front of a queue: `Item` or `Closed`; waits while there is none, at a closed queue as
    /// long as other slots have items of it that may come back. The item is gone when it is acknowledged by
    /// [`Yard::ack`](super::Yard::ack).
    Take {
        /// Which.
        queue: u32,
    },
    /// Acquire a lock or permits: `Granted` or `TooMany`.
    Acquire {
        /// Of what.
        held: Held,
        /// How many permits, all at once, at least one; 1 for a lock.
        permits: u32,
    },
    /// Wait until an event is set: `Done`.
    Wait {
        /// Which.
        event: u32,
    },
}

impl Request {
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::Put { queue, .. } => Place::Put(*queue),
            Self::Take { queue } => Place::Take(*queue),
            Self::Acquire { held, .. } => Place::Acquire(*held),
            Self::Wait { event } => Place::Wait(*event),
        }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The item is put; the event is set.
    Done,
    /// The item taken.
    Item {
        /// To acknowledge it or to give it back.
        id: ItemId,
        /// Its bytes.
        bytes: Vec<u8>,
        /// How often it has been handed out, this time included: above 1 it has been returned before.
        deliveries: u32,
    },
    /// The lock or the permits are held now.
    Granted {
        /// The holder before has died with it: what it guards may be half done.
        orphaned: bool,
    },
    /// It would have to wait, and was not to.
    WouldBlock,
    /// Of a take: the queue has no senders and no items. Of a put: its senders have all ended.
    Closed,
    /// Of a put: the queue has no receivers.
    Broken,
    /// The item is larger than the queue's `max_item`.
    TooLarge {
        /// That limit, in bytes.
        max: u64,
    },
    /// More permits were asked for than there are.
    TooMany {
        /// How many there are; 1 for a lock.
        permits: u32,
    },
    /// It cannot be done; nothing has changed.
    Failed(Trouble),
}

/// Why a request cannot be done though nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A program has overwritten the memory of the channel.
    Damaged,
    /// The disk is full.
    NoSpace,
    /// Something else, in words.
    Other(Box<str>),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => Error::Damaged.fmt(f),
            Self::NoSpace => Error::NoSpace.fmt(f),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl Reply {
    /// What is told to whom an attempt failed for.
    ///
    /// # Errors
    /// When it is the channel that is in trouble, and not this request.
    pub(super) fn of_error(error: Error) -> Result<Self, Error> {
        match error {
            Error::Closed => Ok(Self::Closed),
            Error::Broken => Ok(Self::Broken),
            Error::TooLarge { max } => Ok(Self::TooLarge { max }),
            Error::TooMany { permits } => Ok(Self::TooMany { permits }),
            Error::NoSpace => Ok(Self::Failed(Trouble::NoSpace)),
            Error::Io(_) | Error::TooManyClients { .. } => Ok(Self::Failed(Trouble::Other(error.to_string().into()))),
            trouble => Err(trouble),
        }
    }
}

/// Why [`Yard::ack`](super::Yard::ack) or [`Yard::release`](super::Yard::release) did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The slot does not hold that (or not so many).
    NotHeld,
}
