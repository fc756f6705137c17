//! What needs what: from the touches of a workflow to its steps.

use std::collections::BTreeMap;

use super::super::Subject;
use super::super::steps::Steps;
use super::{Link, Step, Why};
use crate::graph::{Resolved, waits};
use crate::id::{PipeId, ProcessId, QueueId};
use crate::source::Span;
use crate::spec::target::{Role, Target};
use crate::spec::{After, Body, Condition, Declared, Otherwise, Pool, Tasks};

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// What the engine does.
    Certain,
    /// And what programs do that are taken at their word.
    Likely,
}

/// Steps with their numbers.
pub(super) struct Built {
    pub steps: Steps<Why>,
    list: Vec<Step>,
}

impl Built {
    pub fn rings(&self, come: &[bool]) -> impl Iterator<Item = Vec<Link>> {
        let link = |(step, why): (usize, Why)| (self.list[step], why);
        let rings = self.steps.rings(come).into_iter();
        rings.map(move |ring| ring.into_iter().map(link).collect())
    }
}

/// The steps of a workflow in the making.
pub(super) struct Builder<'a> {
    subject: &'a Subject<'a>,
    round: Round,
    /// Whether the party that is looked at has a `protocol`: then the explorer knows better what it waits for.
    is_exact: bool,
    built: Built,
    /// Where the steps of each kind begin.
    bases: Bases,
    /// All instances of a process as one step.
    wholes: BTreeMap<Step, usize>,
    /// Who waits for each event.
    waiters: BTreeMap<usize, Vec<Waiter<'a>>>,
}

/// Who waits for an event: by itself, until its end needs the event, or before it starts.
struct Waiter<'a> {
    name: &'a str,
    itself: Option<(Step, Span)>,
}

struct Bases {
    pools: usize,
    events: usize,
    queues: usize,
    pipes: usize,
}

impl<'a> Builder<'a> {
    pub fn new(subject: &'a Subject<'a>, round: Round) -> Self {
        let workflow = subject.workflow;
        let mut list = Vec::new();
        list.extend((0..workflow.processes.len()).flat_map(|it| [Step::Start(it), Step::End(it)]));
        let pools = list.len();
        list.extend((0..workflow.pools.len()).flat_map(|it| [Step::Begin(it), Step::Done(it)]));
        let events = list.len();
        list.extend((0..workflow.events.len()).map(Step::Set));
        let queues = list.len();
        let of_queue = |it| [Step::Closed(it), Step::Drained(it), Step::Emptied(it), Step::Fed(it)];
        list.extend((0..workflow.queues.len()).flat_map(of_queue));
        let pipes = list.len();
        list.extend((0..workflow.pipes.len()).flat_map(|it| [Step::Reader(it), Step::Writer(it)]));
        let mut steps = Steps::new(list.len());
        for (number, step) in list.iter().enumerate() {
            if matches!(
                step,
                Step::Set(_) | Step::Emptied(_) | Step::Fed(_) | Step::Reader(_) | Step::Writer(_)
            ) {
                steps.needs_any(number);
            }
        }
        let bases = Bases {
            pools,
            events,
            queues,
            pipes,
        };
        Self {
            subject,
            round,
            is_exact: false,
            built: Built { steps, list },
            bases,
            wholes: BTreeMap::new(),
            waiters: BTreeMap::new(),
        }
    }

    pub fn build(mut self) -> Built {
        let workflow = self.subject.workflow;
        for (index, process) in workflow.processes.iter().enumerate() {
            let (start, end) = (Step::Start(index), Step::End(index));
            self.need(end, start, Why::Part);
            self.is_exact = process.body.protocol.is_some();
            let touches = self.subject.touches.of_process(index);
            self.waits(start, &process.body, touches);
            for touch in touches {
                self.touch(start, end, touch, None);
                self.waiter(end, &process.declared, touch);
            }
        }
        for (index, pool) in workflow.pools.iter().enumerate() {
            let (begin, done) = (Step::Begin(index), Step::Done(index));
            self.need(done, begin, Why::Part);
            self.is_exact = pool.body.protocol.is_some();
            let touches = self.subject.touches.of_pool(index);
            self.waits(begin, &pool.body, touches);
            for touch in touches {
                self.touch(begin, done, touch, Some(pool));
                self.waiter(done, &pool.declared, touch);
            }
        }
        self.is_exact = false;
        self.patient_waiters();
        for (index, event) in workflow.events.iter().enumerate() {
            if event.set {
                // It needs nobody: a step without needs comes.
                let set = self.number(Step::Set(index));
                let free = self.built.steps.add();
                self.built.list.push(Step::Set(index));
                self.built.steps.need(set, free, Why::Part);
            }
        }
        for queue in 0..workflow.queues.len() {
            self.need(Step::Drained(queue), Step::Closed(queue), Why::Part);
            self.need(Step::Drained(queue), Step::Emptied(queue), Why::Part);
        }
        self.built
    }

