//! What must have come before a process starts: whoever it waits for, and whoever these waited for.
//!
//! Such facts are true of every run, so that rules can tell what can never be at the same time. The other way round
//! nothing follows: where there are no facts, two processes may or may not meet.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;

use super::Subject;
use crate::graph::{Resolved, waits};
use crate::id::EventId;
use crate::source::Span;
use crate::spec::target::{Role, Target};
use crate::spec::{Body, Condition, Otherwise, Workflow};

/// How many facts all rules together may look at: in a workflow where these are not enough, the rules that ask for
/// them leave the rest alone, so that the check stays linear.
const FACTS_MAX: usize = 200_000;

/// A process instance, or a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Process(usize),
    Pool(usize),
}

impl Party {
    pub fn body(self, workflow: &Workflow) -> &Body {
        match self {
            Self::Process(index) => &workflow.processes[index].body,
            Self::Pool(index) => &workflow.pools[index].body,
        }
    }

    pub fn name(self, workflow: &Workflow) -> &str {
        match self {
            Self::Process(index) => &workflow.processes[index].declared.name,
            Self::Pool(index) => &workflow.pools[index].declared.name,
        }
    }
}

/// All parties of a workflow.
pub(super) fn parties(workflow: &Workflow) -> impl Iterator<Item = Party> + use<> {
    let processes = (0..workflow.processes.len()).map(Party::Process);
    processes.chain((0..workflow.pools.len()).map(Party::Pool))
}

/// How far a party must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Come {
    /// It has started.
    Started,
    /// It has started, and said that it is ready, or set an event.
    Told,
    /// It has ended well.
    Succeeded,
    /// It has ended badly.
    Failed,
    /// It has ended, or never will start.
    Over,
}

/// What must have come before a party starts, each with the place of the wait from which it follows.
pub(super) struct Facts(BTreeMap<(Party, Come), Span>);

impl Facts {
    pub fn place(&self, party: Party, come: Come) -> Option<Span> {
        self.0.get(&(party, come)).copied()
    }

    /// Whether the party must be over.
    pub fn has_ended(&self, party: Party) -> bool {
        let ends = [Come::Succeeded, Come::Failed, Come::Over];
        ends.into_iter().any(|come| self.place(party, come).is_some())
    }

    /// Whether the party must have started.
    pub fn has_started(&self, party: Party) -> bool {
        self.place(party, Come::Started).is_some()
    }

    /// A party that must have failed, and have succeeded: with the places of both.
    pub fn contradiction(&self) -> Option<(Party, Span, Span)> {
        let mut failed = self.0.iter().filter(|((_, come), _)| *come == Come::Failed);
        failed.find_map(|((party, _), failed)| Some((*party, *failed, self.place(*party, Come::Succeeded)?)))
    }

    /// Whether of these facts and the others one says that something has failed and one that it has succeeded.
    pub fn exclude(&self, others: &Self) -> bool {
        let contradict = |one: &Self, other: &Self| {
            let mut failed = one.0.keys().filter(|(_, come)| *come == Come::Failed);
            failed.any(|(party, _)| other.place(*party, Come::Succeeded).is_some())
        };
        contradict(self, others) || contradict(others, self)
    }
}

/// What the rules ask about the order of things.
pub(super) struct Order<'a> {
    workflow: &'a Workflow,
    left: Cell<usize>,
    sources: OnceCell<Sources>,
}

/// Who sets each event, and who sends to each queue.
struct Sources {
    setters: Vec<Vec<Party>>,
    senders: Vec<Vec<Party>>,
}

impl<'a> Order<'a> {
    pub fn of(workflow: &'a Workflow) -> Self {
        Self {
            workflow,
            left: Cell::new(FACTS_MAX),
            sources: OnceCell::new(),
        }
    }

    /// What must have come before `party` starts; `None` when too much has been asked already.
    pub fn before(&self, subject: &Subject<'a>, party: Party) -> Option<Facts> {
        let mut search = Search {
            order: self,
            subject,
            facts: BTreeMap::new(),
            open: Vec::new(),
        };
        search.follow(party, None)?;
        while let Some((party, place)) = search.open.pop() {
            search.follow(party, Some(place))?;
        }
        Some(Facts(search.facts))
    }

