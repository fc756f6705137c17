//! Reads the plain part of YAML, of which large files are made, many times faster than a parser of all of YAML can.
//!
//! What a program writes for another is plain: maps and lists by their indentation or in brackets, each scalar on one
//! line, without escapes, anchors, tags or blocks of text. Both YAML parsers accept all that is accepted here, and the
//! first makes the same tree of it, with the same places; the tests compare them on random texts. Whatever is not
//! plain, be it a mistake or only rare, is left to them: no error is told here.

use std::sync::Arc;

use indexmap::IndexSet;

use super::remark::ADDRESS;
use super::text::is_all;
use super::{KEYS_FEW, NODES_MAX};
use crate::source::{Span, Tape};

/// How deeply it may be nested; more is not plain.
const DEPTH_MAX: usize = 16;
/// How long a key may be. YAML allows 1024 characters.
const KEY_BYTES_MAX: usize = 256;
/// What means nothing where a key should stand, or something else than itself.
const KEYS_REFUSED: [&str; 4] = ["~", "null", "Null", "NULL"];

/// The nodes of a file, and its comments that begin with `# forkyard:`.
pub(super) struct Plain {
    pub tape: Tape,
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
        tape: Tape::of(file, Arc::clone(text)),
        keys: Vec::new(),
        remarks: Vec::new(),
    };
    reader.next_line();
    reader.mapping(reader.column.filter(|column| *column == 0)?, 0)?;
    let Reader { tape, remarks, .. } = reader;
    reader.column.is_none().then_some(Plain { tape, remarks })
}

/// Where scalars stand: in brackets more characters end them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

