//! Small workflows for tests, in the language itself, without its version.

use std::collections::BTreeMap;

use crate::source::{Files, Span};
use crate::spec::{Loaded, Loader, Request, Workflow, read};

/// The one file there is.
struct Only<'a>(&'a str);

impl Loader for Only<'_> {
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String> {
        // The version stands at the end, so that places are those in the sample.
        match (path, self.0.trim_end().strip_suffix('}')) {
            ("sample.yaml", Some(inside)) if self.0.starts_with('{') => Ok(format!("{inside}, forkyard: 1}}").into()),
            ("sample.yaml", _) => Ok(format!("{}\nforkyard: 1\n", self.0).into()),
            _ => Err("there is no such file".to_owned()),
        }
    }
}

/// What comes of reading `text` with its version.
pub fn loaded(text: &str) -> Loaded {
    let request = Request {
        paths: &["sample.yaml".to_owned()],
        params: &[],
        environment: &BTreeMap::new(),
        cpus: 2,
    };
    read(&request, &mut Only(text))
}

/// The workflow that `text` describes.
#[track_caller]
pub fn workflow(text: &str) -> Workflow {
    let loaded = loaded(text);
    loaded
        .workflow
        .unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics))
}

/// `line:column` of a place.
pub fn line_column(files: &Files, place: Span) -> String {
    let (line, column) = files.line_column(place);
    format!("{line}:{column}")
}
