//! The rules: each finds one kind of mistake and reports every place of it.
//!
//! A finding is an error only when the workflow cannot do what it says; what is merely unlikely to
//! be meant is a warning. Every rule is close to linear in the size of the workflow.

mod channels;
mod conditions;
mod cycles;
mod events;
mod knots;
mod pools;
mod references;
mod resources;
mod steps;
mod unused;

use crate::diagnostic::{Code, Diagnostic, Related, Severity, codes, in_order};
use crate::graph::Graph;
use crate::source::Span;
use crate::spec::target::Names;
use crate::spec::{Body, Declared, Doubt, Partial, Workflow};

/// All that is wrong with the structure of `workflow`, in the order of the file.
///
/// Without an error among the findings, [`crate::plan::build`] succeeds.
#[must_use]
pub fn check(workflow: &Workflow) -> Vec<Diagnostic> {
    judge(&Subject::of(workflow, None), [RULES_OF_ANY, RULES_OF_WHOLE])
}

/// What is wrong with the structure of a workflow that has other mistakes, as far as it cannot merely follow from
/// those: nothing is told because of something that is not there.
#[must_use]
pub fn check_partial(partial: &Partial) -> Vec<Diagnostic> {
    judge(&Subject::of(&partial.workflow, Some(partial)), [RULES_OF_ANY])
}

fn judge<const LISTS: usize>(subject: &Subject, rules: [&[Rule]; LISTS]) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    for rule in rules.into_iter().flatten() {
        rule(subject, &mut findings);
    }
    findings.in_order()
}

/// One rule.
type Rule = fn(&Subject, &mut Findings);

/// Rules about what is there, which more of the workflow could not make sound.
const RULES_OF_ANY: &[Rule] = &[
    references::resolve,
    references::are_written_once,
    conditions::can_come,
    cycles::are_none,
    channels::pipe_ends_are_taken_once,
    channels::pipe_peers_run_together,
    resources::are_enough,
    pools::take_whom_they_can,
    pools::are_answered,
];

/// Rules about what is missing, for which the whole workflow must be known.
const RULES_OF_WHOLE: &[Rule] = &[
    channels::pipes_have_two_ends,
    channels::queues_have_both_sides,
    events::are_set_and_waited_for,
    knots::are_none,
    unused::declarations,
    unused::there_is_work,
];

/// What the rules look at.
struct Subject<'a> {
    workflow: &'a Workflow,
    names: Names<'a>,
    graph: Graph,
    /// What is in doubt about a workflow with mistakes.
    partial: Option<&'a Partial>,
}

impl<'a> Subject<'a> {
    fn of(workflow: &'a Workflow, partial: Option<&'a Partial>) -> Self {
        Self {
            workflow,
            names: Names::of(workflow),
            graph: Graph::of(workflow),
            partial,
        }
    }

    /// What is in doubt about what `name`, or what it is a part of, stands for.
    fn doubt(&self, name: &str) -> Option<Doubt> {
        let base = name.split('.').next().unwrap_or(name);
        self.partial?.doubts.get(base).copied()
    }

    /// Whether every touch of the workflow is known: what a process touches whose `if` is false is not.
    fn is_whole(&self) -> bool {
        self.workflow.absent.is_empty()
    }

    /// All processes, instance by instance, and pools.
    fn bodies(&self) -> impl Iterator<Item = (&'a Declared, &'a Body)> + use<'a> {
        let workflow = self.workflow;
        let processes = workflow
            .processes
            .iter()
            .map(|process| (&process.declared, &process.body));
        processes.chain(workflow.pools.iter().map(|pool| (&pool.declared, &pool.body)))
    }
}

/// What the rules have found.
#[derive(Default)]
struct Findings {
    list: Vec<Diagnostic>,
}

impl Findings {
    fn error(&mut self, code: Code, place: Span, message: String) -> &mut Diagnostic {
        self.add(code, Severity::Error, Some(place), message)
    }

    fn warning(&mut self, code: Code, place: Span, message: String) -> &mut Diagnostic {
        self.add(code, Severity::Warning, Some(place), message)
    }

    fn add(&mut self, code: Code, severity: Severity, place: Option<Span>, message: String) -> &mut Diagnostic {
        self.list.push(Diagnostic {
            code,
            severity,
            place,
            message,
            help: None,
            related: Vec::new(),
        });
        self.list.last_mut().expect("a finding was just added")
    }

    /// The findings by their place; what was found in each instance of a process is told once.
    fn in_order(self) -> Vec<Diagnostic> {
        in_order(self.list)
    }
}

fn related(place: Span, message: impl Into<String>) -> Related {
    Related {
        place,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
