//! Each rule with what it finds and what it leaves alone.

use super::*;
use crate::diagnostic::Rule;
use crate::sample;
use crate::source::Files;

mod after;
mod channels;
mod knots;
mod meetings;
mod others;
mod partial;
mod restarts;
mod size;
mod sockets;
mod written;

/// Codes of which some findings are of another severity than the catalogue says.
const EITHER: &[Code] = &[];

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
        let rule = Rule::of(finding.code).expect("every code is in the catalogue");
        assert!(
            finding.severity == rule.severity || EITHER.contains(&finding.code),
            "the catalogue says otherwise of {}",
            finding.code
        );
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
