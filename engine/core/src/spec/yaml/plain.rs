//! Reads the plain part of YAML, of which large files are made, many times faster than a parser of all of YAML can.
//!
//! What a program writes for another is plain: maps and lists by their indentation or in brackets, each scalar on one
//! line, without escapes, anchors, tags or blocks of text. Both YAML parsers accept all that is accepted here, and the
//! first makes the same tree of it, with the same places; the tests compare them on random texts. Whatever is not
//! plain, be it a mistake or only rare, is left to them: no error is told here.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexSet;

use super::remark::ADDRESS;
use super::text::is_all;
use super::{KEYS_FEW, NODES_MAX};
use crate::source::{Entry, Kind, Node, Span, Style, Words, saturating_u32};

/// How deeply it may be nested; more is not plain.
const DEPTH_MAX: usize = 16;
/// How long a key may be. YAML allows 1024 characters.
const KEY_BYTES_MAX: usize = 256;
/// What means nothing where a key should stand, or something else than itself.
const KEYS_REFUSED: [&str; 4] = ["~", "null", "Null", "NULL"];

/// The tree of a file, and its comments that begin with `# forkyard:`.
pub(super) struct Plain {
    pub root: Rc<Node>,
    pub remarks: Vec<Span>,
}

/// Reads a file; `None` when it is not plain.
pub(super) fn read(file: u32, text: &Arc<str>) -> Option<Plain> {
    if !is_all(text, |byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return None;
    }
    let mut reader = Reader {
        file,
        text,
        at: 0,
        column: None,
        nodes: 0,
        remarks: Vec::new(),
    };
    reader.next_line();
    let root = reader.mapping(reader.column.filter(|column| *column == 0)?, 0)?;
    let remarks = reader.remarks;
    reader.column.is_none().then_some(Plain { root, remarks })
}

/// Where scalars stand: in brackets more characters end them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

