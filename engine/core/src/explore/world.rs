//! The machine in a small world: what it asks for is done at once, and what else happens is chosen.

mod engine;

use std::collections::VecDeque;
use std::sync::Arc;

use super::inside::{Act, Program, Step};
use super::model::{Actor, Model, resource_index};
use crate::id::{PoolId, ProcessId, QueueId, TaskId};
use crate::machine::{Exit, Input, Machine, Outbox, Print};
use crate::plan::{Hold, TaskSource, Tasks, WorkerKind};

/// Something that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub actor: Actor,
    pub what: What,
}

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The engine is granted the next of its holds.
    Grant,
    /// It does an act: of a free program by its number (0 is the next to acquire), of an exact one the step it is at.
    Do(usize),
    /// A free one turns to an act that must wait, and from now on does nothing else.
    Turn(usize),
    /// An exact one leaves its round.
    Leave,
    /// A persistent worker has done its task.
    Answer,
    /// It ends well.
    End,
    /// It ends badly.
    Fail,
    /// It ends without having set what it sets, and that counts as a success: a receiver outside of the part has gone.
    Break,
    /// A pool takes a task from its queue, or sees its end.
    Take,
    /// A pool puts a result into its queue.
    Deliver,
    /// The time-out of the wait at this place comes.
    GiveUp(usize),
}

/// Where a process is with what it does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    pub phase: Phase,
    /// Free: how many of its `acquires` it has. Exact: the step.
    pub at: usize,
    /// Free: the act it has turned to, and one more; 0 is none.
    pub turned: usize,
    /// How many of its `holds` it has.
    pub granted: usize,
    /// Persistent: tasks it has been given.
    pub tasks: usize,
    /// Persistent: no more will come.
    pub is_dismissed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not alive; the machine knows whether it will be.
    #[default]
    Away,
    /// The engine asks for the next of its holds.
    Asking,
    /// It runs.
    Inside,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub items: u32,
    pub is_closed: bool,
    pub is_broken: bool,
}

/// What is outside of a pool's machine: its source and its results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Store {
    /// Tasks asked for.
    pub credit: u32,
    /// Tasks of a list that are left.
    left: u32,
    /// The end of the source has been told.
    is_ended: bool,
    /// Results that wait for room.
    pub results: VecDeque<TaskId>,
}

/// The machine with the prints of its parts, made when it has been stepped.
#[derive(Clone, Debug)]
struct Engine {
    machine: Machine,
    processes: Vec<u64>,
    rest: u64,
}

/// A situation.
#[derive(Clone, Debug)]
pub(super) struct World {
    engine: Arc<Engine>,
    pub lives: Vec<Life>,
    pub contents: Vec<Content>,
    pub free: Vec<u32>,
    pub set: Vec<bool>,
    /// Events that nobody is left to set, after something has failed.
    pub forgiven: Vec<bool>,
    pub stores: Vec<Store>,
    /// Who will never run (again).
    gone: Vec<bool>,
    /// Who has failed, or has been skipped because of such a one.
    irregular: Vec<bool>,
    steps: u64,
    pub is_over: bool,
}

/// Far enough apart that no worker is taken for a quick one.
const STEP_NS: u64 = 1_000_000_000;

impl World {
    pub fn new(model: &Model) -> Self {
        let plan = &model.plan;
        let mut world = Self {
            engine: Arc::new(Engine {
                machine: Machine::new(Arc::clone(plan)),
                processes: Vec::new(),
                rest: 0,
            }),
            lives: vec![Life::default(); plan.processes.len()],
            contents: vec![Content::default(); model.ways.len()],
            free: model.permits.clone(),
            set: plan.events.iter().map(|event| event.set).collect(),
            forgiven: vec![false; plan.events.len()],
            stores: plan.pools.iter().map(|pool| Store::new(pool.work.as_ref())).collect(),
            gone: vec![false; plan.processes.len()],
            irregular: vec![false; plan.processes.len() + plan.pools.len()],
            steps: 0,
            is_over: false,
        };
        world.tell(model, [Input::Start]);
        world
    }

