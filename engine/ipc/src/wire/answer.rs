//! What the engine answers.

use super::fields::{Reader, Writer};
use super::{Frame, ItemId, OVERHEAD_BYTES_MAX, WireError};
use crate::channel::Kind;

/// An answer of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The item taken, to be acknowledged by [`super::Ask::Ack`].
    Item {
        /// Its number.
        id: ItemId,
        /// How often it has been handed out, this time included.
        deliveries: u32,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The lock or the permits are held now.
    Granted {
        /// The holder before has died with it.
        orphaned: bool,
    },
    /// It would have to wait, and is not to (any longer).
    WouldBlock,
    /// The queue has no senders, and no items for a receiver.
    Closed,
    /// The queue has no receivers.
    Broken,
    /// It is not done.
    Refused {
        /// The kind of the reason.
        why: Why,
        /// The reason in words, for the user.
        message: String,
    },
    /// The processes of the run, as JSON.
    Table(Vec<u8>),
    /// The channel asked for: its file and its bell are the two descriptors that come with this frame.
    Channel {
        /// Which process this is, in the slots of the channel.
        party: u32,
        /// What it is.
        kind: Kind,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The process has not declared in the workflow that it does this.
    NotDeclared,
    /// There is no such name in the workflow.
    NoSuchName,
    /// The name is that of another kind of thing.
    WrongKind,
    /// The item is larger than the queue's `max_item`.
    TooLarge,
    /// More permits were asked for than there are.
    TooMany,
    /// What is to be released or acknowledged is not held.
    NotHeld,
    /// The token belongs to no process of the run.
    UnknownToken,
    /// The request breaks the protocol: another version, no hello, not understood.
    Protocol,
    /// The process this client speaks for has ended, or the run has.
    Ended,
    /// The engine cannot do it now: it is out of descriptors, memory or disk.
    Unable,
}

mod operation {
    pub const DONE: u8 = 65;
    pub const ITEM: u8 = 66;
    pub const GRANTED: u8 = 67;
    pub const WOULD_BLOCK: u8 = 68;
    pub const CLOSED: u8 = 69;
    pub const BROKEN: u8 = 70;
    pub const REFUSED: u8 = 71;
    pub const TABLE: u8 = 72;
    pub const CHANNEL: u8 = 73;
}

impl Answer {
    /// The frame of this answer.
    ///
    /// # Errors
    /// When the item or the table is too long for a frame.
    pub fn encode(&self, request: u64) -> Result<Vec<u8>, WireError> {
        let orphaned = matches!(self, Self::Granted { orphaned: true });
        let mut frame = Writer::new(self.operation(), u8::from(orphaned), request, self.expected_bytes());
        match self {
            Self::Item { id, deliveries, bytes } => {
                frame.u64(id.0);
                frame.u32(*deliveries);
                frame.rest(bytes);
            }
            Self::Refused { why, message } => {
                frame.u32(*why as u32);
                frame.rest(message.as_bytes());
            }
            Self::Table(json) => frame.rest(json),
            Self::Channel { party, kind } => {
                frame.u32(*party);
                frame.u32(*kind as u32);
            }
            Self::Done | Self::Granted { .. } | Self::WouldBlock | Self::Closed | Self::Broken => {}
        }
        frame.finish()
    }

    /// Understands a frame.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        let mut fields = Reader(&frame.payload);
        let orphaned = frame.flags & 1 == 1;
        if orphaned && frame.operation != operation::GRANTED {
            return Err(WireError::Excess);
        }
        let answer = match frame.operation {
            operation::DONE => Self::Done,
            operation::ITEM => {
                let (id, deliveries) = (ItemId(fields.u64()?), fields.u32()?);
                Self::Item {
                    id,
                    deliveries,
                    bytes: fields.rest().to_vec(),
                }
            }
            operation::GRANTED => Self::Granted { orphaned },
            operation::WOULD_BLOCK => Self::WouldBlock,
            operation::CLOSED => Self::Closed,
            operation::BROKEN => Self::Broken,
            operation::REFUSED => {
                let why = Why::of(fields.u32()?).ok_or(WireError::Excess)?;
                let message = std::str::from_utf8(fields.rest())
                    .map_err(|_| WireError::Text)?
                    .to_owned();
                Self::Refused { why, message }
            }
            operation::TABLE => Self::Table(fields.rest().to_vec()),
            operation::CHANNEL => {
                let party = fields.u32()?;
                let kind = Kind::of(fields.u32()?).ok_or(WireError::Excess)?;
                Self::Channel { party, kind }
            }
            other => return Err(WireError::Operation(other)),
        };
        fields.end()?;
        Ok(answer)
    }

    const fn operation(&self) -> u8 {
        match self {
            Self::Done => operation::DONE,
            Self::Item { .. } => operation::ITEM,
            Self::Granted { .. } => operation::GRANTED,
            Self::WouldBlock => operation::WOULD_BLOCK,
            Self::Closed => operation::CLOSED,
            Self::Broken => operation::BROKEN,
            Self::Refused { .. } => operation::REFUSED,
            Self::Table(_) => operation::TABLE,
            Self::Channel { .. } => operation::CHANNEL,
        }
    }

    const fn expected_bytes(&self) -> usize {
        match self {
            Self::Item { bytes, .. } | Self::Table(bytes) => bytes.len() + OVERHEAD_BYTES_MAX,
            Self::Refused { message, .. } => message.len() + OVERHEAD_BYTES_MAX,
            Self::Done
            | Self::Granted { .. }
            | Self::WouldBlock
            | Self::Closed
            | Self::Broken
            | Self::Channel { .. } => 8,
        }
    }
}

impl Why {
    pub(super) const ALL: [Self; 10] = [
        Self::NotDeclared,
        Self::NoSuchName,
        Self::WrongKind,
        Self::TooLarge,
        Self::TooMany,
        Self::NotHeld,
        Self::UnknownToken,
        Self::Protocol,
        Self::Ended,
        Self::Unable,
    ];

    fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|why| *why as u32 == number)
    }
}
