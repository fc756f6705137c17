//! Lines for reporters, cut out of whatever a process writes.

use std::sync::Arc;

use memchr::memchr;

use crate::news::LINE_BYTES_MAX;

/// A line, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Without its newline.
    pub bytes: Arc<[u8]>,
    /// Whether the line ends here.
    pub ended: bool,
}

/// Holds the begun line between two reads; never more than [`LINE_BYTES_MAX`] bytes.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Takes in what was read and appends the lines, or pieces of long ones, that are complete now.
    pub fn feed(&mut self, mut bytes: &[u8], lines: &mut Vec<Line>) {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.held.len();
            // A newline right behind a full piece still ends it: no empty piece follows.
            let window = &bytes[..bytes.len().min(room + 1)];
            if let Some(end) = memchr(b'\n', window) {
                lines.push(self.ended(&bytes[..end]));
                bytes = &bytes[end + 1..];
            } else if window.len() > room {
                self.held.extend_from_slice(&bytes[..room]);
                lines.push(self.cut(false));
                bytes = &bytes[room..];
            } else {
                self.held.extend_from_slice(bytes);
                return;
            }
        }
    }

    /// The stream has ended: what is left is a line without a newline.
    pub fn finish(&mut self) -> Option<Line> {
        (!self.held.is_empty()).then(|| self.cut(false))
    }

    /// Most lines come whole, and are copied once.
    fn ended(&mut self, rest: &[u8]) -> Line {
        if !self.held.is_empty() {
            self.held.extend_from_slice(rest);
            return self.cut(true);
        }
        Line {
            bytes: Arc::from(rest),
            ended: true,
        }
    }

    fn cut(&mut self, ended: bool) -> Line {
        let bytes = Arc::from(self.held.as_slice());
        self.held.clear();
        Line { bytes, ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(usize, bool)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.feed(piece, &mut out);
        }
        out.extend(lines.finish());
        out.iter().map(|line| (line.bytes.len(), line.ended)).collect()
    }

    #[test]
    fn lines_are_cut_however_they_arrive() {
        assert_eq!(
            cut(&[b"a\nbc", b"d\n\ne"]),
            [(1, true), (3, true), (0, true), (1, false)]
        );
        assert_eq!(cut(&[]), []);
    }

    #[test]
    fn long_lines_come_in_pieces_and_end_once() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(cut(&[&long, b"\n"]), [(LINE_BYTES_MAX, true)]);
        assert_eq!(cut(&[&long, b"y\n"]), [(LINE_BYTES_MAX, false), (1, true)]);
        assert_eq!(cut(&[&long]), [(LINE_BYTES_MAX, false)]);
    }
}
