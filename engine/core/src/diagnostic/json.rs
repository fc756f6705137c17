//! Diagnostics for programs.

use serde_json::{Value, json};

use super::harmless::escaped_json;
use super::report::{Kept, PLACES_MAX, Region};
use super::{Diagnostic, Report, Rule, Severity};
use crate::source::{Files, Span};

/// A diagnostic as one JSON object: `code`, `severity`, `message`, `help`, `file`, `line`, `column`, `end_line` and
/// `end_column` (from 1, columns in characters, the end past the last one; all null when it is about no line of a file)
/// and `related`, the same of other places that belong to it.
#[must_use]
pub fn to_json(diagnostic: &Diagnostic, files: &Files) -> Value {
    let related = diagnostic.related.iter().take(PLACES_MAX).map(|related| {
        let mut object = placed(Some(related.place), files);
        object["message"] = related.message.clone().into();
        object
    });
    let mut object = placed(diagnostic.place, files);
    object["code"] = diagnostic.code.to_string().into();
    object["severity"] = json!(diagnostic.severity);
    object["message"] = diagnostic.message.clone().into();
    object["help"] = diagnostic.help.clone().into();
    object["related"] = related.collect();
    object
}

/// The findings of several workflows as one list; each names its `workflow`. Of a code that is found more than a thousand
/// times in one, the last entry says how many `more` there are.
///
/// What a search for deadlocks came to is the last entry of a workflow, of the severity `note` and without a code, with
/// `deadlocks` and the number of `states`.
#[must_use]
pub fn list(reports: &[Report]) -> Value {
    reports.iter().flat_map(entries).collect()
}

fn entries(report: &Report) -> Vec<Value> {
    let kept = Kept::for_programs(report.findings);
    let mut entries: Vec<Value> = kept.first.iter().map(|found| to_json(found, report.files)).collect();
    for (code, more) in kept.more {
        let severity = Rule::of(code).map_or(Severity::Error, |rule| rule.severity);
        let mut entry = placed(None, report.files);
        entry["code"] = code.to_string().into();
        entry["severity"] = json!(severity);
        entry["message"] = format!("and {more} more like it").into();
        entry["more"] = more.into();
        entry["help"] = Value::Null;
        entry["related"] = json!([]);
        entries.push(entry);
    }
    if let Some(verdict) = report.deadlocks {
        let mut entry = placed(None, report.files);
        entry["code"] = Value::Null;
        entry["severity"] = "note".into();
        entry["message"] = verdict.message.into();
        entry["deadlocks"] = verdict.word.into();
        entry["states"] = verdict.states.into();
        entry["help"] = Value::Null;
        entry["related"] = json!([]);
        entries.push(entry);
    }
    for entry in &mut entries {
        entry["workflow"] = report.path.into();
    }
    entries
}

/// JSON as it is printed, with nothing in it that a terminal would obey, and a newline at the end.
#[must_use]
pub fn json_text(value: &Value) -> String {
    format!("{}\n", escaped_json(&format!("{value:#}")))
}

fn placed(place: Option<Span>, files: &Files) -> Value {
    match place {
        None => json!({ "file": null, "line": null, "column": null, "end_line": null, "end_column": null }),
        Some(place) => {
            let region = Region::of(place, files);
            json!({
                "file": files.of(place).path,
                "line": region.line,
                "column": region.column,
                "end_line": region.end_line,
                "end_column": region.end_column,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;
    use crate::diagnostic::tests_support::{found, related, workflow};

    #[test]
    fn a_finding_is_an_object_with_its_places() {
        let files = workflow("a: b\nc: d\n");
        let mut finding = found(&files, codes::UNUSED, "c");
        finding.related.push(related(&files, "b"));
        let expected = json!({
            "code": "FY270", "severity": "error", "message": "`c` is wrong", "help": "mend it",
            "file": "flow.yaml", "line": 2, "column": 1, "end_line": 2, "end_column": 2,
            "related": [{ "message": "it is here", "file": "flow.yaml",
                          "line": 1, "column": 4, "end_line": 1, "end_column": 5 }],
        });
        assert_eq!(to_json(&finding, &files), expected);
    }

    #[test]
    fn of_very_many_the_number_is_told() {
        let files = workflow("a: b\n");
        let findings = vec![found(&files, codes::CYCLE, "a"); 1_234];
        let report = Report {
            path: "flow.yaml",
            files: &files,
            findings: &findings,
            allowed: &[],
            readable: true,
            deadlocks: None,
        };
        let list = list(&[report]);
        let list = list.as_array().expect("it is a list");
        assert_eq!(list.len(), 1_001);
        assert_eq!(list[1_000]["more"], 234);
        assert_eq!(list[1_000]["workflow"], "flow.yaml");
    }
}
