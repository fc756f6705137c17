//! The say over those that are kept of a workflow: one engine has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Identity, Note, Place, remove, write};

/// Who only looks has the lock for an instant, and so has a process that an engine was just starting when it was killed.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the lock is tried meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The lock on a [`Place`]; the kernel lets go of it when the engine dies, whatever kills it.
#[derive(Debug)]
pub struct Claim {
    place: Place,
    lock: File,
}

impl Claim {
    /// Takes the lock, for which it waits for a moment; `Err` has the run that has it, if that is known.
    ///
    /// # Errors
    /// When the place cannot be made or locked.
    pub fn take(place: Place) -> io::Result<Result<Self, String>> {
        let begin = Instant::now();
        loop {
            place.make()?;
            let mut lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(place.lock_path())?;
            match lock.try_lock() {
                // Who had it may have cleared the place away meanwhile: then it is a file that nobody else sees.
                Ok(()) if is_at(&lock, &place.lock_path())? => return Ok(Ok(Self { place, lock })),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if begin.elapsed() >= PATIENCE {
                let mut run = String::new();
                lock.read_to_string(&mut run)?;
                return Ok(Err(run));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Where the notes are.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The same lock once more: it is free when the last descriptor is closed.
    pub(super) fn lock(&self) -> io::Result<OwnedFd> {
        Ok(self.lock.try_clone()?.into())
    }

    /// Tells others who has it.
    pub(super) fn sign(&mut self, run: &str) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock.write_all(run.as_bytes())
    }

    /// Notes a process, or notes it anew.
    pub(super) fn note(&self, note: &Note) -> io::Result<()> {
        write(&self.place.note_path(&note.process), note)
    }

    /// A process is not kept any longer.
    ///
    /// # Errors
    /// When its note cannot be removed.
    pub fn forget(&self, process: &str, identity: Option<Identity>) -> io::Result<()> {
        remove(&self.place.note_path(process))?;
        identity.map_or(Ok(()), |identity| remove(&self.place.ending_path(identity)))
    }
}

impl Drop for Claim {
    /// Where nobody is noted any more, nothing stays behind. The lock's file goes before the lock is let go of, so that
    /// nobody gets it in between.
    fn drop(&mut self) {
        if self.place.notes().is_ok_and(|notes| notes.is_empty()) {
            self.place.clear_away();
        }
    }
}

impl Place {
    /// Whether some engine has the say over those that are noted here.
    ///
    /// # Errors
    /// When that cannot be known.
    pub(crate) fn is_claimed(&self) -> io::Result<bool> {
        match File::open(self.lock_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            lock => match lock?.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(error),
            },
        }
    }
}

/// Whether this very file is there.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => there.map(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())),
    }
}
