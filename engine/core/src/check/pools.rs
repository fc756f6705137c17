//! Pools take the processes they can take, and their answers are read.

use super::{Findings, Subject, codes, related};
use crate::graph::Resolved;
use crate::spec::target::{Role, Target};
use crate::spec::{Stream, WorkerKind};

pub(super) fn take_whom_they_can(subject: &Subject, findings: &mut Findings) {
    let touches = subject.touches.all().iter();
    for placed in touches.filter(|resolved| resolved.touch.role == Role::InPool) {
        let reference = placed.touch.on;
        let pool = placed.target.as_ref().and_then(Target::pool);
        let pool = pool.map(|id| &subject.workflow.pools[id.index()]);
        if let Some(run) = pool.and_then(|pool| pool.body.run.as_ref()) {
            let message = format!("the pool `{}` has workers of its own and no slots", reference.name);
            let finding = findings.error(codes::POOL_WITHOUT_SLOTS, reference.place, message);
            finding.help = Some("processes run in a pool without `run`".to_owned());
            finding.related.push(related(run.place, "its workers run this"));
        }
    }
}

/// A persistent worker answers each task with a line of its stdout, which the engine must see.
pub(super) fn are_answered(subject: &Subject, findings: &mut Findings) {
    for (index, pool) in subject.workflow.pools.iter().enumerate() {
        let lost = match &pool.body.stdout {
            Stream::Null | Stream::Inherit | Stream::File(..) | Stream::Append(..) => true,
            Stream::Channel(_) => is_piped(subject.touches.of_pool(index)),
            Stream::Log | Stream::Stdout | Stream::Text(_) => false,
        };
        if lost && pool.worker == WorkerKind::Persistent {
            let message = format!(
                "the answers of the persistent workers of `{}` are not read",
                pool.declared.name
            );
            let finding = findings.error(codes::ANSWERS_LOST, pool.declared.place, message);
            finding.help = Some("let `stdout` lead to a queue or to the log".to_owned());
        }
    }
}

fn is_piped(touches: &[Resolved]) -> bool {
    let mut stdout = touches.iter().filter(|resolved| resolved.touch.role == Role::Stdout);
    stdout.any(|resolved| resolved.target.as_ref().and_then(Target::pipe).is_some())
}
