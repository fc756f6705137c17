//! Where one item ends and the next begins in a stream of bytes.

use forkyard_core::plan::Framing;
use memchr::{memchr, memrchr};

/// Cuts a stream into items, however it arrives; an item larger than allowed is skipped and counted.
#[derive(Debug)]
pub struct Cutter {
    item_bytes_max: u64,
    refused: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Items end with this byte.
    Delimited { delimiter: u8, held: Vec<u8> },
    /// The rest of an item that is too large, up to this byte.
    SkippingTo { delimiter: u8 },
    /// A length is being collected.
    Length { held: Vec<u8> },
    /// So many bytes of an item are still to come.
    Body { held: Vec<u8>, missing: usize },
    /// So many bytes of an item that is too large are still to come.
    Skipping { missing: usize },
}

/// The bytes of a length before an item: an unsigned 32-bit number, little-endian.
const LENGTH_BYTES: usize = 4;

/// No more bytes than that are handed on together: a few pieces as they are read.
const TOGETHER_BYTES_MAX: usize = 256 * 1024;

impl Cutter {
    /// Items as `framing` says, at most `item_bytes_max` bytes each.
    #[must_use]
    pub fn new(framing: Framing, item_bytes_max: u64) -> Self {
        let held = Vec::new();
        let state = match framing {
            Framing::Lines => State::Delimited { delimiter: b'\n', held },
            Framing::Nul => State::Delimited { delimiter: 0, held },
            Framing::Length => State::Length { held },
        };
        Self {
            item_bytes_max,
            refused: 0,
            state,
        }
    }

    /// Takes in what was read, and hands on the items that are whole now.
    pub fn feed(&mut self, mut bytes: &[u8], mut whole: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let state = std::mem::replace(&mut self.state, State::Skipping { missing: 0 });
            (self.state, bytes) = match state {
                State::Delimited { delimiter, held } => self.delimited(delimiter, held, bytes, &mut whole),
                State::SkippingTo { delimiter } => skip_to(delimiter, bytes),
                State::Length { held } => self.length(held, bytes, &mut whole),
                State::Body { held, missing } => body(held, missing, bytes, &mut whole),
                State::Skipping { missing } => skip(missing, bytes),
            };
        }
    }

    /// The same, but items that end with a byte are handed on together, as they stand in the stream, where none of them can be too
    /// large.
    pub fn feed_together(&mut self, bytes: &[u8], mut cut: impl FnMut(Cut<'_>)) {
        let mut rest = bytes;
        if let State::Delimited { delimiter, held } = &mut self.state
            && let Some(last) = memrchr(*delimiter, bytes)
            && held.len() + last < TOGETHER_BYTES_MAX
            && (held.len() + last) as u64 <= self.item_bytes_max
        {
            let whole;
            (whole, rest) = bytes.split_at(last + 1);
            held.extend_from_slice(whole);
            cut(Cut::Together(held, *delimiter));
            held.clear();
        }
        self.feed(rest, |item| cut(Cut::Item(item)));
    }

    /// The stream has ended: a last line without its end is an item too; half of a counted item is refused.
    pub fn finish(&mut self, mut whole: impl FnMut(&[u8])) {
        match std::mem::replace(&mut self.state, State::Length { held: Vec::new() }) {
            State::Delimited { held, .. } if !held.is_empty() => whole(&held),
            State::Length { held } if !held.is_empty() => self.refused += 1,
            State::Body { .. } => self.refused += 1,
            State::Delimited { .. } | State::Length { .. } | State::SkippingTo { .. } | State::Skipping { .. } => {}
        }
    }

    /// How many items were refused since this was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn delimited<'b>(
        &mut self,
        delimiter: u8,
        mut held: Vec<u8>,
        mut bytes: &'b [u8],
        whole: &mut impl FnMut(&[u8]),
    ) -> (State, &'b [u8]) {
        while let Some(end) = memchr(delimiter, bytes) {
            let (piece, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if !self.fits(held.len() + piece.len()) {
                self.refused += 1;
            } else if held.is_empty() {
                whole(piece);
            } else {
                held.extend_from_slice(piece);
                whole(&held);
            }
            held.clear();
        }
        if !self.fits(held.len() + bytes.len()) {
            self.refused += 1;
            return (State::SkippingTo { delimiter }, &[]);
        }
        held.extend_from_slice(bytes);
        (State::Delimited { delimiter, held }, &[])
    }

    fn fits(&self, length: usize) -> bool {
        length as u64 <= self.item_bytes_max
    }

    fn length<'b>(&mut self, mut held: Vec<u8>, bytes: &'b [u8], whole: &mut impl FnMut(&[u8])) -> (State, &'b [u8]) {
        let (piece, rest) = bytes.split_at(bytes.len().min(LENGTH_BYTES - held.len()));
        held.extend_from_slice(piece);
        let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(held.as_slice()) else {
            return (State::Length { held }, rest);
        };
        let missing = u32::from_le_bytes(length) as usize;
        let state = if missing as u64 > self.item_bytes_max {
            self.refused += 1;
            State::Skipping { missing }
        } else if missing == 0 {
            whole(&[]);
            State::Length { held: Vec::new() }
        } else {
            State::Body {
                held: Vec::new(),
                missing,
            }
        };
        (state, rest)
    }
}

