//! What becomes of findings: some are allowed, in the file or by who asks, and some warnings count as errors.

use std::collections::BTreeSet;

use super::allow::{Allows, Permission};
use super::{Code, Diagnostic, Rule, Severity, can_be_allowed, in_order};
use crate::source::Files;

/// What who asks for the findings wants of them, beside what the files say.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Codes that are allowed everywhere.
    pub allowed: BTreeSet<Code>,
    /// Codes of which a warning is an error.
    pub denied: BTreeSet<Code>,
    /// Whether every warning is an error.
    pub deny_warnings: bool,
}

/// A finding that counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The finding.
    pub diagnostic: Diagnostic,
    /// The comment that allows it; `None` when who asks does.
    pub comment: Option<Permission>,
}

/// The findings of a workflow, parted.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Those that count, in the order of the files.
    pub findings: Vec<Diagnostic>,
    /// Those that do not.
    pub allowed: Vec<Allowed>,
}

/// Parts what was `found` in `files`, and adds what is wrong with the comments that allow something. An `allow` that
/// silences nothing is told only of a workflow that was read as a `whole`: of another not everything is found.
#[must_use]
pub fn judge(found: Vec<Diagnostic>, files: &Files, policy: &Policy, whole: bool) -> Judgement {
    let mut allows = Allows::of(files);
    let mut judgement = Judgement::default();
    judgement.part(found, policy, &mut allows);
    let complaints = allows.complaints(whole);
    judgement.part(complaints, policy, &mut allows);
    judgement.findings = in_order(judgement.findings);
    for finding in &mut judgement.findings {
        if policy.deny_warnings || policy.denied.contains(&finding.code) {
            finding.severity = Severity::Error;
        }
    }
    judgement
}

impl Judgement {
    fn part(&mut self, found: Vec<Diagnostic>, policy: &Policy, allows: &mut Allows) {
        for diagnostic in found {
            // A comment is used also when there would be no need of it, and a warning of it would be of no use.
            let comment = allows.permission(&diagnostic);
            let by_policy = policy.allowed.contains(&diagnostic.code) && is_allowable(&diagnostic);
            if comment.is_some() || by_policy {
                self.allowed.push(Allowed { diagnostic, comment });
            } else {
                self.findings.push(diagnostic);
            }
        }
    }
}

/// Whether this finding, and not only others of its code, may be silenced.
pub(super) fn is_allowable(found: &Diagnostic) -> bool {
    let is_language = found.code.0 < 200 && found.severity == Severity::Error;
    !is_language && Rule::of(found.code).is_none_or(can_be_allowed)
}

/// What of `found` the files do not allow. The comments themselves are judged elsewhere.
#[must_use]
pub fn without_allowed(found: Vec<Diagnostic>, files: &Files) -> Vec<Diagnostic> {
    let mut allows = Allows::of(files);
    found
        .into_iter()
        .filter(|found| allows.permission(found).is_none())
        .collect()
}

#[cfg(test)]
mod tests;
