//! What a process does with a channel.

use std::fmt;

/// What a client wants with a name; the process it speaks for must have declared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Touch {
    /// Put items into a queue.
    Put = 1,
    /// Get items from a queue.
    Get = 2,
    /// Acquire a lock or permits of a semaphore, and release them.
    Hold = 3,
    /// Set or clear an event.
    Set = 4,
    /// Wait for an event.
    Wait = 5,
}

impl Touch {
    pub(super) const ALL: [Self; 5] = [Self::Put, Self::Get, Self::Hold, Self::Set, Self::Wait];

    pub(super) fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|touch| *touch as u32 == number)
    }

    /// The key of the language that declares it, such as `sends`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Put => "sends",
            Self::Get => "receives",
            Self::Hold => "acquires",
            Self::Set => "sets",
            Self::Wait => "waits",
        }
    }
}

/// As in "it *puts into* `jobs`".
impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "puts into",
            Self::Get => "gets from",
            Self::Hold => "acquires",
            Self::Set => "sets or clears",
            Self::Wait => "waits for",
        })
    }
}