    fn waits(&mut self, waiter: Step, body: &Body, touches: &[Resolved]) {
        for (after, target) in waits(body, touches) {
            if !self.passes(after)
                && let Some(needed) = self.condition(target, after.is)
            {
                self.need(waiter, needed, Why::After(after.on.place));
            }
        }
    }

    /// Whether the wait ends by itself: by starting all the same, or at all, which keeps nothing stuck for ever.
    fn passes(&self, after: &After) -> bool {
        after.timeout.is_some() && (after.otherwise == Otherwise::Start || self.round == Round::Likely)
    }

    /// The step that a wait is for; `None` for one that does not fit, or needs nobody.
    fn condition(&mut self, target: &Target, is: Option<Condition>) -> Option<Step> {
        let starts = match is.or_else(|| target.default_condition())? {
            Condition::Started | Condition::Ready => true,
            Condition::Succeeded | Condition::Failed | Condition::Finished => false,
            Condition::Set => return target.event().map(|event| Step::Set(event.index())),
            Condition::Drained => return target.queue().map(|queue| Step::Drained(queue.index())),
        };
        if let Some(pool) = target.pool() {
            let pool = pool.index();
            return Some(if starts { Step::Begin(pool) } else { Step::Done(pool) });
        }
        let mut instances = target.process_ids().map(ProcessId::index);
        let first = instances.next()?;
        let part = if starts { Step::Start } else { Step::End };
        if instances.next().is_none() {
            return Some(part(first));
        }
        let whole = if starts {
            Step::AllStart(first)
        } else {
            Step::AllEnd(first)
        };
        if !self.wholes.contains_key(&whole) {
            let number = self.built.steps.add();
            self.built.list.push(whole);
            self.wholes.insert(whole, number);
            for id in target.process_ids() {
                self.need(whole, part(id.index()), Why::Part);
            }
        }
        Some(whole)
    }

    /// What follows from one touch of a process, or of a `pool`, that has its `start` and its `end`.
    fn touch(&mut self, start: Step, end: Step, resolved: &Resolved, pool: Option<&Pool>) {
        let Resolved {
            touch,
            target: Some(target),
        } = resolved
        else {
            return;
        };
        let place = touch.on.place;
        match touch.role {
            Role::Stdout | Role::Stderr | Role::Send(_) => {
                if let Some(queue) = target.queue().map(QueueId::index) {
                    self.sender(queue, start, end, place);
                    self.fills(queue, end, place, pool);
                } else if let Some(pipe) = target.pipe().map(PipeId::index) {
                    self.need(Step::Writer(pipe), start, Why::Source(place));
                    self.likely(end, Step::Reader(pipe), Why::Fills(place));
                }
            }
            Role::Stdin | Role::Receive(_) => {
                if let Some(queue) = target.queue().map(QueueId::index) {
                    self.need(Step::Emptied(queue), start, Why::Receiver(place));
                    self.likely(end, Step::Fed(queue), Why::Reads(place));
                } else if let Some(pipe) = target.pipe().map(PipeId::index) {
                    self.need(Step::Reader(pipe), start, Why::Receiver(place));
                    self.likely(end, Step::Writer(pipe), Why::Reads(place));
                }
            }
            Role::TaskSource => self.task_source(target, start, end, place, pool),
            Role::Sends => {
                if let Some(queue) = target.queue() {
                    self.sender(queue.index(), start, end, place);
                }
            }
            Role::Receives => {
                if let Some(queue) = target.queue() {
                    self.need(Step::Emptied(queue.index()), start, Why::Receiver(place));
                }
            }
            Role::Sets => {
                if let Some(event) = target.event() {
                    self.need(Step::Set(event.index()), start, Why::Sets(place));
                }
            }
            Role::InPool => {
                if let Some(pool) = target.pool() {
                    self.need(start, Step::Begin(pool.index()), Why::Part);
                    self.need(Step::Done(pool.index()), end, Why::Part);
                }
            }
            Role::After
            | Role::End(_)
            | Role::Connects
            | Role::Waits
            | Role::Holds
            | Role::Acquires
            | Role::Members => {}
        }
    }

