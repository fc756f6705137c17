//! Processes that outlive their engine: `on_engine_loss: keep`.
//!
//! ```text
//! <state>/kept/<workflow>/       mode 0700; of one workflow file and name
//!   lock                         locked by the engine that has the say over them, as long as it lives
//!   notes/<process>.json         who is kept; always whole (written aside, then renamed)
//!   endings/<pid>-<start>.json   how one of them has ended while there was no engine
//! ```
//! Who writes what, and when: the engine notes a process *before* it starts it, with the token that the process will
//! have in its environment; once it runs, with its pid and its start time; and takes the note away once its tree is
//! empty. A process that is being started has the lock, too, until it can be found by its token. So there is no instant at
//! which a process could live on without being found. Only who has the lock writes notes. A guardian that has lost its engine spares those that are noted, stays as their parent, their *keeper*, and
//! writes down how they end. The next engine reads both. Who lets go of the lock when nobody is noted removes the folder.

mod claim;
mod digest;
mod ending;
mod keeping;
mod note;
mod stop;

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tree::{self, Tree};
pub use claim::Claim;
pub use digest::digest;
pub use ending::Ending;
pub(crate) use keeping::Starts;
pub use keeping::{Earlier, Keeping, is_wanted};
pub use note::{Identity, LogStart, Note, Standing};
pub(crate) use stop::Stopping;
pub use stop::stop_all;

/// Where it is noted who of one workflow is kept.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
}

/// Somebody who is kept, for those who spare it.
#[derive(Debug)]
pub struct Ward {
    /// What is noted of it.
    pub note: Note,
    /// Its first process.
    pub identity: Identity,
    /// All of its processes.
    pub tree: Tree,
}

impl Place {
    /// The place of the workflow `name` in `file`, under the state directory `state`. Nothing is made yet.
    #[must_use]
    pub fn of(state: &Path, file: &Path, name: &str) -> Self {
        let key = digest::of_bytes([file.as_os_str().as_bytes(), name.as_bytes()]);
        Self {
            path: state.join("kept").join(key),
        }
    }

    /// All places under a state directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(state: &Path) -> io::Result<Vec<Self>> {
        let paths = entries(&state.join("kept"))?;
        Ok(paths.into_iter().map(|path| Self { path }).collect())
    }

    /// All notes, in the order of their names.
    ///
    /// # Errors
    /// When they cannot be read, or one of them is damaged.
    pub fn notes(&self) -> io::Result<Vec<Note>> {
        let mut paths = entries(&self.path.join("notes"))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let notes = paths.iter().filter_map(|path| read(path).transpose());
        notes.collect()
    }

    /// How a process has ended, if a keeper has seen it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ending(&self, of: Identity) -> io::Result<Option<Ending>> {
        read(&self.ending_path(of))
    }

    /// Those that are kept and are still there, if only to be reaped. They are not looked for among the children of this
    /// process: the kernel's list of these is not reliable while some of them end (`proc_tid_children(5)`).
    ///
    /// # Errors
    /// When they cannot be looked for.
    pub fn wards(&self) -> io::Result<Vec<Ward>> {
        let mut wards = Vec::new();
        for note in self.notes()? {
            if !note.is_of_now()? {
                continue;
            }
            let found = match note.identity {
                Some(Identity { pid, start }) => tree::is_there(pid, start)?.then_some((pid, start)),
                None => tree::find(&note.token)?,
            };
            if let Some((pid, start)) = found {
                let tree = Tree::of_child(pid, start, &note.token);
                // Who is seen now is known once it is an orphan.
                let _ = tree.members();
                let identity = Identity { pid, start };
                wards.push(Ward { note, identity, tree });
            }
        }
        Ok(wards)
    }

    /// A keeper writes down how a process has ended.
    pub(crate) fn write_ending(&self, of: Identity, ending: &Ending) -> io::Result<()> {
        write(&self.ending_path(of), ending)
    }

    fn note_path(&self, process: &str) -> PathBuf {
        self.path.join("notes").join(format!("{process}.json"))
    }

    fn ending_path(&self, Identity { pid, start }: Identity) -> PathBuf {
        self.path.join("endings").join(format!("{pid}-{start}.json"))
    }

    fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Removes the place; the end of one who is noted no more is of no use to anybody. What cannot be removed is used again,
    /// or removed by the next.
    fn clear_away(&self) {
        let _ = fs::remove_dir_all(self.path.join("endings"));
        let _ = fs::remove_dir(self.path.join("notes"));
        let _ = fs::remove_file(self.lock_path());
        let _ = fs::remove_dir(&self.path);
    }

    fn make(&self) -> io::Result<()> {
        for folder in ["notes", "endings"] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(self.path.join(folder))?;
        }
        Ok(())
    }
}

/// The paths in a folder; none when there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        // Nor is there one below a file.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// What a file says; `None` when there is none.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let read = serde_json::from_slice(&text).map_err(|error| {
        let why = format!("{} is damaged or of another version: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, why)
    });
    read.map(Some)
}

/// Writes a file so that it is there as a whole, or as it was.
fn write(path: &Path, what: &impl Serialize) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(what)?)?;
    // Without it the new name could survive a power cut, and what is behind it not.
    file.sync_data()?;
    fs::rename(aside, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
