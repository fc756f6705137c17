//! A yard without an engine: a directory with one file for each channel.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::channel::{self, Kind, Place};
use crate::error::Error;
use crate::{Barrier, Cells, Condition, Event, Lock, Queue, Semaphore};

/// The longest name of a channel, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A directory of channels, by name. Only the user who made it has access.
///
/// ```
/// use forkyard_ipc::Yard;
///
/// let place = std::env::temp_dir().join(format!("yard-{}", std::process::id()));
/// let yard = Yard::create(&place)?;
/// let jobs = yard.create_queue("jobs", 100, 1 << 20)?;
/// jobs.put(b"one")?;
///
/// // Any other process of the same user:
/// let there = Yard::open(&place)?;
/// assert_eq!(there.queue("jobs")?.get()?, b"one");
/// assert!(there.lock("jobs").is_err(), "it is a queue");
/// there.remove()?;
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Debug)]
pub struct Yard {
    path: PathBuf,
    /// The directory itself, whatever becomes of its path.
    directory: File,
}

impl Yard {
    /// Makes the directory; there must be none yet.
    pub fn create(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(Error::io("make the yard's directory"))?;
        Self::open(path)
    }

    /// Opens a yard that is there.
    ///
    /// # Errors
    /// `Stranger` when another user owns the directory or may write to it: what is in there may be anything.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let what = "open the yard's directory";
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)
            .map_err(Error::io(what))?;
        let about = directory.metadata().map_err(Error::io(what))?;
        // SAFETY: the call takes no arguments.
        let own = unsafe { libc::geteuid() };
        if about.uid() != own || about.mode() & 0o022 != 0 {
            return Err(Error::Stranger);
        }
        Ok(Self {
            path: path.to_owned(),
            directory,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The channels in it, by name.
    pub fn channels(&self) -> Result<Vec<(String, Kind)>, Error> {
        let what = "read the yard's directory";
        let mut channels = Vec::new();
        for entry in fs::read_dir(self.inside()).map_err(Error::io(what))? {
            let name = entry.map_err(Error::io(what))?.file_name();
            let Some(name) = name.to_str().filter(|name| is_name(name)) else {
                continue;
            };
            // What is no channel is none of ours.
            if let Ok(kind) = channel::kind_of(&self.inside().join(name)) {
                channels.push((name.to_owned(), kind));
            }
        }
        channels.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(channels)
    }

    /// Removes the yard. Who has its channels open keeps them.
    pub fn remove(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.path).map_err(Error::io("remove the yard's directory"))
    }

    /// The directory that was opened, even if another one has its path now.
    fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd()))
    }

    fn place(&self, name: &str) -> Result<PathBuf, Error> {
        if is_name(name) {
            Ok(self.inside().join(name))
        } else {
            Err(Error::Nonsense(
                "the name of a channel is a letter or `_`, then letters, digits, `_` or `-`, 64 bytes at most",
            ))
        }
    }
}

/// Channels: made by one process, opened by the others.
impl Yard {
    /// Makes a queue: [`Queue::create`].
    pub fn create_queue(&self, name: &str, capacity: u64, max_item: u64) -> Result<Queue, Error> {
        Queue::create(&Place::File(&self.place(name)?), capacity, max_item)
    }

    /// Opens a queue.
    pub fn queue(&self, name: &str) -> Result<Queue, Error> {
        Queue::open(&self.place(name)?)
    }

    /// Makes a lock: [`Lock::create`].
    pub fn create_lock(&self, name: &str, reentrant: bool) -> Result<Lock, Error> {
        Lock::create(&Place::File(&self.place(name)?), reentrant)
    }

    /// Opens a lock.
    pub fn lock(&self, name: &str) -> Result<Lock, Error> {
        Lock::open(&self.place(name)?)
    }

    /// Makes a semaphore: [`Semaphore::create`].
    pub fn create_semaphore(&self, name: &str, permits: u32, bounded: bool) -> Result<Semaphore, Error> {
        Semaphore::create(&Place::File(&self.place(name)?), permits, bounded)
    }

    /// Opens a semaphore.
    pub fn semaphore(&self, name: &str) -> Result<Semaphore, Error> {
        Semaphore::open(&self.place(name)?)
    }

    /// Makes an event: [`Event::create`].
    pub fn create_event(&self, name: &str, set: bool) -> Result<Event, Error> {
        Event::create(&Place::File(&self.place(name)?), set)
    }

    /// Opens an event.
    pub fn event(&self, name: &str) -> Result<Event, Error> {
        Event::open(&self.place(name)?)
    }

