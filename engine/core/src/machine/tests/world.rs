//! A world for the machine: processes that exit, die, hang on and leave others behind, and a yard.
//! It carries out actions late and delivers inputs late, in any interleaving.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::id::{PoolId, ProcessId, QueueId, TaskId};
use crate::machine::{Action, Exit, Input, Verdict};
use crate::plan::{Dependency, Grant, Hold, Party, Plan, Resource, TaskSource, WorkerKind};
use crate::time::Time;

/// A small generator of numbers: xorshift64*, after Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled" (2016). One seed is one history.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from((self.next() >> 33) % u64::from(end.max(1))).expect("below a 32-bit number")
    }

    pub fn one_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }

    pub fn duration(&mut self) -> Duration {
        Duration::from_millis(u64::from(1 + self.below(50)))
    }
}

/// A process as the operating system has it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a trait of the process drawn by itself, not a state"
)]
#[derive(Clone, Debug)]
struct Life {
    attempt: u32,
    /// Its first process has ended, and the machine has been told.
    exited: bool,
    /// Others of its tree are left.
    left: bool,
    asked_to_stop: bool,
    /// It ends only by SIGKILL.
    stubborn: bool,
    /// It ends only when asked to.
    endless: bool,
    tasks: VecDeque<TaskId>,
    stdin_closed: bool,
}

#[derive(Clone, Debug, Default)]
struct Source {
    credit: u32,
    left: u32,
    given: u64,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct QueueModel {
    items: u32,
    closed: bool,
    broken: bool,
    finished: bool,
}

/// What becomes of a task; each is given, then completed once or discarded once.
#[derive(Clone, Debug, Default)]
struct Tally {
    completed: BTreeSet<TaskId>,
    discarded: BTreeSet<TaskId>,
    delivered: BTreeSet<TaskId>,
}

pub struct World<'a> {
    plan: &'a Plan,
    random: &'a mut Random,
    lives: BTreeMap<ProcessId, Life>,
    holders: BTreeMap<Resource, Vec<(ProcessId, u32)>>,
    line: VecDeque<(ProcessId, u32, Hold)>,
    sources: Vec<Source>,
    queues: Vec<QueueModel>,
    tallies: Vec<Tally>,
    forsaken: BTreeSet<ProcessId>,
    pub wake_at: Option<Time>,
    pub verdict: Option<Verdict>,
    pub inbox: VecDeque<Input>,
}

impl<'a> World<'a> {
    pub fn new(plan: &'a Plan, random: &'a mut Random) -> Self {
        let sources = plan
            .pools
            .iter()
            .map(|_| Source {
                left: random.below(16),
                ..Source::default()
            })
            .collect();
        Self {
            plan,
            random,
            lives: BTreeMap::new(),
            holders: BTreeMap::new(),
            line: VecDeque::new(),
            sources,
            queues: vec![QueueModel::default(); plan.queues.len()],
            tallies: vec![Tally::default(); plan.pools.len()],
            forsaken: BTreeSet::new(),
            wake_at: None,
            verdict: None,
            inbox: VecDeque::from([Input::Seed { seed: 1 }, Input::Start]),
        }
    }

    pub fn choose(&mut self, count: u32) -> u32 {
        self.random.below(count)
    }

    pub fn one_in(&mut self, count: u32) -> bool {
        self.random.one_in(count)
    }

    /// Carries out one action. The match is exhaustive: a new action must be simulated.
    pub fn act(&mut self, action: Action) {
        assert!(self.verdict.is_none(), "{action:?} after the end");
        match action {
            Action::Acquire { process, attempt, hold } => {
                self.line.push_back((process, attempt, hold));
                self.grant();
            }
            Action::LetGo { process } => self.let_go(process),
            Action::Spawn { process, attempt, task } => self.spawn(process, attempt, task),
            Action::Terminate { process, attempt } => {
                if let Some(life) = self.life(process, attempt) {
                    life.asked_to_stop = true;
                }
            }
            Action::Kill { process, attempt } => self.kill(process, attempt),
            Action::Forsake { process } => assert!(self.forsaken.insert(process), "{process:?} was forsaken twice"),
            Action::CloseQueue { queue } => {
                self.queues[queue.index()].closed = true;
                self.finish_queue(queue);
            }
            Action::BreakQueue { queue } => {
                self.queues[queue.index()].broken = true;
                self.finish_queue(queue);
            }
            Action::Take { pool, count } => self.sources[pool.index()].credit += count,
            Action::StopTaking { pool } => self.sources[pool.index()].ended = true,
            Action::Assign { process, attempt, task } => self.assign(process, attempt, task),
            Action::CloseStdin { process, attempt } => {
                if let Some(life) = self.life(process, attempt) {
                    life.stdin_closed = true;
                }
            }
            Action::Complete { pool, task } => {
                assert!(
                    self.tallies[pool.index()].completed.insert(task),
                    "{task:?} was completed twice"
                );
                assert!(!self.tallies[pool.index()].discarded.contains(&task));
            }
            Action::Discard { pool, task } => {
                assert!(
                    self.tallies[pool.index()].discarded.insert(task),
                    "{task:?} was discarded twice"
                );
                assert!(!self.tallies[pool.index()].completed.contains(&task));
            }
            Action::Retry { pool, task } => assert!(!self.tallies[pool.index()].completed.contains(&task)),
            Action::Deliver { pool, task } => {
                assert!(
                    self.tallies[pool.index()].completed.contains(&task),
                    "{task:?} has no result"
                );
                assert!(
                    self.tallies[pool.index()].delivered.insert(task),
                    "{task:?} was delivered twice"
                );
                self.inbox.push_back(Input::Delivered { pool, task });
            }
            Action::WakeAt { at } => self.wake_at = Some(at),
            Action::End { verdict } => self.end(verdict),
        }
    }

