//! Which programs start quickly, however often: those that have been started, from file systems of this machine alone.
//!
//! Whoever waits until a program is executed waits for its file system. A server that does not answer, or a program of the
//! workflow that is a file system itself and waits for the engine to read what it writes, must not hold up the engine.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC,
    statfs,
};

use super::error::interpreter;
use super::{Executable, Job};

/// So many are remembered, the last ones: most workflows have fewer, and whose program is not among them loses little.
const REMEMBERED_MAX: usize = 64;

/// A start takes some 0.1 ms, and on busy cores some milliseconds more.
const QUICK_MAX: Duration = Duration::from_millis(50);

/// File systems that need nobody but the kernel; that of ext4 is also the number of ext2 and ext3.
const LOCAL: [FsType; 8] = [
    BTRFS_SUPER_MAGIC,
    EXT4_SUPER_MAGIC,
    F2FS_SUPER_MAGIC,
    OVERLAYFS_SUPER_MAGIC,
    TMPFS_MAGIC,
    XFS_SUPER_MAGIC,
    // OpenZFS, `include/sys/fs/zfs.h`.
    FsType(0x2fc1_2fc1),
    // Bcachefs, `fs/bcachefs/bcachefs_format.h` of Linux.
    FsType(0xca45_1a4e),
];

/// Programs that have been started, each with its working directory, the last one at the end.
#[derive(Debug, Default)]
pub(super) struct Acquaintances(Mutex<VecDeque<Acquaintance>>);

#[derive(Debug)]
struct Acquaintance {
    program: Executable,
    cwd: Option<CString>,
    is_quick: bool,
}

impl Acquaintances {
    /// A program has been started: it is looked at where it lies, the first time.
    pub(super) fn met(&self, program: Executable, cwd: Option<CString>) {
        let is_it = |known: &Acquaintance| known.program == program && known.cwd == cwd;
        if self.all().iter().any(is_it) {
            return;
        }
        // Nobody waits for the lock meanwhile, however long this takes.
        let is_quick = is_local(&program, cwd.as_deref());
        let mut all = self.all();
        if all.len() == REMEMBERED_MAX {
            all.pop_front();
        }
        all.push_back(Acquaintance { program, cwd, is_quick });
    }

    /// Whether it is known that a job starts quickly.
    pub(super) fn know_quick(&self, job: &Job) -> bool {
        self.all().iter().any(|known| known.is_quick && known.is_of(job))
    }

    /// The start of a job has taken so long: a slow one is not called quick again.
    pub(super) fn took(&self, job: &Job, time: Duration) {
        if time > QUICK_MAX {
            let mut all = self.all();
            let slow = all.iter_mut().filter(|known| known.is_of(job));
            slow.for_each(|known| known.is_quick = false);
        }
    }

    /// What is in it is whole at any time, also when somebody has panicked.
    fn all(&self) -> MutexGuard<'_, VecDeque<Acquaintance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acquaintance {
    fn is_of(&self, job: &Job) -> bool {
        self.program == job.program && self.cwd == job.cwd
    }
}

/// Whether all that is looked at for a start lies on this machine: the working directory, each file that may be the program,
/// or the folder where it would be, and what a script names as its interpreter.
fn is_local(program: &Executable, cwd: Option<&CStr>) -> bool {
    let folder = cwd.map_or(Path::new("."), path);
    let files: Vec<PathBuf> = program.files().iter().map(|file| folder.join(path(file))).collect();
    let lies_here = |file: &PathBuf| match lies_on_local(file) {
        Some(is_local) => {
            is_local && interpreter(file).is_none_or(|name| lies_on_local(&folder.join(name)) == Some(true))
        }
        None => file.parent().is_some_and(|folder| lies_on_local(folder) != Some(false)),
    };
    lies_on_local(folder) == Some(true) && files.iter().all(lies_here)
}

/// `None`: there is no such file.
fn lies_on_local(path: &Path) -> Option<bool> {
    let at = statfs(path).ok()?;
    Some(LOCAL.contains(&at.filesystem_type()))
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}
