//! How a process and the engine of its run speak: frames over the run's Unix stream socket.
//!
//! A frame is a header of 16 bytes, little-endian, and a payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | the length of the payload in bytes, at most [`PAYLOAD_BYTES_MAX`] |
//! | 4 | the operation |
//! | 5 | flags: bit 0 is *block* of a request, *orphaned* of a grant; the others are 0 |
//! | 6–7 | 0 |
//! | 8–15 | the number of the request, chosen by the client; its answer bears the same |
//!
//! In a payload a text is its length in 16 bits and its bytes (UTF-8), a number is little-endian, and
//! bytes without a length reach to the payload's end. The client sends [`Ask`]s, the first of them
//! [`Ask::Hello`], and waits for its answer before it sends more: what a frame may hold depends on who
//! speaks. Each but [`Ask::Cancel`] is answered by exactly one [`Answer`].
//!
//! [`Answer::Channel`] comes with two descriptors (`SCM_RIGHTS`) at its first byte: the channel's file, and its bell.
//!
//! All here is pure: bytes in, values out, whatever the bytes are.

mod answer;
mod ask;
mod fields;
mod frame;
#[cfg(test)]
mod tests;
mod touch;

use std::fmt;

pub use answer::{Answer, Why};
pub use ask::Ask;
pub use frame::{Decoder, Frame};
pub use touch::Touch;

/// The version of this protocol, said in [`Ask::Hello`].
pub const VERSION: u32 = 1;

/// The length of a header.
pub const HEADER_BYTES: usize = 16;

/// No payload is longer (1 GiB), whatever `max_item` a queue declares.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// No text in a frame is longer; the language's names end at 64 bytes, and a token is shorter.
pub const TEXT_BYTES_MAX: usize = 255;

/// A payload is never longer than its item and this: a text, its length, and some numbers.
pub const OVERHEAD_BYTES_MAX: usize = 512;

/// The number of an item in its queue, ascending in the order in which items were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// Why bytes are not a frame, or a value cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// There is no such operation.
    Operation(u8),
    /// A payload ends before its fields do.
    Short,
    /// A payload has bytes after its fields, or bits that mean nothing are set.
    Excess,
    /// A text is not UTF-8.
    Text,
    /// A text is longer than [`TEXT_BYTES_MAX`].
    LongText,
    /// A payload is longer than [`PAYLOAD_BYTES_MAX`], or than the other side allows.
    LongPayload,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(number) => write!(f, "there is no operation {number}"),
            Self::Short => f.write_str("a frame ends too early"),
            Self::Excess => f.write_str("a frame has more in it than it should"),
            Self::Text => f.write_str("a text is not UTF-8"),
            Self::LongText => write!(f, "a name is longer than {TEXT_BYTES_MAX} bytes"),
            Self::LongPayload => f.write_str("a frame is too long"),
        }
    }
}

impl std::error::Error for WireError {}
