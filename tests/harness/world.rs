//! A folder and a state folder of a test's own, and the processes that live in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// What one test has for itself. Dropped, it is deleted.
pub struct World {
    folder: TempDir,
    state: TempDir,
}

impl World {
    /// A new, empty one.
    pub fn new() -> Self {
        let make = || tempfile::tempdir().expect("a temporary folder can be made");
        Self {
            folder: make(),
            state: make(),
        }
    }

    /// Where the binary is called, and where the workflow is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `XDG_STATE_HOME`.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Saves a file in the folder.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().expect("a file stands in a folder")).expect("a folder can be made");
        fs::write(path, contents).expect("a file can be written");
    }

    /// Lets everybody execute a file of the folder.
    pub fn make_executable(&self, name: &str) {
        permit(&self.folder().join(name));
    }

    /// Lets every user enter the folder, which is ours alone otherwise.
    pub fn open_to_all(&self) {
        permit(self.folder());
    }

    /// Whether the folder has this file.
    pub fn has(&self, name: &str) -> bool {
        self.folder().join(name).exists()
    }

    /// The directories of its runs, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.state().join("forkyard/runs")) else {
            return Vec::new();
        };
        let mut runs: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry of a folder").path())
            .collect();
        runs.sort();
        runs
    }

    /// The only run's directory.
    pub fn run_directory(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "there is one run: {runs:?}");
        runs.into_iter().next().expect("there is one")
    }

    /// The processes that live with this world's `XDG_STATE_HOME`: pid and command line.
    pub fn living(&self) -> Vec<(i32, String)> {
        let mark = [b"XDG_STATE_HOME=", self.state().as_os_str().as_encoded_bytes()].concat();
        processes()
            .filter(|pid| environment(*pid).split(|byte| *byte == 0).any(|entry| entry == mark))
            .map(|pid| (pid, command_line(pid)))
            .collect()
    }

    /// Nothing of this world may be alive.
    pub fn assert_empty(&self) {
        let living = self.living();
        assert!(living.is_empty(), "processes were left behind: {living:?}");
    }
}

/// `chmod 755`
fn permit(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

impl Drop for World {
    /// A failed test leaves nothing behind either.
    fn drop(&mut self) {
        for (pid, _) in self.living() {
            // It may have ended by itself in the meantime.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Empty for a process that has ended, is a zombie or is another user's.
fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn command_line(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<u8> = words.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    OsString::from_vec(words).to_string_lossy().into_owned()
}
