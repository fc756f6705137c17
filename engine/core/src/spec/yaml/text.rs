//! Bytes become text, and text that would overwhelm a YAML parser is refused before one sees it.

use crate::diagnostic::{Findings, codes};
use crate::source::{Span, count, saturating_u32};

/// The largest file that is read: 256 MiB, which is room for a million processes with commands of their own.
pub(crate) const FILE_BYTES_MAX: usize = 256 << 20;

/// How many `,` a file may have. A YAML scanner holds all tokens of a `[…]` in memory at once.
const COMMAS_MAX: usize = 5_000_000;

/// The text of a file; what is no UTF-8 is replaced so that the rest can be shown.
pub(crate) fn decode(bytes: Vec<u8>) -> (String, Option<usize>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(valid))
        }
    }
}

/// Whether a parser may be let loose on the text; if not, the reason is noted.
pub(crate) fn is_parseable(file: u32, text: &str, findings: &mut Findings) -> bool {
    if let Some((at, character)) = forbidden_character(text) {
        let span = Span::between(file, at, at + character.len_utf8());
        let message = format!("the character U+{:04X} is not allowed in YAML", u32::from(character));
        findings
            .error(codes::FORBIDDEN_CHARACTER, span, message)
            .help("remove it, or write it as an escape in double quotes");
        return false;
    }
    // They are counted wherever they stand, in text too: a scan that knew better could be deceived.
    if count(text.as_bytes(), b',') > COMMAS_MAX {
        let mut commas = text.bytes().enumerate().filter(|(_, byte)| *byte == b',');
        let at = commas.nth(COMMAS_MAX).map_or(0, |(at, _)| at);
        let message = format!("the file has more than {COMMAS_MAX} commas");
        findings.error(codes::TOO_LARGE, Span::between(file, at, at + 1), message);
        return false;
    }
    true
}

/// The first character that YAML 1.2 does not allow in a file (its production `c-printable`).
fn forbidden_character(text: &str) -> Option<(usize, char)> {
    if is_all(text, |byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
        return None;
    }
    text.char_indices().find(|&(_, character)| match character {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{FFFE}' | '\u{FFFF}' => true,
        other => other.is_control(),
    })
}

/// Whether all bytes are such: looking at all of them, without stopping at one that is not, is many times faster.
pub(crate) fn is_all(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_such(byte))
}

/// The first tab at or before `end` that stands where indentation is meant, on the line of `end`.
pub(crate) fn indenting_tab(text: &str, end: usize) -> Option<usize> {
    let mut end = end.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line_start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].split('\n').next().unwrap_or("");
    let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
    line[..indentation].find('\t').map(|tab| line_start + tab)
}

/// Where characters, which the YAML scanner counts, lie in bytes.
pub(crate) struct Offsets<'a> {
    text: &'a str,
    /// The byte of every `STRIDE`th character; empty when all characters are ASCII.
    checkpoints: Vec<u32>,
}

const STRIDE: usize = 64;

impl<'a> Offsets<'a> {
    pub fn of(text: &'a str) -> Self {
        let checkpoints = if text.is_ascii() {
            Vec::new()
        } else {
            let offsets = text.char_indices().step_by(STRIDE);
            offsets.map(|(offset, _)| saturating_u32(offset)).collect()
        };
        Self { text, checkpoints }
    }

    /// The byte at which the character number `index` begins.
    pub fn byte(&self, index: usize) -> usize {
        if self.checkpoints.is_empty() {
            return index.min(self.text.len());
        }
        let Some(&base) = self.checkpoints.get(index / STRIDE) else {
            return self.text.len();
        };
        let rest = &self.text[base as usize..];
        let within = rest.char_indices().nth(index % STRIDE);
        within.map_or(self.text.len(), |(offset, _)| base as usize + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_in_bytes() {
        let text = "aä€".repeat(100);
        let offsets = Offsets::of(&text);
        for (index, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.byte(index), byte);
        }
        assert_eq!(offsets.byte(300), text.len());
        assert_eq!(offsets.byte(9_999), text.len());
    }

    #[test]
    fn a_tab_is_found_only_in_the_indentation() {
        assert_eq!(indenting_tab("a:\n \tb: c", 6), Some(4));
        assert_eq!(indenting_tab("a:\tb", 3), None);
    }
}
