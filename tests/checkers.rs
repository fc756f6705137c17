//! Programs that others wrote, which read what Forkyard writes. `tests/checkers/install.sh` installs them; where one is
//! missing, the test that needs it is skipped, and says so.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::repository;

/// A file of a folder of the checkers, if it is installed.
pub fn installed(name: &str, test: &str) -> Option<PathBuf> {
    let path = repository("target/checkers").join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(test, name);
    None
}

/// A Python that has these modules: the checkers' own, or the system's.
pub fn python(modules: &[&str], test: &str) -> Option<PathBuf> {
    let own = repository("target/checkers/python/bin/python");
    let import = format!("import {}", modules.join(", "));
    let has_them = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", &import]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let found = [own, PathBuf::from("python3")].into_iter().find(has_them);
    if found.is_none() {
        skipped(test, &format!("python3 with {}", modules.join(" and ")));
    }
    found
}

/// Says that a test is skipped.
pub fn skipped(test: &str, missing: &str) {
    eprintln!("skipped: {test}: {missing} is missing; tests/checkers/install.sh installs it");
}

/// What a script of `tests/checkers` prints.
#[track_caller]
pub fn run(python: &PathBuf, script: &str, arguments: &[PathBuf]) -> String {
    let output = Command::new(python)
        .arg(repository("tests/checkers").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
