//! The files that descriptors are wired to.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use forkyard_core::id::ProcessId;
use forkyard_core::plan::{Party, Plan};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Opens files; relative paths begin at the folder of the workflow.
#[derive(Debug)]
pub struct Opener {
    folder: PathBuf,
    /// What has been emptied already: the further lives of a process, and the workers of one pool, go on in the
    /// same file.
    emptied: BTreeSet<(Party, String)>,
}

impl Opener {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            emptied: BTreeSet::new(),
        }
    }

    /// Where relative paths begin.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// For reading.
    pub(super) fn read(&self, path: &str) -> io::Result<File> {
        self.open(OpenOptions::new().read(true), path)
            .map_err(|error| named("read", path, &error))
    }

    /// Created or emptied, once for each process or pool.
    pub(super) fn write(&mut self, plan: &Plan, process: ProcessId, path: &str) -> io::Result<File> {
        let party = match plan.processes[process.index()].worker_of {
            Some(pool) => Party::Pool(pool),
            None => Party::Process(process),
        };
        let file = self.append(path)?;
        let key = (party, path.to_owned());
        if !self.emptied.contains(&key) {
            if file.metadata()?.is_file() {
                file.set_len(0).map_err(|error| named("empty", path, &error))?;
            }
            self.emptied.insert(key);
        }
        Ok(file)
    }

    /// Created if it is not there; everything goes to its end.
    pub(super) fn append(&self, path: &str) -> io::Result<File> {
        let opened = self.open(OpenOptions::new().create(true).append(true), path);
        opened.map_err(|error| named("write", path, &error))
    }

    /// Without waiting: a FIFO that nobody else has open would stop the whole engine.
    fn open(&self, options: &mut OpenOptions, path: &str) -> io::Result<File> {
        let file = options.custom_flags(libc::O_NONBLOCK).open(self.folder.join(path))?;
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
        Ok(file)
    }
}

/// The error with what could not be done; one for want of descriptors stays as it is, since it may pass.
fn named(verb: &str, path: &str, error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) if super::is_transient(error) => io::Error::from_raw_os_error(errno),
        Some(_) | None => io::Error::new(error.kind(), format!("cannot {verb} {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let opener = Opener::new(folder.path().to_owned());
        let error = opener.read("missing.txt").expect_err("not there").to_string();
        assert!(error.starts_with("cannot read missing.txt: "), "{error}");
        let error = opener.append(".").expect_err("a folder").to_string();
        assert!(error.starts_with("cannot write .: "), "{error}");
    }

    #[test]
    fn what_is_appended_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let opener = Opener::new(folder.path().to_owned());
        for line in ["a\n", "b\n"] {
            opener
                .append("out")
                .expect("opened")
                .write_all(line.as_bytes())
                .expect("written");
        }
        assert_eq!(
            io::read_to_string(opener.read("out").expect("there")).expect("read"),
            "a\nb\n"
        );
    }
}
