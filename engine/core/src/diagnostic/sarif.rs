//! Findings as SARIF 2.1.0, the form in which code scanning services take them.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::harmless::visible;
use super::report::{Kept, PLACES_MAX, Region, TOLD_OF_CODE};
use super::{Allowed, Code, Diagnostic, Report, Rule, Severity, catalogue};
use crate::source::Span;

/// Where the product's own pages are.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The base of the relative paths.
const ROOT: &str = "%SRCROOT%";

/// One log with one run, of all workflows.
#[must_use]
pub fn to_sarif(reports: &[Report]) -> Value {
    let results: Vec<Value> = reports.iter().flat_map(results).collect();
    let readable = reports.iter().all(|report| report.readable);
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Forkyard",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": REPOSITORY,
                "rules": catalogue().iter().map(rule).collect::<Value>(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: {
                "description": { "text": "The folder in which `forkyard check` was called." },
            }},
            "invocations": [{ "executionSuccessful": readable }],
            "results": results,
            "properties": { "workflows": reports.iter().map(known).collect::<Value>() },
        }],
    })
}

/// What is known of a workflow beside its findings.
fn known(report: &Report) -> Value {
    json!({
        "workflow": visible(report.path),
        "deadlocks": report.deadlocks.map(|verdict| verdict.word),
        "states": report.deadlocks.map(|verdict| verdict.states),
    })
}

fn rule(rule: &Rule) -> Value {
    let code = rule.code.to_string();
    json!({
        "id": code,
        "name": name(rule.title),
        "shortDescription": { "text": sentence(rule.title) },
        "helpUri": format!("{REPOSITORY}/blob/main/docs/diagnostics/{code}.md"),
        "help": { "text": format!("`forkyard explain {code}` says what it means, and how it is mended.") },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

/// `a cycle in after` as `CycleInAfter`.
fn name(title: &str) -> String {
    let words = title.split(|it: char| !it.is_alphanumeric());
    let words = words.filter(|word| !matches!(*word, "" | "a" | "an" | "the"));
    let capitals = words.flat_map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters)
    });
    capitals.collect()
}

fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn results(report: &Report) -> Vec<Value> {
    let kept = Kept::for_programs(report.findings);
    let counted = kept.first.iter().map(|&found| (found, None));
    let allowed = report.allowed.iter().take(TOLD_OF_CODE);
    let allowed = allowed.map(|allowed| (&allowed.diagnostic, Some(allowed)));
    let mut twins: BTreeMap<(Code, &str), u32> = BTreeMap::new();
    let mut results = Vec::new();
    for (found, allowed) in counted.chain(allowed) {
        let twin = twins.entry((found.code, &found.message)).or_default();
        *twin += 1;
        results.push(result(found, allowed, *twin, report));
    }
    results.extend(kept.more.iter().map(|(&code, more)| {
        let mut result = about(code, Severity::Warning, &format!("And {more} more like it."));
        result["locations"] = json!([location(report, None)]);
        result
    }));
    results
}

