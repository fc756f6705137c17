//! The log of a process: what it wrote, byte by byte, both streams in the order of arrival.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use forkyard_core::plan::Rotate;
use tokio::time::Instant;

use crate::directory::RunDirectory;

/// An open log. Everything is appended, so several may be open on one file.
#[derive(Debug)]
pub struct Log {
    file: RefCell<Rotating>,
    also: Option<Box<RefCell<Rotating>>>,
}

impl Log {
    /// A log in one file, and the same in that of `log.file`, if there is one.
    #[must_use]
    pub fn new(file: Rotating, also: Option<Rotating>) -> Self {
        Self {
            file: RefCell::new(file),
            also: also.map(|also| Box::new(RefCell::new(also))),
        }
    }

    /// Makes the file that waits for its first byte; what cannot be made for the moment is tried again by the next call.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(&self) -> io::Result<()> {
        self.file.borrow_mut().open().map(drop)
    }

    /// Appends what was read, whole or not at all as far as the file system allows. The files are made if they are not
    /// there yet.
    ///
    /// # Errors
    /// When one of the files cannot be written: the disk is full, say.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.borrow_mut().append(bytes)?;
        match &self.also {
            Some(also) => also.borrow_mut().append(bytes),
            None => Ok(()),
        }
    }
}

/// A file that is set aside, as `name.1`, when it has become too large or too old; what was set aside before becomes
/// `name.2`, and so on.
#[derive(Debug)]
pub struct Rotating {
    /// `None` until its first byte: most processes say nothing, and to make a file takes a disk as long as many a process
    /// runs.
    file: Option<File>,
    path: PathBuf,
    rotate: Option<Rotate>,
    bytes: u64,
    ends_line: bool,
    began: Instant,
}

impl Rotating {
    /// The file at `path`, made at its first byte.
    #[must_use]
    pub fn at(path: PathBuf, rotate: Option<Rotate>) -> Self {
        Self {
            bytes: 0,
            file: None,
            path,
            rotate,
            ends_line: true,
            began: Instant::now(),
        }
    }

    /// A file that is open for appending, and its path.
    ///
    /// # Errors
    /// When its size cannot be asked for.
    pub fn new(file: File, path: PathBuf, rotate: Option<Rotate>) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self {
            bytes,
            file: Some(file),
            ..Self::at(path, rotate)
        })
    }

    /// The file, which is made if it is not there yet.
    fn open(&mut self) -> io::Result<&mut File> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let file = RunDirectory::append_within(&self.path)?;
            // Who asks for no size needs none: thousands of logs may be opened.
            self.bytes = self.rotate.map_or(Ok(0), |_| file.metadata().map(|file| file.len()))?;
            self.began = Instant::now();
            file
        };
        Ok(self.file.insert(file))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(rotate) = self.rotate else {
            return self.write(bytes);
        };
        self.open()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_due(&rotate) {
                self.begin_anew(&rotate)?;
            }
            let (piece, behind) = rest.split_at(self.room(&rotate, rest));
            self.write(piece)?;
            rest = behind;
        }
        Ok(())
    }

    /// A line stays whole, unless it is as long as a file.
    fn is_due(&self, rotate: &Rotate) -> bool {
        let is_old = rotate.age.is_some_and(|age| self.began.elapsed() >= age);
        let is_large = |times: u64| rotate.size.is_some_and(|size| self.bytes >= times * size);
        self.bytes > 0 && (self.ends_line && (is_old || is_large(1)) || is_large(2))
    }

    /// How many of these bytes belong into the file before it is looked at again.
    fn room(&self, rotate: &Rotate, bytes: &[u8]) -> usize {
        let until = |size: u64| usize::try_from(size.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let is_old = rotate.age.is_some_and(|age| self.began.elapsed() >= age);
        let least = if is_old {
            1
        } else {
            rotate.size.map_or(usize::MAX, until).max(1)
        };
        let most = rotate.size.map_or(usize::MAX, |size| until(2 * size)).max(1);
        let end_of_line = bytes.iter().skip(least - 1).position(|byte| *byte == b'\n');
        let end = end_of_line.map_or(bytes.len(), |at| least + at);
        end.min(most).min(bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.ends_line = bytes.last().map_or(self.ends_line, |last| *last == b'\n');
        self.open()?.write_all(bytes)
    }

    fn begin_anew(&mut self, rotate: &Rotate) -> io::Result<()> {
        // The oldest makes room; what is missing is no loss.
        for number in (1..rotate.keep).rev() {
            unless_missing(fs::rename(aside(&self.path, number), aside(&self.path, number + 1)))?;
        }
        if rotate.keep == 0 {
            unless_missing(fs::remove_file(&self.path))?;
        } else {
            unless_missing(fs::rename(&self.path, aside(&self.path, 1)))?;
        }
        // Its folder is not made again: it may be one of the user's.
        self.file = None;
        self.file = Some(RunDirectory::append(&self.path)?);
        (self.bytes, self.began) = (0, Instant::now());
        Ok(())
    }
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The path of a log that has been set aside, `name.log.1` being the last.
#[must_use]
pub fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotating(folder: &Path, size: u64, keep: u32) -> (PathBuf, Rotating) {
        let path = folder.join("p.log");
        let file = RunDirectory::append(&path).expect("it can be made");
        let rotate = Rotate {
            size: Some(size),
            age: None,
            keep,
        };
        let log = Rotating::new(file, path.clone(), Some(rotate)).expect("it has a size");
        (path, log)
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("it is there")
    }

    #[tokio::test]
    async fn a_full_file_is_set_aside_at_the_end_of_a_line() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (path, mut log) = rotating(folder.path(), 4, 2);
        for piece in ["one\n", "tw", "o\nthree\n", "four\n", "five\n"] {
            log.append(piece.as_bytes()).expect("it can be written");
        }
        assert_eq!(read(&aside(&path, 2)), "three\n");
        assert_eq!(read(&aside(&path, 1)), "four\n");
        assert_eq!(read(&path), "five\n");
        assert!(!aside(&path, 3).exists());
    }

    #[tokio::test]
    async fn a_line_without_end_does_not_fill_one_file() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (path, mut log) = rotating(folder.path(), 4, 1);
        for _ in 0..5 {
            log.append(b"xxx").expect("it can be written");
        }
        assert_eq!((read(&aside(&path, 1)).len(), read(&path).len()), (8, 7));
    }

    #[tokio::test]
    async fn with_none_kept_the_old_file_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (path, mut log) = rotating(folder.path(), 3, 0);
        log.append(b"one\n").expect("it can be written");
        log.append(b"two\nthree\n").expect("it can be written");
        assert_eq!(read(&path), "three\n");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
