//! Groups: who is in them, and what that means for those who say nothing of restarts themselves.

use super::Builder;
use crate::id::{GroupId, ProcessId};
use crate::plan::{Group, Intensity, Policy, Restart};
use crate::spec::target::Role;
use crate::spec::{self, Wish};

impl Builder<'_> {
    pub(super) fn add_group(&mut self, id: GroupId, group: &spec::Group) {
        let mut members: Vec<ProcessId> = Vec::new();
        for member in &group.members {
            if let Some(target) = self.resolve(Role::Members, member) {
                members.extend(target.process_ids());
            }
        }
        for member in &members {
            self.plan.processes[member.index()].group = Some(id);
            if self.workflow.processes[member.index()].body.restart == Wish::Unsaid {
                self.plan.processes[member.index()].restart = Some(of_group(group.intensity));
            }
        }
        self.plan.groups.push(Group {
            name: group.declared.name.clone(),
            members,
            strategy: group.strategy,
            intensity: group.intensity,
        });
    }
}

/// A member that says nothing of restarts is started again after a failure, as often as its group allows.
fn of_group(intensity: Intensity) -> Restart {
    Restart {
        intensity,
        ..Restart::under(Policy::OnFailure)
    }
}
