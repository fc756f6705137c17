//! From files on the disk to a workflow that has been checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use forkyard_core::check::{self, DeadlockVerdict, Deadlocks};
use forkyard_core::diagnostic::{self, Allowed, Diagnostic, Policy, Severity, Style};
use forkyard_core::source::Files;
use forkyard_core::spec::{self, Loader, Request, Workflow};

use crate::failure::{Failure, reason};
use crate::report::{Colors, plural};
use crate::screen::{self, When};

/// The workflow to take when none is named.
pub const FILE_DEFAULT: &str = "forkyard.yaml";

/// What is named for standard input, or output.
pub const STDIN: &str = "-";

/// How standard input is called where its findings are shown.
const STDIN_NAME: &str = "<stdin>";

/// A workflow file may have so many bytes (256 MiB); the language page has the same limit.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Which workflow, and with which params.
#[derive(Clone, Debug, clap::Args)]
pub struct Overrides {
    /// A further file of the same workflow; the later one wins, field by field
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<String>,

    /// Give a param another value than its default
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
}

fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write it as key=value, for instance -p words=5".to_owned()),
    }
}

/// A workflow as it was read, with what is to be said about it.
pub struct Loaded {
    /// The first file, as it was named.
    pub path: String,
    /// `None` when there are errors that do not even let it be read.
    pub workflow: Option<Workflow>,
    /// All files.
    pub files: Files,
    /// All findings that count.
    pub diagnostics: Vec<Diagnostic>,
    /// Those that the files, or the policy, allow.
    pub allowed: Vec<Allowed>,
    /// Whether every file could be read, and was YAML.
    pub readable: bool,
    /// What is known about its deadlocks; `None` when there are errors.
    pub deadlocks: Option<DeadlockVerdict>,
}

impl Overrides {
    /// The files to be read as one workflow: `file`, or the default one when nothing is named, and the further ones.
    pub fn paths(&self, file: Option<&str>) -> Result<Vec<String>, Failure> {
        let mut paths: Vec<String> = file.map(ToOwned::to_owned).into_iter().collect();
        paths.extend(self.files.iter().cloned());
        if paths.is_empty() {
            if !Path::new(FILE_DEFAULT).exists() {
                let message = format!("no workflow is named, and there is no {FILE_DEFAULT} in this directory");
                return Err(Failure::invalid(message));
            }
            paths.push(FILE_DEFAULT.to_owned());
        }
        if paths.iter().filter(|path| *path == STDIN).count() > 1 {
            return Err(Failure::invalid("standard input can be read only once"));
        }
        Ok(paths)
    }

    /// Reads and checks the workflow that `paths` make up. Deadlocks are looked for as long as `explore` at most.
    pub fn load(&self, paths: &[String], explore: Duration) -> Loaded {
        self.load_by(&Policy::default(), paths, explore, |_, _| Vec::new())
    }

    /// The same, with what who asks wants of the findings, and what it has to say itself of a workflow without an error
    /// and its folder.
    pub fn load_by(
        &self,
        policy: &Policy,
        paths: &[String],
        explore: Duration,
        more: impl FnOnce(&Workflow, &Path) -> Vec<Diagnostic>,
    ) -> Loaded {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let names = paths.iter().map(|path| if path == STDIN { STDIN_NAME } else { path });
        let names: Vec<String> = names.map(str::to_owned).collect();
        let request = Request {
            paths: &names,
            params: &self.params,
            environment: &environment,
            cpus: cpus(),
        };
        let mut disk = Disk {
            stdin: paths.iter().any(|path| path == STDIN),
        };
        let mut read = spec::read(&request, &mut disk);
        read.diagnostics.extend(match (&read.workflow, &read.partial) {
            (Some(workflow), _) => check::check(workflow),
            (None, Some(partial)) => check::check_partial(partial),
            (None, None) => Vec::new(),
        });
        let deadlocks = read
            .workflow
            .as_ref()
            .and_then(|workflow| look_for_deadlocks(workflow, &read.diagnostics, explore));
        let (verdict, found) = deadlocks.map(|found| (found.verdict, found.findings)).unzip();
        read.diagnostics.extend(found.unwrap_or_default());
        if let Some(workflow) = read.workflow.as_ref().filter(|_| is_sound(&read.diagnostics)) {
            read.diagnostics.extend(more(workflow, &folder_of(&names)));
        }
        let judgement = diagnostic::judge(read.diagnostics, &read.files, policy, is_whole(read.workflow.as_ref()));
        Loaded {
            path: names.first().cloned().unwrap_or_default(),
            workflow: read.workflow,
            files: read.files,
            diagnostics: judgement.findings,
            allowed: judgement.allowed,
            readable: read.readable,
            deadlocks: verdict,
        }
    }
}

