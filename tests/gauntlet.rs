//! The gauntlet: small broken workflows, each with its sound twin. `forkyard check` finds what is wrong with the one, at
//! the right line, and nothing with the other.
//!
//! A broken file begins with what is expected: `# expect: FY210 at 4`, a line for each finding.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Forkyard, files_under};

/// A finding: its code, and its line.
type Finding = (String, u64);

#[test]
fn every_broken_workflow_is_told_what_is_wrong_and_where() {
    let files = files("broken");
    assert!(files.len() >= 60, "{} broken workflows", files.len());
    let found = check(&files);
    let mut wrong = Vec::new();
    println!("{:<46} {:<24} found", "broken", "expected");
    for file in &files {
        let (expected, found) = (expected(file), found.get(&stem(file)).cloned().unwrap_or_default());
        assert!(!expected.is_empty(), "{} says what is expected", file.display());
        println!("{:<46} {:<24} {}", stem(file), words(&expected), words(&found));
        if expected != found {
            wrong.push(format!(
                "{}: expected {}; found {}",
                file.display(),
                words(&expected),
                words(&found)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bb12_no_sound_workflow_has_a_finding() {
    let files = files("sound");
    assert!(files.len() >= 60, "{} sound workflows", files.len());
    let found = check(&files);
    println!("{} sound workflows, {} with a finding", files.len(), found.len());
    let wrong: Vec<_> = found
        .iter()
        .map(|(file, found)| format!("sound/{file}: {}", words(found)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_broken_workflow_has_a_sound_twin() {
    let names = |kind| files(kind).iter().map(|file| stem(file)).collect::<BTreeSet<_>>();
    assert_eq!(names("broken"), names("sound"));
}

fn files(kind: &str) -> Vec<PathBuf> {
    files_under(&format!("tests/gauntlet/{kind}"), "yaml")
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().expect("a workflow has a name");
    stem.to_string_lossy().into_owned()
}

/// What all of these files are told, in one call, by the name of the file.
fn check(files: &[PathBuf]) -> BTreeMap<String, BTreeSet<Finding>> {
    let call = Forkyard::new("check").arg("--format").arg("json");
    let checked = files.iter().fold(call, Forkyard::arg).run();
    checked.exit_one_of(&[0, 1]);
    let found: Value = serde_json::from_str(checked.stdout()).expect("findings are JSON");
    let mut by_file: BTreeMap<String, BTreeSet<Finding>> = BTreeMap::new();
    let found = found.as_array().expect("findings are a list").iter();
    for finding in found.filter(|finding| finding["severity"] != "note") {
        let file = finding["file"].as_str().expect("a finding has a file");
        let code = finding["code"].as_str().expect("a finding has a code");
        let line = finding["line"].as_u64().expect("a finding has a line");
        let findings = by_file.entry(stem(Path::new(file))).or_default();
        findings.insert((code.to_owned(), line));
    }
    by_file
}

/// What the first lines of a broken file say.
fn expected(file: &Path) -> BTreeSet<Finding> {
    let text = fs::read_to_string(file).expect("a workflow is text");
    let expectations = text.lines().map_while(|line| line.strip_prefix("# expect: "));
    expectations
        .map(|line| {
            let (code, line) = line.split_once(" at ").expect("an expectation is `FY210 at 4`");
            (code.to_owned(), line.parse().expect("a line has a number"))
        })
        .collect()
}

fn words(findings: &BTreeSet<Finding>) -> String {
    let words: Vec<_> = findings
        .iter()
        .map(|(code, line)| format!("{code} at {line}"))
        .collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}
