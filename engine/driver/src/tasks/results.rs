//! `results/<pool>.jsonl`: each task with what came of it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use forkyard_core::id::TaskId;
use serde::{Serialize, Serializer};

use crate::directory::RunDirectory;

/// The results of one pool; the file is made with the first.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    file: Option<File>,
    /// Lines that are not in the file yet.
    lines: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    item: Text<'a>,
    /// `None` when the pool's output goes elsewhere.
    result: Option<Text<'a>>,
    task: TaskId,
}

impl Results {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            lines: Vec::new(),
        }
    }

    /// Notes one line; it is in the file with the next [`Results::flush`].
    pub(super) fn note(&mut self, task: TaskId, item: &[u8], result: Option<&[u8]>) {
        let line = Line {
            item: Text(item),
            result: result.map(Text),
            task,
        };
        // To write text into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.lines, &line);
        self.lines.push(b'\n');
    }

    /// Appends what was noted, in one write.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => RunDirectory::append_within(&self.path)?,
        };
        let written = file.write_all(&self.lines);
        self.lines.clear();
        self.file = Some(file);
        written
    }
}

/// Text as it is; other bytes as `{"hex": "…"}`, so that nothing is lost.
struct Text<'a>(&'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut hex = String::with_capacity(self.0.len() * 2);
        for byte in self.0 {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        serializer.collect_map([("hex", hex)])
    }
}
