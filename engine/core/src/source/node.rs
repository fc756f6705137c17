//! A YAML file as a tree in which every node knows its place.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::Span;

/// One node of a file. Aliases share the node they stand for.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// How many nodes it has with all below it, an alias counted as what it stands for.
    pub weight: u32,
    /// How many levels it has: 1 for a scalar.
    pub height: u32,
    /// Whether `${{` occurs in it or below.
    pub expressions: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// A map in the order of the file; its keys are scalars and occur once.
    Mapping(Vec<Entry>),
}

/// A single value as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text without its quotes.
    pub text: Words,
    /// How it was written.
    pub style: Style,
}

/// The text of a scalar: its own, or a piece of the file in which it stands as it is meant.
#[derive(Clone)]
pub(crate) enum Words {
    /// Its own.
    Own(Box<str>),
    /// Bytes `start..end` of the text of a file.
    Piece { file: Arc<str>, start: u32, end: u32 },
}

impl Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Piece { file, start, end } => &file[*start as usize..*end as usize],
        }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self::Own(text.into())
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: it may mean a number, a truth value or nothing.
    Plain,
    /// In quotes or as a block: it is always text.
    Text,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Always a scalar.
    pub key: Rc<Node>,
    /// Its value.
    pub value: Rc<Node>,
}

/// What a plain scalar means in YAML 1.2's core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain<'a> {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(&'a str),
}

impl Node {
    /// A scalar.
    pub fn scalar(span: Span, text: impl Into<Words>, style: Style) -> Self {
        let text = text.into();
        // Looking for one character is much the faster.
        let expressions = text.contains('$') && text.contains("${{");
        Self {
            span,
            kind: Kind::Scalar(Scalar { text, style }),
            weight: 1,
            height: 1,
            expressions,
        }
    }

    /// A list.
    pub fn sequence(span: Span, items: Vec<Rc<Self>>) -> Self {
        let (weight, height, expressions) = measure(items.iter());
        Self {
            span,
            kind: Kind::Sequence(items),
            weight,
            height,
            expressions,
        }
    }

    /// A map.
    pub fn mapping(span: Span, entries: Vec<Entry>) -> Self {
        let (weight, height, expressions) = measure(entries.iter().flat_map(|entry| [&entry.key, &entry.value]));
        Self {
            span,
            kind: Kind::Mapping(entries),
            weight,
            height,
            expressions,
        }
    }

    /// What the scalar means; `None` for a list or a map.
    pub fn plain(&self) -> Option<Plain<'_>> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar.meaning()),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    /// Whether there is nothing where a value could stand.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }

    /// The text of a scalar as it was written; empty for a list or a map.
    pub fn text(&self) -> &str {
        match &self.kind {
            Kind::Scalar(scalar) => &scalar.text,
            Kind::Sequence(_) | Kind::Mapping(_) => "",
        }
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            Kind::Scalar(_) | Kind::Sequence(_) => &[],
        }
    }

    /// Puts another value in the place of that of the entry at `index`, and hands out the one that was there; `None`
    /// when there is no such entry. The node still measures what it did.
    pub fn replace(&mut self, index: usize, value: Rc<Self>) -> Option<Rc<Self>> {
        match &mut self.kind {
            Kind::Mapping(entries) => Some(std::mem::replace(&mut entries.get_mut(index)?.value, value)),
            Kind::Scalar(_) | Kind::Sequence(_) => None,
        }
    }

    /// The entry of a map that has this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.text() == key)
    }

    /// The value that a map has under this key.
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// What stands here, for a message: `found …`.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) => format!("`{}`", excerpt(&scalar.text)),
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a map".to_owned(),
        }
    }
}

impl Scalar {
    fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// What it means in YAML 1.2's core schema: only plain scalars mean anything but text.
    pub fn meaning(&self) -> Plain<'_> {
        if self.style == Style::Text {
            return Plain::Text(&self.text);
        }
        if self.is_null() {
            return Plain::Null;
        }
        match &*self.text {
            "true" | "True" | "TRUE" => Plain::Bool(true),
            "false" | "False" | "FALSE" => Plain::Bool(false),
            text => number(text).unwrap_or(Plain::Text(text)),
        }
    }
}

