//! What a client asks.

use super::fields::{Reader, Writer};
use super::{Frame, ItemId, OVERHEAD_BYTES_MAX, Touch, WireError};

/// A request of a client. Names are those of the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The first of a connection: who speaks. `Done`.
    Hello {
        /// `FORKYARD_TOKEN` of its process; empty for a client that belongs to none, which may only
        /// [`Ask::Ps`] and [`Ask::Why`].
        token: String,
        /// [`super::VERSION`].
        version: u32,
    },
    /// Put an item: `Done`, `WouldBlock`, `Closed`, `Broken`.
    Put {
        /// The queue.
        name: String,
        /// Its bytes.
        item: Vec<u8>,
        /// Wait while the queue is full.
        block: bool,
    },
    /// Take an item: `Item`, `WouldBlock`, `Closed`.
    Get {
        /// The queue.
        name: String,
        /// Wait while the queue is empty.
        block: bool,
    },
    /// The item taken is done with: `Done`.
    Ack {
        /// The queue.
        name: String,
        /// Which.
        item: ItemId,
    },
    /// The item taken goes back: `Done`.
    Nack {
        /// The queue.
        name: String,
        /// Which.
        item: ItemId,
    },
    /// Acquire a lock or permits: `Granted`, `WouldBlock`.
    Acquire {
        /// The lock or semaphore.
        name: String,
        /// How many; 1 for a lock.
        permits: u32,
        /// Wait until it can be had.
        block: bool,
    },
    /// Release them: `Done`.
    Release {
        /// The lock or semaphore.
        name: String,
        /// How many; 1 for a lock.
        permits: u32,
    },
    /// Wait for an event: `Done`, `WouldBlock`.
    Wait {
        /// The event.
        name: String,
        /// Wait until it is set; else say whether it is.
        block: bool,
    },
    /// Set an event: `Done`.
    Set {
        /// The event.
        name: String,
    },
    /// Clear an event: `Done`.
    Clear {
        /// The event.
        name: String,
    },
    /// Wait no longer for the answer of that request of the same connection: it is answered
    /// `WouldBlock` if it has no answer yet. Not answered itself.
    Cancel {
        /// The number of that request.
        request: u64,
    },
    /// The processes of the run: `Table`.
    Ps,
    /// Why somebody or something does not get on: `Table`.
    Why {
        /// Any name of the workflow.
        name: String,
    },
    /// Be handed a channel, to use it without the engine: `Channel`.
    Attach {
        /// The queue, lock, semaphore or event.
        name: String,
        /// What for.
        touch: Touch,
    },
}

mod operation {
    pub const HELLO: u8 = 1;
    pub const PUT: u8 = 2;
    pub const GET: u8 = 3;
    pub const ACK: u8 = 4;
    pub const NACK: u8 = 5;
    pub const ACQUIRE: u8 = 6;
    pub const RELEASE: u8 = 7;
    pub const WAIT: u8 = 8;
    pub const SET: u8 = 9;
    pub const CLEAR: u8 = 10;
    pub const CANCEL: u8 = 11;
    pub const PS: u8 = 12;
    pub const ATTACH: u8 = 13;
    pub const WHY: u8 = 14;
}

impl Ask {
    /// The frame of this request.
    ///
    /// # Errors
    /// When a name or the item is too long for a frame.
    pub fn encode(&self, request: u64) -> Result<Vec<u8>, WireError> {
        let expected = if let Self::Put { item, .. } = self {
            item.len() + OVERHEAD_BYTES_MAX
        } else {
            64
        };
        let mut frame = Writer::new(self.operation(), u8::from(self.blocks()), request, expected);
        match self {
            Self::Hello { token, version } => {
                frame.u32(*version);
                frame.text(token)?;
            }
            Self::Put { name, item, .. } => {
                frame.text(name)?;
                frame.rest(item);
            }
            Self::Ack { name, item } | Self::Nack { name, item } => {
                frame.u64(item.0);
                frame.text(name)?;
            }
            Self::Acquire { name, permits, .. } | Self::Release { name, permits } => {
                frame.u32(*permits);
                frame.text(name)?;
            }
            Self::Get { name, .. }
            | Self::Wait { name, .. }
            | Self::Set { name }
            | Self::Clear { name }
            | Self::Why { name } => {
                frame.text(name)?;
            }
            Self::Cancel { request } => frame.u64(*request),
            Self::Attach { name, touch } => {
                frame.u32(*touch as u32);
                frame.text(name)?;
            }
            Self::Ps => {}
        }
        frame.finish()
    }

