//! Each rule with what it finds and what it leaves alone.

use super::*;
use crate::sample;
use crate::source::Files;

mod after;
mod channels;
mod knots;
mod meetings;
mod others;
mod partial;
mod size;

/// What `text` is told, a line a finding: `error FY201 3:5 message`.
#[track_caller]
fn told(text: &str) -> String {
    let loaded = sample::loaded(text);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let workflow = loaded.workflow.expect("a workflow without findings is handed out");
    lines(&check(&workflow), &loaded.files)
}

fn lines(findings: &[Diagnostic], files: &Files) -> String {
    let line = |finding: &Diagnostic| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = finding.place.map(|place| sample::line_column(files, place));
        let place = place.unwrap_or_else(|| "-".to_owned());
        format!("{severity} {} {place} {}\n", finding.code, finding.message)
    };
    findings.iter().map(line).collect()
}

/// Asserts that `text` is told exactly `expected`, and that a sound workflow can be planned.
#[track_caller]
fn finds(text: &str, expected: &str) {
    assert_eq!(told(text), expected.trim_start());
    let findings = check(&sample::workflow(text));
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        assert!(
            crate::plan::build(&sample::workflow(text)).is_ok(),
            "a sound workflow has a plan"
        );
    }
}

/// The help and the related places of the first finding.
fn explained(text: &str) -> (String, Vec<String>) {
    let files = sample::loaded(text).files;
    let findings = check(&sample::workflow(text));
    let first = findings.first().expect("something is found");
    let place = |related: &Related| format!("{} {}", sample::line_column(&files, related.place), related.message);
    (
        first.help.clone().unwrap_or_default(),
        first.related.iter().map(place).collect(),
    )
}

#[test]
fn every_code_has_a_title_and_is_listed_in_order() {
    let numbers: Vec<_> = codes::TITLES.iter().map(|(code, _)| code.0).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    assert!(numbers.iter().all(|number| (200..300).contains(number)));
    assert!(codes::TITLES.iter().all(|(_, title)| !title.is_empty()));
}
