//! Text of a user's made safe to be shown: a terminal obeys control characters, and some others turn the direction of
//! what follows, so that a line reads other than it is.

use std::fmt::Write as _;

use crate::source::is_reordering;

/// The text with each such character replaced; tabs become a space.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' => ' ',
            c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// The text with each such character, line breaks and tabs excepted, written as an escape: `\u{1b}`.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(character),
            // These two are no control characters, but no XML either.
            c if is_harmful(c) || matches!(c, '\u{FFFE}' | '\u{FFFF}') => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// A path, or another text of a user's, as it may be printed on a line.
#[must_use]
pub fn shown(text: &str) -> String {
    harmless(&text.replace('\n', " "))
}

/// JSON with each such character as an escape of JSON's own, so that programs read what was written. In well-formed JSON
/// they stand inside of texts alone; the line breaks between values stay.
pub(super) fn escaped_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character != '\n' && is_harmful(character) {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

fn is_harmful(character: char) -> bool {
    character.is_control() || is_reordering(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\u{1b}[31m\u{9b}b\u{202e}\tc";

    #[test]
    fn nothing_harmful_is_left() {
        assert_eq!(harmless(NASTY), "a\u{FFFD}[31m\u{FFFD}b\u{FFFD} c");
        assert_eq!(visible(NASTY), "a\\u{1b}[31m\\u{9b}b\\u{202e}\tc");
    }

    #[test]
    fn programs_read_in_json_what_was_written() {
        let json = serde_json::json!([NASTY, "line\nbreak"]);
        let text = escaped_json(&format!("{json:#}"));
        assert!(!text.contains(|c| c != '\n' && is_harmful(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json);
    }
}
