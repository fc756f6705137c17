//! The part of a plan that has to do with one knot: a small plan of its own.
//!
//! What no deadlock can come of is left out: acts that wait for nothing that leads into the knot, waits for those who cannot be kept by
//! it. That allows more than the whole plan does, and so hides no deadlock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::inside::{Act, Program, Step};
use super::model::{self, Actor, Daemons, Model, pool_actor, resource_index};
use super::structure::{Knot, Layout, queues_awaited};
use super::touched::Touched;
use crate::id::{EventId, LockId, PipeId, PoolId, ProcessId, QueueId, SemaphoreId};
use crate::plan::{
    Channel, Condition, Dependency, Endings, Grant, Hold, Inside, Launch, Otherwise, Party, Plan, Pool, Process,
    Resource, Side, TaskSource, Tasks, Wait, Wires, Work,
};

/// More tasks than workers and these show nothing new.
const TASKS_SPARE: u32 = 2;

/// A part with its numbers in the whole plan.
pub(super) struct Part {
    pub model: Model,
    /// By number in the part: that in the whole plan.
    processes: Vec<ProcessId>,
    pools: Vec<PoolId>,
    locks: Vec<usize>,
    semaphores: Vec<usize>,
    queues: Vec<usize>,
    pipes: Vec<usize>,
    events: Vec<usize>,
}

/// What belongs to a part, by the numbers of the whole plan.
struct Selection<'a> {
    plan: &'a Plan,
    layout: Layout,
    needs: &'a BTreeSet<u32>,
    processes: Table,
    pools: Table,
    resources: BTreeSet<usize>,
    locks: Table,
    semaphores: Table,
    ways: BTreeSet<usize>,
    queues: Table,
    pipes: Table,
    events: Table,
}

/// Old numbers with the new ones.
#[derive(Clone, Debug, Default)]
struct Table {
    new: BTreeMap<usize, usize>,
}

impl Table {
    fn of(kept: impl IntoIterator<Item = usize>) -> Self {
        let kept: BTreeSet<usize> = kept.into_iter().collect();
        Self {
            new: kept.into_iter().zip(0..).collect(),
        }
    }

    fn get(&self, old: usize) -> Option<usize> {
        self.new.get(&old).copied()
    }

    fn old(&self) -> impl Iterator<Item = usize> + '_ {
        self.new.keys().copied()
    }
}

impl Part {
    pub fn new(plan: &Plan, programs: &[Program], touched: &Touched, knot: &Knot) -> Self {
        let selection = Selection::new(plan, touched, knot);
        let small = selection.plan();
        let daemons = selection.daemons(knot.daemons);
        let breaks = selection.processes.old();
        let breaks = breaks.map(|actor| selection.may_break(actor, &programs[actor]));
        let breaks = breaks.collect();
        let programs = selection
            .processes
            .old()
            .map(|actor| selection.program(&programs[actor]));
        let programs = programs.collect();
        Self {
            model: Model::new(Arc::new(small), programs, breaks, daemons),
            processes: selection.processes.old().map(ProcessId::at).collect(),
            pools: selection.pools.old().map(PoolId::at).collect(),
            locks: selection.locks.old().collect(),
            semaphores: selection.semaphores.old().collect(),
            queues: selection.queues.old().collect(),
            pipes: selection.pipes.old().collect(),
            events: selection.events.old().collect(),
        }
    }

    /// A whole plan as its own part.
    #[cfg(test)]
    pub fn whole(plan: &Plan, daemons: Daemons) -> Self {
        let programs = (0..plan.processes.len())
            .map(|actor| Program::of(plan, actor))
            .collect();
        let stay = match daemons {
            Daemons::MayEnd => Vec::new(),
            Daemons::Stay => model::daemons(plan),
        };
        let mut plan = plan.clone();
        plan.processes.iter_mut().for_each(|process| process.daemon = false);
        plan.pools.iter_mut().for_each(|pool| pool.daemon = false);
        Self {
            model: Model::new(
                Arc::new(plan.clone()),
                programs,
                vec![false; plan.processes.len()],
                stay,
            ),
            processes: (0..plan.processes.len()).map(ProcessId::at).collect(),
            pools: (0..plan.pools.len()).map(PoolId::at).collect(),
            locks: (0..plan.locks.len()).collect(),
            semaphores: (0..plan.semaphores.len()).collect(),
            queues: (0..plan.queues.len()).collect(),
            pipes: (0..plan.pipes.len()).collect(),
            events: (0..plan.events.len()).collect(),
        }
    }

