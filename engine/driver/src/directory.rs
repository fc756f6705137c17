//! A run's directory: the workflow as run, its records, logs, results and its socket.
//!
//! ```text
//! <state>/runs/<run id>/    mode 0700; locked by who asks for a stop, while it does
//!   run.json                who, when, how it ended; always whole (written aside, then renamed)
//!   lock                    locked by the engine as long as it lives
//!   workflow.yaml           and workflow.1.yaml … for further files
//!   records.jsonl           one JSON object a line
//!   output.log              what a run in the background shows
//!   logs/<process>.log      what the process wrote, byte by byte
//!   results/<pool>.jsonl    what the tasks of a pool gave
//!   yard/<name>             a file for each queue, lock, semaphore and event; gone after an orderly end
//!   socket                  for the verbs
//! <state>/bin/<which>/forkyard  this program, for the PATH of the processes
//! ```

mod about;
mod id;
mod list;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use forkyard_core::source::Files;

use crate::guardian;
use crate::stdio::mask::Secrets;
pub use about::About;
pub(crate) use id::random;
pub use list::{RunState, RunSummary, list};

/// The longest path a Unix socket may have everywhere: `sun_path` has 108 bytes, its NUL included; somewhat less
/// leaves room for those who add a suffix.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The directory of one run.
#[derive(Debug)]
pub struct RunDirectory {
    id: String,
    path: PathBuf,
    socket: PathBuf,
    /// Held by the engine of the run, and what has been there before it; `None` when the directory was opened to be read.
    lock: Option<File>,
}

impl RunDirectory {
    /// Makes the directory of a new run of the workflow `name` under the state directory `state`, and locks it. The `secrets` are
    /// masked in the command line that it keeps.
    ///
    /// # Errors
    /// When `state` or its `runs` is a symbolic link, belongs to somebody else, or cannot be written.
    pub fn create(state: &Path, name: &str, secrets: Option<&Secrets>) -> io::Result<Self> {
        let runs = state.join("runs");
        private_folder(state)?;
        private_folder(&runs)?;
        let (id, path) = fresh_folder(&runs)?;
        let lock = private_file(&path.join("lock"))?;
        // It is let go when the last process that has inherited it has closed it, and by nobody before.
        lock.try_lock()?;
        let socket = socket_path(&path)?;
        let directory = Self {
            id,
            path,
            socket,
            lock: Some(lock),
        };
        directory.write_about(&About::now(&directory.id, name, &directory.socket, secrets))?;
        Ok(directory)
    }

