//! Output of processes, made safe to show beside the engine's own lines.
//!
//! Colours (SGR sequences) may pass. Every other escape sequence could move the cursor, clear the screen,
//! or retitle the window, so it is dropped; other control characters are shown as `^G`, as `cat -v`
//! does. Invalid UTF-8 is shown as U+FFFD. The logs keep the bytes as written.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether colours may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// SGR sequences pass, and are reset at the end of the line.
    Pass,
    /// They are dropped like all other sequences.
    Drop,
}

const ESCAPE: char = '\u{1b}';
const RESET: &str = "\u{1b}[0m";

/// A line of a process, without its newline, as it may be shown: of one that was drawn over, what is left. Most lines are plain, and
/// there may be millions of them: these are not copied.
pub fn output(bytes: &[u8], colors: Colors) -> Cow<'_, str> {
    let is_plain = bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(line(last_drawn(bytes), colors)),
    }
}

/// What of a line is still to be seen when its writer has drawn over it with carriage returns, as progress bars do.
pub fn last_drawn(line: &[u8]) -> &[u8] {
    let mut drawn = line.rsplit(|byte| *byte == b'\r');
    drawn.find(|text| !text.is_empty()).unwrap_or_default()
}

/// One line, without its newline, as it may be shown.
pub fn line(bytes: &[u8], colors: Colors) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut colored = false;
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(needs_care) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with(ESCAPE) {
            let sequence = Sequence::at_start_of(rest);
            if sequence.is_color && colors == Colors::Pass {
                shown.push_str(&rest[..sequence.length]);
                colored = true;
            }
            rest = &rest[sequence.length..];
        } else {
            let mut characters = rest.chars();
            if let Some(character) = characters.next() {
                push_visibly(&mut shown, character);
            }
            rest = characters.as_str();
        }
    }
    shown.push_str(rest);
    if colored {
        shown.push_str(RESET);
    }
    shown
}

/// Control characters but the tab, and the characters that turn the direction of what follows.
fn needs_care(character: char) -> bool {
    (character.is_control() && character != '\t') || turns_direction(character)
}

const fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_visibly(shown: &mut String, character: char) {
    match u8::try_from(character) {
        // Programs may write megabytes of NUL: this is the short form, and the quick one.
        Ok(control @ (0..0x20 | 0x7f)) => shown.extend(['^', char::from(control ^ 0x40)]),
        Ok(other) => write!(shown, "\\x{other:02x}").expect("a String takes all that is written to it"),
        Err(_) => {
            let code = u32::from(character);
            write!(shown, "\\u{{{code:x}}}").expect("a String takes all that is written to it");
        }
    }
}

/// An escape sequence (ECMA-48) at the start of a text.
struct Sequence {
    /// In bytes, the escape included.
    length: usize,
    is_color: bool,
}

impl Sequence {
    fn at_start_of(text: &str) -> Self {
        let bytes = text.as_bytes();
        match bytes.get(1) {
            Some(b'[') => Self::control(bytes),
            // OSC, DCS, SOS, PM and APC: a string up to BEL or ESC \.
            Some(b']' | b'P' | b'X' | b'^' | b'_') => Self::plain(string_length(bytes)),
            // ESC, intermediates, one final byte.
            Some(_) => Self::plain(intermediates_end(text)),
            None => Self::plain(1),
        }
    }

    const fn plain(length: usize) -> Self {
        Self {
            length,
            is_color: false,
        }
    }

    /// CSI: parameters, intermediates, and a final byte; what is cut off or malformed ends where it goes wrong.
    fn control(bytes: &[u8]) -> Self {
        let inner = bytes[2..]
            .iter()
            .take_while(|byte| (0x20..=0x3f).contains(*byte))
            .count();
        let end = 2 + inner;
        match bytes.get(end) {
            Some(b'm') => Self {
                length: end + 1,
                is_color: bytes[2..end]
                    .iter()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')),
            },
            Some(0x40..=0x7e) => Self::plain(end + 1),
            Some(_) | None => Self::plain(end),
        }
    }
}

fn string_length(bytes: &[u8]) -> usize {
    let mut at = 2;
    while let Some(byte) = bytes.get(at) {
        match byte {
            0x07 => return at + 1,
            0x1b if bytes.get(at + 1) == Some(&b'\\') => return at + 2,
            _ => at += 1,
        }
    }
    at
}

fn intermediates_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let inner = bytes[1..]
        .iter()
        .take_while(|byte| (0x20..=0x2f).contains(*byte))
        .count();
    match bytes.get(1 + inner) {
        Some(0x30..=0x7e) => inner + 2,
        Some(_) | None => inner + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], with_colors: &str, without: &str) {
        assert_eq!(line(bytes, Colors::Pass), with_colors);
        assert_eq!(line(bytes, Colors::Drop), without);
    }

    #[test]
    fn of_what_was_drawn_over_the_last_is_seen() {
        for (line, seen) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"10%\r20%\r100%", b"100%"),
            (b"100%\r", b"100%"),
            (b"dos\r\r", b"dos"),
            (b"\r", b""),
            (b"", b""),
        ] {
            assert_eq!(last_drawn(line), seen, "{line:?}");
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        check(b"", "", "");
        check("\tnaïve ✓ │".as_bytes(), "\tnaïve ✓ │", "\tnaïve ✓ │");
    }

    #[test]
    fn colors_pass_and_are_reset() {
        check(b"\x1b[1;31mred\x1b[m", "\x1b[1;31mred\x1b[m\x1b[0m", "red");
        check(b"\x1b[38:5:9mx", "\x1b[38:5:9mx\x1b[0m", "x");
    }

    #[test]
    fn other_sequences_are_dropped() {
        check(b"a\x1b[2Jb\x1b[10;20Hc\x1b[?25ld\x1b[>4;1me", "abcde", "abcde");
        check(
            b"a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1bPq\x1b\\d",
            "abcd",
            "abcd",
        );
        check(b"a\x1bcb\x1b(Bc\x1b7d", "abcd", "abcd");
    }

    #[test]
    fn what_is_cut_off_eats_nothing_else() {
        check(b"a\x1b", "a", "a");
        check(b"a\x1b[12", "a", "a");
        check(b"a\x1b[12\xc3\xa9b", "aéb", "aéb");
        check("a\x1béb".as_bytes(), "aéb", "aéb");
        check(b"a\x1b]never ended", "a", "a");
        check(b"a\x1b\x1b[31mb", "a\x1b[31mb\x1b[0m", "ab");
    }

    #[test]
    fn control_characters_become_visible() {
        check(b"a\x07b\rc\x00\x7f", "a^Gb^Mc^@^?", "a^Gb^Mc^@^?");
        check("\u{9b}2J\u{202e}x".as_bytes(), "\\x9b2J\\u{202e}x", "\\x9b2J\\u{202e}x");
    }

    #[test]
    fn a_dos_line_end_is_no_character() {
        check(b"dos\r", "dos", "dos");
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        check(b"a\xff\xfeb", "a\u{fffd}\u{fffd}b", "a\u{fffd}\u{fffd}b");
    }
}