    pub fn machine(&self) -> &Machine {
        &self.engine.machine
    }

    /// The fingerprint of a process in its situation, without its number.
    pub fn print_of(&self, process: Actor) -> u64 {
        let life = &self.lives[process];
        let mut print = Print::default();
        print.add(self.engine.processes[process]);
        let flags = u64::from(life.is_dismissed) << 1 | u64::from(self.irregular[process]);
        print.add((life.at as u64) << 32 | (life.turned as u64) << 8 | (life.phase as u64) << 4 | flags);
        print.add((life.tasks as u64) << 32 | life.granted as u64);
        print.value()
    }

    /// The fingerprint of all that is about no single process.
    pub fn print_rest(&self, model: &Model) -> u64 {
        let mut print = Print::default();
        print.add(self.engine.rest);
        for (content, way) in self.contents.iter().zip(&model.ways) {
            let mut ends = way.senders.iter().chain(&way.receivers);
            let is_left = !content.is_closed && !content.is_broken;
            // Where nobody is left to receive, it is of no interest whether anybody is left to send, nor how it came to that.
            print.add(match content {
                _ if !is_left && ends.all(|actor| self.has_ended(model, *actor)) => u64::MAX - 1,
                Content { is_broken: true, .. } => u64::MAX,
                Content { items, is_closed, .. } => u64::from(*items) << 1 | u64::from(*is_closed),
            });
        }
        for (set, forgiven) in self.set.iter().zip(&self.forgiven) {
            print.add(u64::from(*set) << 1 | u64::from(*forgiven));
        }
        for store in &self.stores {
            print.add(u64::from(store.credit) << 32 | u64::from(store.left));
            print.add(store.results.len() as u64);
        }
        print.value()
    }

    /// Makes a move.
    pub fn make(&mut self, model: &Model, step: Move) {
        self.steps += 1;
        let process = ProcessId::at(step.actor);
        match step.what {
            What::Grant => self.granted(model, step.actor),
            What::Turn(act) => self.lives[step.actor].turned = act + 1,
            What::Do(act) => self.act(model, step.actor, act),
            What::Leave => {
                if let Program::Exact { steps, .. } = &model.programs[step.actor]
                    && let Step::Maybe(end) = steps[self.lives[step.actor].at]
                {
                    self.go_to(model, step.actor, end);
                }
            }
            What::Answer => self.answer(model, step.actor),
            What::End => {
                self.set_all(model, step.actor);
                self.exit(model, process, Exit::Code(0));
            }
            What::Fail => self.exit(model, process, Exit::Code(1)),
            What::Break => self.exit(model, process, Exit::Code(0)),
            What::Take => self.take(model, step.actor),
            What::Deliver => self.deliver(model, step.actor),
            What::GiveUp(place) => {
                let mut out = Outbox::default();
                let engine = Arc::make_mut(&mut self.engine);
                engine.machine.give_up_wait(place, &mut out);
                self.carry_out(model, out);
            }
        }
    }

    fn attempt(&self, process: ProcessId) -> u32 {
        self.engine.machine.attempt(process)
    }

    fn granted(&mut self, model: &Model, actor: Actor) {
        let hold = model.plan.processes[actor].holds[self.lives[actor].granted];
        self.free[resource_index(&model.plan, hold.resource)] -= hold.permits;
        self.lives[actor].granted += 1;
        let process = ProcessId::at(actor);
        let attempt = self.attempt(process);
        self.tell(model, [Input::Acquired { process, attempt }]);
    }