    /// Lets time pass until the moment asked for.
    pub fn wake(&mut self, now: Time) -> Time {
        self.inbox.push_back(Input::Wake);
        self.wake_at.take().map_or(now, |at| now.max(at))
    }

    fn life(&mut self, process: ProcessId, attempt: u32) -> Option<&mut Life> {
        self.lives.get_mut(&process).filter(|life| life.attempt == attempt)
    }

    fn held(&self, resource: Resource) -> u32 {
        self.holders
            .get(&resource)
            .map_or(0, |holders| holders.iter().map(|(_, permits)| permits).sum())
    }

    fn grant(&mut self) {
        let mut waiting = VecDeque::new();
        for (process, attempt, hold) in std::mem::take(&mut self.line) {
            let room = match hold.resource {
                Resource::Lock(_) => 1,
                Resource::Semaphore(semaphore) => self.plan.semaphores[semaphore.index()].permits,
            };
            if self.held(hold.resource) + hold.permits <= room {
                self.holders
                    .entry(hold.resource)
                    .or_default()
                    .push((process, hold.permits));
                self.inbox.push_back(Input::Acquired { process, attempt });
            } else {
                waiting.push_back((process, attempt, hold));
            }
        }
        self.line = waiting;
    }

    fn let_go(&mut self, process: ProcessId) {
        assert!(!self.lives.contains_key(&process), "{process:?} lets go while it lives");
        self.line.retain(|(waiting, _, _)| *waiting != process);
        for holders in self.holders.values_mut() {
            holders.retain(|(holder, _)| *holder != process);
        }
        self.grant();
    }

    fn spawn(&mut self, process: ProcessId, attempt: u32, task: Option<TaskId>) {
        let plan = &self.plan.processes[process.index()];
        assert!(
            !self.forsaken.contains(&process),
            "{process:?} runs though it was forsaken"
        );
        for hold in &plan.holds {
            let holders = &self.holders[&hold.resource];
            assert!(
                holders.contains(&(process, hold.permits)),
                "{process:?} runs without what it holds"
            );
        }
        if let Some(pool) = plan.slot_in {
            let used = self
                .lives
                .keys()
                .filter(|other| self.plan.processes[other.index()].slot_in == Some(pool));
            assert!(
                used.count() < self.plan.pools[pool.index()].size as usize,
                "more processes than slots"
            );
        }
        if let Some(task) = task {
            self.assert_free(process, task);
        }
        if self.random.one_in(12) {
            self.inbox.push_back(Input::NotSpawned { process, attempt });
            return;
        }
        let life = Life {
            attempt,
            exited: false,
            left: false,
            asked_to_stop: false,
            stubborn: self.random.one_in(6),
            endless: self.random.one_in(3) && self.may_be_endless(process),
            tasks: task.into_iter().collect(),
            stdin_closed: false,
        };
        assert!(self.lives.insert(process, life).is_none(), "{process:?} runs twice");
        self.inbox.push_back(Input::Spawned { process, attempt });
    }