/// A result without its places.
fn about(code: Code, severity: Severity, message: &str) -> Value {
    let index = catalogue().iter().position(|rule| rule.code == code);
    let mut result = json!({
        "ruleId": code.to_string(),
        "level": level(severity),
        "message": { "text": visible(message) },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    result
}

/// `twin` counts the findings of the workflow that say the same.
fn result(found: &Diagnostic, allowed: Option<&Allowed>, twin: u32, report: &Report) -> Value {
    let message = match &found.help {
        None => format!("{}.", found.message),
        Some(help) => format!("{}.\nHelp: {help}", found.message),
    };
    let mut result = about(found.code, found.severity, &message);
    result["locations"] = json!([location(report, found.place)]);
    let related = found
        .related
        .iter()
        .take(PLACES_MAX)
        .enumerate()
        .map(|(index, related)| {
            let mut place = location(report, Some(related.place));
            place["id"] = (index + 1).into();
            place["message"] = json!({ "text": visible(&related.message) });
            place
        });
    result["relatedLocations"] = related.collect();
    result["partialFingerprints"] = json!({ "forkyardFinding/v1": fingerprint(found, twin, report) });
    if let Some(allowed) = allowed {
        result["suppressions"] = json!([suppression(allowed, report)]);
    }
    result
}

fn suppression(allowed: &Allowed, report: &Report) -> Value {
    let Some(comment) = &allowed.comment else {
        return json!({ "kind": "external" });
    };
    let mut suppression = json!({ "kind": "inSource", "location": location(report, Some(comment.place)) });
    if let Some(reason) = &comment.reason {
        suppression["justification"] = visible(reason).into();
    }
    suppression
}

/// Where a finding is; without a place, its workflow as a whole.
fn location(report: &Report, place: Option<Span>) -> Value {
    let path = place.map_or(report.path, |place| &report.files.of(place).path);
    let mut location = json!({ "physicalLocation": { "artifactLocation": artifact(path) } });
    if let Some(place) = place {
        let region = Region::of(place, report.files);
        location["physicalLocation"]["region"] = json!({
            "startLine": region.line,
            "startColumn": region.column,
            "endLine": region.end_line,
            "endColumn": region.end_column,
        });
    }
    location
}

fn artifact(path: &str) -> Value {
    if path.starts_with('/') {
        json!({ "uri": format!("file://{}", encoded(path)) })
    } else {
        json!({ "uri": encoded(path.trim_start_matches("./")), "uriBaseId": ROOT })
    }
}

/// A path as a URI: all but the unreserved characters of RFC 3986, section 2.3, and `/` as `%20`.
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The same for a finding that has only moved in its file. The hash is FNV-1a of 64 bits
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>): it need not resist anybody.
fn fingerprint(found: &Diagnostic, twin: u32, report: &Report) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let path = found.place.map_or(report.path, |place| &report.files.of(place).path);
    let text = format!("{}\0{path}\0{}\0{twin}", found.code, found.message);
    let hash = text
        .bytes()
        .fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::tests_support::{found, named, related};
    use crate::diagnostic::{Permission, codes};
    use crate::source::Files;

    fn report<'a>(files: &'a Files, findings: &'a [Diagnostic], allowed: &'a [Allowed]) -> Report<'a> {
        Report {
            path: &files.all()[0].path,
            files,
            findings,
            allowed,
            readable: true,
            deadlocks: None,
        }
    }

    #[test]
    fn a_result_has_its_rule_its_places_and_a_fingerprint_that_survives_a_move() {
        let files = named("a b/ä.yaml", "queues:\n  lines: {}\n");
        let mut finding = found(&files, codes::UNUSED, "lines");
        finding.related.push(related(&files, "queues"));
        let log = to_sarif(&[report(&files, &[finding], &[])]);
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("there are rules");
        let index = result["ruleIndex"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        let rule = &rules[index.expect("the rule is listed")];
        assert_eq!((&rule["id"], &result["ruleId"]), (&json!("FY270"), &json!("FY270")));
        assert_eq!(rule["name"], "DeclarationIsNotUsed");
        assert_eq!(rule["defaultConfiguration"]["level"], "warning");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A4.yaml");
        let region = json!({ "startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 8 });
        assert_eq!(place["region"], region);
        assert_eq!(result["relatedLocations"][0]["message"]["text"], "it is here");

        let moved = named("a b/ä.yaml", "# moved\nqueues:\n    lines: {}\n");
        let again = to_sarif(&[report(&moved, &[found(&moved, codes::UNUSED, "lines")], &[])]);
        let again = &again["runs"][0]["results"][0]["partialFingerprints"];
        assert_eq!(*again, result["partialFingerprints"]);
    }

    #[test]
    fn what_is_allowed_is_suppressed_with_its_reason() {
        let files = named("/w.yaml", "queues: {}\n");
        let permission = Permission {
            place: found(&files, codes::UNUSED, "{}").place.expect("it has a place"),
            reason: Some("it is for later".to_owned()),
        };
        let allowed = [Some(permission), None].map(|comment| Allowed {
            diagnostic: found(&files, codes::UNUSED, "queues"),
            comment,
        });
        let log = to_sarif(&[report(&files, &[], &allowed)]);
        let results = &log["runs"][0]["results"];
        let first = &results[0]["suppressions"][0];
        assert_eq!(
            (&first["kind"], &first["justification"]),
            (&json!("inSource"), &json!("it is for later"))
        );
        assert_eq!(
            first["location"]["physicalLocation"]["artifactLocation"]["uri"],
            "file:///w.yaml"
        );
        assert_eq!(results[1]["suppressions"], json!([{ "kind": "external" }]));
        assert_ne!(results[0]["partialFingerprints"], results[1]["partialFingerprints"]);
    }
}
