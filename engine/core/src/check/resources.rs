//! No process asks for more of a lock or a semaphore than there can be.

use std::collections::BTreeMap;

use super::{Findings, Subject, codes, related};
use crate::graph::Resolved;
use crate::source::Span;
use crate::spec::Declared;
use crate::spec::target::{Role, Target};

/// What one process asks for at once of one lock or semaphore.
struct Demand<'a> {
    name: &'a str,
    target: Target,
    permits: u64,
    times: u32,
    first: Span,
    last: Span,
}

pub(super) fn are_enough(subject: &Subject, findings: &mut Findings) {
    for (declared, _, touches) in subject.touching() {
        let certain = demands(touches).filter(|demand| subject.doubt(demand.name).is_none());
        for demand in certain {
            judge(subject, declared, &demand, findings);
        }
    }
}

fn demands<'a>(touches: &[Resolved<'a>]) -> impl Iterator<Item = Demand<'a>> + use<'a> {
    let mut demands: BTreeMap<&str, Demand> = BTreeMap::new();
    let holds = |role| matches!(role, Role::Holds | Role::Acquires);
    for Resolved { touch, target } in touches.iter().filter(|resolved| holds(resolved.touch.role)) {
        let Some(target) = target else {
            continue;
        };
        let demand = demands.entry(&touch.on.name).or_insert_with(|| Demand {
            name: &touch.on.name,
            target: target.clone(),
            permits: 0,
            times: 0,
            first: touch.on.place,
            last: touch.on.place,
        });
        demand.permits += u64::from(touch.permits);
        demand.times += 1;
        demand.last = touch.on.place;
    }
    demands.into_values()
}

fn judge(subject: &Subject, declared: &Declared, demand: &Demand, findings: &mut Findings) {
    let workflow = subject.workflow;
    if let Some(id) = demand.target.semaphore() {
        let semaphore = &workflow.semaphores[id.index()];
        if demand.permits > u64::from(semaphore.permits) {
            too_many(declared, demand, semaphore.permits, semaphore.declared.place, findings);
        }
    } else if let Some(id) = demand.target.lock() {
        let lock = &workflow.locks[id.index()];
        if lock.reentrant {
            return;
        }
        if demand.times > 1 {
            held_twice(declared, demand, findings);
        } else if demand.permits > 1 {
            too_many(declared, demand, 1, lock.declared.place, findings);
        }
    }
}

fn too_many(declared: &Declared, demand: &Demand, permits: u32, place: Span, findings: &mut Findings) {
    let (name, wanted) = (demand.name, demand.permits);
    let message = format!(
        "`{}` asks for {wanted} permits of `{name}`, which has {permits}",
        declared.name
    );
    let finding = findings.error(codes::TOO_MANY_PERMITS, demand.last, message);
    finding.help = Some(format!("ask for at most {permits}, or give `{name}` more"));
    finding.related.push(related(place, "declared here"));
}

fn held_twice(declared: &Declared, demand: &Demand, findings: &mut Findings) {
    let name = demand.name;
    let message = format!(
        "`{}` acquires `{name}` while it holds it, and would wait for itself",
        declared.name
    );
    let finding = findings.error(codes::LOCK_HELD_TWICE, demand.last, message);
    finding.help = Some("name it once, or make the lock `reentrant: true`".to_owned());
    finding.related.push(related(demand.first, "first here"));
}
