//! Where the tasks of a pool come from.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use forkyard_core::id::QueueId;
use forkyard_core::plan;

use super::RESULT_BYTES_MAX;

/// A line of a file of tasks has at most so many bytes, as an item of a queue has by default.
const LINE_BYTES_MAX: u64 = RESULT_BYTES_MAX;

/// Where tasks come from, and how far it has been read.
#[derive(Debug)]
pub enum Source {
    /// They stand in the workflow.
    Listed(std::vec::IntoIter<String>),
    /// Numbers, the end excluded.
    Range(Range<i64>),
    /// Lines of a file that has not been opened yet: an earlier process may be to write it.
    File(PathBuf),
    /// Lines of an open file.
    Lines(PathBuf, BufReader<File>),
    /// Items of a queue.
    Queue(QueueId),
    /// There are no more, or no more are wanted.
    Ended,
}

/// A file of tasks cannot be read.
#[derive(Debug)]
pub struct SourceError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read tasks from {}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for SourceError {}

impl Source {
    pub(super) fn new(source: &plan::TaskSource, folder: &Path) -> Self {
        match source {
            plan::TaskSource::Tasks(plan::Tasks::Listed(items)) => Self::Listed(items.clone().into_iter()),
            plan::TaskSource::Tasks(plan::Tasks::Range(first, end)) => Self::Range(*first..*end),
            plan::TaskSource::Tasks(plan::Tasks::Lines(path, _)) => Self::File(folder.join(path)),
            plan::TaskSource::Queue(queue) => Self::Queue(*queue),
        }
    }

    /// The next task; always `None` for a queue, which the yard is asked for.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, SourceError> {
        self.open()?;
        match self {
            Self::Listed(items) => Ok(items.next().map(String::into_bytes)),
            Self::Range(numbers) => Ok(numbers.next().map(|number| number.to_string().into_bytes())),
            Self::Lines(path, reader) => next_line(reader).map_err(|error| SourceError {
                path: path.clone(),
                error,
            }),
            Self::File(_) | Self::Queue(_) | Self::Ended => Ok(None),
        }
    }

    /// Whether it is known that nothing follows; a queue tells so itself.
    pub(super) fn is_exhausted(&mut self) -> Result<bool, SourceError> {
        self.open()?;
        match self {
            Self::Listed(items) => Ok(items.len() == 0),
            Self::Range(numbers) => Ok(numbers.is_empty()),
            Self::Lines(path, reader) => reader.fill_buf().map(<[u8]>::is_empty).map_err(|error| SourceError {
                path: path.clone(),
                error,
            }),
            Self::File(_) | Self::Queue(_) => Ok(false),
            Self::Ended => Ok(true),
        }
    }

    /// How many tasks are known to be left.
    #[must_use]
    pub fn left(&self) -> u64 {
        match self {
            Self::Listed(items) => items.len() as u64,
            Self::Range(numbers) => numbers.end.saturating_sub(numbers.start).max(0).unsigned_abs(),
            Self::File(_) | Self::Lines(..) | Self::Queue(_) | Self::Ended => 0,
        }
    }

    fn open(&mut self) -> Result<(), SourceError> {
        let Self::File(path) = self else { return Ok(()) };
        match open_regular(path) {
            Ok(file) => {
                *self = Self::Lines(std::mem::take(path), BufReader::new(file));
                Ok(())
            }
            Err(error) => Err(SourceError {
                path: path.clone(),
                error,
            }),
        }
    }
}

/// A FIFO or a terminal would stop the whole engine while nobody writes into it.
fn open_regular(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is no regular file; let a process write it to a queue, and take the tasks from that",
    ))
}

/// The next line without its newline.
fn next_line(reader: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    // One byte for the newline, one to see that the line is longer than it may be.
    reader.by_ref().take(LINE_BYTES_MAX + 2).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a line is longer than {} MiB", LINE_BYTES_MAX / 1024 / 1024),
        ));
    }
    Ok(Some(line))
}
