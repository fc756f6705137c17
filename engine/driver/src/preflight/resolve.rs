//! Where a program is, as a shell would find it.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// Where programs are searched for when a process's environment has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why a program cannot be executed, with the file that was found, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// A path at which there is nothing.
    NoSuchFile(PathBuf),
    /// A bare name that is in no folder of `PATH`.
    NotOnPath(String),
    /// It lacks the permission to be executed, for everybody.
    NotExecutable(PathBuf),
    /// Others may execute it.
    Forbidden(PathBuf),
    /// It is a directory.
    Directory(PathBuf),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFile(path) => write!(f, "there is no {}", path.display()),
            Self::NotOnPath(name) => write!(f, "there is no command `{name}` on PATH"),
            Self::NotExecutable(path) => write!(f, "{} is not executable", path.display()),
            Self::Forbidden(path) => write!(f, "{} may not be executed by this user", path.display()),
            Self::Directory(path) => write!(f, "{} is a directory, not a program", path.display()),
        }
    }
}

impl std::error::Error for Unresolved {}

/// Finds the file to execute. A `program` with a slash is a path, relative to `cwd`; else each folder of `path` is
/// searched, an empty one being `cwd`, for the first file that can be executed.
///
/// # Errors
/// When there is no such file; of several reasons the one that is nearest to success.
pub(super) fn resolve(program: &str, path: &OsStr, cwd: &Path) -> Result<PathBuf, Unresolved> {
    if program.contains('/') {
        return executable(cwd.join(program));
    }
    let mut unresolved = Unresolved::NotOnPath(program.to_owned());
    for file in on_path(program, path, cwd) {
        match executable(file) {
            Ok(found) => return Ok(found),
            Err(found @ (Unresolved::NotExecutable(_) | Unresolved::Forbidden(_))) => unresolved = found,
            Err(Unresolved::NoSuchFile(_) | Unresolved::NotOnPath(_) | Unresolved::Directory(_)) => {}
        }
    }
    Err(unresolved)
}

/// The files among which [`resolve`] looks for the first that can be executed, for a bare name. None is looked at here.
pub(crate) fn on_path<'a>(name: &'a str, path: &'a OsStr, cwd: &'a Path) -> impl Iterator<Item = PathBuf> + use<'a> {
    let folders = (!name.is_empty()).then(|| std::env::split_paths(path));
    let folders = folders.into_iter().flatten();
    folders.map(move |folder| cwd.join(folder).join(name))
}

/// The path itself, if a file is there that can be executed.
fn executable(path: PathBuf) -> Result<PathBuf, Unresolved> {
    let Ok(metadata) = fs::metadata(&path) else {
        return Err(Unresolved::NoSuchFile(path));
    };
    if metadata.is_dir() {
        Err(Unresolved::Directory(path))
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Err(Unresolved::NotExecutable(path))
    } else if access(&path, AccessFlags::X_OK).is_err() {
        Err(Unresolved::Forbidden(path))
    } else {
        Ok(path)
    }
}

/// The name nearest to that of the missing program, among those in its folder or in the folders of `path`.
pub(super) fn nearest(unresolved: &Unresolved, path: &OsStr) -> Option<String> {
    let (name, folders) = match unresolved {
        Unresolved::NoSuchFile(file) => (file.file_name()?.to_str()?, vec![file.parent()?.to_owned()]),
        Unresolved::NotOnPath(name) => (name.as_str(), std::env::split_paths(path).collect()),
        Unresolved::NotExecutable(_) | Unresolved::Forbidden(_) | Unresolved::Directory(_) => return None,
    };
    let letters = name.chars().count();
    // Beyond a third of the letters a name is another name, as is one that has no letter of it.
    let distance_max = (letters / 3).max(1).min(letters.saturating_sub(1));
    folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .map(|found| (strsim::damerau_levenshtein(&found, name), found))
        .filter(|&(distance, _)| (1..=distance_max).contains(&distance))
        .min()
        .map(|(_, found)| found)
}