    /// A party by its name in the whole plan; a worker is itself.
    pub fn actor(&self, actor: Actor) -> Party {
        match self.model.pool_of_actor(actor) {
            Some(pool) => Party::Pool(self.pools[pool.index()]),
            None => Party::Process(self.processes[actor]),
        }
    }

    pub fn resource(&self, resource: usize) -> Resource {
        match resource.checked_sub(self.locks.len()) {
            None => Resource::Lock(LockId::at(self.locks[resource])),
            Some(semaphore) => Resource::Semaphore(SemaphoreId::at(self.semaphores[semaphore])),
        }
    }

    pub fn channel(&self, way: usize) -> Channel {
        match way.checked_sub(self.queues.len()) {
            None => Channel::Queue(QueueId::at(self.queues[way])),
            Some(way) => {
                let side = if way.is_multiple_of(2) { Side::Left } else { Side::Right };
                Channel::Pipe(PipeId::at(self.pipes[way / 2]), side)
            }
        }
    }

    pub fn event(&self, event: usize) -> EventId {
        EventId::at(self.events[event])
    }

    pub fn pool(&self, pool: PoolId) -> PoolId {
        self.pools[pool.index()]
    }

    pub fn wait(&self, wait: Wait) -> Wait {
        let on = match wait.on {
            Dependency::Process(process) => Dependency::Process(self.processes[process.index()]),
            Dependency::Pool(pool) => Dependency::Pool(self.pool(pool)),
            Dependency::Event(event) => Dependency::Event(self.event(event.index())),
            Dependency::Queue(queue) => Dependency::Queue(QueueId::at(self.queues[queue.index()])),
        };
        Wait { on, ..wait }
    }
}

impl<'a> Selection<'a> {
    fn new(plan: &'a Plan, touched: &Touched, knot: &'a Knot) -> Self {
        let layout = Layout::of(plan);
        let needs = &knot.needs;
        let numbers = |count: usize, is_kept: &dyn Fn(usize) -> bool| (0..count).filter(|at| is_kept(*at)).collect();
        let resources: BTreeSet<usize> = numbers(touched.users.len(), &|at| needs.contains(&Layout::resource(at)));
        let mut ways: BTreeSet<usize> = numbers(touched.ends.len(), &|at| {
            needs.contains(&layout.room(at)) || needs.contains(&layout.item(at))
        });
        let drained = queues_awaited(plan).filter(|queue| needs.contains(&layout.drained(*queue)));
        ways.extend(drained.map(QueueId::index));
        let events: BTreeSet<usize> = numbers(touched.setters.len(), &|at| needs.contains(&layout.event(at)));
        let mut actors = knot.actors.clone();
        actors.extend(resources.iter().flat_map(|at| &touched.users[*at]));
        actors.extend(ways.iter().flat_map(|at| &touched.ends[*at]));
        actors.extend(events.iter().flat_map(|at| &touched.setters[*at]));
        let slots = (0..plan.pools.len()).filter(|at| needs.contains(&layout.slot(PoolId::at(*at))));
        actors.extend(slots.flat_map(|at| {
            touched.members[at]
                .iter()
                .copied()
                .chain([pool_actor(plan, PoolId::at(at))])
        }));
        let (processes, pools) = with_their_sources(plan, touched, actors, &mut ways);
        let locks = plan.locks.len();
        let queues = plan.queues.len();
        Self {
            plan,
            layout,
            needs,
            processes: Table::of(processes),
            pools: Table::of(pools),
            locks: Table::of(resources.range(..locks).copied()),
            semaphores: Table::of(resources.range(locks..).map(|at| at - locks)),
            queues: Table::of(ways.range(..queues).copied()),
            pipes: Table::of(ways.range(queues..).map(|at| (at - queues) / 2)),
            resources,
            ways,
            events: Table::of(events),
        }
    }

    /// By number in the part: who is a daemon; nobody is where daemons may end.
    fn daemons(&self, assumed: Daemons) -> Vec<bool> {
        if assumed == Daemons::MayEnd {
            return Vec::new();
        }
        let daemons = model::daemons(self.plan);
        let pools = self.pools.old().map(|pool| pool_actor(self.plan, PoolId::at(pool)));
        let actors = self.processes.old().chain(pools);
        actors.map(|actor| daemons[actor]).collect()
    }

