//! What may happen next, what those wait for who can do nothing, and who could help them.

use super::inside::{Act, Program, Step};
use super::model::{Actor, Daemons, Model, resource_index};
use super::world::{Content, Life, Move, Phase, What, World, is_persistent, source_queue};
use crate::id::PoolId;
use crate::machine::Stand;
use crate::plan::{Dependency, Party, Wait};

/// What an actor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// So many permits of a lock or semaphore.
    Permits { resource: usize, permits: u32 },
    /// Room in a queue or pipe.
    Room(usize),
    /// An item, or the end.
    Item(usize),
    /// An event, by itself.
    Event(usize),
    /// One of its `after`.
    After(Wait),
    /// A slot of its pool.
    Slot(PoolId),
    /// A worker: a task.
    Task(PoolId),
    /// A pool: an item of its source, room for its results, or its workers.
    Work(PoolId),
}

impl World {
    /// All that this actor may do now.
    pub fn moves(&self, model: &Model, actor: Actor, moves: &mut Vec<Move>) {
        let mut add = |what| moves.push(Move { actor, what });
        if self.is_over {
            return;
        }
        for (place, wait) in self.machine().open_waits(model.party(actor)) {
            if wait.timeout.is_some() {
                add(What::GiveUp(place));
            }
        }
        if model.pool_of_actor(actor).is_some() {
            return self.moves_of_pool(model, actor, moves);
        }
        let life = self.lives[actor];
        match life.phase {
            Phase::Away => {}
            Phase::Asking => {
                let hold = model.plan.processes[actor].holds[life.granted];
                if self.free[resource_index(&model.plan, hold.resource)] >= hold.permits {
                    add(What::Grant);
                }
            }
            Phase::Inside if is_persistent(model, actor) && life.tasks == 0 => {}
            Phase::Inside => match &model.programs[actor] {
                Program::Free { acquires, acts } => self.moves_of_free(model, actor, acquires, acts, moves),
                Program::Exact { steps, .. } => self.moves_of_exact(model, actor, steps, moves),
            },
        }
    }

    fn moves_of_pool(&self, model: &Model, actor: Actor, moves: &mut Vec<Move>) {
        let Some(pool) = model.pool_of_actor(actor) else { return };
        let store = &self.stores[pool.index()];
        if store.credit > 0
            && let Some((_, queue)) = source_queue(model, actor)
            && self.gives(queue.index())
        {
            moves.push(Move {
                actor,
                what: What::Take,
            });
        }
        let results = model.plan.pools[pool.index()]
            .work
            .as_ref()
            .and_then(|work| work.results);
        if !store.results.is_empty() && results.is_none_or(|queue| self.has_room(model, queue.index())) {
            moves.push(Move {
                actor,
                what: What::Deliver,
            });
        }
    }

    fn moves_of_free(&self, model: &Model, actor: Actor, acquires: &[Act], acts: &[Act], moves: &mut Vec<Move>) {
        let life = self.lives[actor];
        if life.turned > 0 {
            let act = numbered(acquires, acts, life, life.turned - 1);
            if act.is_some_and(|act| self.can(model, act)) {
                moves.push(Move {
                    actor,
                    what: What::Do(life.turned - 1),
                });
            }
            return;
        }
        for number in 0..=acts.len() {
            let Some(act) = numbered(acquires, acts, life, number) else {
                continue;
            };
            if !self.can(model, act) {
                if model.programs[actor].lasts(act) {
                    moves.push(Move {
                        actor,
                        what: What::Turn(number),
                    });
                }
            } else if self.is_of_use(model, act) {
                moves.push(Move {
                    actor,
                    what: What::Do(number),
                });
            }
        }
        Self::ends(model, actor, moves);
    }

    fn moves_of_exact(&self, model: &Model, actor: Actor, steps: &[Step], moves: &mut Vec<Move>) {
        let at = self.lives[actor].at;
        let step = steps[at];
        let mut add = |what| moves.push(Move { actor, what });
        match step {
            Step::Do(act) if !self.can(model, act) => return,
            Step::Get { way, .. } if !self.gives(way) => return,
            Step::Do(_) | Step::Get { .. } | Step::Try(_) => add(What::Do(at)),
            Step::Maybe(_) => {
                add(What::Do(at));
                add(What::Leave);
            }
            Step::Jump(_) => {}
            Step::End => return Self::ends(model, actor, moves),
        }
        if model.fails[actor] && !is_persistent(model, actor) && !model.stays(actor) {
            add(What::Fail);
            if model.breaks[actor] {
                add(What::Break);
            }
        }
    }