    fn act(&mut self, model: &Model, actor: Actor, number: usize) {
        self.lives[actor].turned = 0;
        match &model.programs[actor] {
            Program::Free { acquires, acts } => {
                let at = self.lives[actor].at;
                let act = if number == 0 { acquires[at] } else { acts[number - 1] };
                self.perform(model, act);
                if number == 0 {
                    self.lives[actor].at += 1;
                }
            }
            Program::Exact { steps, .. } => {
                let at = self.lives[actor].at;
                match steps[at] {
                    Step::Do(act) => {
                        self.perform(model, act);
                        self.go_to(model, actor, at + 1);
                    }
                    Step::Get { way, end } => {
                        let has_ended = self.contents[way].items == 0;
                        if !has_ended {
                            self.perform(model, Act::Get(way));
                        }
                        self.go_to(model, actor, if has_ended { end } else { at + 1 });
                    }
                    Step::Try(act) => {
                        if self.can(model, act) {
                            self.perform(model, act);
                        }
                        self.go_to(model, actor, at + 1);
                    }
                    Step::Maybe(_) => self.go_to(model, actor, at + 1),
                    Step::Jump(_) | Step::End => {}
                }
            }
        }
    }

    /// An exact program goes on at this step; it gives back what it holds no more there, and what it releases next: both
    /// only free others.
    fn go_to(&mut self, model: &Model, actor: Actor, to: usize) {
        let Program::Exact { steps, held } = &model.programs[actor] else {
            return;
        };
        let (mut at, mut to) = (self.lives[actor].at, to);
        loop {
            if !matches!(steps[at], Step::Do(Act::Acquire { .. } | Act::Release { .. })) {
                for (resource, permits) in surplus(&held[at], &held[to]) {
                    self.free[resource] += permits;
                }
            }
            at = to;
            match steps[at] {
                Step::Jump(target) => to = target,
                Step::Do(Act::Release { resource, permits }) => {
                    self.free[resource] += permits;
                    to = at + 1;
                }
                Step::Do(_) | Step::Try(_) | Step::Get { .. } | Step::Maybe(_) | Step::End => break,
            }
        }
        self.lives[actor].at = at;
    }

    fn perform(&mut self, model: &Model, act: Act) {
        match act {
            Act::Acquire { resource, permits } => self.free[resource] -= permits,
            Act::Release { resource, permits } => self.free[resource] += permits,
            Act::Put(way) => {
                let content = &mut self.contents[way];
                if !content.is_broken && content.items < model.ways[way].capacity.unwrap_or(super::model::ITEMS_MAX) {
                    content.items += 1;
                }
            }
            Act::Get(way) => {
                self.contents[way].items = self.contents[way].items.saturating_sub(1);
                self.drained(model, way);
            }
            Act::Wait(_) => {}
            Act::Set(event) => self.set_event(model, event),
        }
    }

    fn set_event(&mut self, model: &Model, event: usize) {
        if !self.set[event] {
            self.set[event] = true;
            self.tell(
                model,
                [Input::EventSet {
                    event: crate::id::EventId::at(event),
                }],
            );
        }
    }

    /// Who ends well has set what it sets.
    fn set_all(&mut self, model: &Model, actor: Actor) {
        if let Program::Free { acts, .. } = &model.programs[actor] {
            for act in acts {
                if let Act::Set(event) = act {
                    self.set_event(model, *event);
                }
            }
        }
    }

    fn answer(&mut self, model: &Model, actor: Actor) {
        let process = ProcessId::at(actor);
        self.release_own(model, actor);
        let life = &mut self.lives[actor];
        (life.at, life.turned) = (0, 0);
        life.tasks -= 1;
        self.begin_program(model, actor);
        let attempt = self.attempt(process);
        self.tell(model, [Input::Answered { process, attempt }]);
        let life = self.lives[actor];
        if life.phase == Phase::Inside && life.is_dismissed && life.tasks == 0 {
            self.exit(model, process, Exit::Code(0));
        }
    }

    fn exit(&mut self, model: &Model, process: ProcessId, exit: Exit) {
        let attempt = self.attempt(process);
        self.tell(model, exit_inputs(process, attempt, exit));
    }