/// What was cut off a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// One item.
    Item(&'a [u8]),
    /// Some, each with this byte behind it. Who wants to keep them may leave another buffer in their place.
    Together(&'a mut Vec<u8>, u8),
}

fn skip_to(delimiter: u8, bytes: &[u8]) -> (State, &[u8]) {
    match memchr(delimiter, bytes) {
        Some(end) => (
            State::Delimited {
                delimiter,
                held: Vec::new(),
            },
            &bytes[end + 1..],
        ),
        None => (State::SkippingTo { delimiter }, &[]),
    }
}

fn body<'b>(mut held: Vec<u8>, missing: usize, bytes: &'b [u8], whole: &mut impl FnMut(&[u8])) -> (State, &'b [u8]) {
    let (piece, rest) = bytes.split_at(bytes.len().min(missing));
    let missing = missing - piece.len();
    if missing == 0 && held.is_empty() {
        whole(piece);
        return (State::Length { held }, rest);
    }
    held.extend_from_slice(piece);
    if missing > 0 {
        return (State::Body { held, missing }, rest);
    }
    whole(&held);
    (State::Length { held: Vec::new() }, rest)
}

fn skip(missing: usize, bytes: &[u8]) -> (State, &[u8]) {
    let (piece, rest) = bytes.split_at(bytes.len().min(missing));
    let missing = missing - piece.len();
    let state = if missing > 0 {
        State::Skipping { missing }
    } else {
        State::Length { held: Vec::new() }
    };
    (state, rest)
}

/// Some items, one behind the other in one buffer.
#[derive(Debug, Default)]
pub struct Items {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Items {
    /// One more.
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len());
    }

    /// None any more; the buffer is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// An item as it stands in a stream of this framing.
#[must_use]
pub fn framed(framing: Framing, item: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(item.len() + LENGTH_BYTES);
    frame(framing, item, &mut bytes);
    bytes
}

/// Appends an item as it stands in a stream of this framing.
pub fn frame(framing: Framing, item: &[u8], bytes: &mut Vec<u8>) {
    match framing {
        Framing::Lines => {
            bytes.extend_from_slice(item);
            bytes.push(b'\n');
        }
        Framing::Nul => {
            bytes.extend_from_slice(item);
            bytes.push(0);
        }
        Framing::Length => {
            let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(item);
        }
    }
}