/// What deadlocks a workflow without errors can come to, by a search of `explore` at most.
fn look_for_deadlocks(workflow: &Workflow, found: &[Diagnostic], explore: Duration) -> Option<Deadlocks> {
    if found.iter().any(|found| found.severity == Severity::Error) {
        return None;
    }
    let begin = Instant::now();
    check::deadlocks(workflow, found, &mut || begin.elapsed() < explore)
}

/// Whether all that can be found in it is found: of what is not there, since its `if` is false, nothing is.
fn is_whole(workflow: Option<&Workflow>) -> bool {
    workflow.is_some_and(|workflow| workflow.absent.is_empty())
}

fn is_sound(found: &[Diagnostic]) -> bool {
    found.iter().all(|found| found.severity != Severity::Error)
}

/// The folder that relative paths start from in a workflow of these files.
fn folder_of(paths: &[String]) -> PathBuf {
    let first = paths.first().map_or("", String::as_str);
    let parent = Path::new(first).parent().unwrap_or(Path::new(""));
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned())
}

impl Loaded {
    /// The folder that relative paths in the workflow start from.
    pub fn folder(&self) -> PathBuf {
        folder_of(std::slice::from_ref(&self.path))
    }

    /// All findings as text for `stream`.
    pub fn render(&self, stream: &impl IsTerminal, color: When) -> String {
        render(&self.diagnostics, &self.files, stream, color)
    }
}

/// Findings as text for `stream`, with a newline at the end.
pub fn render(diagnostics: &[Diagnostic], files: &Files, stream: &impl IsTerminal, color: When) -> String {
    let style = Style {
        color: color.colors(stream) == Colors::Pass,
        width: screen::width(),
    };
    let text = diagnostic::render_all(diagnostics, files, style);
    if text.is_empty() {
        text
    } else {
        format!("{}\n", text.trim_end())
    }
}

/// `2 errors, 1 warning`
pub fn tally(errors: usize, warnings: usize) -> String {
    let mut parts = Vec::new();
    if errors > 0 || warnings == 0 {
        parts.push(plural(errors as u64, "error", "errors"));
    }
    if warnings > 0 {
        parts.push(plural(warnings as u64, "warning", "warnings"));
    }
    parts.join(", ")
}

/// How many CPUs the processes of a run may use; asked for once, since that reads several files.
pub fn cpus() -> u32 {
    static CPUS: OnceLock<u32> = OnceLock::new();
    let count = || thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
    *CPUS.get_or_init(count)
}

/// Files of the disk, and standard input when it is named.
struct Disk {
    /// Whether standard input is still to be read.
    stdin: bool,
}

impl Loader for Disk {
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path == STDIN_NAME && std::mem::take(&mut self.stdin) {
            return read_all(io::stdin().lock(), 0);
        }
        read_file(Path::new(path))
    }
}

/// The bytes of a regular file, and of no other: a FIFO could keep us waiting for ever, /dev/zero never ends. The error is
/// words for people.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| reason(&error))?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    read_all(File::open(path).map_err(|error| reason(&error))?, metadata.len())
}

/// Reads a stream, of which so many bytes are expected.
fn read_all(stream: impl Read, expected: u64) -> Result<Vec<u8>, String> {
    let room = usize::try_from(expected.min(FILE_BYTES_MAX)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    stream
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_pairs() {
        assert_eq!(param("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(param("a="), Ok(("a".to_owned(), String::new())));
        assert!(param("a").is_err());
        assert!(param("=b").is_err());
    }

    #[test]
    fn findings_are_counted_in_words() {
        assert_eq!(tally(2, 1), "2 errors, 1 warning");
        assert_eq!(tally(1, 0), "1 error");
        assert_eq!(tally(0, 2), "2 warnings");
        assert_eq!(tally(0, 0), "0 errors");
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = |name: &str| folder.path().join(name).to_str().expect("the path is UTF-8").to_owned();
        fs::write(path("w.yaml"), "forkyard: 1\n").expect("the folder can be written");
        let load = |path: &str| Disk { stdin: false }.load(path);
        assert_eq!(load(&path("w.yaml")), Ok(b"forkyard: 1\n".to_vec()));
        assert_eq!(load(&path("none.yaml")), Err("no such file or directory".to_owned()));
        assert_eq!(load(&path("")), Err("it is a directory".to_owned()));
        assert_eq!(load("/dev/zero"), Err("it is no regular file".to_owned()));
    }
}
