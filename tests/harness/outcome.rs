//! What came of a call of the binary.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::Value;

use super::{World, matches};

/// Its exit, its output, and its world.
pub struct Outcome {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    world: World,
}

impl Outcome {
    pub fn new(status: ExitStatus, stdout: String, stderr: String, world: World) -> Self {
        let outcome = Self {
            status,
            stdout,
            stderr,
            world,
        };
        assert!(!outcome.stderr.contains("panicked at"), "{}", outcome.shown());
        outcome
    }

    /// Its exit code; none when a signal has ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// It has exited with this code.
    pub fn exit(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.shown());
        self
    }

    /// It has exited with one of these codes.
    pub fn exit_one_of(&self, codes: &[i32]) -> &Self {
        let code = self.status.code();
        assert!(code.is_some_and(|code| codes.contains(&code)), "{}", self.shown());
        self
    }

    /// Some line of stdout is like this; `[..]` stands for anything.
    pub fn line(&self, pattern: &str) -> &Self {
        assert!(self.has_line(pattern), "no line `{pattern}` in:\n{}", self.shown());
        self
    }

    /// No line of stdout is like this.
    pub fn no_line(&self, pattern: &str) -> &Self {
        assert!(!self.has_line(pattern), "a line `{pattern}` in:\n{}", self.shown());
        self
    }

    fn has_line(&self, pattern: &str) -> bool {
        without_padding(&self.stdout)
            .lines()
            .any(|line| matches(pattern, line.trim()))
    }

    /// stdout or stderr contains this.
    pub fn says(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "nothing says `{text}`:\n{}", self.shown());
        self
    }

    /// stderr contains this.
    pub fn stderr(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "stderr has no `{text}`:\n{}", self.shown());
        self
    }

    /// The whole stdout.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// The whole stderr.
    pub fn errors(&self) -> &str {
        &self.stderr
    }

    /// Every line of a process in order of arrival, as (name, text).
    pub fn lines(&self) -> Vec<(&str, &str)> {
        self.stdout
            .lines()
            .filter_map(|line| line.split_once('│'))
            .map(|(name, text)| (name.trim(), text.trim()))
            .collect()
    }

    /// The texts of all lines in order of arrival, whoever wrote them.
    pub fn texts(&self) -> Vec<&str> {
        self.lines().into_iter().map(|(_, text)| text).collect()
    }

    /// What the process with this name wrote.
    pub fn said(&self, name: &str) -> Vec<&str> {
        self.lines()
            .into_iter()
            .filter(|(who, _)| *who == name)
            .map(|(_, text)| text)
            .collect()
    }

    /// Where in [`Outcome::texts`] this text stands first.
    pub fn position(&self, pattern: &str) -> usize {
        let found = self.texts().iter().position(|text| matches(pattern, text));
        found.unwrap_or_else(|| panic!("nobody said `{pattern}`:\n{}", self.shown()))
    }

    /// The records of the only run, as `records.jsonl` has them.
    pub fn records(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.world.run_directory().join("records.jsonl")).expect("a run has records");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a record is JSON"))
            .collect()
    }

    /// The records of this kind about this process.
    pub fn records_of(&self, kind: &str, process: &str) -> Vec<Value> {
        let about = |record: &Value| record["record"] == kind && record["process"] == process;
        self.records().into_iter().filter(about).collect()
    }

    /// Where in the records the first of this kind about this process stands.
    pub fn when(&self, kind: &str, process: &str) -> usize {
        let found = self
            .records()
            .iter()
            .position(|record| record["record"] == kind && record["process"] == process);
        found.unwrap_or_else(|| panic!("no record `{kind}` of `{process}`:\n{}", self.shown()))
    }

    /// Its world, for a further call.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Its world, to be handed to a further call.
    pub fn into_world(self) -> World {
        self.world
    }

    fn shown(&self) -> String {
        let exit = self
            .status
            .code()
            .map_or_else(|| format!("signal {:?}", self.status.signal()), |code| code.to_string());
        format!("exit: {exit}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Names are padded to the width of the longest; that is nothing to assert.
pub fn without_padding(text: &str) -> String {
    let line = |line: &str| match line.split_once('│') {
        Some((name, text)) => format!("{} │{text}\n", name.trim_end()),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
