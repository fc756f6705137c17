//! Stand-ins.
#![expect(missing_docs, reason = "stand-ins")]
pub mod check {
    pub fn check(_: &forkyard_core::spec::Workflow) -> Vec<forkyard_core::diagnostic::Diagnostic> {
        Vec::new()
    }
}
pub mod graph {
    pub struct Graph;
    impl Graph {
        pub fn of(_: &forkyard_core::spec::Workflow) -> Self {
            Self
        }
        pub fn dot(&self) -> String {
            String::new()
        }
        pub fn mermaid(&self) -> String {
            String::new()
        }
        pub fn json(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }
}
pub mod diagnostic {
    pub use forkyard_core::diagnostic::*;
    use forkyard_core::source::Files;
    pub struct Style {
        pub color: bool,
        pub width: usize,
    }
    pub fn render_all(found: &[Diagnostic], _: &Files, _: Style) -> String {
        found.iter().map(|d| format!("{d:?}\n")).collect()
    }
    pub fn to_json(_: &Diagnostic, _: &Files) -> serde_json::Value {
        serde_json::Value::Null
    }
}
pub mod spec {
    use forkyard_core::source::Files;
    pub use forkyard_core::spec::*;
    use std::collections::BTreeMap;
    pub trait Loader {
        fn load(&mut self, path: &str) -> Result<Vec<u8>, String>;
    }
    pub struct Request<'a> {
        pub paths: &'a [String],
        pub params: &'a [(String, String)],
        pub environment: &'a BTreeMap<String, String>,
        pub cpus: u32,
    }
    pub struct Loaded {
        pub workflow: Option<Workflow>,
        pub files: Files,
        pub diagnostics: Vec<forkyard_core::diagnostic::Diagnostic>,
        pub readable: bool,
    }
    pub fn read(_: &Request, _: &mut dyn Loader) -> Loaded {
        Loaded {
            workflow: None,
            files: Files::default(),
            diagnostics: Vec::new(),
            readable: false,
        }
    }
    pub fn duration(_: &str) -> Option<std::time::Duration> {
        None
    }
}