/// Whether the item comes out of a stream of this framing as the one item it is.
#[must_use]
pub fn fits(framing: Framing, item: &[u8]) -> bool {
    match framing {
        Framing::Lines => !item.contains(&b'\n'),
        Framing::Nul => !item.contains(&0),
        Framing::Length => u32::try_from(item.len()).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts `bytes` handed over in pieces of every size from 1 on: the items must always be the same.
    fn check(framing: Framing, max: u64, bytes: &[u8], items: &[&[u8]], refused: u64) {
        for size in 1..=bytes.len().max(1) {
            let mut cutter = Cutter::new(framing, max);
            let mut cut = Vec::new();
            for piece in bytes.chunks(size) {
                cutter.feed(piece, |item| cut.push(item.to_vec()));
            }
            cutter.finish(|item| cut.push(item.to_vec()));
            assert_eq!(cut, items, "pieces of {size}");
            assert_eq!(cutter.take_refused(), refused, "pieces of {size}");
        }
    }

    #[test]
    fn lines_are_items_and_so_is_a_last_one_without_its_newline() {
        check(Framing::Lines, 16, b"a\n\nbc\nd", &[b"a", b"", b"bc", b"d"], 0);
        check(Framing::Lines, 16, b"", &[], 0);
        check(Framing::Lines, 16, b"a\r\n\0\xff\n", &[b"a\r", b"\0\xff"], 0);
    }

    #[test]
    fn together_the_same_items_are_cut() {
        let stream = b"a\n\nbc\nabcdefgh\nxyz\nlast";
        for max in [3, 4, 100] {
            for size in 1..=stream.len() {
                let (mut one_by_one, mut together) =
                    (Cutter::new(Framing::Lines, max), Cutter::new(Framing::Lines, max));
                let (mut items, mut same) = (Vec::new(), Vec::new());
                for piece in stream.chunks(size) {
                    one_by_one.feed(piece, |item| items.extend(framed(Framing::Lines, item)));
                    together.feed_together(piece, |cut| match cut {
                        Cut::Item(item) => same.extend(framed(Framing::Lines, item)),
                        Cut::Together(bytes, delimiter) => {
                            assert_eq!((bytes.last(), delimiter), (Some(&b'\n'), b'\n'));
                            same.extend_from_slice(bytes);
                        }
                    });
                    assert_eq!(items, same, "pieces of {size}, at most {max}");
                }
                one_by_one.finish(|item| items.extend_from_slice(item));
                together.finish(|item| same.extend_from_slice(item));
                assert_eq!(items, same);
                assert_eq!(one_by_one.take_refused(), together.take_refused());
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_counted_once() {
        check(Framing::Lines, 3, b"abc\nabcd\nabcdefgh\nx\n", &[b"abc", b"x"], 2);
        check(Framing::Lines, 3, b"a\nabcdefgh", &[b"a"], 1);
        check(Framing::Lines, 0, b"\na\n\n", &[b"", b""], 1);
    }

    #[test]
    fn nul_framing_keeps_newlines() {
        check(Framing::Nul, 16, b"a\nb\0\0c", &[b"a\nb", b"", b"c"], 0);
    }

    #[test]
    fn counted_items_may_hold_anything() {
        check(
            Framing::Length,
            16,
            b"\x02\0\0\0\n\0\0\0\0\0\x01\0\0\0x",
            &[b"\n\0", b"", b"x"],
            0,
        );
    }

    #[test]
    fn counted_items_too_large_or_cut_off_are_refused() {
        check(Framing::Length, 2, b"\x03\0\0\0abc\x01\0\0\0x", &[b"x"], 1);
        check(Framing::Length, 9, b"\x03\0\0\0ab", &[], 1);
        check(Framing::Length, 9, b"\x03\0", &[], 1);
        check(Framing::Length, 9, b"\xff\xff\xff\xffabc", &[], 1);
    }

    #[test]
    fn what_is_framed_is_cut_into_the_same_item() {
        for framing in [Framing::Lines, Framing::Nul, Framing::Length] {
            let mut cut = Vec::new();
            let mut cutter = Cutter::new(framing, 100);
            cutter.feed(&framed(framing, b"one"), |item| cut.push(item.to_vec()));
            cutter.feed(&framed(framing, b""), |item| cut.push(item.to_vec()));
            assert_eq!(cut, [&b"one"[..], b""], "{framing:?}");
        }
        assert!(!fits(Framing::Lines, b"a\nb"));
        assert!(!fits(Framing::Nul, b"a\0b"));
        assert!(fits(Framing::Length, b"a\n\0b"));
    }
}
