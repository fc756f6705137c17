//! Channels that are handed to a process, to be mapped there.

use std::io;
use std::os::fd::OwnedFd;

use super::{Slot, Yard};

/// A channel of the yard, numbered within its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// A queue.
    Queue(u32),
    /// A lock.
    Lock(u32),
    /// A semaphore.
    Semaphore(u32),
    /// An event.
    Event(u32),
}

/// What a process is given to use a channel by itself.
#[derive(Debug)]
pub struct Handed {
    /// The channel's file.
    pub file: OwnedFd,
    /// The eventfd(2) by which the engine is woken.
    pub bell: OwnedFd,
    /// Which process it is, in the slots of the channel.
    pub party: u32,
}

impl Yard {
    /// The channel's file and the bell, to be handed to the process of that slot.
    ///
    /// # Errors
    /// When descriptors run out, and always while the channels of a yard are in the engine's own memory.
    pub fn hand_out(&self, _slot: Slot, _station: Station) -> io::Result<Handed> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the channels of this run cannot be mapped",
        ))
    }
}
