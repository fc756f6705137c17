//! From what is named on the command line to the files that are to be checked: patterns and directories are followed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use crate::failure::reason;
use crate::load::{self, STDIN};

/// How a workflow in a directory may be called.
const EXTENSIONS: [&str; 2] = ["yaml", "yml"];

/// What a line of every workflow begins with; a YAML file in a directory without it is something else.
const FIRST_KEY: &[u8] = b"forkyard:";

/// As a shell has it, but that `**` stands for any number of directories: `*` stands for no hidden file.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One thing to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A workflow.
    File {
        /// As it was named, or found.
        path: String,
        /// Whether it was found in a directory. There it may as well be a part that another workflow includes.
        found: bool,
    },
    /// Something was named, and nothing is there.
    Nothing {
        /// What was named.
        named: String,
        /// What is wrong, without a full stop.
        message: String,
    },
}

/// All that is named, each file once, in the order of the command line; those of a pattern or a directory by name.
pub fn inputs(named: &[String]) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut known = BTreeSet::new();
    for name in named {
        let files = if name == STDIN {
            vec![file(name, false)]
        } else if let Ok(metadata) = fs::metadata(name) {
            if metadata.is_dir() {
                in_directory(name)
            } else {
                vec![file(name, false)]
            }
        } else if name.contains(['*', '?', '[']) {
            matching(name)
        } else {
            vec![file(name, false)]
        };
        inputs.extend(files.into_iter().filter(|input| match input {
            Input::File { path, .. } => known.insert(path.clone()),
            Input::Nothing { .. } => true,
        }));
    }
    inputs
}

fn file(path: &str, found: bool) -> Input {
    Input::File {
        path: path.to_owned(),
        found,
    }
}

fn nothing(named: &str, message: String) -> Input {
    Input::Nothing {
        named: named.to_owned(),
        message,
    }
}

/// The files that a pattern stands for, for a shell that has not followed it, since it stands in quotes.
fn matching(pattern: &str) -> Vec<Input> {
    // As in a shell, a bracket that is not closed stands for itself: then this is the name of a file that is not there.
    let Ok(paths) = glob::glob_with(pattern, MATCHING) else {
        return vec![file(pattern, false)];
    };
    let mut inputs = Vec::new();
    for path in paths {
        match path {
            Ok(path) if path.is_dir() => {}
            Ok(path) => inputs.push(named_in_text(&path, false)),
            Err(error) => inputs.push(unreadable(error.path(), error.error())),
        }
    }
    if inputs.is_empty() {
        inputs.push(nothing(
            pattern,
            format!("`{}` matches no file", pattern.escape_debug()),
        ));
    }
    inputs
}

/// The workflows of a directory and of those in it, but for hidden ones.
fn in_directory(directory: &str) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut rest = vec![PathBuf::from(directory)];
    while let Some(directory) = rest.pop() {
        match entries(&directory) {
            Ok(entries) => {
                for path in entries {
                    let is_link = path.is_symlink();
                    if path.is_dir() && !is_link {
                        rest.push(path);
                    } else if path.is_file() && is_workflow(&path) {
                        inputs.push(named_in_text(&path, true));
                    }
                }
            }
            Err(error) => inputs.push(unreadable(&directory, &error)),
        }
    }
    inputs.sort_by(|a, b| a.name().cmp(b.name()));
    if inputs.is_empty() {
        let shown = directory.escape_debug();
        let message = format!("`{shown}` has no workflow: no *.yaml or *.yml with a line that begins with `forkyard:`");
        inputs.push(nothing(directory, message));
    }
    inputs
}

impl Input {
    fn name(&self) -> &str {
        match self {
            Self::File { path, .. } => path,
            Self::Nothing { named, .. } => named,
        }
    }
}

fn entries(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Whether a file of a directory is meant to be a workflow. One that cannot be read is taken for one: that is told.
fn is_workflow(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
        return false;
    }
    let Ok(bytes) = load::read_file(path) else {
        return true;
    };
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(FIRST_KEY))
}

fn named_in_text(path: &Path, found: bool) -> Input {
    match path.to_str() {
        Some(text) => file(text, found),
        None => nothing(
            &path.to_string_lossy(),
            format!("the name `{}` is not UTF-8", path.to_string_lossy().escape_debug()),
        ),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Input {
    let shown = path.to_string_lossy();
    let message = format!("`{}` cannot be read: {}", shown.escape_debug(), reason(error));
    nothing(&shown, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "forkyard: 1\nprocesses: {}\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            for (name, text) in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder can be made");
                fs::write(path, text).expect("a file can be written");
            }
            Self(folder)
        }

        /// What `name` in the folder stands for, relative to it; what is nothing has a `!`.
        fn inputs(&self, names: &[&str]) -> Vec<String> {
            let root = self.0.path().to_str().expect("the path is UTF-8");
            let names: Vec<String> = names.iter().map(|name| format!("{root}/{name}")).collect();
            let inputs = inputs(&names);
            let shown = inputs.iter().map(|input| match input {
                Input::File { path, .. } => path.clone(),
                Input::Nothing { named, .. } => format!("!{named}"),
            });
            shown.map(|name| name.replace(&format!("{root}/"), "")).collect()
        }
    }

    #[test]
    fn patterns_are_followed() {
        let folder = Folder::with(&[
            ("b.yaml", ""),
            ("a.yaml", ""),
            (".c.yaml", ""),
            ("in/d.yaml", ""),
            ("x[1].yaml", ""),
        ]);
        assert_eq!(folder.inputs(&["*.yaml"]), ["a.yaml", "b.yaml", "x[1].yaml"]);
        assert_eq!(
            folder.inputs(&["**/*.yaml"]),
            ["a.yaml", "b.yaml", "in/d.yaml", "x[1].yaml"]
        );
        assert_eq!(
            folder.inputs(&["x[1].yaml", "b.yaml", "[ab].yaml"]),
            ["x[1].yaml", "b.yaml", "a.yaml"]
        );
        assert_eq!(folder.inputs(&["*.yml", "none.yaml"]), ["!*.yml", "none.yaml"]);
        assert_eq!(folder.inputs(&["a[*.yaml"]), ["a[*.yaml"]);
    }

    #[test]
    fn of_a_directory_the_workflows_are_taken() {
        let folder = Folder::with(&[
            ("d/b.yml", WORKFLOW),
            ("d/in/a.yaml", WORKFLOW),
            ("d/.hidden/c.yaml", WORKFLOW),
            ("d/compose.yaml", "services: {}\n"),
            ("d/notes.txt", WORKFLOW),
            ("empty/other.yaml", "a: 1\n"),
        ]);
        assert_eq!(folder.inputs(&["d"]), ["d/b.yml", "d/in/a.yaml"]);
        assert_eq!(folder.inputs(&["empty"]), ["!empty"]);
    }
}
