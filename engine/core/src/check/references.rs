//! Every reference names something, of a kind its place takes, and names it once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Subject, codes, related};
use crate::diagnostic::{Diagnostic, meant_as};
use crate::spec::target::Role;
use crate::spec::{After, Condition, Doubt, Reference};

/// How many pairs of an unknown and a known name are compared to suggest one for the other: a second's work
/// at most, and enough for ten thousand mistakes among fifty names.
const COMPARISONS_MAX: usize = 500_000;

/// Comparing each of so many with each other is faster than a table.
const WAITS_FEW: usize = 16;

pub(super) fn resolve(subject: &Subject, findings: &mut Findings) {
    let mut suggestions = BTreeMap::new();
    let suggestions_max = COMPARISONS_MAX / subject.names.count().max(1);
    for resolved in subject
        .touches
        .all()
        .iter()
        .filter(|resolved| resolved.target.is_none())
    {
        let reference = resolved.touch.on;
        let Err(mut diagnostic) = subject.names.resolve(resolved.touch.role, reference) else {
            continue;
        };
        let name = reference.name.as_str();
        if is_doubtful(subject, &diagnostic, name) {
            continue;
        }
        let unknown = diagnostic.code == codes::UNKNOWN_REFERENCE && diagnostic.help.is_none();
        if unknown && (suggestions.len() < suggestions_max || suggestions.contains_key(name)) {
            let suggestion = suggestions.entry(name).or_insert_with(|| subject.names.nearest(name));
            diagnostic.help = suggestion.map(|(known, kind)| meant_as(name, kind, known));
        }
        findings.list.push(diagnostic);
    }
}

/// Whether a reference only seems to be wrong, because of a mistake in what it may stand for.
fn is_doubtful(subject: &Subject, diagnostic: &Diagnostic, name: &str) -> bool {
    let is_pipe = || {
        subject
            .names
            .look_up(name)
            .is_some_and(|target| target.pipe().is_some())
    };
    match subject.doubt(name) {
        Some(Doubt::Kind) => true,
        // Whether a pipe has ends, and which instances a process has, is said by its fields.
        Some(Doubt::Fields) => name.contains('.') || is_pipe(),
        None => {
            let has_all_names = subject.partial.is_none_or(|partial| partial.has_all_names);
            !has_all_names && diagnostic.code == codes::UNKNOWN_REFERENCE && subject.names.place(name).is_none()
        }
    }
}

pub(super) fn are_written_once(subject: &Subject, findings: &mut Findings) {
    for (_, body) in subject.bodies() {
        for (role, list) in [
            (Role::Sends, &body.sends),
            (Role::Receives, &body.receives),
            (Role::Connects, &body.connects),
            (Role::Sets, &body.sets),
            (Role::Waits, &body.waits),
        ] {
            list_once(role, list, findings);
        }
        waits_once(&body.after, findings);
    }
    for group in &subject.workflow.groups {
        list_once(Role::Members, &group.members, findings);
    }
}

/// Two conditions of one thing are two waits.
fn waits_once(after: &[After], findings: &mut Findings) {
    // Of a few it is seen at once, without a table, that all differ.
    let differs = |(at, wait): (usize, &After)| after[..at].iter().all(|other| other.on.name != wait.on.name);
    if after.len() <= WAITS_FEW && after.iter().enumerate().all(differs) {
        return;
    }
    let mut lists: BTreeMap<Option<Condition>, Vec<&Reference>> = BTreeMap::new();
    for wait in after {
        lists.entry(wait.is).or_default().push(&wait.on);
    }
    for list in lists.into_values() {
        list_once(Role::After, list, findings);
    }
}

fn list_once<'a>(role: Role, list: impl IntoIterator<Item = &'a Reference>, findings: &mut Findings) {
    let mut list = list.into_iter().peekable();
    let first = list.next();
    if list.peek().is_none() {
        return;
    }
    let list = first.into_iter().chain(list);
    let mut seen: BTreeMap<&str, &Reference> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for reference in list {
        let first = *seen.entry(&reference.name).or_insert(reference);
        if !std::ptr::eq(first, reference) && told.insert(&reference.name) {
            let message = format!("`{}` stands twice in `{role}`", reference.name);
            let finding = findings.warning(codes::REPEATED_REFERENCE, reference.place, message);
            finding.help = Some("remove one of them".to_owned());
            finding.related.push(related(first.place, "first here"));
        }
    }
}
