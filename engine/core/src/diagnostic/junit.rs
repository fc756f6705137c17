//! Findings as a `JUnit` report, which CI servers show as tests: a suite is a workflow, a test is a rule.
//!
//! There is no standard but what the servers read: <https://github.com/testmoapp/junitxml> collects it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::harmless::visible;
use super::report::{Kept, SHOWN_OF_CODE};
use super::{Code, Diagnostic, Report, Rule, Severity, Style, Verdict, render};

/// How the findings look in it.
const STYLE: Style = Style {
    color: false,
    width: 100,
};

/// The report as XML. A rule that found errors is a failed test, one that found warnings alone a test that passed and had
/// something to say; a workflow without findings is one test that passed, and one that cannot be read is a test that
/// could not be made.
#[must_use]
pub fn to_junit(reports: &[Report]) -> String {
    let suites: Vec<Suite> = reports.iter().map(Suite::of).collect();
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let totals = counts(sum(|it| it.tests), sum(|it| it.failures), sum(|it| it.errors));
    let mut xml =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"forkyard check\" {totals}>\n");
    for suite in &suites {
        let totals = counts(suite.tests, suite.failures, suite.errors);
        // Writing to a string cannot fail.
        let _ = writeln!(xml, "  <testsuite name=\"{}\" {totals}>", escaped(suite.name));
        xml.push_str(&suite.properties);
        xml.push_str(&suite.cases);
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(tests: usize, failures: usize, errors: usize) -> String {
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\"")
}

/// A workflow.
struct Suite<'a> {
    name: &'a str,
    tests: usize,
    failures: usize,
    errors: usize,
    /// Its tests as XML.
    cases: String,
    /// What is known beside them, as XML.
    properties: String,
}

impl<'a> Suite<'a> {
    fn of(report: &Report<'a>) -> Self {
        let mut suite = Self {
            name: report.path,
            tests: 0,
            failures: 0,
            errors: 0,
            cases: String::new(),
            properties: report.deadlocks.map_or_else(String::new, properties),
        };
        let mut rules: BTreeMap<Code, Vec<&Diagnostic>> = BTreeMap::new();
        for found in report.findings {
            rules.entry(found.code).or_default().push(found);
        }
        for (code, findings) in rules {
            suite.rule(code, &findings, report);
        }
        if suite.tests == 0 {
            suite.case("check", "");
        }
        suite
    }

    fn rule(&mut self, code: Code, findings: &[&Diagnostic], report: &Report) {
        let name = Rule::of(code).map_or_else(|| code.to_string(), |rule| format!("{code} {}", rule.title));
        let errors = findings.iter().filter(|found| found.severity == Severity::Error);
        let text = escaped(&shown(findings, report));
        let content = match errors.clone().next() {
            None => format!("      <system-out>{text}</system-out>\n"),
            Some(first) => {
                let message = escaped(&first.message);
                let element = if code.0 < 100 && !report.readable {
                    self.errors += 1;
                    "error"
                } else {
                    self.failures += 1;
                    "failure"
                };
                format!("      <{element} type=\"{code}\" message=\"{message}\">{text}</{element}>\n")
            }
        };
        self.case(&name, &content);
    }

    fn case(&mut self, name: &str, content: &str) {
        self.tests += 1;
        let (name, class) = (escaped(name), escaped(self.name));
        let _ = if content.is_empty() {
            writeln!(self.cases, "    <testcase name=\"{name}\" classname=\"{class}\"/>")
        } else {
            writeln!(
                self.cases,
                "    <testcase name=\"{name}\" classname=\"{class}\">\n{content}    </testcase>"
            )
        };
    }
}

fn properties(verdict: Verdict) -> String {
    let values = [
        ("deadlocks", verdict.word.to_owned()),
        ("states", verdict.states.to_string()),
    ];
    let values = values.map(|(name, value)| {
        let value = escaped(&value);
        format!("      <property name=\"{name}\" value=\"{value}\"/>\n")
    });
    format!("    <properties>\n{}    </properties>\n", values.concat())
}

fn shown(findings: &[&Diagnostic], report: &Report) -> String {
    let kept = Kept::of(findings.iter().copied(), SHOWN_OF_CODE);
    let texts = kept.first.iter().map(|found| render(found, report.files, STYLE));
    let more = kept.more.values().map(|more| format!("and {more} more like it"));
    texts.chain(more).collect::<Vec<_>>().join("\n\n")
}

/// As text and as an attribute of XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // A reader makes a space of them in an attribute, and of a carriage return a line feed anywhere.
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            '\t' => xml.push_str("&#9;"),
            other => xml.push(other),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;
    use crate::diagnostic::tests_support::{found, named};

    #[test]
    fn a_workflow_is_a_suite_and_a_rule_is_a_test() {
        let files = named("a&b.yaml", "queues: {}\nlocks: {}\n");
        let error = found(&files, codes::CYCLE, "queues");
        let warning = Diagnostic {
            severity: Severity::Warning,
            message: "<\u{1b}>".to_owned(),
            ..found(&files, codes::UNUSED, "locks")
        };
        let findings = [error.clone(), warning, error];
        let mut report = Report {
            path: "a&b.yaml",
            files: &files,
            findings: &findings,
            allowed: &[],
            readable: true,
            deadlocks: None,
        };
        let xml = to_junit(&[report]);
        assert!(
            xml.contains("<testsuite name=\"a&amp;b.yaml\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">")
        );
        assert!(
            xml.contains("<failure type=\"FY210\" message=\"`queues` is wrong\">error[FY210]"),
            "{xml}"
        );
        assert!(
            xml.contains("<system-out>warning[FY270]: &lt;\u{FFFD}&gt;&#10;"),
            "{xml}"
        );
        report.findings = &[];
        assert!(to_junit(&[report]).contains("    <testcase name=\"check\" classname=\"a&amp;b.yaml\"/>\n"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_of_the_test() {
        let files = named("w.yaml", "a");
        let findings = [found(&files, codes::NOT_YAML, "a")];
        let report = Report {
            path: "w.yaml",
            files: &files,
            findings: &findings,
            allowed: &[],
            readable: false,
            deadlocks: None,
        };
        let xml = to_junit(&[report]);
        assert!(
            xml.contains("<error type=\"FY006\"") && xml.contains("failures=\"0\" errors=\"1\""),
            "{xml}"
        );
    }
}
