//! Text with gaps: `[..]` stands for anything in a line, and alone on a line for any number of lines.

const GAP: &str = "[..]";

/// Whether the line is like the pattern.
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split(GAP);
    let Some(rest) = pieces.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(found) = rest.find(piece) else { return false };
        rest = &rest[found + piece.len()..];
    }
    rest.ends_with(last)
}

/// Whether the lines are like the patterns, one by one.
pub fn lines_match(patterns: &[&str], lines: &[&str]) -> bool {
    let Some((pattern, patterns)) = patterns.split_first() else {
        return lines.is_empty();
    };
    if pattern.trim() == GAP {
        return (0..=lines.len()).any(|skipped| lines_match(patterns, &lines[skipped..]));
    }
    lines
        .split_first()
        .is_some_and(|(line, lines)| matches(pattern, line.trim_end()) && lines_match(patterns, lines))
}

mod tests {
    use super::{lines_match, matches};

    #[test]
    fn gaps_in_a_line() {
        for (pattern, line, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a[..]", "abc", true),
            ("[..]c", "abc", true),
            ("a[..]b[..]c", "a1b2c", true),
            ("a[..]b[..]c", "a1c", false),
            ("ab[..]b", "ab", false),
            ("[..]", "", true),
        ] {
            assert_eq!(matches(pattern, line), expected, "{pattern} {line}");
        }
    }

    #[test]
    fn gaps_between_lines() {
        assert!(lines_match(&["a", "[..]", "d"], &["a", "b", "c", "d"]));
        assert!(lines_match(&["a", "[..]"], &["a"]));
        assert!(!lines_match(&["a", "[..]", "d"], &["a", "b"]));
        assert!(!lines_match(&["a"], &["a", "b"]));
    }
}