    fn resource(&self, resource: usize) -> Option<usize> {
        if !self.resources.contains(&resource) {
            return None;
        }
        match resource.checked_sub(self.plan.locks.len()) {
            None => self.locks.get(resource),
            Some(semaphore) => Some(self.locks.new.len() + self.semaphores.get(semaphore)?),
        }
    }

    fn way(&self, way: usize) -> Option<usize> {
        if !self.ways.contains(&way) {
            return None;
        }
        match way.checked_sub(self.plan.queues.len()) {
            None => self.queues.get(way),
            Some(pipe) => Some(self.queues.new.len() + 2 * self.pipes.get(pipe / 2)? + pipe % 2),
        }
    }

    /// A failure after the end of its receivers is none. Where these are not in the part, it may come at any time, and what
    /// the process would have set is not set then.
    fn may_break(&self, actor: Actor, program: &Program) -> bool {
        let is_left_out = |way: usize| !self.ways.contains(&way);
        let sets = program.acts().iter().any(|act| matches!(act, Act::Set(_)));
        let puts = || {
            program
                .acts()
                .iter()
                .any(|act| matches!(act, Act::Put(way) if is_left_out(*way)))
        };
        let sender = Party::Process(ProcessId::at(actor));
        let mut queues = self.plan.queues.iter().enumerate();
        let mut sends = || queues.any(|(way, queue)| is_left_out(way) && queue.senders.contains(&sender));
        !self.plan.pipefail && sets && (puts() || sends())
    }

    fn party(&self, party: Party) -> Option<Party> {
        Some(match party {
            Party::Process(process) => Party::Process(ProcessId::at(self.processes.get(process.index())?)),
            Party::Pool(pool) => Party::Pool(self.pool(pool)?),
        })
    }

    fn pool(&self, pool: PoolId) -> Option<PoolId> {
        self.pools.get(pool.index()).map(PoolId::at)
    }

    /// A wait for those who cannot be kept by the knot is only a delay.
    fn wait(&self, wait: &Wait) -> Option<Wait> {
        if wait.timeout.is_none() && !self.needs.contains(&self.layout.wait(self.plan, *wait)) {
            return None;
        }
        let on = match wait.on {
            Dependency::Process(process) => Dependency::Process(ProcessId::at(self.processes.get(process.index())?)),
            Dependency::Pool(pool) => Dependency::Pool(self.pool(pool)?),
            Dependency::Event(event) => Dependency::Event(EventId::at(self.events.get(event.index())?)),
            Dependency::Queue(queue) => Dependency::Queue(QueueId::at(self.queues.get(queue.index())?)),
        };
        Some(Wait { on, ..*wait })
    }

    fn hold(&self, hold: &Hold) -> Option<Hold> {
        let new = self.resource(resource_index(self.plan, hold.resource))?;
        let resource = match new.checked_sub(self.locks.new.len()) {
            None => Resource::Lock(LockId::at(new)),
            Some(semaphore) => Resource::Semaphore(SemaphoreId::at(semaphore)),
        };
        Some(Hold {
            resource,
            permits: hold.permits,
        })
    }

    fn plan(&self) -> Plan {
        let whole = self.plan;
        Plan {
            name: whole.name.clone(),
            timeout: None,
            on_deadlock: whole.on_deadlock,
            pipefail: whole.pipefail,
            processes: self
                .processes
                .old()
                .map(|at| self.process(at, &whole.processes[at]))
                .collect(),
            launches: self
                .processes
                .old()
                .map(|at| self.launch(&whole.launches[at]))
                .collect(),
            pools: self.pools.old().map(|at| self.pool_entry(&whole.pools[at])).collect(),
            queues: self.queues.old().map(|at| self.queue(at)).collect(),
            pipes: self.pipes.old().map(|at| self.pipe(at)).collect(),
            locks: self.locks.old().map(|at| whole.locks[at].clone()).collect(),
            semaphores: self.semaphores.old().map(|at| whole.semaphores[at].clone()).collect(),
            events: self.events.old().map(|at| whole.events[at].clone()).collect(),
            groups: Vec::new(),
        }
    }