    fn sources(&self, subject: &Subject) -> &Sources {
        self.sources.get_or_init(|| Sources::of(subject))
    }

    /// Counts one more fact; `None` when it is one too many.
    fn count(&self) -> Option<()> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some(())
    }
}

impl Sources {
    fn of(subject: &Subject) -> Self {
        let workflow = subject.workflow;
        let mut sources = Self {
            setters: vec![Vec::new(); workflow.events.len()],
            senders: vec![Vec::new(); workflow.queues.len()],
        };
        for party in parties(workflow) {
            for Resolved { touch, target } in subject.touches_of(party) {
                let Some(target) = target else {
                    continue;
                };
                let sends = matches!(touch.role, Role::Stdout | Role::Stderr | Role::Send(_) | Role::Sends);
                if let Some(queue) = target.queue().filter(|_| sends) {
                    sources.senders[queue.index()].push(party);
                } else if let Some(event) = target.event().filter(|_| touch.role == Role::Sets) {
                    sources.setters[event.index()].push(party);
                }
            }
        }
        sources
    }
}

/// A walk along the waits, against their direction.
struct Search<'o, 'a> {
    order: &'o Order<'a>,
    subject: &'o Subject<'a>,
    facts: BTreeMap<(Party, Come), Span>,
    /// Parties that must have started, whose waits have not been looked at.
    open: Vec<(Party, Span)>,
}

impl Search<'_, '_> {
    /// Adds what the start of `party` needs; `place` is the first wait on the way, `None` for the party in question.
    fn follow(&mut self, party: Party, place: Option<Span>) -> Option<()> {
        let touches = self.subject.touches_of(party);
        for (after, target) in waits(party.body(self.order.workflow), touches) {
            if after.timeout.is_some() && after.otherwise == Otherwise::Start {
                continue;
            }
            if let Some(is) = after.is.or_else(|| target.default_condition()) {
                self.wait(target, is, place.unwrap_or(after.on.place))?;
            }
        }
        // The pool is the last of a process's touches.
        if let Some(Resolved { touch, target }) = touches.last().filter(|last| last.touch.role == Role::InPool)
            && let Some(pool) = target.as_ref().and_then(Target::pool)
        {
            let place = place.unwrap_or(touch.on.place);
            self.open.push((Party::Pool(pool.index()), place));
        }
        Some(())
    }

    fn wait(&mut self, target: &Target, is: Condition, place: Span) -> Option<()> {
        let come = match is {
            Condition::Started => Come::Started,
            Condition::Ready => Come::Told,
            Condition::Succeeded => Come::Succeeded,
            Condition::Failed => Come::Failed,
            Condition::Finished => Come::Over,
            Condition::Set => return self.is_set(target, place),
            Condition::Drained => return self.is_drained(target, place),
        };
        for id in target.process_ids() {
            self.add(Party::Process(id.index()), come, place)?;
        }
        match target.pool() {
            Some(pool) => self.add(Party::Pool(pool.index()), come, place),
            None => Some(()),
        }
    }

    /// An event with a single setter has been set by it.
    fn is_set(&mut self, target: &Target, place: Span) -> Option<()> {
        let Some(event) = target.event().map(EventId::index) else {
            return Some(());
        };
        match self.order.sources(self.subject).setters[event].as_slice() {
            [setter] if !self.order.workflow.events[event].set => self.add(*setter, Come::Told, place),
            _ => Some(()),
        }
    }

    /// A drained queue has no senders left.
    fn is_drained(&mut self, target: &Target, place: Span) -> Option<()> {
        if let Some(queue) = target.queue() {
            for sender in &self.order.sources(self.subject).senders[queue.index()] {
                self.add(*sender, Come::Over, place)?;
            }
        }
        Some(())
    }

    fn add(&mut self, party: Party, come: Come, place: Span) -> Option<()> {
        self.order.count()?;
        // Who is over may never have started.
        if come != Come::Over && !self.facts.contains_key(&(party, Come::Started)) {
            self.facts.insert((party, Come::Started), place);
            self.open.push((party, place));
        }
        self.facts.entry((party, come)).or_insert(place);
        Some(())
    }
}