    fn ends(model: &Model, actor: Actor, moves: &mut Vec<Move>) {
        if is_persistent(model, actor) {
            return moves.push(Move {
                actor,
                what: What::Answer,
            });
        }
        if model.stays(actor) {
            return;
        }
        moves.push(Move { actor, what: What::End });
        if model.fails[actor] {
            moves.push(Move {
                actor,
                what: What::Fail,
            });
            if model.breaks[actor] {
                moves.push(Move {
                    actor,
                    what: What::Break,
                });
            }
        }
    }

    /// Whether an act need not wait.
    pub fn can(&self, model: &Model, act: Act) -> bool {
        match act {
            Act::Acquire { resource, permits } => self.free[resource] >= permits,
            Act::Put(way) => self.has_room(model, way),
            Act::Get(way) => self.gives(way),
            Act::Wait(event) => self.set[event] || self.forgiven[event],
            Act::Release { .. } | Act::Set(_) => true,
        }
    }

    /// Whether anything changes by an act that a free process need not do.
    fn is_of_use(&self, model: &Model, act: Act) -> bool {
        match act {
            Act::Acquire { .. } | Act::Release { .. } => true,
            Act::Put(way) => !self.contents[way].is_broken,
            Act::Get(way) => self.contents[way].items > 0,
            Act::Wait(_) => false,
            Act::Set(event) => !self.set[event] && model.heard[event],
        }
    }

    fn has_room(&self, model: &Model, way: usize) -> bool {
        let Content { items, is_broken, .. } = self.contents[way];
        is_broken || model.ways[way].capacity.is_none_or(|capacity| items < capacity)
    }

    fn gives(&self, way: usize) -> bool {
        self.contents[way].items > 0 || self.contents[way].is_closed
    }

    /// What an actor who can do nothing waits for; `None` when nothing will ever come of it.
    pub fn need(&self, model: &Model, actor: Actor) -> Option<Need> {
        let party = model.party(actor);
        if let Some(wait) = self.open_wait(model, party) {
            return Some(Need::After(wait));
        }
        let process = match party {
            Party::Pool(pool) => return (!self.machine().pool_has_ended(pool)).then_some(Need::Work(pool)),
            Party::Process(process) => process,
        };
        let life = self.lives[actor];
        let plan = &model.plan.processes[actor];
        match (life.phase, self.machine().stand(process)) {
            (_, Stand::Ended) => None,
            (Phase::Away, Stand::InLine) => plan.slot_in.map(Need::Slot),
            (Phase::Away, _) => plan.worker_of.map(Need::Task),
            (Phase::Asking, _) => {
                let hold = plan.holds[life.granted];
                Some(Need::Permits {
                    resource: resource_index(&model.plan, hold.resource),
                    permits: hold.permits,
                })
            }
            (Phase::Inside, _) if is_persistent(model, actor) && life.tasks == 0 => plan.worker_of.map(Need::Task),
            (Phase::Inside, _) => act_at(&model.programs[actor], life).map(Need::of_act),
        }
    }

    /// One of the waits of `after` that have not come. All of them must, so that any will do where nobody stays; that a daemon which
    /// runs has not ended is no news, so that another one tells more.
    fn open_wait(&self, model: &Model, party: Party) -> Option<Wait> {
        let open = || self.machine().open_waits(party).map(|(_, wait)| wait);
        if model.assumed() == Daemons::MayEnd {
            return open().next();
        }
        let runs = |actor: &Actor| model.stays(*actor) && self.lives[*actor].phase == Phase::Inside;
        let is_on_daemon = |wait: &Wait| model.members(wait.on).iter().any(runs);
        open().find(|wait| !is_on_daemon(wait)).or_else(|| open().next())
    }

    /// Those of whom one must do something before this need can be met.
    pub fn helpers(&self, model: &Model, need: Need) -> Vec<Actor> {
        let helpers = match need {
            Need::Permits { resource, .. } => {
                let users = model.users[resource].iter().copied();
                let holders = users.filter(|user| self.holds(model, *user, resource));
                return holders.filter(|user| !self.keeps(model, *user, resource)).collect();
            }
            Need::Room(way) => model.ways[way].receivers.clone(),
            Need::Item(way) => model.ways[way].senders.clone(),
            Need::Event(event) => model.setters[event].clone(),
            Need::After(wait) => model.members(wait.on),
            Need::Slot(pool) => {
                let has_slot = |actor: &Actor| match model.pool_of_actor(*actor) {
                    Some(pool) => self.machine().has_not_begun(Party::Pool(pool)),
                    None => self.lives[*actor].phase != Phase::Away,
                };
                let members = model.members(Dependency::Pool(pool)).into_iter();
                let holders = members.filter(has_slot);
                holders.filter(|actor| !model.stays(*actor)).collect()
            }
            Need::Task(pool) => vec![model.pool_actor(pool)],
            Need::Work(pool) => self.helpers_of_pool(model, pool),
        };
        helpers
            .into_iter()
            .filter(|actor| !self.has_ended(model, *actor))
            .collect()
    }

