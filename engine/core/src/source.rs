//! Where things stand in the files of a workflow.

use std::sync::Arc;

mod node;
mod tape;

pub(crate) use node::{Entry, Kind, Node, Plain, Style, excerpt, is_invisible, is_reordering, sentence};
pub(crate) use tape::{Held, Tape};

/// One file that belongs to a workflow, its text kept to show lines of it.
#[derive(Clone, Debug)]
pub struct File {
    /// As the user named it, or as an `include` did.
    pub path: String,
    /// The whole text.
    pub text: Arc<str>,
}

/// All files of a workflow: the ones on the command line, then what they include.
#[derive(Clone, Debug, Default)]
pub struct Files {
    list: Vec<File>,
    /// Of each file: how many lines end before each stretch of [`STRETCH`] bytes. A place is looked up for each
    /// finding, and counting from the start each time would be slow in a large file.
    lines: Vec<Vec<u32>>,
    /// The comments that speak to Forkyard.
    remarks: Vec<Span>,
}

/// Some editors write this before the text; it is no part of it.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// How many bytes lie between two counts of lines.
const STRETCH: usize = 1 << 16;

impl Files {
    /// Adds a file and says under which number spans refer to it.
    pub fn add(&mut self, file: File) -> u32 {
        let mut ended = 0;
        let counts = file.text.as_bytes().chunks(STRETCH).map(|stretch| {
            let before = ended;
            ended += newlines(stretch);
            saturating_u32(before)
        });
        self.lines.push(counts.collect());
        self.list.push(file);
        // The language admits a few hundred files at most; a number past that is never reached.
        u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX)
    }

    /// Notes the comments of a file that begin with `# forkyard:`.
    pub(crate) fn remark(&mut self, remarks: Vec<Span>) {
        self.remarks.extend(remarks);
    }

    /// The comments that begin with `# forkyard:`, file by file in their order, each to the end of its line.
    #[must_use]
    pub fn remarks(&self) -> &[Span] {
        &self.remarks
    }

    /// The text of a place; empty for one that lies outside of the file.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.of(span)
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// The file that `span` lies in.
    #[must_use]
    pub fn of(&self, span: Span) -> &File {
        &self.list[span.file as usize]
    }

    /// All files, in the order in which they were read.
    #[must_use]
    pub fn all(&self) -> &[File] {
        &self.list
    }

    /// Line and column (in characters) of the start of `span`, both from 1.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &self.of(span).text;
        let mut start = (span.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let counts = &self.lines[span.file as usize];
        // A place at the very end of a file may lie one stretch behind the last.
        let stretch = (start / STRETCH).min(counts.len().saturating_sub(1));
        let counted = counts.get(stretch).map_or(0, |&count| count as usize);
        let line = counted + newlines(&text.as_bytes()[stretch * STRETCH..start]) + 1;
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let before = &text[line_start..start];
        // A byte order mark is no column: no editor shows it.
        let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
        (line, before.chars().count() + 1)
    }
}

fn newlines(bytes: &[u8]) -> usize {
    count(bytes, b'\n')
}

/// How often a byte occurs. So many as a byte can count are counted in one, which compilers turn into sixteen at a time.
pub(crate) fn count(bytes: &[u8], wanted: u8) -> usize {
    let stretches = bytes.chunks(usize::from(u8::MAX));
    let counts = stretches.map(|stretch| {
        stretch
            .iter()
            .fold(0, |count: u8, byte| count + u8::from(*byte == wanted))
    });
    counts.map(usize::from).sum()
}

impl Span {
    /// Bytes `start..end` of file number `file`; files are smaller than 4 GiB.
    #[must_use]
    pub(crate) fn between(file: u32, start: usize, end: usize) -> Self {
        Self {
            file,
            start: saturating_u32(start),
            end: saturating_u32(end),
        }
    }
}

/// A piece of a file: bytes `start..end` of file number `file`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The number [`Files::add`] gave.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A place in a text; the language admits no file so large that its places do not fit.
pub(crate) fn saturating_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_found_in_large_files_too() {
        let text = "äb\n".repeat(100_000);
        let mut files = Files::default();
        let file = files.add(File {
            path: "w.yaml".to_owned(),
            text: text.clone().into(),
        });
        let at = |start: usize| files.line_column(Span::between(file, start, start));
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(4 * 70_000 + 2), (70_001, 2));
        assert_eq!(at(text.len()), (100_001, 1));
        assert_eq!(at(text.len() + 9), (100_001, 1));
    }

    #[test]
    fn an_empty_file_has_a_first_line() {
        let mut files = Files::default();
        files.add(File {
            path: String::new(),
            text: "".into(),
        });
        assert_eq!(files.line_column(Span::default()), (1, 1));
    }
}
