//! `results/<pool>.jsonl`: each task with what came of it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use forkyard_core::id::TaskId;
use serde_json::{Value, json};

use crate::directory::RunDirectory;

/// The results of one pool; the file is made with the first.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    file: Option<File>,
}

impl Results {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Appends one line; `result` is `None` when the pool's output goes elsewhere.
    pub(super) fn append(&mut self, task: TaskId, item: &[u8], result: Option<&[u8]>) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => RunDirectory::append(&self.path)?,
        };
        let mut line = json!({"task": task, "item": text(item), "result": result.map(text)}).to_string();
        line.push('\n');
        file.write_all(line.as_bytes())?;
        self.file = Some(file);
        Ok(())
    }
}

/// Text as it is; other bytes as `{"hex": "…"}`, so that nothing is lost.
fn text(bytes: &[u8]) -> Value {
    use std::fmt::Write as _;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return json!(text);
    }
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    json!({"hex": hex})
}