    /// Makes a barrier: [`Barrier::create`].
    pub fn create_barrier(&self, name: &str, parties: u32) -> Result<Barrier, Error> {
        Barrier::create(&Place::File(&self.place(name)?), parties)
    }

    /// Opens a barrier.
    pub fn barrier(&self, name: &str) -> Result<Barrier, Error> {
        Barrier::open(&self.place(name)?)
    }

    /// Makes a condition: [`Condition::create`].
    pub fn create_condition(&self, name: &str) -> Result<Condition, Error> {
        Condition::create(&Place::File(&self.place(name)?))
    }

    /// Opens a condition.
    pub fn condition(&self, name: &str) -> Result<Condition, Error> {
        Condition::open(&self.place(name)?)
    }

    /// Makes shared values: [`Cells::create`].
    pub fn create_cells(&self, name: &str, bytes: u64) -> Result<Cells, Error> {
        Cells::create(&Place::File(&self.place(name)?), bytes)
    }

    /// Opens shared values.
    pub fn cells(&self, name: &str) -> Result<Cells, Error> {
        Cells::open(&self.place(name)?)
    }
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(goes_on)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A place for a yard that nobody else has.
    fn fresh(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("forkyard-{name}-{}", std::process::id()));
        // What an earlier process of the same number has left.
        let _ = fs::remove_dir_all(&place);
        place
    }

    #[test]
    fn channels_are_found_by_name_and_by_their_kind() {
        let place = fresh("kinds");
        let yard = Yard::create(&place).expect("it is made");
        assert!(matches!(Yard::create(&place), Err(Error::Io(_))), "it is there");
        let made = yard.create_lock("door", false).expect("it is made");
        yard.create_semaphore("seats", 3, true).expect("it is made");
        yard.create_event("go-on", true).expect("it is made");
        yard.create_queue("jobs", 1, 1).expect("it is made");
        yard.create_barrier("start", 2).expect("it is made");
        yard.create_condition("changed").expect("it is made");
        yard.create_cells("totals", 8).expect("it is made");
        fs::write(place.join("notes"), "no channel").expect("it is written");

        let there = Yard::open(&place).expect("it is there");
        let guard = made.acquire().expect("it is free");
        assert!(
            there
                .lock("door")
                .expect("it is there")
                .try_acquire()
                .expect("whole")
                .is_none()
        );
        drop(guard);
        assert!(there.event("go-on").expect("it is there").is_set());
        assert_eq!(there.semaphore("seats").expect("it is there").free(), 3);
        assert_eq!(there.barrier("start").expect("it is there").parties(), 2);
        there.condition("changed").expect("it is there");
        assert_eq!(there.cells("totals").expect("it is there").len(), 8);
        let expected = [
            ("changed", Kind::Condition),
            ("door", Kind::Lock),
            ("go-on", Kind::Event),
            ("jobs", Kind::Queue),
            ("seats", Kind::Semaphore),
            ("start", Kind::Barrier),
            ("totals", Kind::Cells),
        ];
        let found = there.channels().expect("it is read");
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert!(matches!(there.lock("jobs"), Err(Error::WrongKind { .. })));
        assert!(matches!(there.lock("notes"), Err(Error::NotAChannel)));
        assert!(matches!(there.lock("none"), Err(Error::Io(_))));
        assert!(
            matches!(yard.create_lock("door", false), Err(Error::Io(_))),
            "it is there"
        );
        there.remove().expect("it is removed");
        assert!(!place.exists());
    }

    #[test]
    fn names_cannot_lead_elsewhere() {
        let yard = Yard::create(&fresh("names")).expect("it is made");
        let long = "x".repeat(65);
        for name in ["", "..", "a/b", "/etc", "-a", "1", "a b", "a\u{1b}", "ä", &long] {
            assert!(
                matches!(yard.create_lock(name, false), Err(Error::Nonsense(_))),
                "{name:?}"
            );
        }
        yard.create_lock(&"x".repeat(64), false).expect("it is short enough");
        yard.remove().expect("it is removed");
    }

    #[test]
    fn a_directory_that_others_may_have_filled_is_refused() {
        let place = fresh("planted");
        let yard = Yard::create(&place).expect("it is made");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        yard.create_lock("door", false).expect("it is made");
        assert_eq!(mode(&place.join("door")), 0o600);
        let link = fresh("link");
        // An earlier run may have left it.
        let _ = fs::remove_file(&link);
        symlink(&place, &link).expect("it is made");
        assert!(matches!(Yard::open(&link), Err(Error::Io(_))), "links are not followed");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(matches!(Yard::open(&place), Err(Error::Stranger)));
        fs::remove_file(&link).expect("it is there");
        yard.remove().expect("it is removed");
    }
}
