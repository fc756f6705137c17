//! Stand-ins.
#![expect(missing_docs, reason = "stand-ins")]
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
