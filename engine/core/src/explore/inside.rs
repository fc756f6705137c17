//! The inside of a process: what it may do by itself, in which order.
//!
//! Where the file says nothing, a process is *free*: it takes its `acquires` one after the other and keeps them; it puts, gets, sets
//! and waits whenever it likes, as often as it likes; and it may end whenever it is not blocked. That it gives back what it has
//! acquired before its end need not be tried: whoever has done so is, for all others, as one who has not begun to acquire.
//! A `protocol` says exactly what happens.

use super::model::{Actor, pipe_way, queue_way, resource_index, touches};
use crate::plan::{Channel, Hold, Op, Plan};

/// One thing that a process does by itself. Resources, ways and events by their places in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    Acquire { resource: usize, permits: u32 },
    Release { resource: usize, permits: u32 },
    Put(usize),
    Get(usize),
    Wait(usize),
    Set(usize),
}

/// What a process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// `acquires` in this order, and the rest at any time.
    Free { acquires: Vec<Act>, acts: Vec<Act> },
    /// These steps, and nothing else.
    Exact {
        steps: Vec<Step>,
        held: Vec<Vec<(usize, u32)>>,
    },
}

/// One step of an exact program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Do it and go on.
    Do(Act),
    /// Get an item; when the queue has ended, go on at `end`.
    Get { way: usize, end: usize },
    /// Do it if that can be done at once, and go on.
    Try(Act),
    /// Go on with the next step, or leave for this one.
    Maybe(usize),
    /// Go on at this step.
    Jump(usize),
    /// Nothing more to do.
    End,
}

impl Program {
    pub fn of(plan: &Plan, actor: Actor) -> Self {
        let inside = &plan.launches[actor].inside;
        match &inside.protocol {
            None => Self::free(plan, actor, &inside.acquires),
            Some(ops) => {
                let mut compiler = Compiler {
                    plan,
                    steps: Vec::new(),
                    held: Vec::new(),
                    holding: Vec::new(),
                };
                compiler.sequence(ops, None);
                compiler.push(Step::End);
                Self::Exact {
                    steps: compiler.steps,
                    held: compiler.held,
                }
            }
        }
    }

    fn free(plan: &Plan, actor: Actor, declared: &[Hold]) -> Self {
        let mut acquires: Vec<Act> = Vec::new();
        for hold in declared {
            let act = acquire(plan, *hold);
            // A reentrant lock that is held already keeps nobody waiting.
            if !(is_reentrant(plan, *hold) && (acquires.contains(&act) || plan.processes[actor].holds.contains(hold))) {
                acquires.push(act);
            }
        }
        Self::Free {
            acquires,
            acts: touches(plan, actor),
        }
    }

    pub fn is_free(&self) -> bool {
        matches!(self, Self::Free { .. })
    }

    /// All that it may do, in no order.
    pub fn acts(&self) -> Vec<Act> {
        match self {
            Self::Free { acquires, acts } => acquires.iter().chain(acts).copied().collect(),
            Self::Exact { steps, .. } => steps.iter().filter_map(|step| step.act()).collect(),
        }
    }

    /// Whether it might wait for ever where this cannot be done at once. A free one knows what it has put into a queue itself.
    pub fn lasts(&self, act: Act) -> bool {
        let own = |other: Act| match self {
            Self::Free { acts, .. } => acts.contains(&other),
            Self::Exact { .. } => false,
        };
        match act {
            Act::Put(way) => !own(Act::Get(way)),
            Act::Get(way) => !own(Act::Put(way)),
            Act::Acquire { .. } | Act::Wait(_) => true,
            Act::Release { .. } | Act::Set(_) => false,
        }
    }

    /// All that it may have to wait for, as acts.
    pub fn waits(&self) -> Vec<Act> {
        match self {
            Self::Free { .. } => self.acts().into_iter().filter(|act| self.lasts(*act)).collect(),
            Self::Exact { steps, .. } => steps.iter().filter_map(|step| step.waits()).collect(),
        }
    }

    /// The events that it has set when it has ended well.
    pub fn surely_set(&self) -> Vec<usize> {
        let is_set = |act: &Act| match act {
            Act::Set(event) => Some(*event),
            Act::Acquire { .. } | Act::Release { .. } | Act::Put(_) | Act::Get(_) | Act::Wait(_) => None,
        };
        match self {
            Self::Free { acts, .. } => acts.iter().filter_map(is_set).collect(),
            // Nobody says whether there is a round at all.
            Self::Exact { steps, .. } if steps.iter().any(|step| matches!(step, Step::Jump(_))) => Vec::new(),
            Self::Exact { steps, .. } => steps.iter().filter_map(|step| is_set(&step.act()?)).collect(),
        }
    }

    /// What it holds of its own accord: a free one that has acquired so much, an exact one before this step.
    pub fn held(&self, at: usize) -> Vec<(usize, u32)> {
        match self {
            Self::Free { acquires, .. } => acquires[..at].iter().filter_map(|act| act.demand()).collect(),
            Self::Exact { held, .. } => held[at].clone(),
        }
    }
}

