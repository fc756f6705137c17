//! Any bytes, read as a workflow: no panic, no hang, and a plan wherever nothing is wrong.
#![no_main]

use std::collections::BTreeMap;

use forkyard_core::check::{check, check_partial};
use forkyard_core::diagnostic::{Severity, Style, render_all};
use forkyard_core::graph::Graph;
use forkyard_core::plan;
use forkyard_core::spec::{Loader, Request, read};
use libfuzzer_sys::fuzz_target;

/// The one file there is.
struct Only<'a>(&'a [u8]);

impl Loader for Only<'_> {
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path == "flow.yaml" {
            Ok(self.0.to_vec())
        } else {
            Err("there is no such file".to_owned())
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let request = Request {
        paths: &["flow.yaml".to_owned()],
        params: &[("n".to_owned(), "2".to_owned())],
        environment: &BTreeMap::from([("USER".to_owned(), "ada".to_owned())]),
        cpus: 2,
    };
    let loaded = read(&request, &mut Only(bytes));
    assert_eq!(loaded.workflow.is_some(), loaded.diagnostics.is_empty());
    let style = Style { color: false, width: 80 };
    assert_eq!(render_all(&loaded.diagnostics, &loaded.files, style).is_empty(), loaded.diagnostics.is_empty());
    if let Some(partial) = &loaded.partial {
        let _shown = render_all(&check_partial(partial), &loaded.files, style);
    }
    let Some(workflow) = loaded.workflow else { return };
    let findings = check(&workflow);
    let _shown = render_all(&findings, &loaded.files, style);
    let graph = Graph::of(&workflow);
    let _drawn = (graph.dot(), graph.mermaid(), graph.json());
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        assert!(plan::build(&workflow).is_ok(), "a sound workflow has a plan");
    }
});
