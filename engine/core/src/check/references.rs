//! Every reference names something, of a kind its place takes, and names it once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Subject, codes, related};
use crate::graph::{touches, touches_of_process};
use crate::spec::target::Role;
use crate::spec::{Reference, Workflow};

/// How many pairs of an unknown and a known name are compared to suggest one for the other: a second's work
/// at most, and enough for ten thousand mistakes among fifty names.
const COMPARISONS_MAX: usize = 500_000;

pub(super) fn resolve(subject: &Subject, findings: &mut Findings) {
    let mut suggestions = BTreeMap::new();
    let suggestions_max = COMPARISONS_MAX / subject.names.count().max(1);
    for (role, reference) in all(subject.workflow) {
        let Err(mut diagnostic) = subject.names.resolve(role, reference) else {
            continue;
        };
        let name = reference.name.as_str();
        let unknown = diagnostic.code == codes::UNKNOWN_REFERENCE && diagnostic.help.is_none();
        if unknown && (suggestions.len() < suggestions_max || suggestions.contains_key(name)) {
            let suggestion = suggestions.entry(name).or_insert_with(|| subject.names.nearest(name));
            diagnostic.help = suggestion.map(|(known, kind)| format!("did you mean the {kind} `{known}`?"));
        }
        findings.list.push(diagnostic);
    }
}

/// Every reference of the workflow with its role.
fn all(workflow: &Workflow) -> impl Iterator<Item = (Role, &Reference)> {
    let processes = workflow.processes.iter().flat_map(touches_of_process);
    let pools = workflow
        .pools
        .iter()
        .flat_map(|pool| touches(&pool.body, Role::TaskSource));
    let members = workflow.groups.iter().flat_map(|group| &group.members);
    processes
        .chain(pools)
        .map(|touch| (touch.role, touch.on))
        .chain(members.map(|member| (Role::Members, member)))
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
        list_once(Role::After, body.after.iter().map(|after| &after.on), findings);
    }
    for group in &subject.workflow.groups {
        list_once(Role::Members, &group.members, findings);
    }
}

fn list_once<'a>(role: Role, list: impl IntoIterator<Item = &'a Reference>, findings: &mut Findings) {
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
