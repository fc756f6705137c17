//! The rules: each finds one kind of mistake and reports every place of it.
//!
//! A finding is an error only when the workflow cannot do what it says; what is merely unlikely to
//! be meant is a warning. Every rule is close to linear in the size of the workflow.

mod channels;
mod conditions;
mod cycles;
mod daemons;
mod deadlock;
mod events;
mod files;
mod groups;
mod kept;
mod knots;
mod order;
mod pools;
mod protocol;
mod references;
mod resources;
mod restarts;
mod sockets;
mod steps;
mod together;
mod unused;
mod written;

pub use self::deadlock::{DeadlockVerdict, Deadlocks, deadlocks};
use self::order::{Facts, Order, Party};
use crate::diagnostic::{Code, Diagnostic, Related, Severity, codes, in_order};
use crate::graph::{Graph, Resolved, Touches};
use crate::source::Span;
use crate::spec::target::Names;
use crate::spec::{Body, Declared, Doubt, Partial, Workflow};

/// All that is wrong with the structure of `workflow`, in the order of the file.
///
/// Without an error among the findings, [`crate::plan::build`] succeeds.
#[must_use]
pub fn check(workflow: &Workflow) -> Vec<Diagnostic> {
    let subject = Subject::of(workflow, None);
    let mut findings = Findings::default();
    subject.apply(RULES_OF_ANY, &mut findings);
    if !findings.any_unresolved() {
        subject.apply(RULES_OF_WHOLE, &mut findings);
    }
    findings.in_order()
}

/// What is wrong with the structure of a workflow that has other mistakes, as far as it cannot merely follow from
/// those: nothing is told because of something that is not there.
#[must_use]
pub fn check_partial(partial: &Partial) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    Subject::of(&partial.workflow, Some(partial)).apply(RULES_OF_ANY, &mut findings);
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
    groups::have_members_of_their_own,
    groups::have_members_that_are_restarted,
    sockets::have_addresses_of_their_own,
    sockets::are_not_asked_themselves,
    kept::can_outlive_their_engine,
];

/// Rules about what is missing, and about what many touches together do. The whole workflow must be known: behind a
/// reference that leads nowhere, all would seem to be missing.
const RULES_OF_WHOLE: &[Rule] = &[
    protocol::fits_its_process,
    channels::pipes_have_two_ends,
    channels::queues_have_both_sides,
    events::are_set_and_waited_for,
    knots::are_none,
    conditions::do_not_exclude,
    files::are_used_in_order,
    together::have_enough,
    channels::queues_are_not_read_by_their_writers,
    daemons::are_not_waited_for_by_mistake,
    daemons::take_all_that_is_sent,
    restarts::lose_no_item,
    restarts::are_not_waited_for,
    unused::declarations,
    written::no_secret_in_clear,
    written::text_in_scripts_is_quoted,
    written::parts_end_before_the_run,
    unused::there_is_work,
];

/// What the rules look at.
struct Subject<'a> {
    workflow: &'a Workflow,
    names: Names<'a>,
    /// What every reference stands for; rules ask here, and look up no names.
    touches: Touches<'a>,
    /// Rules ask it only of what stands between processes: where there is nothing, it is empty, however many these are.
    graph: Graph,
    order: Order<'a>,
    /// What is in doubt about a workflow with mistakes.
    partial: Option<&'a Partial>,
}

impl<'a> Subject<'a> {
    fn of(workflow: &'a Workflow, partial: Option<&'a Partial>) -> Self {
        let names = Names::of(workflow);
        let touches = Touches::of(workflow, &names);
        Self {
            workflow,
            names,
            graph: if has_things(workflow) {
                Graph::drawn(workflow, &touches)
            } else {
                Graph::default()
            },
            order: Order::of(workflow),
            touches,
            partial,
        }
    }

    fn apply(&self, rules: &[Rule], findings: &mut Findings) {
        for rule in rules {
            rule(self, findings);
        }
    }

    /// What is in doubt about what `name`, or what it is a part of, stands for.
    fn doubt(&self, name: &str) -> Option<Doubt> {
        let base = name.split('.').next().unwrap_or(name);
        self.partial?.doubts.get(base).copied()
    }

    /// What must have come before `party` starts; `None` when the workflow is too large to say.
    fn before(&self, party: Party) -> Option<Facts> {
        self.order.before(self, party)
    }

    fn touches_of(&self, party: Party) -> &[Resolved<'a>] {
        match party {
            Party::Process(index) => self.touches.of_process(index),
            Party::Pool(index) => self.touches.of_pool(index),
        }
    }

    fn is_duplex(&self, name: &str) -> bool {
        let pipe = self.names.look_up(name).and_then(|target| target.pipe());
        pipe.is_some_and(|pipe| self.workflow.pipes[pipe.index()].duplex)
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

    /// All processes, instance by instance, and pools, each with its touches.
    fn touching(&self) -> impl Iterator<Item = (&'a Declared, &'a Body, &[Resolved<'a>])> {
        let processes = (0..self.workflow.processes.len()).map(|index| self.touches.of_process(index));
        let pools = (0..self.workflow.pools.len()).map(|index| self.touches.of_pool(index));
        let bodies = self.bodies().zip(processes.chain(pools));
        bodies.map(|((declared, body), touches)| (declared, body, touches))
    }
}

/// Whether there is anything but processes and who they wait for.
fn has_things(workflow: &Workflow) -> bool {
    let w = workflow;
    let channels = w.queues.len() + w.pipes.len() + w.events.len();
    channels + w.pools.len() + w.locks.len() + w.semaphores.len() > 0
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

    /// Whether there is a reference that leads nowhere.
    fn any_unresolved(&self) -> bool {
        let is_unresolved = |code| [codes::UNKNOWN_REFERENCE, codes::WRONG_KIND].contains(&code);
        self.list.iter().any(|finding| is_unresolved(finding.code))
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
