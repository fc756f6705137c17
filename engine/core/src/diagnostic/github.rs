//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a change.
//!
//! The form and its escapes are those of
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use std::fmt::Write as _;

use super::harmless::visible;
use super::report::{Kept, PLACES_MAX, Region};
use super::{Diagnostic, Report, Rule, Severity};
use crate::source::Files;

/// One command a line: `::error file=…,line=…,col=…,endLine=…,endColumn=…,title=…::message`.
#[must_use]
pub fn annotations(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let kept = Kept::for_programs(report.findings);
        for found in &kept.first {
            text.push_str(&annotation(found, report));
            text.push('\n');
        }
        for (code, more) in kept.more {
            let path = property(report.path);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "::notice file={path},title={code}::and {more} more like it");
        }
        if let Some(verdict) = report.deadlocks.filter(|verdict| verdict.open) {
            let (path, message) = (property(report.path), data(verdict.message));
            let _ = writeln!(text, "::notice file={path},title=deadlocks::{message}");
        }
    }
    text
}

fn annotation(found: &Diagnostic, report: &Report) -> String {
    let command = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match found.place {
        None => format!("file={}", property(report.path)),
        Some(place) => {
            let path = property(&report.files.of(place).path);
            let Region {
                line,
                column,
                end_line,
                end_column,
            } = Region::of(place, report.files);
            if line == end_line {
                format!("file={path},line={line},col={column},endLine={end_line},endColumn={end_column}")
            } else {
                // Columns are not taken with several lines.
                format!("file={path},line={line},endLine={end_line}")
            }
        }
    };
    let title = match Rule::of(found.code) {
        None => found.code.to_string(),
        Some(rule) => format!("{} {}", rule.code, rule.title),
    };
    format!(
        "::{command} {place},title={}::{}",
        property(&title),
        data(&message(found, report.files))
    )
}

fn message(found: &Diagnostic, files: &Files) -> String {
    let mut message = found.message.clone();
    for related in found.related.iter().take(PLACES_MAX) {
        let (line, column) = files.line_column(related.place);
        let path = &files.of(related.place).path;
        let _ = write!(message, "\n{path}:{line}:{column}: {}", related.message);
    }
    if let Some(help) = &found.help {
        let _ = write!(message, "\nhelp: {help}");
    }
    message
}

/// What follows `::`.
fn data(text: &str) -> String {
    visible(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// What follows `=`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;
    use crate::diagnostic::tests_support::{found, named, related};

    #[test]
    fn a_finding_is_one_line_with_the_escapes_of_commands() {
        let files = named("a,b:c%\u{1b}.yaml", "queues:\n  lines: {}\n");
        let mut finding = found(&files, codes::UNUSED, "lines");
        finding.message = "100%, a: b".to_owned();
        finding.related.push(related(&files, "queues"));
        let report = Report {
            path: "a,b:c%\u{1b}.yaml",
            files: &files,
            findings: &[finding],
            allowed: &[],
            readable: true,
            deadlocks: None,
        };
        let path = "a%2Cb%3Ac%25\\u{1b}.yaml";
        let message = "100%25, a: b%0Aa,b:c%25\\u{1b}.yaml:1:1: it is here%0Ahelp: mend it";
        let expected = format!(
            "::error file={path},line=2,col=3,endLine=2,endColumn=8,title=FY270 a declaration is not used::{message}\n"
        );
        assert_eq!(annotations(&[report]), expected);
    }

    #[test]
    fn a_finding_without_a_place_is_about_its_file() {
        let files = named("w.yaml", "");
        let finding = Diagnostic {
            place: None,
            severity: Severity::Warning,
            help: None,
            ..found(&named("w.yaml", "a"), codes::UNREADABLE, "a")
        };
        let report = Report {
            path: "w.yaml",
            files: &files,
            findings: &[finding],
            allowed: &[],
            readable: false,
            deadlocks: None,
        };
        let expected = "::warning file=w.yaml,title=FY001 a file cannot be read::`a` is wrong\n";
        assert_eq!(annotations(&[report]), expected);
    }
}
