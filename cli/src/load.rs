//! From files on the disk to a workflow that has been checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::thread;

use forkyard_core::check;
use forkyard_core::diagnostic::{self, Diagnostic, Severity, Style};
use forkyard_core::source::Files;
use forkyard_core::spec::{self, Loader, Request, Workflow};

use crate::failure::{Failure, reason};
use crate::report::{Colors, plural};
use crate::screen::{self, When};

/// The workflow to take when none is named.
const FILE_DEFAULT: &str = "forkyard.yaml";

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
    /// All findings.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether every file could be read, and was YAML.
    pub readable: bool,
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
        Ok(paths)
    }

    /// Reads and checks the workflow that `paths` make up.
    pub fn load(&self, paths: &[String]) -> Loaded {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let request = Request {
            paths,
            params: &self.params,
            environment: &environment,
            cpus: cpus(),
        };
        let mut read = spec::read(&request, &mut Disk);
        read.diagnostics.extend(match (&read.workflow, &read.partial) {
            (Some(workflow), _) => check::check(workflow),
            (None, Some(partial)) => check::check_partial(partial),
            (None, None) => Vec::new(),
        });
        Loaded {
            path: paths.first().cloned().unwrap_or_default(),
            workflow: read.workflow,
            files: read.files,
            diagnostics: diagnostic::in_order(read.diagnostics),
            readable: read.readable,
        }
    }
}

impl Loaded {
    /// The folder that relative paths in the workflow start from.
    pub fn folder(&self) -> PathBuf {
        let parent = Path::new(&self.path).parent().unwrap_or(Path::new(""));
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned())
    }

    /// How many findings of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
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

/// How many CPUs the processes of a run may use.
pub fn cpus() -> u32 {
    thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

/// Files of the disk, and no other: a FIFO could keep us waiting for ever, /dev/zero never ends.
struct Disk;

impl Loader for Disk {
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let metadata = fs::metadata(path).map_err(|error| reason(&error))?;
        if metadata.is_dir() {
            return Err("it is a directory".to_owned());
        }
        if !metadata.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let file = File::open(path).map_err(|error| reason(&error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| reason(&error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
        }
        Ok(bytes)
    }
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
        assert_eq!(Disk.load(&path("w.yaml")), Ok(b"forkyard: 1\n".to_vec()));
        assert_eq!(
            Disk.load(&path("none.yaml")),
            Err("no such file or directory".to_owned())
        );
        assert_eq!(Disk.load(&path("")), Err("it is a directory".to_owned()));
        assert_eq!(Disk.load("/dev/zero"), Err("it is no regular file".to_owned()));
    }
}
