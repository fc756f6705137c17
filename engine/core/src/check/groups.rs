//! Groups take each process once, and only processes whose end means something to them.

use std::collections::BTreeMap;

use super::{Findings, Subject, codes, related};
use crate::spec::target::Role;
use crate::spec::{Reference, Wish};

/// Who is to be restarted with whom must be certain.
pub(super) fn have_members_of_their_own(subject: &Subject, findings: &mut Findings) {
    let mut taken: BTreeMap<u32, (usize, &Reference)> = BTreeMap::new();
    for (index, group) in subject.workflow.groups.iter().enumerate() {
        for member in &group.members {
            let Ok(target) = subject.names.resolve(Role::Members, member) else {
                continue;
            };
            for process in target.process_ids() {
                let (first, place) = *taken.entry(process.0).or_insert((index, member));
                if first != index {
                    let message = format!("`{}` is a member of two groups", member.name);
                    let finding = findings.error(codes::IN_TWO_GROUPS, member.place, message);
                    finding.help = Some("let it be in one of them, or make one group of both".to_owned());
                    finding
                        .related
                        .push(related(place.place, "it is a member here already"));
                    break;
                }
            }
        }
    }
}

/// A member that has one life takes no part in what its group is for.
pub(super) fn have_members_that_are_restarted(subject: &Subject, findings: &mut Findings) {
    for group in &subject.workflow.groups {
        for member in &group.members {
            let Ok(target) = subject.names.resolve(Role::Members, member) else {
                continue;
            };
            let first = target.process_ids().next();
            let body = first.map(|id| &subject.workflow.processes[id.index()].body);
            if body.is_some_and(|body| body.restart == Wish::Never) {
                let message = format!("`{}` is never restarted, so its group is nothing to it", member.name);
                let finding = findings.warning(codes::MEMBER_WITH_ONE_LIFE, member.place, message);
                finding.help = Some("take it out of the group, or remove its `restart: never`".to_owned());
            }
        }
    }
}