    fn take(&mut self, model: &Model, actor: Actor) {
        let Some((pool, queue)) = source_queue(model, actor) else {
            return;
        };
        let content = &mut self.contents[queue.index()];
        if content.items > 0 {
            content.items -= 1;
            self.stores[pool.index()].credit -= 1;
            self.tell(model, [Input::Taken { pool, count: 1 }]);
            self.drained(model, queue.index());
        } else {
            self.stores[pool.index()].is_ended = true;
            self.stores[pool.index()].credit = 0;
            self.tell(model, [Input::SourceEnded { pool }]);
        }
    }

    fn deliver(&mut self, model: &Model, actor: Actor) {
        let Some(pool) = model.pool_of_actor(actor) else { return };
        if let Some(task) = self.stores[pool.index()].results.pop_front() {
            let results = model.plan.pools[pool.index()].work.as_ref();
            if let Some(queue) = results.and_then(|work| work.results) {
                self.perform(model, Act::Put(queue.index()));
            }
            self.tell(model, [Input::Delivered { pool, task }]);
        }
    }

    fn begin_program(&mut self, model: &Model, actor: Actor) {
        if let Program::Exact { .. } = &model.programs[actor] {
            self.lives[actor].at = 0;
            self.go_to(model, actor, 0);
        }
    }

    fn release_own(&mut self, model: &Model, actor: Actor) {
        let life = self.lives[actor];
        if life.phase == Phase::Inside {
            for (resource, permits) in model.programs[actor].held(life.at) {
                self.free[resource] += permits;
            }
        }
    }

    fn release_holds(&mut self, model: &Model, actor: Actor) {
        let holds = &model.plan.processes[actor].holds[..self.lives[actor].granted];
        for Hold { resource, permits } in holds {
            self.free[resource_index(&model.plan, *resource)] += permits;
        }
    }

    /// A queue that is closed has been emptied.
    fn drained(&mut self, model: &Model, way: usize) {
        if way < model.plan.queues.len() {
            let content = self.contents[way];
            if content.is_closed && !content.is_broken && content.items == 0 {
                let queue = QueueId::at(way);
                self.tell(model, [Input::QueueDrained { queue }]);
            }
        }
    }
}

impl Store {
    fn new(work: Option<&crate::plan::Work>) -> Self {
        let left = match work.map(|work| &work.source) {
            Some(TaskSource::Tasks(Tasks::Range(first, end))) => u32::try_from(end - first).unwrap_or(0),
            Some(TaskSource::Tasks(Tasks::Listed(list))) => u32::try_from(list.len()).unwrap_or(u32::MAX),
            Some(TaskSource::Tasks(Tasks::Lines(..)) | TaskSource::Queue(_)) | None => 0,
        };
        Self {
            left,
            ..Self::default()
        }
    }
}

/// The queue that a pool takes its tasks from.
pub(super) fn source_queue(model: &Model, actor: Actor) -> Option<(PoolId, QueueId)> {
    let pool = model.pool_of_actor(actor)?;
    match model.plan.pools[pool.index()].work.as_ref()?.source {
        TaskSource::Queue(queue) => Some((pool, queue)),
        TaskSource::Tasks(_) => None,
    }
}

/// Whether this process is a worker that lives on from task to task.
pub(super) fn is_persistent(model: &Model, actor: Actor) -> bool {
    let pool = model.plan.processes[actor].worker_of;
    let work = pool.and_then(|pool| model.plan.pools[pool.index()].work.as_ref());
    work.is_some_and(|work| work.worker == WorkerKind::Persistent)
}

/// What `here` holds and `there` does not.
fn surplus(here: &[(usize, u32)], there: &[(usize, u32)]) -> Vec<(usize, u32)> {
    let mut kept = there.to_vec();
    let mut surplus = here.to_vec();
    surplus.retain(|held| match kept.iter().position(|other| other == held) {
        Some(place) => {
            kept.swap_remove(place);
            false
        }
        None => true,
    });
    surplus
}

fn exit_inputs(process: ProcessId, attempt: u32, exit: Exit) -> [Input; 2] {
    [
        Input::Exited {
            process,
            attempt,
            exit,
            left: false,
        },
        Input::Gone { process, attempt },
    ]
}
