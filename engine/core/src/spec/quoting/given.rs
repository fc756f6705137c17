//! Which parts of an expression can be what it gives: the branches of `a if c else b`, and what `~` joins.

use crate::spec::expression::{PARTS_MAX, parts, whole_words};

/// Filters whose result has nothing of the text that they are given, or has it in quotes.
const HARMLESS_FILTERS: [&str; 9] = [
    "sh",
    "urlencode",
    "length",
    "count",
    "int",
    "float",
    "round",
    "abs",
    "bool",
];

/// Words that make an expression one which compares or chooses.
const CHOOSING_WORDS: [&str; 4] = ["if", "is", "in", "not"];

/// Signs that do so.
const COMPARING_SIGNS: [&str; 4] = ["==", "!=", "<", ">"];

/// The parts of an expression that it may give, or a part of what it gives, without those that compare.
pub(super) fn given(source: &str) -> Vec<&str> {
    // One with more is refused, and may nest without end.
    if parts(source) > PARTS_MAX {
        return Vec::new();
    }
    let mut found = Vec::new();
    note_given(source.trim(), &mut found);
    found
}

/// A filter binds more tightly than `~`, and that than a comparison; `if` binds least.
fn note_given<'s>(source: &'s str, found: &mut Vec<&'s str>) {
    let bare = without_insides(source);
    if let Some(condition) = whole_words(&bare, "if").next() {
        note_given(source[..condition].trim(), found);
        let other = whole_words(&bare, "else").find(|at| *at > condition);
        if let Some(other) = other {
            note_given(source[other + "else".len()..].trim(), found);
        }
        return;
    }
    if compares(&bare) {
        return;
    }
    if let Some(joint) = bare.find('~') {
        note_given(source[..joint].trim(), found);
        note_given(source[joint + 1..].trim(), found);
        return;
    }
    match in_brackets(source, &bare) {
        Some((inside, "")) => note_given(inside.trim(), found),
        Some((inside, filters)) if filters.starts_with('|') && !is_filtered(filters) => {
            note_given(inside.trim(), found);
        }
        Some(_) | None => found.push(source),
    }
}

/// Whether an expression, or a part of one, quotes, counts, compares or chooses.
pub(super) fn is_harmless(source: &str) -> bool {
    compares(source) || is_filtered(source)
}

/// Whether the filter `sh` quotes it.
pub(super) fn is_quoted(source: &str) -> bool {
    has_filter(source, "sh")
}

fn compares(source: &str) -> bool {
    COMPARING_SIGNS.iter().any(|sign| source.contains(sign))
        || CHOOSING_WORDS
            .iter()
            .any(|word| whole_words(source, word).next().is_some())
}

fn is_filtered(source: &str) -> bool {
    HARMLESS_FILTERS.iter().any(|filter| has_filter(source, filter))
}

/// A filter stands behind its bar, or in the quotes of `map`.
fn has_filter(source: &str, filter: &str) -> bool {
    whole_words(source, filter).any(|at| source[..at].trim_end().ends_with(['|', '"', '\'']))
}

/// What a bracket at the beginning has in it, and what follows it.
fn in_brackets<'s>(source: &'s str, bare: &str) -> Option<(&'s str, &'s str)> {
    let end = bare.starts_with('(').then(|| bare.find(')'))??;
    Some((&source[1..end], source[end + 1..].trim_start()))
}

/// The expression with spaces for all that stands in its quotes and brackets, so that each byte keeps its place.
fn without_insides(source: &str) -> String {
    let mut bare = String::with_capacity(source.len());
    let (mut quote, mut depth, mut escaped) = (None, 0_usize, false);
    for character in source.chars() {
        let mut is_inside = quote.is_some() || depth > 0;
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => (quote, is_inside) = (Some(character), true),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                is_inside = depth > 0;
            }
            (Some(_) | None, _) => {}
        }
        if is_inside {
            bare.extend(std::iter::repeat_n(' ', character.len_utf8()));
        } else {
            bare.push(character);
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_branches_and_what_is_joined() {
        let cases: [(&str, &[&str]); 12] = [
            ("params.a", &["params.a"]),
            (" params.a | upper ", &["params.a | upper"]),
            ("params.a if params.b else params.c", &["params.a", "params.c"]),
            ("'x' if a else b if c else (d)", &["'x'", "b", "d"]),
            ("params.a if params.b", &["params.a"]),
            ("params.a ~ '/~ if x' | sh", &["params.a", "'/~ if x' | sh"]),
            ("(params.a ~ 'x') | sh", &["(params.a ~ 'x') | sh"]),
            ("(a if b == c else d) | upper", &["a", "d"]),
            ("params.a == 'b' ~ 'c'", &[]),
            ("params.a[env.B ~ 'x']", &["params.a[env.B ~ 'x']"]),
            ("'ä if \\' else' ~ x", &["'ä if \\' else'", "x"]),
            ("", &[""]),
        ];
        for (source, parts) in cases {
            assert_eq!(given(source), parts, "{source}");
        }
    }

    #[test]
    fn what_quotes_counts_or_compares_is_harmless() {
        for source in [
            "params.file | sh",
            "params.file|sh ",
            "params.files | map('sh') | join(' ')",
            "params.files | length",
            "params.mode == 'fast'",
        ] {
            assert!(is_harmless(source), "{source}");
        }
        for source in [
            "params.sh",
            "params.a or 'b'",
            "params.file | upper",
            "sh",
            "env.HOME ~ '/x'",
            "params.iffy",
        ] {
            assert!(!is_harmless(source), "{source}");
        }
    }
}