    /// A daemon that never ends must not have what others wait for: no engine could end such a run.
    fn may_be_endless(&self, process: ProcessId) -> bool {
        let plan = &self.plan.processes[process.index()];
        let sends = self
            .plan
            .queues
            .iter()
            .any(|queue| queue.senders.contains(&Party::Process(process)));
        let others = self.plan.processes.iter().map(|other| &other.after);
        let pools = self.plan.pools.iter().map(|pool| &pool.after);
        let awaited = others
            .chain(pools)
            .flatten()
            .any(|wait| wait.on == Dependency::Process(process));
        let sets = !self.plan.launches[process.index()].grants.is_empty();
        !awaited
            && !sets
            && plan.daemon
            && plan.holds.is_empty()
            && plan.slot_in.is_none()
            && plan.worker_of.is_none()
            && !sends
    }

    /// A task is with one worker at a time, and with none after its end.
    fn assert_free(&self, process: ProcessId, task: TaskId) {
        let pool = self.plan.processes[process.index()]
            .worker_of
            .expect("only workers have tasks");
        let tally = &self.tallies[pool.index()];
        assert!(
            !tally.completed.contains(&task) && !tally.discarded.contains(&task),
            "{task:?} is over"
        );
        let elsewhere = self.lives.iter().any(|(other, life)| {
            self.plan.processes[other.index()].worker_of == Some(pool) && life.tasks.contains(&task)
        });
        assert!(!elsewhere, "{task:?} is with two workers");
    }

    fn assign(&mut self, process: ProcessId, attempt: u32, task: TaskId) {
        if self.lives.get(&process).is_some_and(|life| life.attempt == attempt) {
            self.assert_free(process, task);
            if let Some(life) = self.life(process, attempt) {
                assert!(
                    !life.stdin_closed,
                    "{process:?} gets a task behind the end of its stdin"
                );
                life.tasks.push_back(task);
            }
            if self.random.one_in(8) {
                self.life(process, attempt).expect("it lives").tasks.pop_back();
                self.inbox.push_back(Input::Unfit { process, attempt, task });
            }
        }
    }

    fn kill(&mut self, process: ProcessId, attempt: u32) {
        let Some(life) = self.life(process, attempt) else {
            return;
        };
        let told = life.exited;
        if !told {
            self.inbox.push_back(Input::Exited {
                process,
                attempt,
                exit: Exit::Signal(9),
                left: false,
            });
        }
        self.lives.remove(&process);
        self.inbox.push_back(Input::Gone { process, attempt });
    }

    fn finish_queue(&mut self, queue: QueueId) {
        let model = &mut self.queues[queue.index()];
        if model.finished || !(model.closed || model.broken) {
            return;
        }
        if model.items == 0 {
            model.finished = true;
            self.inbox.push_back(Input::QueueDrained { queue });
        } else if model.broken {
            model.finished = true;
            self.inbox.push_back(Input::QueueLeft { queue });
        }
    }

    fn end(&mut self, verdict: Verdict) {
        assert!(
            self.lives.is_empty(),
            "the run ended over living processes: {:?}",
            self.lives
        );
        assert!(
            self.holders.values().all(Vec::is_empty),
            "something is still held: {:?}",
            self.holders
        );
        assert!(self.line.is_empty(), "somebody still waits in the yard");
        for (tally, source) in self.tallies.iter().zip(&self.sources) {
            if verdict == Verdict::Succeeded {
                assert_eq!(tally.delivered, tally.completed, "a result was not delivered");
            }
            assert!((tally.completed.len() + tally.discarded.len()) as u64 <= source.given);
        }
        self.verdict = Some(verdict);
    }

    /// Lets something happen; false when nothing can without the machine or the clock.
    pub fn happen(&mut self) -> bool {
        if !self.plan.pools.is_empty() && self.random.one_in(2) {
            let pool = PoolId(
                self.random
                    .below(u32::try_from(self.plan.pools.len()).expect("few pools")),
            );
            if self.give_task(pool) {
                return true;
            }
        }
        let count = u32::try_from(self.lives.len()).expect("few processes");
        if count == 0 {
            return (0..self.plan.pools.len()).any(|pool| self.give_task(PoolId::at(pool)));
        }
        let first = self.random.below(count);
        for turn in 0..count {
            let place = ((first + turn) % count) as usize;
            let process = *self.lives.keys().nth(place).expect("there are so many");
            if self.live(process) {
                return true;
            }
        }
        (0..self.plan.pools.len()).any(|pool| self.give_task(PoolId::at(pool)))
    }