struct Reader<'a> {
    file: u32,
    text: &'a Arc<str>,
    /// The next byte to be read.
    at: usize,
    /// In front of a line: the column of what stands there; `None` at the end of the file.
    column: Option<usize>,
    nodes: u32,
    remarks: Vec<Span>,
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.byte_at(self.at)
    }

    fn byte_at(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Whether white space, or nothing, follows at `at`.
    fn is_blank(&self, at: usize) -> bool {
        matches!(self.byte_at(at), None | Some(b' ' | b'\n'))
    }

    fn skip_spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.byte() == Some(byte)).then(|| self.at += 1)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::between(self.file, start, end)
    }

    /// Goes to the next line that has more than a comment.
    fn next_line(&mut self) {
        let mut line = self.at;
        loop {
            self.skip_spaces();
            match self.byte() {
                None => {
                    self.column = None;
                    return;
                }
                Some(b'\n') => {
                    self.at += 1;
                    line = self.at;
                }
                Some(b'#') => self.comment(),
                Some(_) => {
                    self.column = Some(self.at - line);
                    return;
                }
            }
        }
    }

    /// Passes over a comment, up to the end of its line.
    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest.find('\n').unwrap_or(rest.len());
        if rest[1..end].trim_start().starts_with(ADDRESS) {
            self.remarks.push(self.span(self.at, self.at + end));
        }
        self.at += end;
    }

    /// Ends a line on which nothing but a comment may follow, and goes to the next.
    fn end_line(&mut self) -> Option<()> {
        let end = self.at;
        self.skip_spaces();
        if self.byte() == Some(b'#') && self.at > end {
            self.comment();
        }
        if !matches!(self.byte(), None | Some(b'\n')) {
            return None;
        }
        self.next_line();
        Some(())
    }

    /// What begins in front of a line, at this column.
    fn block(&mut self, column: usize, depth: usize) -> Option<Rc<Node>> {
        let depth = deeper(depth)?;
        if self.is_item() {
            self.sequence(column, depth, self.at)
        } else {
            self.mapping(column, depth)
        }
    }

    /// Whether an item of a list begins here.
    fn is_item(&self) -> bool {
        self.byte() == Some(b'-') && self.is_blank(self.at + 1)
    }

    fn mapping(&mut self, column: usize, depth: usize) -> Option<Rc<Node>> {
        let start = self.at;
        let mut fields = Fields::default();
        while self.column == Some(column) {
            let key = self.key(Context::Block)?;
            let value = self.value(column, depth)?;
            fields.add(self.text, key, value)?;
        }
        self.leave(column)?;
        let end = fields.entries.last()?.value.span.end as usize;
        self.node(Node::mapping(self.span(start, end), fields.entries))
    }

    /// What stands behind a key: on its line, or below it and deeper. A list need not stand deeper.
    fn value(&mut self, column: usize, depth: usize) -> Option<Rc<Node>> {
        let colon = self.at;
        self.skip_spaces();
        if !matches!(self.byte(), Some(b'\n' | b'#')) {
            let value = self.inline(Context::Block, depth)?;
            self.end_line()?;
            return Some(value);
        }
        self.at = colon;
        self.end_line()?;
        let below = self.column?;
        if below > column {
            return self.block(below, depth);
        }
        if below < column || !self.is_item() {
            return None;
        }
        // The place of such a list begins with its first item.
        let spaces = self.text[self.at + 1..].bytes().take_while(|byte| *byte == b' ');
        self.sequence(column, deeper(depth)?, self.at + 1 + spaces.count())
    }

    fn sequence(&mut self, column: usize, depth: usize, start: usize) -> Option<Rc<Node>> {
        let mut items = Vec::new();
        while self.column == Some(column) && self.is_item() {
            self.at += 1;
            items.push(self.item(column, depth)?);
        }
        if self.column != Some(column) {
            self.leave(column)?;
        }
        let end = items.last()?.span.end as usize;
        self.node(Node::sequence(self.span(start, end), items))
    }

    /// What stands behind a dash: a map may begin on its line.
    fn item(&mut self, column: usize, depth: usize) -> Option<Rc<Node>> {
        let dash = self.at - 1;
        self.skip_spaces();
        let (at, inner) = (self.at, column + self.at - dash);
        if self.key(Context::Block).is_some() {
            (self.at, self.column) = (at, Some(inner));
            return self.mapping(inner, deeper(depth)?);
        }
        self.at = at;
        let value = self.inline(Context::Block, depth)?;
        self.end_line()?;
        Some(value)
    }

    /// Behind a collection at this column nothing may stand deeper.
    fn leave(&self, column: usize) -> Option<()> {
        self.column.is_none_or(|next| next < column).then_some(())
    }

    /// A value within one line.
    fn inline(&mut self, context: Context, depth: usize) -> Option<Rc<Node>> {
        match self.byte()? {
            b'[' => self.list(deeper(depth)?),
            b'{' => self.map(deeper(depth)?),
            _ => self.scalar(context),
        }
    }

    /// `[…]`
    fn list(&mut self, depth: usize) -> Option<Rc<Node>> {
        let start = self.at;
        let mut items = Vec::new();
        self.take(b'[')?;
        self.skip_spaces();
        while self.byte()? != b']' {
            items.push(self.inline(Context::Flow, depth)?);
            self.separator(b']')?;
        }
        self.at += 1;
        let end = items
            .last()
            .map_or_else(|| self.end_with_blanks(), |last| last.span.end as usize);
        self.node(Node::sequence(self.span(start, end), items))
    }

    /// `{…}`
    fn map(&mut self, depth: usize) -> Option<Rc<Node>> {
        let start = self.at;
        let mut fields = Fields::default();
        self.take(b'{')?;
        self.skip_spaces();
        while self.byte()? != b'}' {
            let key = self.key(Context::Flow)?;
            self.skip_spaces();
            let value = self.inline(Context::Flow, depth)?;
            fields.add(self.text, key, value)?;
            self.separator(b'}')?;
        }
        self.at += 1;
        let last = fields.entries.last();
        let end = last.map_or_else(|| self.end_with_blanks(), |last| last.value.span.end as usize);
        self.node(Node::mapping(self.span(start, end), fields.entries))
    }

    /// What stands behind an item in brackets: a comma and another item, or the closing bracket.
    fn separator(&mut self, close: u8) -> Option<()> {
        self.skip_spaces();
        if self.byte()? == close {
            return Some(());
        }
        self.take(b',')?;
        self.skip_spaces();
        (self.byte()? != close).then_some(())
    }

    /// A key with its colon.
    fn key(&mut self, context: Context) -> Option<Rc<Node>> {
        let start = self.at;
        let key = match self.byte()? {
            quote @ (b'"' | b'\'') => {
                let key = self.quoted(quote)?;
                // White space in front of the colon would be a part of its place.
                (self.at == key.span.end as usize).then_some(key)?
            }
            first if is_word(first) && first != b'.' => {
                while self.byte().is_some_and(is_word) {
                    self.at += 1;
                }
                let text = &self.text[start..self.at];
                if KEYS_REFUSED.contains(&text) || text.starts_with('-') {
                    return None;
                }
                self.text(start, self.at, start..self.at, Style::Plain)?
            }
            _ => return None,
        };
        self.take(b':')?;
        let ends_line = context == Context::Block && self.byte() == Some(b'\n');
        let is_key = self.at - start <= KEY_BYTES_MAX && (self.byte() == Some(b' ') || ends_line);
        is_key.then_some(key)
    }

    fn scalar(&mut self, context: Context) -> Option<Rc<Node>> {
        match self.byte()? {
            quote @ (b'"' | b'\'') => self.quoted(quote),
            b'-' if !self.begins_word(self.at + 1) => None,
            b'-' => self.unquoted(context),
            first if is_word(first) || matches!(first, b'$' | b'(' | b'+' | b'~') => self.unquoted(context),
            _ => None,
        }
    }

    fn begins_word(&self, at: usize) -> bool {
        self.byte_at(at).is_some_and(is_word)
    }

    fn unquoted(&mut self, context: Context) -> Option<Rc<Node>> {
        let start = self.at;
        let mut end = start;
        while let Some(byte) = self.byte() {
            let ends = match byte {
                b'\n' => true,
                b'#' if self.at > end => true,
                b'#' | b':' | b'?' if context == Context::Flow => return None,
                b':' if self.is_blank(self.at + 1) => return None,
                b',' | b'[' | b']' | b'{' | b'}' => context == Context::Flow,
                _ => false,
            };
            if ends {
                break;
            }
            self.at += 1;
            if byte != b' ' {
                end = self.at;
            }
        }
        self.at = end;
        self.text(start, end, start..end, Style::Plain)
    }

    /// A text in quotes, without escapes.
    fn quoted(&mut self, quote: u8) -> Option<Rc<Node>> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let length = rest.find(|it: char| it == char::from(quote) || matches!(it, '\\' | '\n'))?;
        self.at = start + 1 + length;
        self.take(quote)?;
        if rest[length..].starts_with("''") {
            return None;
        }
        let end = self.end_with_blanks();
        self.text(start, end, start + 1..start + 1 + length, Style::Text)
    }

    /// Where the place of a closing quote or bracket ends: to it belongs what the parser skips then, spaces and a comment.
    fn end_with_blanks(&self) -> usize {
        let rest = &self.text[self.at..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        if spaces > 0 && rest[spaces..].starts_with('#') {
            return self.at + rest.find('\n').unwrap_or(rest.len());
        }
        self.at + spaces
    }

    /// A scalar whose text is this piece of the file.
    fn text(&mut self, start: usize, end: usize, piece: Range<usize>, style: Style) -> Option<Rc<Node>> {
        let words = Words::Piece {
            file: Arc::clone(self.text),
            start: saturating_u32(piece.start),
            end: saturating_u32(piece.end),
        };
        self.node(Node::scalar(self.span(start, end), words, style))
    }

    /// Counts a node; a file with too many of them is refused elsewhere.
    fn node(&mut self, node: Node) -> Option<Rc<Node>> {
        self.nodes += 1;
        (self.nodes <= NODES_MAX).then(|| Rc::new(node))
    }
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < DEPTH_MAX).then_some(depth + 1)
}

/// Of what words are made that mean nothing to YAML wherever they stand.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

/// The entries of a map.
#[derive(Default)]
struct Fields<'a> {
    entries: Vec<Entry>,
    /// The keys, once there are many.
    keys: IndexSet<&'a str>,
}

impl<'a> Fields<'a> {
    /// Adds an entry; `None` when its key is there already.
    fn add(&mut self, text: &'a str, key: Rc<Node>, value: Rc<Node>) -> Option<()> {
        let is_new = if self.entries.len() < KEYS_FEW {
            self.entries.iter().all(|entry| entry.key.text() != key.text())
        } else {
            if self.keys.is_empty() {
                self.keys
                    .extend(self.entries.iter().map(|entry| written(text, &entry.key)));
            }
            self.keys.insert(written(text, &key))
        };
        is_new.then(|| self.entries.push(Entry { key, value }))
    }
}

/// The text of a key as it stands in the file.
fn written<'a>(text: &'a str, key: &Node) -> &'a str {
    let is_quoted = matches!(&key.kind, Kind::Scalar(scalar) if scalar.style == Style::Text);
    let start = key.span.start as usize + usize::from(is_quoted);
    &text[start..start + key.text().len()]
}

#[cfg(test)]
mod tests;