    /// Understands a frame. Of one that was cut (see [`Frame::cut`]) the item is incomplete.
    ///
    /// # Errors
    /// When it is no request.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        let mut fields = Reader(&frame.payload);
        let block = frame.flags & 1 == 1;
        let ask = match frame.operation {
            operation::HELLO => {
                let version = fields.u32()?;
                Self::Hello {
                    version,
                    token: fields.text()?,
                }
            }
            operation::PUT => Self::Put {
                name: fields.text()?,
                item: fields.rest().to_vec(),
                block,
            },
            operation::GET => Self::Get {
                name: fields.text()?,
                block,
            },
            operation::ACK => {
                let item = ItemId(fields.u64()?);
                Self::Ack {
                    item,
                    name: fields.text()?,
                }
            }
            operation::NACK => {
                let item = ItemId(fields.u64()?);
                Self::Nack {
                    item,
                    name: fields.text()?,
                }
            }
            operation::ACQUIRE => {
                let permits = fields.u32()?;
                Self::Acquire {
                    permits,
                    name: fields.text()?,
                    block,
                }
            }
            operation::RELEASE => {
                let permits = fields.u32()?;
                Self::Release {
                    permits,
                    name: fields.text()?,
                }
            }
            operation::WAIT => Self::Wait {
                name: fields.text()?,
                block,
            },
            operation::SET => Self::Set { name: fields.text()? },
            operation::CLEAR => Self::Clear { name: fields.text()? },
            operation::CANCEL => Self::Cancel { request: fields.u64()? },
            operation::PS => Self::Ps,
            operation::WHY => Self::Why { name: fields.text()? },
            operation::ATTACH => Self::Attach {
                touch: Touch::of(fields.u32()?).ok_or(WireError::Excess)?,
                name: fields.text()?,
            },
            other => return Err(WireError::Operation(other)),
        };
        fields.end()?;
        if block && !ask.blocks() {
            return Err(WireError::Excess);
        }
        Ok(ask)
    }

    const fn operation(&self) -> u8 {
        match self {
            Self::Hello { .. } => operation::HELLO,
            Self::Put { .. } => operation::PUT,
            Self::Get { .. } => operation::GET,
            Self::Ack { .. } => operation::ACK,
            Self::Nack { .. } => operation::NACK,
            Self::Acquire { .. } => operation::ACQUIRE,
            Self::Release { .. } => operation::RELEASE,
            Self::Wait { .. } => operation::WAIT,
            Self::Set { .. } => operation::SET,
            Self::Clear { .. } => operation::CLEAR,
            Self::Cancel { .. } => operation::CANCEL,
            Self::Ps => operation::PS,
            Self::Why { .. } => operation::WHY,
            Self::Attach { .. } => operation::ATTACH,
        }
    }

    const fn blocks(&self) -> bool {
        match self {
            Self::Put { block, .. }
            | Self::Get { block, .. }
            | Self::Acquire { block, .. }
            | Self::Wait { block, .. } => *block,
            Self::Hello { .. }
            | Self::Ack { .. }
            | Self::Nack { .. }
            | Self::Release { .. }
            | Self::Set { .. }
            | Self::Clear { .. }
            | Self::Cancel { .. }
            | Self::Attach { .. }
            | Self::Why { .. }
            | Self::Ps => false,
        }
    }
}