    /// Opens the directory of the run `id` to read it.
    ///
    /// # Errors
    /// When there is no such run, or its `run.json` cannot be read.
    pub fn open(state: &Path, id: &str) -> io::Result<Self> {
        if !id::is_valid(id) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{}` is no run's id", id.escape_default()),
            ));
        }
        let path = state.join("runs").join(id);
        let about = About::read(&path)?;
        Ok(Self {
            id: id.to_owned(),
            path,
            socket: about.socket,
            lock: None,
        })
    }

    /// The run's id: `20261123-141500-k3f9`, its start in UTC and four random letters; sorts by time, but within a
    /// second: [`list`] knows the order there.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the run's socket is, or will be.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The folder with `forkyard` itself, for the PATH of the processes. All runs of one program have the same, which is made
    /// when it is not there: a file takes some disks as long as many a run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn bin(&self) -> io::Result<PathBuf> {
        let program = std::env::current_exe()?;
        let state = self.path.ancestors().nth(2).unwrap_or(&self.path);
        let mut hasher = DefaultHasher::new();
        program.hash(&mut hasher);
        let all = state.join("bin");
        let folder = all.join(format!("{:016x}", hasher.finish()));
        private_folder(&all)?;
        private_folder(&folder)?;
        let link = folder.join("forkyard");
        if fs::read_link(&link).is_ok_and(|linked| linked == program) {
            return Ok(folder);
        }
        let aside = folder.join(&self.id);
        symlink(program, &aside)?;
        let renamed = fs::rename(&aside, link);
        if renamed.is_err() {
            // Nobody is to find it on PATH.
            let _ = fs::remove_file(aside);
        }
        renamed.map(|()| folder)
    }

    /// The log of a process, by its instance's name.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.path.join("logs").join(format!("{process}.log"))
    }

    /// The results of a pool.
    #[must_use]
    pub fn results(&self, pool: &str) -> PathBuf {
        self.path.join("results").join(format!("{pool}.jsonl"))
    }

    /// The folder of the channels, each a file of its name.
    #[must_use]
    pub fn yard(&self) -> PathBuf {
        self.path.join("yard")
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.path.join("records.jsonl")
    }

    /// Keeps the workflow as it is run.
    pub fn keep(&self, files: &Files) -> io::Result<()> {
        for (index, file) in files.all().iter().enumerate() {
            let name = match index {
                0 => "workflow.yaml".to_owned(),
                further => format!("workflow.{further}.yaml"),
            };
            private_file(&self.path.join(name))?.write_all(file.text.as_bytes())?;
        }
        Ok(())
    }

    /// What a process has written, both streams in the order of arrival; empty when it has written nothing.
    pub fn read_log(&self, process: &str) -> io::Result<Vec<u8>> {
        match fs::read(self.log(process)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// What `run.json` says.
    pub fn about(&self) -> io::Result<About> {
        About::read(&self.path)
    }

    /// Notes the engine's pid; the directory may have been made by the process that started it.
    pub fn started(&self) -> io::Result<()> {
        let mut about = self.about()?;
        let own = guardian::own_pid_outside();
        if about.pid == own {
            return Ok(());
        }
        about.pid = own;
        self.write_about(&about)
    }

    /// Notes that the run has begun to stop.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn stopping(&self) -> io::Result<()> {
        let mut about = self.about()?;
        about.stopping = true;
        self.write_about(&about)
    }

    /// Whether the run has begun: it has written its first record, or was about to.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.records().exists()
    }

    /// Removes the directory of a run that has not begun.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        remove_socket(&self.socket, &self.path)?;
        fs::remove_dir_all(&self.path)
    }

    /// Notes how the run has ended, and takes the socket away.
    pub fn ended(&self, exit_code: i32) -> io::Result<()> {
        let mut about = self.about()?;
        about.end(exit_code);
        self.write_about(&about)?;
        remove_socket(&self.socket, &self.path)
    }

    /// A file, opened to be appended to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn append(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)
    }

    /// The same for one in a folder of the run, which is made with the first that is in it.
    ///
    /// # Errors
    /// As [`RunDirectory::append`].
    pub fn append_within(path: &Path) -> io::Result<File> {
        with_folder(path, || Self::append(path))
    }

    /// What a run in the background writes to stdout and stderr.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.path.join("output.log")
    }

    /// Whether all that belonged to the run itself is gone.
    #[must_use]
    pub fn is_let_go(&self) -> bool {
        list::is_let_go(&self.path)
    }

    /// Whether this is the engine's own, locked directory.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    fn write_about(&self, about: &About) -> io::Result<()> {
        let aside = self.path.join("run.json.new");
        let mut file = private_file(&aside)?;
        file.write_all(&serde_json::to_vec_pretty(about)?)?;
        file.write_all(b"\n")?;
        fs::rename(aside, self.path.join("run.json"))
    }
}

/// The state directory: `$XDG_STATE_HOME/forkyard`, by default `~/.local/state/forkyard`.
#[must_use]
pub fn state_directory() -> Option<PathBuf> {
    let of = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    of("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| of("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("forkyard"))
}

/// Whether runs can be kept under this state directory, which is made.
///
/// # Errors
/// As [`RunDirectory::create`].
pub fn is_usable(state: &Path) -> io::Result<()> {
    let runs = state.join("runs");
    private_folder(state)?;
    private_folder(&runs)?;
    let (_, folder) = fresh_folder(&runs)?;
    fs::remove_dir(folder)
}

/// A new, empty file for this user alone, whatever the mask.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Makes a folder of our own with its parents, or makes sure that the one that is there is ours.
fn private_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Somebody else could have planted it: a link to where we must not write, or a folder that they can read.
    let metadata = fs::symlink_metadata(path)?;
    let wrong = if metadata.is_symlink() {
        "is a symbolic link"
    } else if !metadata.is_dir() {
        "is no directory"
    } else if metadata.uid() != nix::unistd::geteuid().as_raw() {
        "belongs to another user"
    } else {
        return Ok(());
    };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} {wrong}", path.display()),
    ))
}

/// Makes something at `path`; where its folder is not there yet, that is made before.
///
/// # Errors
/// Those of `make`; when the folder cannot be made.
pub(crate) fn with_folder<T>(path: &Path, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match (make(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                Ok(()) | Err(_) => make(),
            }
        }
        (done, _) => done,
    }
}

/// A run's folder with an id that no other run has.
fn fresh_folder(runs: &Path) -> io::Result<(String, PathBuf)> {
    const TRIES_MAX: usize = 100;
    for _ in 0..TRIES_MAX {
        let id = id::fresh()?;
        let path = runs.join(&id);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok((id, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free run id was found"))
}

/// In the run's folder, or, when that path is too long for a socket, in a fresh folder for temporary things.
fn socket_path(path: &Path) -> io::Result<PathBuf> {
    let socket = path.join("socket");
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(socket);
    }
    let folder = std::env::temp_dir().join(format!("forkyard-{}", id::fresh()?));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder.join("socket"))
}

fn remove_socket(socket: &Path, directory: &Path) -> io::Result<()> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match socket.parent() {
        Some(folder) if folder != directory => fs::remove_dir(folder),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
