//! What can go wrong with a channel, in words.

use std::{fmt, io};

use crate::channel::Kind;

/// Why an operation on a channel failed. What is merely not possible *now* (a full queue, a taken lock) is no error:
/// those operations answer `false` or `None`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something.
    Io(Box<Refused>),
    /// The file is no channel: too short, or its first bytes are something else.
    NotAChannel,
    /// The file was made by another version of this library.
    Version {
        /// The version of its layout.
        found: u32,
    },
    /// The file is a channel of another kind.
    WrongKind {
        /// Its kind.
        found: Kind,
        /// The kind asked for.
        wanted: Kind,
    },
    /// What stands in the channel cannot have been written by this library: a process has overwritten it. Nobody can
    /// use the channel any more.
    Damaged,
    /// As many processes have attached to the channel as it has slots for.
    TooManyClients {
        /// How many that is.
        slots: u32,
    },
    /// Another user owns the yard's directory, or may write to it.
    Stranger,
    /// An option makes no sense; the text says which and what it may be.
    Nonsense(&'static str),
    /// The item is larger than the queue takes.
    TooLarge {
        /// The most, in bytes.
        max: u64,
    },
    /// More permits were asked for than there are.
    TooMany {
        /// How many there are.
        permits: u32,
    },
    /// The queue has ended: nothing more can be put; when getting, it is also empty.
    Closed,
    /// The queue has no receivers any more.
    Broken,
    /// The barrier was broken, or reset while somebody waited.
    BrokenBarrier,
    /// The caller does not hold what it wants to release, or has not taken what it wants to acknowledge.
    NotHeld,
    /// The disk (or the memory that the file lives in) is full. Nothing has been changed.
    NoSpace,
    /// Somebody holds the channel's latch and is not running; only told to a host, which must not wait.
    Busy,
    /// A signal came while waiting; only told to those who asked to be told.
    Interrupted,
}

/// What the system refused.
#[derive(Debug)]
pub struct Refused {
    /// What was to be done, in words that follow "cannot".
    pub what: &'static str,
    /// Its reason.
    pub error: io::Error,
}

impl Error {
    /// For `map_err`: what was to be done, in words that follow "cannot".
    pub(crate) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Self::NoSpace,
            _ => Self::Io(Box::new(Refused { what, error })),
        }
    }

    /// This process has no memory for an item.
    pub(crate) fn memory(_: std::collections::TryReserveError) -> Self {
        Self::io("make room for an item")(io::ErrorKind::OutOfMemory.into())
    }

    /// What the last system call failed for.
    pub(crate) fn last(what: &'static str) -> Self {
        Self::io(what)(io::Error::last_os_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(refused) => write!(f, "cannot {}: {}", refused.what, refused.error),
            Self::NotAChannel => f.write_str("the file is not a channel of a yard"),
            Self::Version { found } => write!(
                f,
                "the channel has layout version {found}, this program knows version {}",
                crate::channel::VERSION
            ),
            Self::WrongKind { found, wanted } => write!(f, "the channel is {found}, not {wanted}"),
            Self::Damaged => f.write_str("the channel is damaged: a process has overwritten its memory"),
            Self::TooManyClients { slots } => write!(f, "the channel has room for {slots} processes at once, not more"),
            Self::Stranger => f.write_str("the yard's directory is not, or not only, for this user to write to"),
            Self::Nonsense(what) => f.write_str(what),
            Self::TooLarge { max } => write!(f, "the item is larger than the queue's limit of {max} bytes"),
            Self::TooMany { permits } => write!(f, "there are only {permits} permits"),
            Self::Closed => f.write_str("the queue is closed"),
            Self::Broken => f.write_str("nobody is left to get from the queue"),
            Self::BrokenBarrier => f.write_str("the barrier is broken"),
            Self::NotHeld => f.write_str("this process does not hold that"),
            Self::NoSpace => f.write_str("no space is left for the channel's file"),
            Self::Busy => f.write_str("the channel is busy: a process stands still in the middle of it"),
            Self::Interrupted => f.write_str("a signal came while waiting"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(refused) => Some(&refused.error),
            Self::NotAChannel
            | Self::Version { .. }
            | Self::WrongKind { .. }
            | Self::Damaged
            | Self::TooManyClients { .. }
            | Self::Stranger
            | Self::Nonsense(_)
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Closed
            | Self::Broken
            | Self::BrokenBarrier
            | Self::NotHeld
            | Self::NoSpace
            | Self::Busy
            | Self::Interrupted => None,
        }
    }
}
