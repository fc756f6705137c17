//! What is wrong with a workflow, where, and what to do about it.

use crate::source::Span;

mod allow;
pub mod codes;
mod findings;
mod github;
mod harmless;
mod json;
mod junit;
mod lookalike;
mod policy;
mod render;
mod report;
mod sarif;
#[cfg(test)]
mod tests_support;

pub use allow::{Permission, can_be_allowed, rule_of};
pub use findings::in_order;
pub(crate) use findings::{Findings, nearest};
pub use github::annotations;
pub use harmless::shown;
pub use json::{json_text, list, to_json};
pub use junit::to_junit;
pub(crate) use lookalike::{difference, meant, meant_as, seeming};
pub use policy::{Allowed, Judgement, Policy, judge, without_allowed};
pub use render::{Style, render, render_all};
pub use report::{Kept, Report, Verdict};
pub use sarif::to_sarif;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The workflow cannot run.
    Error,
    /// It can run, but hardly does what was meant.
    Warning,
}

/// A further place that explains a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Span,
    /// What is to be seen there, a few words: it stands beside the line.
    pub message: String,
}

/// One finding about a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding; stable, see [`Code`].
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where; `None` when it is about no line of a file (a missing file, say).
    pub place: Option<Span>,
    /// One sentence without a full stop: what is wrong, in the words of the file.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

/// The stable code of a kind of finding, `FY` and three digits: `FY0xx` the file could not be read,
/// `FY1xx` the language, `FY2xx` the structure of the graph, `FY3xx` the machine it is to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FY{:03}", self.0)
    }
}

/// A kind of finding, as the pages, `forkyard explain` and the reports list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub code: Code,
    /// How bad a finding of it is, unless the rule has a reason to say otherwise of one.
    pub severity: Severity,
    /// What is found, a few words without a full stop.
    pub title: &'static str,
}

/// Every kind of finding there is, in the order of the codes.
#[must_use]
pub const fn catalogue() -> &'static [Rule] {
    codes::ALL
}

impl Rule {
    /// The entry of `code` in the [`catalogue`].
    #[must_use]
    pub fn of(code: Code) -> Option<&'static Self> {
        let index = catalogue().binary_search_by_key(&code, |rule| rule.code).ok()?;
        catalogue().get(index)
    }
}