    /// Those who have what is needed and will not give it back.
    pub fn keepers(&self, model: &Model, need: Need) -> Vec<Actor> {
        let processes = 0..model.plan.processes.len();
        let keepers = processes.filter(|actor| match need {
            Need::Permits { resource, .. } => self.keeps(model, *actor, resource),
            Need::Slot(pool) => {
                let is_in = model.plan.processes[*actor].slot_in == Some(pool);
                is_in && model.stays(*actor) && self.lives[*actor].phase != Phase::Away
            }
            Need::Room(_) | Need::Item(_) | Need::Event(_) | Need::After(_) | Need::Task(_) | Need::Work(_) => false,
        });
        keepers.collect()
    }

    /// Whether a process that stays was given any of this before its start.
    fn keeps(&self, model: &Model, actor: Actor, resource: usize) -> bool {
        let held = model.plan.processes[actor].holds[..self.lives[actor].granted].iter();
        let mut held = held.map(|hold| resource_index(&model.plan, hold.resource));
        model.stays(actor) && held.any(|it| it == resource)
    }

    fn helpers_of_pool(&self, model: &Model, pool: PoolId) -> Vec<Actor> {
        let mut helpers = super::model::members_of(&model.plan, pool);
        let store = &self.stores[pool.index()];
        if let Some((_, queue)) = source_queue(model, model.pool_actor(pool))
            && store.credit > 0
        {
            helpers.extend(&model.ways[queue.index()].senders);
        }
        let results = model.plan.pools[pool.index()]
            .work
            .as_ref()
            .and_then(|work| work.results);
        if let Some(queue) = results
            && !store.results.is_empty()
        {
            helpers.extend(&model.ways[queue.index()].receivers);
        }
        helpers
    }

    pub fn has_ended(&self, model: &Model, actor: Actor) -> bool {
        match model.party(actor) {
            Party::Process(process) => self.machine().stand(process) == Stand::Ended,
            Party::Pool(pool) => self.machine().pool_has_ended(pool),
        }
    }

    /// Whether a process has any of this.
    pub fn holds(&self, model: &Model, actor: Actor, resource: usize) -> bool {
        let life = self.lives[actor];
        let held = model.plan.processes[actor].holds[..life.granted].iter();
        let mut held = held.map(|hold| resource_index(&model.plan, hold.resource));
        let own = life.phase == Phase::Inside
            && model.programs[actor]
                .held(life.at)
                .iter()
                .any(|(it, _)| *it == resource);
        own || held.any(|it| it == resource)
    }

    /// Those who may do something, now or later, that does not go with this move in either order.
    pub fn rivals(&self, model: &Model, step: Move, rivals: &mut Vec<Actor>) {
        let actor = step.actor;
        match step.what {
            What::Grant => {
                let hold = model.plan.processes[actor].holds[self.lives[actor].granted];
                rivals.extend(&model.users[resource_index(&model.plan, hold.resource)]);
                // A worker that has not begun when its pool ends never does.
                let pool = model.plan.processes[actor].worker_of;
                rivals.extend(pool.map(|pool| model.pool_actor(pool)));
            }
            What::Do(number) => {
                let act = match &model.programs[actor] {
                    Program::Free { acquires, acts } => numbered(acquires, acts, self.lives[actor], number),
                    Program::Exact { steps, .. } => steps[number].act(),
                };
                if let Some(act) = act {
                    Self::rivals_of_act(model, actor, act, rivals);
                }
                if let Program::Exact { steps, .. } = &model.programs[actor]
                    && let Step::Try(act) = steps[number]
                {
                    // Whether it can be done at once is up to all who touch the same.
                    rivals.extend(model.touching(act));
                }
            }
            What::End | What::Fail | What::Break => {
                Self::rivals_of_an_exit(model, step, rivals);
                Self::rivals_in_line(model, actor, rivals);
            }
            What::Take => {
                if let Some((_, queue)) = source_queue(model, actor) {
                    rivals.extend(&model.ways[queue.index()].receivers);
                    self.rivals_of_an_end(model, actor, queue.index(), rivals);
                }
                Self::rivals_in_line(model, actor, rivals);
            }
            What::Deliver => {
                let work = model
                    .pool_of_actor(actor)
                    .and_then(|pool| model.plan.pools[pool.index()].work.as_ref());
                if let Some(queue) = work.and_then(|work| work.results) {
                    Self::rivals_of_act(model, actor, Act::Put(queue.index()), rivals);
                }
                Self::rivals_in_line(model, actor, rivals);
            }
            What::GiveUp(place) => {
                let waits = self.machine().open_waits(model.party(actor));
                for (_, wait) in waits.filter(|(at, _)| *at == place) {
                    rivals.extend(model.members(wait.on));
                }
                Self::rivals_in_line(model, actor, rivals);
                rivals.extend(
                    model
                        .plan
                        .processes
                        .get(actor)
                        .and_then(|process| process.slot_in)
                        .iter()
                        .flat_map(|pool| model.line_makers.get(pool).into_iter().flatten()),
                );
            }
            What::Turn(_) | What::Leave | What::Answer => Self::rivals_in_line(model, actor, rivals),
        }
    }

