//! What a restart means for those who share something with the restarted one.

use super::{Findings, Subject, codes, related};
use crate::spec::target::{Role, Target};
use crate::spec::{Body, Condition, Policy, Wish};

/// Items that a process has read of its stdin are acknowledged: another life of it does not get them again.
pub(super) fn lose_no_item(subject: &Subject, findings: &mut Findings) {
    for (declared, body, touches) in subject.touching() {
        let Wish::When(_) = &body.restart else { continue };
        for touch in touches {
            let reads = matches!(touch.touch.role, Role::Stdin | Role::Receive(_));
            if let Some(Target::Queue(_)) = &touch.target
                && reads
            {
                let (process, queue) = (&declared.name, &touch.touch.on.name);
                let message =
                    format!("`{process}` is restarted, and the items of `{queue}` that it had read are lost then");
                let finding = findings.warning(codes::LOST_AT_RESTART, touch.touch.on.place, message);
                finding.help = Some(format!(
                    "let a pool take the tasks from `{queue}`, which acknowledges one only when it is done; \
                     or take and acknowledge items by the client library"
                ));
            }
        }
    }
}

/// The end of a process that is started again whatever its end was does not come.
pub(super) fn are_not_waited_for(subject: &Subject, findings: &mut Findings) {
    if !subject.bodies().any(|(_, body)| is_endless(body)) {
        return;
    }
    for (declared, body, touches) in subject.touching() {
        for (after, target) in crate::graph::waits(body, touches).filter(|(after, _)| after.timeout.is_none()) {
            let Some(first) = target.process_ids().next() else {
                continue;
            };
            let process = &subject.workflow.processes[first.index()];
            let waits_for_end = matches!(after.is, None | Some(Condition::Succeeded | Condition::Finished));
            if waits_for_end && is_endless(&process.body) && !process.body.daemon {
                let (waiter, other) = (&declared.name, &after.on.name);
                let message = format!("`{waiter}` waits for the end of `{other}`, which is always started again");
                let finding = findings.warning(codes::WAITS_FOR_SERVICE, after.on.place, message);
                let instead = if process.body.ready.is_some() {
                    "ready"
                } else {
                    "started"
                };
                finding.help = Some(format!(
                    "write `{{{other}: {instead}}}`, or restart `{other}` `on-failure` only"
                ));
                finding
                    .related
                    .push(related(process.declared.place, "it is declared here"));
            }
        }
    }
}

fn is_endless(body: &Body) -> bool {
    matches!(&body.restart, Wish::When(restart) if restart.policy == Policy::Always)
}