struct Reader<'a> {
    file: u32,
    text: &'a str,
    /// The next byte to be read.
    at: usize,
    /// In front of a line: the column of what stands there; `None` at the end of the file.
    column: Option<usize>,
    /// What has been read.
    tape: Tape,
    /// Where on the tape the keys of all maps stand that have not ended.
    keys: Vec<usize>,
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

    /// What begins in front of a line, at this column. As all that read a node, it says where that is on the tape.
    fn block(&mut self, column: usize, depth: usize) -> Option<usize> {
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

    fn mapping(&mut self, column: usize, depth: usize) -> Option<usize> {
        let map = self.tape.begin_mapping(self.at);
        let mut fields = Fields::begin(&self.keys);
        let mut last = None;
        while self.column == Some(column) {
            let key = self.key(Context::Block)?;
            fields.add(self, key)?;
            last = Some(self.value(column, depth)?);
        }
        self.leave(column)?;
        let end = self.tape.end_of(last?);
        self.end(map, end, &fields)
    }

    /// What stands behind a key: on its line, or below it and deeper. A list need not stand deeper.
    fn value(&mut self, column: usize, depth: usize) -> Option<usize> {
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

    fn sequence(&mut self, column: usize, depth: usize, start: usize) -> Option<usize> {
        let sequence = self.tape.begin_sequence(start);
        let mut last = None;
        while self.column == Some(column) && self.is_item() {
            self.at += 1;
            last = Some(self.item(column, depth)?);
        }
        if self.column != Some(column) {
            self.leave(column)?;
        }
        self.tape.end(sequence, self.tape.end_of(last?));
        self.counted(sequence)
    }

    /// What stands behind a dash: a map may begin on its line.
    fn item(&mut self, column: usize, depth: usize) -> Option<usize> {
        let dash = self.at - 1;
        self.skip_spaces();
        let (at, inner) = (self.at, column + self.at - dash);
        let mark = self.tape.len();
        let begins_with_key = self.key(Context::Block).is_some();
        self.tape.cut(mark);
        self.at = at;
        if begins_with_key {
            self.column = Some(inner);
            return self.mapping(inner, deeper(depth)?);
        }
        let value = self.inline(Context::Block, depth)?;
        self.end_line()?;
        Some(value)
    }

    /// Behind a collection at this column nothing may stand deeper.
    fn leave(&self, column: usize) -> Option<()> {
        self.column.is_none_or(|next| next < column).then_some(())
    }

    /// A value within one line.
    fn inline(&mut self, context: Context, depth: usize) -> Option<usize> {
        match self.byte()? {
            b'[' => self.list(deeper(depth)?),
            b'{' => self.map(deeper(depth)?),
            _ => self.scalar(context),
        }
    }

    /// `[…]`
    fn list(&mut self, depth: usize) -> Option<usize> {
        let sequence = self.tape.begin_sequence(self.at);
        let mut last = None;
        self.take(b'[')?;
        self.skip_spaces();
        while self.byte()? != b']' {
            last = Some(self.inline(Context::Flow, depth)?);
            self.separator(b']')?;
        }
        self.at += 1;
        let end = last.map_or_else(|| self.end_with_blanks(), |last| self.tape.end_of(last));
        self.tape.end(sequence, end);
        self.counted(sequence)
    }

    /// `{…}`
    fn map(&mut self, depth: usize) -> Option<usize> {
        let map = self.tape.begin_mapping(self.at);
        let mut fields = Fields::begin(&self.keys);
        let mut last = None;
        self.take(b'{')?;
        self.skip_spaces();
        while self.byte()? != b'}' {
            let key = self.key(Context::Flow)?;
            fields.add(self, key)?;
            self.skip_spaces();
            last = Some(self.inline(Context::Flow, depth)?);
            self.separator(b'}')?;
        }
        self.at += 1;
        let end = last.map_or_else(|| self.end_with_blanks(), |last| self.tape.end_of(last));
        self.end(map, end, &fields)
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
    fn key(&mut self, context: Context) -> Option<usize> {
        let start = self.at;
        let key = match self.byte()? {
            quote @ (b'"' | b'\'') => {
                let key = self.quoted(quote)?;
                // White space in front of the colon would be a part of its place.
                (self.at == self.tape.end_of(key)).then_some(key)?
            }
            first if is_word(first) && first != b'.' => {
                while self.byte().is_some_and(is_word) {
                    self.at += 1;
                }
                let text = &self.text[start..self.at];
                if KEYS_REFUSED.contains(&text) || text.starts_with('-') {
                    return None;
                }
                self.plain(start, self.at)?
            }
            _ => return None,
        };
        self.take(b':')?;
        let ends_line = context == Context::Block && self.byte() == Some(b'\n');
        let is_key = self.at - start <= KEY_BYTES_MAX && (self.byte() == Some(b' ') || ends_line);
        is_key.then_some(key)
    }

    fn scalar(&mut self, context: Context) -> Option<usize> {
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

    fn unquoted(&mut self, context: Context) -> Option<usize> {
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
        self.plain(start, end)
    }

    /// A text in quotes, without escapes.
    fn quoted(&mut self, quote: u8) -> Option<usize> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let length = rest.find(|it: char| it == char::from(quote) || matches!(it, '\\' | '\n'))?;
        self.at = start + 1 + length;
        self.take(quote)?;
        if rest[length..].starts_with("''") {
            return None;
        }
        let end = self.end_with_blanks();
        let text = self.tape.add_quoted(start, end, length);
        self.counted(text)
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

    fn plain(&mut self, start: usize, end: usize) -> Option<usize> {
        let text = self.tape.add_plain(start, end);
        self.counted(text)
    }

    /// Ends a map.
    fn end(&mut self, map: usize, end: usize, fields: &Fields) -> Option<usize> {
        self.tape.end(map, end);
        self.keys.truncate(fields.first);
        self.counted(map)
    }

    /// A file with too many nodes is refused elsewhere.
    fn counted(&self, node: usize) -> Option<usize> {
        (self.tape.len() <= NODES_MAX as usize).then_some(node)
    }
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < DEPTH_MAX).then_some(depth + 1)
}

/// Of what words are made that mean nothing to YAML wherever they stand.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

/// The keys of a map.
struct Fields<'a> {
    /// Where among the keys of all maps its first one stands.
    first: usize,
    /// Whether each is longer than the one before it, or as long and greater, as numbered names are: then no two are
    /// the same, and nothing needs to be kept of a million of them.
    ascends: bool,
    /// Their texts, once there are many that do not ascend.
    many: IndexSet<&'a str>,
}

impl<'a> Fields<'a> {
    fn begin(keys: &[usize]) -> Self {
        Self {
            first: keys.len(),
            ascends: true,
            many: IndexSet::new(),
        }
    }

    /// Adds a key; `None` when it is there already.
    fn add(&mut self, reader: &mut Reader<'a>, key: usize) -> Option<()> {
        let known = reader.keys.get(self.first..)?;
        let text = |key: usize| reader.tape.text_in(reader.text, key);
        let order = |key: usize| (text(key).len(), text(key));
        let ascends = self.ascends && known.last().is_none_or(|last| order(*last) < order(key));
        if ascends {
            reader.keys.push(key);
            return Some(());
        }
        self.ascends = false;
        if known.len() < KEYS_FEW {
            let is_new = known.iter().all(|known| text(*known) != text(key));
            return is_new.then(|| reader.keys.push(key));
        }
        if self.many.is_empty() {
            self.many.extend(known.iter().map(|known| text(*known)));
        }
        self.many.insert(text(key)).then_some(())
    }
}

#[cfg(test)]
mod tests;