    fn process(&self, at: usize, process: &Process) -> Process {
        let mut after: Vec<_> = process.after.iter().filter_map(|wait| self.wait(wait)).collect();
        let is_delayed = after.len() < process.after.len();
        let slot_in = process.slot_in.and_then(|pool| self.pool(pool));
        if let (true, Some(_), Some(own)) = (is_delayed, slot_in, self.processes.get(at)) {
            after.push(arrival(ProcessId::at(own)));
        }
        Process {
            name: process.name.clone(),
            worker_of: process.worker_of.and_then(|pool| self.pool(pool)),
            after,
            holds: process.holds.iter().filter_map(|hold| self.hold(hold)).collect(),
            slot_in,
            // Those who need it may be outside of the part.
            daemon: false,
            timeout: None,
            grace: Duration::ZERO,
            success: Endings::of_codes(&[0]),
            restart: None,
            ready: process.ready,
            group: None,
            on_failure: process.on_failure,
        }
    }

    /// Of how it is started, the machine looks at the events alone.
    fn launch(&self, launch: &Launch) -> Launch {
        let set = |grant: &Grant| match grant {
            Grant::Set(event) => Some(Grant::Set(EventId::at(self.events.get(event.index())?))),
            Grant::Put(_) | Grant::Get(_) | Grant::Acquire(_) | Grant::Wait(_) => None,
        };
        Launch {
            grants: launch.grants.iter().filter_map(set).collect(),
            env: BTreeMap::new(),
            fds: Wires::default(),
            connects: Vec::new(),
            inside: Inside::default(),
            ..launch.clone()
        }
    }

    fn pool_entry(&self, pool: &Pool) -> Pool {
        let first = pool.workers.start as usize;
        let first = self.processes.get(first).map_or(0, |first| ProcessId::at(first).0);
        let workers = pool.workers.end - pool.workers.start;
        Pool {
            name: pool.name.clone(),
            size: pool.size,
            workers: first..first + workers,
            work: pool.work.as_ref().map(|work| self.work(pool.size, work)),
            after: pool.after.iter().filter_map(|wait| self.wait(wait)).collect(),
            daemon: false,
            on_failure: pool.on_failure,
        }
    }

    fn work(&self, size: u32, work: &Work) -> Work {
        let enough = i64::from(size + TASKS_SPARE);
        let source = match &work.source {
            TaskSource::Tasks(tasks) => {
                TaskSource::Tasks(Tasks::Range(0, count(tasks).map_or(enough, |it| it.min(enough))))
            }
            TaskSource::Queue(queue) => match self.way(queue.index()) {
                Some(queue) => TaskSource::Queue(QueueId::at(queue)),
                None => TaskSource::Tasks(Tasks::Range(0, enough)),
            },
        };
        Work {
            source,
            recycle: None,
            retry_max: 0,
            retry_backoff: Duration::ZERO,
            results: work.results.and_then(|queue| self.way(queue.index())).map(QueueId::at),
            ..work.clone()
        }
    }

    fn queue(&self, at: usize) -> crate::plan::Queue {
        let queue = &self.plan.queues[at];
        let parties = |parties: &[Party]| parties.iter().filter_map(|party| self.party(*party)).collect();
        crate::plan::Queue {
            capacity: if self.is_never_full(queue) { 0 } else { queue.capacity },
            senders: parties(&queue.senders),
            receivers: parties(&queue.receivers),
            ..queue.clone()
        }
    }

    /// The tasks of all pools whose results it takes are fewer than fit.
    fn is_never_full(&self, queue: &crate::plan::Queue) -> bool {
        let mut items: i64 = 0;
        for sender in &queue.senders {
            let Party::Pool(pool) = sender else { return false };
            let tasks = match self.plan.pools[pool.index()].work.as_ref().map(|work| &work.source) {
                Some(TaskSource::Tasks(tasks)) => count(tasks),
                Some(TaskSource::Queue(_)) | None => None,
            };
            let Some(tasks) = tasks else { return false };
            items = items.saturating_add(tasks);
        }
        i64::try_from(queue.capacity).is_ok_and(|capacity| items <= capacity)
    }

    fn pipe(&self, at: usize) -> crate::plan::Pipe {
        let pipe = &self.plan.pipes[at];
        let ends = |ends: &[ProcessId]| {
            let kept = ends.iter().filter_map(|process| self.processes.get(process.index()));
            kept.map(ProcessId::at).collect()
        };
        crate::plan::Pipe {
            senders: ends(&pipe.senders),
            receivers: ends(&pipe.receivers),
            ..pipe.clone()
        }
    }

