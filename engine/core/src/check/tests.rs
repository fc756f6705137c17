//! Each rule with what it finds and what it leaves alone.

use super::*;
use crate::sample;

mod after;
mod channels;
mod others;
mod size;

/// What `text` is told, a line a finding: `error FY201 3:5 message`.
fn told(text: &str) -> String {
    let findings = check(&sample::workflow(text));
    let mut lines = String::new();
    for finding in &findings {
        lines.push_str(&line(text, finding));
    }
    lines
}

fn line(text: &str, finding: &Diagnostic) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = finding
        .place
        .map_or("-".to_owned(), |place| sample::line_column(text, place));
    format!("{severity} {} {place} {}\n", finding.code, finding.message)
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
    let findings = check(&sample::workflow(text));
    let first = findings.first().expect("something is found");
    let place = |related: &Related| format!("{} {}", sample::line_column(text, related.place), related.message);
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