    fn waiter(&mut self, end: Step, declared: &'a Declared, resolved: &Resolved) {
        let Resolved { touch, target } = resolved;
        let event = target.as_ref().and_then(Target::event);
        if let Some(event) = event.filter(|_| touch.role != Role::Sets) {
            let waits_itself = touch.role == Role::Waits && !self.is_exact;
            let itself = waits_itself.then_some((end, touch.on.place));
            let name = &declared.name;
            self.waiters
                .entry(event.index())
                .or_default()
                .push(Waiter { name, itself });
        }
    }

    /// Whoever alone waits for an event hardly looks whether it has come and goes on; of several, one may.
    fn patient_waiters(&mut self) {
        for (event, waiters) in std::mem::take(&mut self.waiters) {
            let first = waiters.first().map(|waiter| waiter.name);
            if waiters.iter().all(|waiter| Some(waiter.name) == first) {
                for (end, place) in waiters.iter().filter_map(|waiter| waiter.itself) {
                    self.likely(end, Step::Set(event), Why::Waits(place));
                }
            }
        }
    }

    fn sender(&mut self, queue: usize, start: Step, end: Step, place: Span) {
        self.need(Step::Closed(queue), end, Why::Sender(place));
        self.need(Step::Fed(queue), start, Why::Source(place));
    }

    /// Whoever writes into a bounded queue waits, once it is full, for a receiver.
    fn fills(&mut self, queue: usize, end: Step, place: Span, pool: Option<&Pool>) {
        let capacity = self.subject.workflow.queues[queue].capacity;
        let items = pool.and_then(|pool| items(pool.tasks.as_ref()?));
        let has_room = capacity == 0 || items.is_some_and(|items| items <= capacity);
        if !has_room {
            self.likely(end, Step::Emptied(queue), Why::Fills(place));
        }
    }

    /// A pool has done its work when the queue of its tasks is drained; one that is a daemon is stopped.
    fn task_source(&mut self, target: &Target, begin: Step, done: Step, place: Span, pool: Option<&Pool>) {
        let Some(queue) = target.queue().map(QueueId::index) else {
            return;
        };
        self.need(Step::Emptied(queue), begin, Why::Receiver(place));
        if pool.is_some_and(|pool| !pool.body.daemon) {
            self.need(done, Step::Closed(queue), Why::Tasks(place));
        }
    }

    fn likely(&mut self, step: Step, needed: Step, why: Why) {
        if self.round == Round::Likely && !self.is_exact {
            self.need(step, needed, why);
        }
    }

    fn need(&mut self, step: Step, needed: Step, why: Why) {
        let (step, needed) = (self.number(step), self.number(needed));
        self.built.steps.need(step, needed, why);
    }

    fn number(&self, step: Step) -> usize {
        let bases = &self.bases;
        match step {
            Step::Start(process) => 2 * process,
            Step::End(process) => 2 * process + 1,
            Step::Begin(pool) => bases.pools + 2 * pool,
            Step::Done(pool) => bases.pools + 2 * pool + 1,
            Step::Set(event) => bases.events + event,
            Step::Closed(queue) => bases.queues + 4 * queue,
            Step::Drained(queue) => bases.queues + 4 * queue + 1,
            Step::Emptied(queue) => bases.queues + 4 * queue + 2,
            Step::Fed(queue) => bases.queues + 4 * queue + 3,
            Step::Reader(pipe) => bases.pipes + 2 * pipe,
            Step::Writer(pipe) => bases.pipes + 2 * pipe + 1,
            Step::AllStart(_) | Step::AllEnd(_) => self.wholes[&step],
        }
    }
}

/// How many tasks there are, where the workflow says it.
fn items(tasks: &Tasks) -> Option<u64> {
    match tasks {
        Tasks::Listed(items) => Some(items.len() as u64),
        Tasks::Range(first, end) => Some(end.abs_diff(*first)),
        Tasks::Lines(..) => None,
    }
}