impl Step {
    /// What it does, if anything.
    pub fn act(self) -> Option<Act> {
        match self {
            Self::Do(act) | Self::Try(act) => Some(act),
            Self::Get { way, .. } => Some(Act::Get(way)),
            Self::Maybe(_) | Self::Jump(_) | Self::End => None,
        }
    }

    /// What it may have to wait for, as an act.
    pub fn waits(self) -> Option<Act> {
        match self {
            Self::Try(_) => None,
            Self::Do(_) | Self::Get { .. } | Self::Maybe(_) | Self::Jump(_) | Self::End => self.act(),
        }
    }
}

impl Act {
    /// What it acquires.
    pub fn demand(self) -> Option<(usize, u32)> {
        match self {
            Self::Acquire { resource, permits } => Some((resource, permits)),
            Self::Release { .. } | Self::Put(_) | Self::Get(_) | Self::Wait(_) | Self::Set(_) => None,
        }
    }
}

fn acquire(plan: &Plan, hold: Hold) -> Act {
    Act::Acquire {
        resource: resource_index(plan, hold.resource),
        permits: hold.permits,
    }
}

fn is_reentrant(plan: &Plan, hold: Hold) -> bool {
    match hold.resource {
        crate::plan::Resource::Lock(lock) => plan.locks[lock.index()].reentrant,
        crate::plan::Resource::Semaphore(_) => false,
    }
}

/// Lays the steps of a protocol in a row.
struct Compiler<'a> {
    plan: &'a Plan,
    steps: Vec<Step>,
    held: Vec<Vec<(usize, u32)>>,
    holding: Vec<(usize, u32)>,
}

impl Compiler<'_> {
    fn push(&mut self, step: Step) {
        self.held.push(self.holding.clone());
        self.steps.push(step);
    }

    /// `end`: gets whose way has ended leave for there once it is known; their places are handed back.
    fn sequence(&mut self, ops: &[Op], mut open: Option<&mut Vec<usize>>) {
        for op in ops {
            match op {
                Op::Acquire(hold) => self.acquire(*hold),
                Op::Release(hold) => self.release(*hold),
                Op::Put(channel) => self.push(Step::Do(Act::Put(way(self.plan, *channel)))),
                Op::Wait(event) => self.push(Step::Do(Act::Wait(event.index()))),
                Op::Set(event) => self.push(Step::Do(Act::Set(event.index()))),
                Op::Get(channel) => self.get(*channel, open.as_deref_mut()),
                Op::Repeat(ops) => self.repeat(ops),
                Op::Try(op) => self.attempt(op),
            }
        }
    }

    fn attempt(&mut self, op: &Op) {
        let act = match op {
            Op::Put(channel) => Act::Put(way(self.plan, *channel)),
            Op::Get(channel) => Act::Get(way(self.plan, *channel)),
            Op::Wait(event) => Act::Wait(event.index()),
            // The language has no such step.
            Op::Acquire(_) | Op::Release(_) | Op::Set(_) | Op::Repeat(_) | Op::Try(_) => return,
        };
        self.push(Step::Try(act));
    }

    fn acquire(&mut self, hold: Hold) {
        let resource = resource_index(self.plan, hold.resource);
        let again = self.holding.iter().any(|(held, _)| *held == resource);
        if !(again && is_reentrant(self.plan, hold)) {
            self.push(Step::Do(acquire(self.plan, hold)));
        }
        self.holding.push((resource, hold.permits));
    }

    fn release(&mut self, hold: Hold) {
        let resource = resource_index(self.plan, hold.resource);
        let taken = (resource, hold.permits);
        let Some(last) = self.holding.iter().rposition(|known| *known == taken) else {
            return;
        };
        let first = self.holding.iter().position(|(known, _)| *known == resource);
        if !is_reentrant(self.plan, hold) || first == Some(last) {
            self.push(Step::Do(Act::Release {
                resource,
                permits: hold.permits,
            }));
        }
        self.holding.remove(last);
    }

    fn get(&mut self, channel: Channel, open: Option<&mut Vec<usize>>) {
        let here = self.steps.len();
        self.push(Step::Get {
            way: way(self.plan, channel),
            end: here + 1,
        });
        // Only the first get of a round says whether there is another round.
        if let Some(open) = open
            && open.is_empty()
        {
            open.push(here);
        }
    }

    fn repeat(&mut self, ops: &[Op]) {
        let begin = self.steps.len();
        let mut open = Vec::new();
        let has_get = ops.iter().any(|op| matches!(op, Op::Get(_)));
        if !has_get {
            self.push(Step::Maybe(usize::MAX));
        }
        self.sequence(ops, has_get.then_some(&mut open));
        self.push(Step::Jump(begin));
        let end = self.steps.len();
        match &mut self.steps[begin] {
            Step::Maybe(target) if !has_get => *target = end,
            Step::Maybe(_) | Step::Do(_) | Step::Try(_) | Step::Get { .. } | Step::Jump(_) | Step::End => {}
        }
        for place in open {
            if let Step::Get { end: target, .. } = &mut self.steps[place] {
                *target = end;
            }
        }
    }
}

fn way(plan: &Plan, channel: Channel) -> usize {
    match channel {
        Channel::Queue(queue) => queue_way(queue),
        Channel::Pipe(pipe, side) => pipe_way(plan, pipe, side),
    }
}
