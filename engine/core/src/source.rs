//! Where things stand in the files of a workflow.

use std::sync::Arc;

mod node;
mod text;
mod yaml;

pub(crate) use node::{Entry, Kind, Node, Plain, Style, excerpt};
pub(crate) use yaml::parse;

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
    files: Vec<File>,
}

impl Files {
    /// Adds a file and says under which number spans refer to it.
    pub fn add(&mut self, file: File) -> u32 {
        self.files.push(file);
        // The language admits a few hundred files at most; a number past that is never reached.
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The file that `span` lies in.
    #[must_use]
    pub fn of(&self, span: Span) -> &File {
        &self.files[span.file as usize]
    }

    /// All files, in the order in which they were read.
    #[must_use]
    pub fn all(&self) -> &[File] {
        &self.files
    }

    /// Line and column (in characters) of the start of `span`, both from 1.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &self.of(span).text;
        let mut start = (span.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

impl Span {
    /// Bytes `start..end` of file number `file`; files are smaller than 4 GiB.
    #[must_use]
    pub(crate) fn between(file: u32, start: usize, end: usize) -> Self {
        Self {
            file,
            start: text::saturating_u32(start),
            end: text::saturating_u32(end),
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