    fn program(&self, program: &Program) -> Program {
        match program {
            Program::Free { acquires, acts } => Program::Free {
                acquires: acquires.iter().filter_map(|act| self.act(*act)).collect(),
                acts: acts.iter().filter_map(|act| self.act(*act)).collect(),
            },
            Program::Exact { steps, held } => Program::Exact {
                steps: steps
                    .iter()
                    .enumerate()
                    .map(|(at, step)| self.step(at, *step))
                    .collect(),
                held: held.iter().map(|held| self.held(held)).collect(),
            },
        }
    }

    fn act(&self, act: Act) -> Option<Act> {
        Some(match act {
            Act::Acquire { resource, permits } => Act::Acquire {
                resource: self.resource(resource)?,
                permits,
            },
            Act::Release { resource, permits } => Act::Release {
                resource: self.resource(resource)?,
                permits,
            },
            Act::Put(way) => Act::Put(self.way(way)?),
            Act::Get(way) => Act::Get(self.way(way)?),
            Act::Wait(event) => Act::Wait(self.events.get(event)?),
            Act::Set(event) => Act::Set(self.events.get(event)?),
        })
    }

    /// Where nothing is left of a step, the next one follows; whether a round is the last one, nobody says then.
    fn step(&self, at: usize, step: Step) -> Step {
        match step {
            Step::Do(act) => self.act(act).map_or(Step::Jump(at + 1), Step::Do),
            Step::Get { way, end } => match self.way(way) {
                Some(way) => Step::Get { way, end },
                None if end == at + 1 => Step::Jump(end),
                None => Step::Maybe(end),
            },
            Step::Try(act) => self.act(act).map_or(Step::Jump(at + 1), Step::Try),
            Step::Maybe(end) => Step::Maybe(end),
            Step::Jump(to) => Step::Jump(to),
            Step::End => Step::End,
        }
    }

    fn held(&self, held: &[(usize, u32)]) -> Vec<(usize, u32)> {
        let held = held.iter();
        held.filter_map(|(resource, permits)| Some((self.resource(*resource)?, *permits)))
            .collect()
    }
}

/// Stands for waits that are left out: they may come at any time, and who is before whom in a line for slots is up to that. A
/// process that waits for itself has only its time-out to hope for, which may come at any time, too.
fn arrival(process: ProcessId) -> Wait {
    Wait {
        on: Dependency::Process(process),
        is: Condition::Finished,
        timeout: Some(Duration::MAX),
        otherwise: Otherwise::Start,
    }
}

/// Whether this wait stands for others that are left out.
pub(super) fn is_arrival(wait: Wait, party: Party) -> bool {
    matches!((wait.on, party), (Dependency::Process(on), Party::Process(own)) if on == own)
}

/// A worker does not come without its pool, nor a pool without its workers or lodgers.
fn with_their_pools(plan: &Plan, touched: &Touched, actors: &BTreeSet<Actor>) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let mut processes = BTreeSet::new();
    let mut pools = BTreeSet::new();
    for actor in actors {
        if let Some(pool) = actor.checked_sub(plan.processes.len()) {
            pools.insert(pool);
        } else {
            processes.insert(*actor);
            pools.extend(plan.processes[*actor].worker_of.map(PoolId::index));
        }
    }
    for pool in &pools {
        processes.extend(&touched.members[*pool]);
    }
    (processes, pools)
}

/// The same with the queues that these pools take their tasks from, and all at these: how many tasks come, none perhaps, is up
/// to those who send them.
fn with_their_sources(
    plan: &Plan,
    touched: &Touched,
    mut actors: BTreeSet<Actor>,
    ways: &mut BTreeSet<usize>,
) -> (BTreeSet<usize>, BTreeSet<usize>) {
    loop {
        let (processes, pools) = with_their_pools(plan, touched, &actors);
        let works = pools.iter().filter_map(|pool| plan.pools[*pool].work.as_ref());
        let sources = works.filter_map(|work| match work.source {
            TaskSource::Queue(queue) => Some(queue.index()),
            TaskSource::Tasks(_) => None,
        });
        let missing: Vec<_> = sources.filter(|source| ways.insert(*source)).collect();
        if missing.is_empty() {
            return (processes, pools);
        }
        actors.extend(missing.iter().flat_map(|source| &touched.ends[*source]));
    }
}

/// How many tasks there are; `None`: as many as a file has lines.
fn count(tasks: &Tasks) -> Option<i64> {
    match tasks {
        Tasks::Listed(list) => i64::try_from(list.len()).ok(),
        Tasks::Range(first, end) => Some(end.saturating_sub(*first).max(0)),
        Tasks::Lines(..) => None,
    }
}