    fn give_task(&mut self, pool: PoolId) -> bool {
        let Some(work) = &self.plan.pools[pool.index()].work else {
            return false;
        };
        let queue = match work.source {
            TaskSource::Queue(queue) => Some(queue),
            TaskSource::Tasks(_) => None,
        };
        let source = &mut self.sources[pool.index()];
        if source.ended || source.credit == 0 {
            return false;
        }
        if queue.is_none() && self.random.one_in(30) {
            source.ended = true;
            self.inbox.push_back(Input::SourceFailed { pool });
            return true;
        }
        let left = queue.map_or(source.left, |queue| self.queues[queue.index()].items);
        if left > 0 {
            source.credit -= 1;
            source.given += 1;
            match queue {
                None => source.left -= 1,
                Some(queue) => {
                    self.queues[queue.index()].items -= 1;
                    self.finish_queue(queue);
                }
            }
            self.inbox.push_back(Input::Taken { pool, count: 1 });
            return true;
        }
        if queue.is_none_or(|queue| self.queues[queue.index()].closed || self.queues[queue.index()].finished) {
            source.ended = true;
            self.inbox.push_back(Input::SourceEnded { pool });
            return true;
        }
        false
    }

    /// One thing that a living process may do.
    fn live(&mut self, process: ProcessId) -> bool {
        let life = self.lives[&process].clone();
        if self.random.one_in(3) {
            self.look_at(process, life.attempt);
        }
        if life.exited {
            // What it has answered may be read after its exit.
            if self.random.one_in(4) && self.answer(process, &life) {
                return true;
            }
            // A tree that was left behind goes by itself, or when it is asked to.
            if !life.left || life.asked_to_stop && !life.stubborn || self.random.one_in(4) {
                self.lives.remove(&process);
                self.inbox.push_back(Input::Gone {
                    process,
                    attempt: life.attempt,
                });
                return true;
            }
            return false;
        }
        if life.asked_to_stop && life.stubborn || life.endless && !life.asked_to_stop {
            return false;
        }
        if !life.asked_to_stop && self.random.one_in(2) && self.work(process, &life) {
            return true;
        }
        if self.waits_for_tasks(process, &life) {
            return false;
        }
        self.exit(process, &life);
        true
    }

    /// Somebody looks whether it is ready, or alive; or it tells that itself.
    fn look_at(&mut self, process: ProcessId, attempt: u32) {
        if self.plan.processes[process.index()].worker_of.is_some() {
            return;
        }
        let seen = match self.random.below(8) {
            0 => Input::NotLive { process, attempt },
            1 => {
                let by = self.random.duration();
                Input::Extend { process, attempt, by }
            }
            2 if self.random.one_in(4) => Input::NotReady { process, attempt },
            2..=7 => Input::Ready { process, attempt },
            other => unreachable!("{other} is not below 8"),
        };
        self.inbox.push_back(seen);
    }

    fn is_persistent(&self, process: ProcessId) -> bool {
        let pool = self.plan.processes[process.index()].worker_of;
        let work = pool.and_then(|pool| self.plan.pools[pool.index()].work.as_ref());
        work.is_some_and(|work| work.worker == WorkerKind::Persistent)
    }

    /// A persistent worker answers the task it has.
    fn answer(&mut self, process: ProcessId, life: &Life) -> bool {
        if life.tasks.is_empty() || !self.is_persistent(process) {
            return false;
        }
        self.lives.get_mut(&process).expect("it lives").tasks.pop_front();
        self.inbox.push_back(Input::Answered {
            process,
            attempt: life.attempt,
        });
        true
    }

    /// A persistent worker without a task waits for one, or for end-of-file.
    fn waits_for_tasks(&mut self, process: ProcessId, life: &Life) -> bool {
        self.is_persistent(process) && !life.asked_to_stop && !life.stdin_closed && !self.random.one_in(10)
    }

    /// Sets an event, puts an item, answers a task.
    fn work(&mut self, process: ProcessId, life: &Life) -> bool {
        if self.answer(process, life) {
            return true;
        }
        if let Some(Grant::Set(event)) = self.plan.launches[process.index()].grants.first() {
            self.inbox.push_back(Input::EventSet { event: *event });
        }
        for (plan, model) in self.plan.queues.iter().zip(&mut self.queues) {
            if plan.senders.contains(&Party::Process(process)) && !model.broken && model.items < 3 {
                model.items += 1;
            }
        }
        false
    }

    fn exit(&mut self, process: ProcessId, life: &Life) {
        let exit = match self.random.below(6) {
            0 => Exit::Code(1),
            1 => Exit::Signal(if self.random.one_in(2) { 9 } else { 13 }),
            2..=5 => Exit::Code(0),
            other => unreachable!("{other} is not below 6"),
        };
        let left = self.random.one_in(8);
        let known = self.lives.get_mut(&process).expect("it lives");
        known.exited = true;
        known.left = left;
        self.inbox.push_back(Input::Exited {
            process,
            attempt: life.attempt,
            exit,
            left,
        });
    }
}
