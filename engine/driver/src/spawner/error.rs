//! Why a process could not be started, in the words of a user.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Executable, Job};
use crate::words::reason;

/// The kernel itself reads no more than this of a script's first line.
const FIRST_LINE_BYTES_MAX: u64 = 256;

/// A step on the way from the engine to the program, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Making the new process.
    Clone,
    /// Giving it its descriptors.
    Descriptors,
    /// Making it the leader of a process group that dies with the engine.
    Group,
    /// Its nice value.
    Nice,
    /// Its limits.
    Limits,
    /// The CPUs it may run on.
    Cpus,
    /// Its user and groups.
    Identity,
    /// Its working directory.
    WorkingDirectory,
    /// Executing the program.
    Exec,
}

/// A process could not be started; nothing is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed.
    pub step: Step,
    /// What the kernel said.
    pub errno: Errno,
    /// Both in words, with what to do about it where that is known.
    pub what: String,
}

impl SpawnError {
    /// Whether the machine lacked something for the moment (processes, descriptors, memory), so that another try
    /// a little later may succeed.
    #[must_use]
    pub fn transient(&self) -> bool {
        matches!(
            self.errno,
            Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE
        ) && self.step != Step::Descriptors
    }

    /// Finds the words; it looks at the program's file for them.
    pub(super) fn explain(failure: Failure, job: &Job) -> Self {
        let Failure { step, errno, file } = failure;
        let reason = reason(errno);
        let what = match step {
            Step::Clone => format!("cannot start a further process: {}", limit(errno).unwrap_or(&reason)),
            Step::Descriptors => format!("cannot give the process its descriptors: {reason}"),
            Step::Group => format!("cannot make a process group: {reason}"),
            Step::Nice => format!("cannot set `nice: {}`: {reason}", job.nice.unwrap_or_default()),
            Step::Limits => {
                format!("cannot set its `limits`: {reason} (only root may raise one above the engine's own)")
            }
            Step::Cpus => format!("cannot keep it on the CPUs of `cpus`: {reason} (this machine may have fewer)"),
            Step::Identity => format!("cannot change the user: {reason} (only root may run processes as others)"),
            Step::WorkingDirectory => {
                let cwd = job.cwd.as_deref().unwrap_or_default();
                format!("cannot enter the working directory {}: {reason}", cwd.to_string_lossy())
            }
            Step::Exec => {
                let name = name(job);
                let path = file.map(|at| path(job, &job.program.files()[at]));
                match (path, &job.program) {
                    (Some(path), Executable::At(_)) => not_executed(&path, errno, &name),
                    // Of one that was searched for the user wants to know which it is.
                    (Some(path), Executable::Among(_)) => not_executed(&path, errno, &path.to_string_lossy()),
                    (None, Executable::At(_) | Executable::Among(_)) => format!("there is no command `{name}` on PATH"),
                }
            }
        };
        Self { step, errno, what }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for SpawnError {}

/// What a new process reports: plain numbers, since it may not allocate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) errno: Errno,
    /// Which of several files it concerns, when it is [`Step::Exec`].
    pub(super) file: Option<usize>,
}

/// Which limit keeps a further process from being made.
fn limit(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::EAGAIN => "the limit of processes has been reached (see `ulimit -u`, or the pids limit of the cgroup)",
        Errno::EMFILE => "the engine has as many files open as it may (see `ulimit -n`)",
        Errno::ENFILE => "the system has as many files open as it may",
        Errno::ENOMEM => "there is not enough memory",
        _ => return None,
    })
}

/// What the user called the program.
fn name(job: &Job) -> String {
    let name = job.argv.first().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

/// A file as seen from here.
fn path(job: &Job, file: &CStr) -> PathBuf {
    let as_path = |text: &CStr| PathBuf::from(OsStr::from_bytes(text.to_bytes()));
    match &job.cwd {
        Some(cwd) => as_path(cwd).join(as_path(file)),
        None => as_path(file),
    }
}

fn not_executed(path: &Path, errno: Errno, name: &str) -> String {
    format!("cannot execute {name}: {}", why_not_executed(path, errno, name))
}

fn why_not_executed(path: &Path, errno: Errno, name: &str) -> String {
    let metadata = fs::metadata(path);
    let exists = metadata.is_ok();
    let directory = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
    let executable = metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    match errno {
        Errno::EACCES | Errno::EISDIR if directory => "it is a directory".into(),
        Errno::EACCES if exists && !executable => {
            format!("permission denied (is it executable? chmod +x {name})")
        }
        Errno::ENOENT if exists => match interpreter(path) {
            Some(interpreter) => format!("its first line asks for {interpreter}, which does not exist"),
            None => "the loader it was linked for does not exist".into(),
        },
        Errno::ENOENT => "there is no such file".into(),
        Errno::ENOEXEC if starts_with(path, b"\x7fELF") => "it is a program for another kind of machine".into(),
        Errno::ENOEXEC => "it is neither a program nor a script whose first line begins with #!".into(),
        Errno::ETXTBSY => "it is being written at the moment".into(),
        Errno::E2BIG => "its arguments and environment are too long together".into(),
        _ => reason(errno),
    }
}

/// What a script names after `#!`, without the argument.
pub(crate) fn interpreter(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(path)
        .ok()?
        .take(FIRST_LINE_BYTES_MAX)
        .read_to_end(&mut start)
        .ok()?;
    interpreter_in(&start)
}

/// The same of a file that begins so.
pub(super) fn interpreter_in(start: &[u8]) -> Option<String> {
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let first = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    // A carriage return is what makes scripts from elsewhere fail, and is else invisible.
    Some(first.escape_debug().to_string())
}

fn starts_with(path: &Path, magic: &[u8]) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(magic.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == magic
}