    /// Whether a queue is empty when its last receiver ends is up to its senders, and whether a sender's failure is one, to whether
    /// its receivers are still there.
    fn rivals_of_an_exit(model: &Model, step: Move, rivals: &mut Vec<Actor>) {
        let asked = |sender: &&Actor| !model.plan.pipefail && model.fails.get(**sender).is_some_and(|fails| *fails);
        for way in &model.ways {
            if way.receivers.contains(&step.actor) {
                rivals.extend(way.senders.iter().filter(|sender| way.is_awaited || asked(sender)));
            }
            if step.what == What::Fail && !model.plan.pipefail && way.senders.contains(&step.actor) {
                rivals.extend(&way.receivers);
            }
        }
    }

    /// A pool that finds the end of its source lets those of its workers go that have not begun.
    fn rivals_of_an_end(&self, model: &Model, actor: Actor, way: usize, rivals: &mut Vec<Actor>) {
        let pool = model.pool_of_actor(actor).filter(|_| self.contents[way].items == 0);
        let workers = pool.map(|pool| super::model::members_of(&model.plan, pool));
        let is_asking = |worker: &Actor| self.lives[*worker].phase == Phase::Asking;
        rivals.extend(workers.into_iter().flatten().filter(is_asking));
    }

    fn rivals_of_act(model: &Model, actor: Actor, act: Act, rivals: &mut Vec<Actor>) {
        match act {
            Act::Acquire { resource, .. } => rivals.extend(&model.users[resource]),
            Act::Put(way) => {
                rivals.extend(&model.ways[way].senders);
                if model.ways[way].is_awaited {
                    rivals.extend(&model.ways[way].receivers);
                }
            }
            Act::Get(way) => {
                rivals.extend(&model.ways[way].receivers);
                if model.ways[way].is_awaited {
                    rivals.extend(&model.ways[way].senders);
                    Self::rivals_in_line(model, actor, rivals);
                }
            }
            Act::Set(_) => Self::rivals_in_line(model, actor, rivals),
            Act::Release { .. } | Act::Wait(_) => {}
        }
    }

    /// Who comes first into the line for slots is served first.
    fn rivals_in_line(model: &Model, actor: Actor, rivals: &mut Vec<Actor>) {
        for pool in &model.lines[actor] {
            rivals.extend(model.line_makers.get(pool).into_iter().flatten());
        }
    }
}

/// The act of a free program with this number: 0 is the next to acquire, if there is one.
pub(super) fn numbered(acquires: &[Act], acts: &[Act], life: Life, number: usize) -> Option<Act> {
    match number.checked_sub(1) {
        None => acquires.get(life.at).copied(),
        Some(act) => acts.get(act).copied(),
    }
}

/// The act that a process is at.
pub(super) fn act_at(program: &Program, life: Life) -> Option<Act> {
    match program {
        Program::Free { acquires, acts } => numbered(acquires, acts, life, life.turned.checked_sub(1)?),
        Program::Exact { steps, .. } => steps[life.at].waits(),
    }
}

impl Need {
    pub fn of_act(act: Act) -> Self {
        match act {
            Act::Acquire { resource, permits } | Act::Release { resource, permits } => {
                Self::Permits { resource, permits }
            }
            Act::Put(way) => Self::Room(way),
            Act::Get(way) => Self::Item(way),
            Act::Wait(event) | Act::Set(event) => Self::Event(event),
        }
    }
}
