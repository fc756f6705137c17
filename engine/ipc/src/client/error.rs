//! What may go wrong for a client, in the words of who uses it.

use std::{error, fmt, io};

use crate::wire::{Why, WireError};

/// Why a request was not fulfilled. That something would have to wait is no error.
#[derive(Debug)]
pub enum ClientError {
    /// `FORKYARD_SOCKET` or `FORKYARD_TOKEN` is not set.
    OutsideRun,
    /// Nobody listens at the socket any more, or the engine has closed the connection.
    RunEnded,
    /// The token belongs to no process of this run.
    UnknownToken(String),
    /// The process has not declared that it does this; the text names the missing line of YAML.
    NotDeclared(String),
    /// There is no such name in the workflow; the text has the nearest there is.
    NoSuchName(String),
    /// The name is that of another kind of thing.
    WrongKind(String),
    /// What is to be released or acknowledged is not held.
    NotHeld(String),
    /// The item is larger than the queue's `max_item`.
    TooLarge(String),
    /// More permits were asked for than there are.
    TooMany(String),
    /// The queue is empty and has no senders any more.
    Closed,
    /// The queue has no receivers any more.
    Broken,
    /// The engine cannot do it now: it is out of descriptors, memory or disk.
    Unable(String),
    /// Client and engine do not understand each other.
    Protocol(String),
    /// The socket cannot be used.
    Io(io::Error),
}

impl ClientError {
    pub(super) fn of_connect(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::RunEnded,
            _ => Self::of_io(error),
        }
    }

    pub(super) fn of_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => Self::RunEnded,
            _ => Self::Io(error),
        }
    }

    pub(super) fn of_refusal(why: Why, message: String) -> Self {
        match why {
            Why::NotDeclared => Self::NotDeclared(message),
            Why::NoSuchName => Self::NoSuchName(message),
            Why::WrongKind => Self::WrongKind(message),
            Why::TooLarge => Self::TooLarge(message),
            Why::TooMany => Self::TooMany(message),
            Why::NotHeld => Self::NotHeld(message),
            Why::UnknownToken => Self::UnknownToken(message),
            Why::Protocol => Self::Protocol(message),
            Why::Ended => Self::RunEnded,
            Why::Unable => Self::Unable(message),
        }
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideRun => f.write_str(
                "this program is not part of a run: FORKYARD_SOCKET and FORKYARD_TOKEN are not set; start it from a workflow",
            ),
            Self::RunEnded => f.write_str("the run has ended"),
            Self::UnknownToken(message)
            | Self::NotDeclared(message)
            | Self::NoSuchName(message)
            | Self::WrongKind(message)
            | Self::NotHeld(message)
            | Self::TooLarge(message)
            | Self::TooMany(message)
            | Self::Unable(message) => f.write_str(message),
            Self::Closed => f.write_str("the queue is closed: all its senders have ended"),
            Self::Broken => f.write_str("the queue is broken: all its receivers have ended"),
            Self::Protocol(message) => write!(f, "the engine of the run is not understood: {message}"),
            Self::Io(error) => write!(f, "the engine of the run cannot be reached: {error}"),
        }
    }
}

impl error::Error for ClientError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}