/// The start of a text, fit to stand in a one-line message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(visible).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A message of somebody else's that may quote the file: all of it, fit to stand in one line.
pub(crate) fn sentence(text: &str) -> String {
    // No parser says more than a few words, but it might quote what it has met.
    const SHOWN_CHARS: usize = 400;
    text.chars().take(SHOWN_CHARS).flat_map(visible).collect()
}

/// A character, or its escape where printing it would disturb the screen.
fn visible(character: char) -> Vec<char> {
    if character.is_control() || is_reordering(character) || is_invisible(character) {
        character.escape_default().collect()
    } else {
        vec![character]
    }
}

/// Whether the character is not seen, or not as what it is: a soft hyphen, a joiner, a space that does not break.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{A0}' | '\u{AD}' | '\u{2007}' | '\u{200B}'..='\u{200D}' | '\u{202F}' | '\u{2060}' | '\u{FEFF}'
    )
}

/// Whether the character changes the direction in which text is shown, so that a line reads other than it is.
pub(crate) fn is_reordering(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A number of YAML 1.2's core schema: no octal by a leading zero, no underscores, no base 60.
fn number(text: &str) -> Option<Plain<'_>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return i128::from_str_radix(digits, 16)
            .ok()
            .filter(|_| all_digits(digits, 16))
            .map(Plain::Whole);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i128::from_str_radix(digits, 8)
            .ok()
            .filter(|_| all_digits(digits, 8))
            .map(Plain::Whole);
    }
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
            return Some(Plain::Float(sign * f64::INFINITY));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return Some(Plain::Float(f64::NAN)),
        _ => {}
    }
    if all_digits(unsigned, 10) {
        let zero_led = unsigned.len() > 1 && unsigned.starts_with('0');
        return if zero_led {
            None
        } else {
            text.parse().ok().map(Plain::Whole)
        };
    }
    let numeric = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if numeric {
        text.parse().ok().map(Plain::Float)
    } else {
        None
    }
}

fn all_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_digit(radix))
}

fn measure<'a>(parts: impl Iterator<Item = &'a Rc<Node>>) -> (u32, u32, bool) {
    parts.fold((1, 1, false), |(weight, height, expressions), part| {
        (
            u32::saturating_add(weight, part.weight),
            height.max(part.height + 1),
            expressions || part.expressions,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Plain<'static> {
        let scalar = Box::leak(Box::new(Scalar {
            text: text.to_owned().into(),
            style: Style::Plain,
        }));
        scalar.meaning()
    }

    #[test]
    fn words_of_other_yaml_versions_are_text() {
        for text in [
            "no",
            "on",
            "yes",
            "y",
            "0123",
            "1_000",
            "12:30:45",
            "2026-11-23",
            "1e",
            ".",
            "-",
            "0x",
            "0xg",
            "e3",
        ] {
            assert_eq!(meaning(text), Plain::Text(text), "{text}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        assert_eq!(meaning("12"), Plain::Whole(12));
        assert_eq!(meaning("-3"), Plain::Whole(-3));
        assert_eq!(meaning("0x10"), Plain::Whole(16));
        assert_eq!(meaning("0o17"), Plain::Whole(15));
        assert_eq!(meaning("1e3"), Plain::Float(1000.0));
        assert_eq!(meaning("1.10"), Plain::Float(1.1));
        assert_eq!(meaning("-.inf"), Plain::Float(f64::NEG_INFINITY));
        assert_eq!(meaning("~"), Plain::Null);
        assert_eq!(meaning("True"), Plain::Bool(true));
    }

    #[test]
    fn an_excerpt_never_contains_a_control_character() {
        assert_eq!(excerpt("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(excerpt(&"x".repeat(50)), format!("{}…", "x".repeat(40)));
    }
}
