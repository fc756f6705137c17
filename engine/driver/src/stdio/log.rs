//! The log of a process: what it wrote, byte by byte, both streams in the order of arrival.

use std::fs::File;
use std::io::{self, Write as _};

/// An open log. Everything is appended, so several may be open on one file.
#[derive(Debug)]
pub struct Log {
    file: File,
    also: Option<File>,
}

impl Log {
    /// A log in `file`, and the same in the file of `log.file`, if there is one. Both are open for appending.
    #[must_use]
    pub fn new(file: File, also: Option<File>) -> Self {
        Self { file, also }
    }

    /// Appends what was read, whole or not at all as far as the file system allows.
    ///
    /// # Errors
    /// When one of the files cannot be written: the disk is full, say.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        match &self.also {
            Some(also) => (&*also).write_all(bytes),
            None => Ok(()),
        }
    }
}
