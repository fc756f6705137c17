//! What `after` waits for can come.

use super::order::{Party, parties};
use super::{Findings, Subject, codes, related};
use crate::graph::{condition_word, waits};
use crate::source::Span;
use crate::spec::target::Target;
use crate::spec::{After, Body, Condition, Doubt, OnFailure};

pub(super) fn can_come(subject: &Subject, findings: &mut Findings) {
    for (_, body, touches) in subject.touching() {
        for (after, target) in waits(body, touches) {
            if let Some(is) = after.is {
                match (fits(is, target), subject.doubt(&after.on.name)) {
                    (true, None) => comes(subject, after, is, target, findings),
                    (false, None | Some(Doubt::Fields)) => misfit(after, is, target, findings),
                    (true, Some(Doubt::Fields)) | (_, Some(Doubt::Kind)) => {}
                }
            }
        }
    }
}

fn fits(is: Condition, target: &Target) -> bool {
    match is {
        Condition::Started | Condition::Ready | Condition::Succeeded | Condition::Failed | Condition::Finished => {
            matches!(target, Target::Processes(_) | Target::Absent | Target::Pool(_))
        }
        Condition::Set => matches!(target, Target::Event(_)),
        Condition::Drained => matches!(target, Target::Queue(_)),
    }
}

fn misfit(after: &After, is: Condition, target: &Target, findings: &mut Findings) {
    let (name, word) = (&after.on.name, condition_word(is));
    let message = format!("`{name}` is {}, which is never `{word}`", target.kind());
    let finding = findings.error(codes::CONDITION_OF_OTHER_KIND, after.on.place, message);
    finding.help = Some(match target.default_condition() {
        Some(Condition::Set) => "the condition of an event is `set`".to_owned(),
        Some(Condition::Drained) => "the condition of a queue is `drained`".to_owned(),
        Some(_) | None => "use `started`, `succeeded`, `failed` or `finished`".to_owned(),
    });
}

fn comes(subject: &Subject, after: &After, is: Condition, target: &Target, findings: &mut Findings) {
    let name = &after.on.name;
    let mut never = |message: String, help: &str| {
        let finding = findings.error(codes::CONDITION_NEVER_COMES, after.on.place, message);
        finding.help = Some(help.to_owned());
    };
    match is {
        Condition::Ready if !is_looked_at(subject, target) => never(
            format!("it cannot be seen whether `{name}` is ready"),
            "wait for `started`, or for an event that it sets when it is ready",
        ),
        Condition::Failed if matches!(target, Target::Absent) => never(
            format!("no instance of `{name}` runs, so it cannot fail"),
            "give what waits for its failure the same `if`",
        ),
        Condition::Failed if is_ignored(subject, target) => never(
            format!("`{name}` cannot fail: with `on_failure: ignore` a failure counts as a success"),
            "wait for `finished`, or let it fail",
        ),
        Condition::Failed
        | Condition::Ready
        | Condition::Started
        | Condition::Succeeded
        | Condition::Finished
        | Condition::Set
        | Condition::Drained => {}
    }
}

/// Whether it can be seen that `target` is ready; for a process that does not run nobody waits.
fn is_looked_at(subject: &Subject, target: &Target) -> bool {
    matches!(target, Target::Absent) || body(subject, target).is_some_and(|body| body.ready.is_some())
}

/// Whether a failure of `target` counts as a success.
fn is_ignored(subject: &Subject, target: &Target) -> bool {
    let otherwise = subject.workflow.options.on_failure;
    body(subject, target).is_some_and(|body| body.on_failure.unwrap_or(otherwise) == OnFailure::Ignore)
}

/// The body of a process, of which all instances have the same keys, or of a pool.
fn body<'a>(subject: &Subject<'a>, target: &Target) -> Option<&'a Body> {
    let workflow = subject.workflow;
    let process = target.process_ids().next();
    let process = process.map(|id| &workflow.processes[id.index()].body);
    process.or_else(|| target.pool().map(|pool| &workflow.pools[pool.index()].body))
}

/// Nobody waits for the success of something and, over whatever way, for its failure too.
pub(super) fn do_not_exclude(subject: &Subject, findings: &mut Findings) {
    let workflow = subject.workflow;
    let asks_for_failure = |(_, body): (_, &Body)| body.after.iter().any(|after| after.is == Some(Condition::Failed));
    if !subject.bodies().any(asks_for_failure) {
        return;
    }
    let mut excluded = Vec::new();
    for party in parties(workflow) {
        let in_pool = match party {
            Party::Process(index) => workflow.processes[index].pool.is_some(),
            Party::Pool(_) => false,
        };
        // With a single wait it is as impossible as what it waits for.
        if party.body(workflow).after.len() + usize::from(in_pool) < 2 {
            continue;
        }
        let Some(facts) = subject.before(party) else {
            return;
        };
        if let Some(contradiction) = facts.contradiction() {
            excluded.push((party, contradiction, facts));
        }
    }
    // Who starts after one of these is not told again.
    let roots: Vec<Party> = excluded.iter().map(|(party, ..)| *party).collect();
    for (party, contradiction, facts) in excluded {
        if !roots.iter().any(|root| facts.has_started(*root)) {
            exclude(subject, party, contradiction, findings);
        }
    }
}

fn exclude(subject: &Subject, party: Party, contradiction: (Party, Span, Span), findings: &mut Findings) {
    let workflow = subject.workflow;
    let (on, failed, succeeded) = contradiction;
    let [waiter, on] = [party, on].map(|party| party.name(workflow));
    let message = format!("`{waiter}` starts only after `{on}` has failed, and only after it has succeeded");
    let finding = findings.error(codes::CONDITIONS_EXCLUDE, failed, message);
    finding.help = Some(format!(
        "it never starts: remove one of these waits, or wait for `{{{on}: finished}}`"
    ));
    if failed != succeeded {
        finding
            .related
            .push(related(succeeded, format!("this needs `{on}` to succeed")));
    }
}
