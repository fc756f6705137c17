//! What the tests of the formats share.

use super::{Code, Diagnostic, Related, Severity};
use crate::source::{File, Files, Span};

/// A workflow of one file.
pub(super) fn workflow(text: &str) -> Files {
    named("flow.yaml", text)
}

/// A workflow of one file of this name.
pub(super) fn named(path: &str, text: &str) -> Files {
    let mut files = Files::default();
    files.add(File {
        path: path.to_owned(),
        text: text.into(),
    });
    files
}

/// A finding about the first place where this word stands.
pub(super) fn found(files: &Files, code: Code, word: &str) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        place: Some(place(files, word)),
        message: format!("`{word}` is wrong"),
        help: Some("mend it".to_owned()),
        related: Vec::new(),
    }
}

/// A further place.
pub(super) fn related(files: &Files, word: &str) -> Related {
    Related {
        place: place(files, word),
        message: "it is here".to_owned(),
    }
}

fn place(files: &Files, word: &str) -> Span {
    let start = files.all()[0].text.find(word).expect("the word is there");
    Span::between(0, start, start + word.len())
}
