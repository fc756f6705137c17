//! Diagnostics for programs.

use serde_json::{Value, json};

use super::Diagnostic;
use crate::source::{Files, Span};

/// A diagnostic as one JSON object: `code`, `severity`, `message`, `help`, `file`, `line` and `column` (both from 1,
/// columns in characters; all three null when it is about no line of a file) and `related`.
#[must_use]
pub fn to_json(diagnostic: &Diagnostic, files: &Files) -> Value {
    let related = diagnostic.related.iter().map(|related| {
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

fn placed(place: Option<Span>, files: &Files) -> Value {
    match place {
        None => json!({ "file": null, "line": null, "column": null }),
        Some(place) => {
            let (line, column) = files.line_column(place);
            json!({ "file": files.of(place).path, "line": line, "column": column })
        }
    }
}
