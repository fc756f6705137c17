//! Finds the comments of a file that speak to Forkyard: `# forkyard: …`.
//!
//! Only the parser knows what is text and what is a comment, and it hands out no comments. So every `#` that could
//! begin one is looked up among the scalars that it does hand out.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::text::Offsets;
use crate::source::{BYTE_ORDER_MARK, Span};

/// What such a comment begins with, after `#` and spaces.
pub(super) const ADDRESS: &str = "forkyard:";

/// The comments of a well-formed file that begin with `# forkyard:`, each from its `#` to the end of its line, in the
/// order of the file. A file without that word in it is not parsed again.
pub(super) fn remarks(file: u32, text: &str) -> Vec<Span> {
    let mut hashes = hashes(text);
    if !hashes.iter().any(|hash| hash.addressed) {
        return Vec::new();
    }
    leave_out_text(text, &mut hashes);
    let mut found = Vec::new();
    let mut commented_line = None;
    for hash in hashes.iter().filter(|hash| !hash.in_text) {
        // Of the marks of a line the first begins the comment; what follows is said in it.
        if commented_line.replace(hash.line) != Some(hash.line) && hash.addressed {
            let end = text[hash.at..]
                .find(['\n', '\r'])
                .map_or(text.len(), |end| hash.at + end);
            found.push(Span::between(file, hash.at, end));
        }
    }
    found
}

/// A `#` that begins a comment, unless it is part of a text.
struct Hash {
    at: usize,
    /// Where its line begins.
    line: usize,
    /// Whether `forkyard:` follows.
    addressed: bool,
    in_text: bool,
}

/// All `#` at the start of a line or after white space, of the lines in which one is followed by `forkyard:`.
fn hashes(text: &str) -> Vec<Hash> {
    let mut found: Vec<Hash> = Vec::new();
    let mut seen_to = 0;
    for (at, _) in text.match_indices(ADDRESS) {
        if at < seen_to {
            continue;
        }
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        seen_to = end;
        let marks = text[line..end].match_indices('#').map(|(offset, _)| line + offset);
        found.extend(marks.filter(|&at| begins_comment(text, at)).map(|at| Hash {
            at,
            line,
            addressed: text[at + 1..end].trim_start().starts_with(ADDRESS),
            in_text: false,
        }));
    }
    found
}

fn begins_comment(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    before.is_none_or(|before| matches!(before, ' ' | '\t' | '\n' | '\r' | '\u{FEFF}'))
}

/// Notes which of the marks lie in quoted texts and blocks. An unquoted text cannot contain one.
fn leave_out_text(text: &str, hashes: &mut [Hash]) {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let skipped = text.len() - body.len();
    let offsets = Offsets::of(body);
    let mut rest = hashes;
    // The scalars come in the order of the text; what does not parse has been refused already.
    for (event, span) in Parser::new_from_str(body).map_while(Result::ok) {
        let Event::Scalar(_, style, ..) = event else { continue };
        let start = skipped + offsets.byte(span.start.index());
        let end = match style {
            ScalarStyle::Plain => continue,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => end_of_quoted(text, start),
            ScalarStyle::Literal | ScalarStyle::Folded => skipped + offsets.byte(span.end.index()),
        };
        let before = rest.partition_point(|hash| hash.at < start);
        rest = &mut rest[before..];
        let inside = rest.partition_point(|hash| hash.at < end);
        for hash in &mut rest[..inside] {
            hash.in_text = true;
        }
        rest = &mut rest[inside..];
        if rest.is_empty() {
            return;
        }
    }
}

/// Where the quoted text that begins at `start` ends. The parser's own end includes what follows on the line.
fn end_of_quoted(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let Some(&quote) = bytes.get(start) else {
        return start;
    };
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        let doubled = quote == b'\'' && byte == quote && bytes.get(at + 1) == Some(&quote);
        let escape = quote == b'"' && byte == b'\\';
        if byte == quote && !doubled {
            return at + 1;
        }
        at += if doubled || escape { 2 } else { 1 };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let spans = remarks(0, text).into_iter();
        spans
            .map(|span| &text[span.start as usize..span.end as usize])
            .collect()
    }

    #[test]
    fn comments_are_found_wherever_they_stand() {
        let text = "\
# forkyard: head
a: b # forkyard: after plain
b: |  #forkyard: at a block
  text
# forkyard: after a block
c: 'it''s' # forkyard: after single
d: \"a \\\" # b\"   # forkyard: after double\r
e:
  # forkyard: above
  - {ä: [x, # forkyard: in a flow
      y]}
f: >-
  fold
 # forkyard: below a fold
  # forkyard: last";
        let expected = [
            "# forkyard: head",
            "# forkyard: after plain",
            "#forkyard: at a block",
            "# forkyard: after a block",
            "# forkyard: after single",
            "# forkyard: after double",
            "# forkyard: above",
            "# forkyard: in a flow",
            "# forkyard: below a fold",
            "# forkyard: last",
        ];
        assert_eq!(found(text), expected);
        assert_eq!(found(&format!("\u{FEFF}{text}")), expected);
    }

    #[test]
    fn text_is_no_comment() {
        let text = "\
a: '# forkyard: single'
b: \"x
  # forkyard: double\"
c: |
  echo # forkyard: literal
    # forkyard: deeper
d: >2
    # forkyard: folded
e: no#forkyard: plain
f: [\"# forkyard: in a list\", '''# forkyard: after a quote']
'# forkyard: key': \"\\\"# forkyard: after an escape\"
";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn what_a_comment_quotes_is_no_remark() {
        assert_eq!(found("#  a: b # forkyard: commented out\nb: c\n"), [""; 0]);
        assert_eq!(found("a: b # write `# forkyard: allow`\n"), [""; 0]);
        assert_eq!(found("a: '#' # forkyard: yes\n"), ["# forkyard: yes"]);
    }
}
