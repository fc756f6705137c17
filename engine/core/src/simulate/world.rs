//! The world of a simulated run: it carries out what the machine wants, late, and lets time pass.

mod holding;
mod outcome;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use super::agenda::{Agenda, Event, Next};
use super::cause::{Cause, How};
use super::chronicle::Chronicle;
use super::life::{Bench, Life, Moments, Phase, exit};
use super::reader::{Feed, Readers};
use super::scenario::Scenario;
use super::tasks::{Items, Source, items, shares, sources};
use super::yard::Yard;
use crate::id::{PoolId, ProcessId, QueueId};
use crate::machine::{Action, Because, Exit, Input, PoolOutcome, Record, Verdict};
use crate::plan::{Grant, Plan, WorkerKind};
use crate::time::Time;

/// Everything outside of the machine.
#[derive(Debug)]
pub(super) struct World<'a> {
    plan: &'a Plan,
    scenario: &'a Scenario,
    agenda: Agenda,
    now: Time,
    /// What has made the machine do what it does now.
    cause: Cause,
    lives: Vec<Life>,
    /// Of processes that run in a slot, or for which those wait.
    moments: Vec<Moments>,
    pool_moments: Vec<Moments>,
    /// By event: when it was set.
    set: Vec<Option<Time>>,
    /// By queue: when nothing more came.
    drained: Vec<Option<Time>>,
    benches: BTreeMap<ProcessId, Bench>,
    readers: Readers,
    yard: Yard,
    sources: Vec<Source>,
    items: Vec<Items>,
    shares: BTreeMap<ProcessId, Vec<(QueueId, u64)>>,
    chronicle: Chronicle,
    verdict: Option<Verdict>,
    has_failed: bool,
    /// When the last thing happened that was more than a timer.
    busy_until: Time,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, scenario: &'a Scenario) -> Self {
        let sources = sources(plan, scenario);
        let items = items(plan, &sources);
        Self {
            plan,
            scenario,
            agenda: Agenda::default(),
            now: Time::START,
            cause: Cause::START,
            lives: vec![Life::NONE; plan.processes.len()],
            moments: vec![Moments::default(); plan.processes.len()],
            pool_moments: vec![Moments::default(); plan.pools.len()],
            set: plan
                .events
                .iter()
                .map(|event| event.set.then_some(Time::START))
                .collect(),
            drained: vec![None; plan.queues.len()],
            benches: BTreeMap::new(),
            readers: Readers::new(plan),
            yard: Yard::new(plan),
            shares: shares(plan, scenario, &items),
            sources,
            items,
            chronicle: Chronicle::new(plan),
            verdict: None,
            has_failed: false,
            busy_until: Time::START,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// How the run has ended.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// How many lives and tasks there were.
    pub(super) fn spans(&self) -> usize {
        self.chronicle.spans.len()
    }

    /// Whether somebody has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether nothing will happen any more.
    pub(super) fn has_nothing_left(&self) -> bool {
        self.agenda.is_empty()
    }

    /// Lets the next thing happen; what the machine is told of it.
    pub(super) fn next(&mut self) -> Option<Input> {
        match self.agenda.pop()? {
            Next::Wake(at) => {
                self.now = self.now.max(at);
                self.cause = Cause::of(How::Clock, None);
                Some(Input::Wake)
            }
            Next::Event(at, event) => {
                self.now = self.now.max(at);
                self.busy_until = self.now;
                self.happen(event)
            }
        }
    }

    fn happen(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Tell { input, cause } => {
                self.cause = cause;
                self.reach(input);
                Some(input)
            }
            Event::Over { process, attempt } => {
                self.over(process, attempt);
                None
            }
            Event::Answer { process, attempt } => self.answer(process, attempt),
            Event::Put {
                process,
                attempt,
                queue,
                left,
                every,
            } => {
                self.put_next(process, attempt, queue, left, every);
                None
            }
        }
    }

    /// What is true from the moment at which the machine hears of it.
    fn reach(&mut self, input: Input) {
        match input {
            Input::Spawned { process, attempt } => self.run(process, attempt),
            Input::EventSet { event } => {
                self.set[event.index()].get_or_insert(self.now);
                let cause = Cause::of(How::Set(event), self.cause.by);
                self.feed_ended(Feed::Event(event), cause);
            }
            Input::Ready { process, .. } => {
                self.moments[process.index()].ready.get_or_insert(self.now);
            }
            Input::QueueDrained { queue } => {
                self.drained[queue.index()].get_or_insert(self.now);
            }
            Input::Start
            | Input::Acquired { .. }
            | Input::NotSpawned { .. }
            | Input::Exited { .. }
            | Input::Gone { .. }
            | Input::QueueLeft { .. }
            | Input::Taken { .. }
            | Input::SourceEnded { .. }
            | Input::SourceFailed { .. }
            | Input::Answered { .. }
            | Input::Unfit { .. }
            | Input::Delivered { .. }
            | Input::Wake
            | Input::Interrupt { .. }
            | Input::Fault
            | Input::Seed { .. }
            | Input::NotReady { .. }
            | Input::Extend { .. }
            | Input::NotLive { .. }
            | Input::Deadlocked => {}
        }
    }

    /// The machine hears of it after a while.
    fn tell_after(&mut self, late: Duration, input: Input, cause: Cause) {
        let event = Event::Tell { input, cause };
        self.agenda.add(self.now.after(late), event);
    }

    /// The machine hears of it after a turn of the engine, and by whom it came to be is known.
    fn answer_late(&mut self, input: Input) {
        self.tell_after(self.scenario.latencies.answer, input, self.cause);
    }

    /// Carries out one action.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Acquire { process, attempt, hold } => self.acquire(process, attempt, hold),
            Action::LetGo { process } => self.let_go(process),
            Action::Spawn { process, attempt, .. } => self.spawn(process, attempt),
            Action::Terminate { process, attempt } => {
                let signal = self.plan.launches[process.index()].stop_signal;
                self.stop(process, attempt, signal);
            }
            Action::Kill { process, attempt } => self.stop(process, attempt, KILL),
            Action::Forsake { process } => self.forsake(process),
            Action::CloseQueue { queue } => self.close_queue(queue),
            Action::BreakQueue { queue } => self.break_queue(queue),
            Action::Take { pool, count } => self.take(pool, count),
            Action::StopTaking { pool } => self.stop_taking(pool),
            Action::Assign { process, attempt, task } => self.assign(process, attempt, task),
            Action::CloseStdin { process, attempt } => self.close_stdin(process, attempt),
            // Where items and results lie does not matter here.
            Action::Complete { .. } | Action::Discard { .. } | Action::Retry { .. } => {}
            Action::Deliver { pool, task } => self.deliver(pool, task),
            Action::WakeAt { at } => self.agenda.wake_at(at),
            Action::End { verdict } => self.verdict = Some(verdict),
        }
    }

    /// Keeps what is asked for afterwards.
    pub(super) fn note(&mut self, record: Record) {
        if let Record::PoolEnded { pool, .. } | Record::PoolSkipped { pool, .. } = record {
            self.pool_moments[pool.index()].ended.get_or_insert(self.now);
        }
        let worker = match record {
            Record::Exited { process, .. } | Record::NotStarted { process, .. } => {
                self.plan.processes[process.index()].worker_of
            }
            Record::RunStarted
            | Record::Started { .. }
            | Record::Skipped { .. }
            | Record::Ready { .. }
            | Record::Restarting { .. }
            | Record::NotRestarted { .. }
            | Record::GaveUp { .. }
            | Record::Stopping { .. }
            | Record::Killing { .. }
            | Record::LeftBehind { .. }
            | Record::TaskDone { .. }
            | Record::TaskRetried { .. }
            | Record::TaskFailed { .. }
            | Record::PoolSkipped { .. }
            | Record::PoolEnded { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunStopping { .. }
            | Record::RunEnded { .. } => None,
        };
        self.has_failed |= worker.is_none() && is_failure(&record);
        self.chronicle.count(&record, worker.is_some());
    }

    fn spawn(&mut self, process: ProcessId, attempt: u32) {
        self.begin(process, attempt);
        self.lives[process.index()].phase = Phase::Starting;
        self.chronicle.running.take(self.now, 1);
        if let Some(pool) = self.task_pool(process) {
            self.chronicle.slot_taken(self.now, pool);
        }
        let cause = Cause::of(How::Started, self.lives[process.index()].span);
        let input = Input::Spawned { process, attempt };
        self.tell_after(self.scenario.latencies.start, input, cause);
    }

    /// The pool for which it does one task in its life.
    fn task_pool(&self, process: ProcessId) -> Option<PoolId> {
        let pool = self.plan.processes[process.index()].worker_of?;
        let work = self.plan.pools[pool.index()].work.as_ref()?;
        (work.worker == WorkerKind::Task).then_some(pool)
    }

    fn is_persistent(&self, process: ProcessId) -> bool {
        self.plan.processes[process.index()].worker_of.is_some() && self.task_pool(process).is_none()
    }

    /// It runs from now on.
    fn run(&mut self, process: ProcessId, attempt: u32) {
        let index = process.index();
        if self.lives[index].attempt != attempt || self.lives[index].phase != Phase::Starting {
            return;
        }
        let open = self.readers.open(process).count();
        let life = &mut self.lives[index];
        life.phase = Phase::Running;
        life.open = u32::try_from(open).unwrap_or(u32::MAX);
        if let Some(span) = life.span {
            self.chronicle.at(span).started = self.now;
        }
        self.moments[index].started.get_or_insert(self.now);
        if let Some(pool) = self.plan.processes[index].worker_of {
            self.pool_moments[pool.index()].started.get_or_insert(self.now);
        }
        if self.is_persistent(process) {
            self.benches.insert(process, Bench::default());
            return;
        }
        let lasts = self.scenario.lasts[index].unwrap_or(self.scenario.ready[index]);
        self.agenda.add(self.now.after(lasts), Event::Over { process, attempt });
        if self.plan.processes[index].ready.is_some() {
            let cause = Cause::of(How::Ready, self.lives[index].span);
            self.tell_after(self.scenario.ready[index], Input::Ready { process, attempt }, cause);
        }
        self.put_evenly(process, attempt, lasts);
    }

    /// Its time has passed: its events are set, and it ends if it has nothing to read any more.
    fn over(&mut self, process: ProcessId, attempt: u32) {
        let life = &mut self.lives[process.index()];
        if !life.runs(attempt) {
            return;
        }
        life.phase = Phase::Due;
        self.cause = Cause::of(How::Ended, life.span);
        if !self.fails(process) {
            self.set_events(process);
        }
        self.end_if_done(process, None);
    }

    fn fails(&self, process: ProcessId) -> bool {
        self.lives[process.index()].attempt <= self.scenario.fails[process.index()]
    }

    fn set_events(&mut self, process: ProcessId) {
        for grant in &self.plan.launches[process.index()].grants {
            match grant {
                Grant::Set(event) => {
                    let cause = Cause::of(How::Set(*event), self.cause.by);
                    self.tell_after(self.scenario.latencies.answer, Input::EventSet { event: *event }, cause);
                }
                Grant::Put(_) | Grant::Get(_) | Grant::Acquire(_) | Grant::Wait(_) => {}
            }
        }
    }

    fn end_if_done(&mut self, process: ProcessId, by: Option<Cause>) {
        let life = self.lives[process.index()];
        let is_endless = self.scenario.lasts[process.index()].is_none();
        // Who fails does not read to the end first.
        let fails = self.fails(process);
        if life.phase == Phase::Due && (life.open == 0 || fails) && !is_endless {
            let exit = exit(&self.plan.processes[process.index()], fails);
            self.leave(process, exit, by);
        }
    }

    /// Its first process ends, and nothing is left of its tree; `by`: what made it end before, or after, its time.
    fn leave(&mut self, process: ProcessId, exit: Exit, by: Option<Cause>) {
        let life = &mut self.lives[process.index()];
        let attempt = life.attempt;
        life.phase = Phase::Leaving;
        let cause = Cause::of(How::Ended, life.span);
        if let Some(span) = life.span {
            let span = self.chronicle.at(span);
            (span.ended, span.ended_by) = (self.now, by);
        }
        let exited = Input::Exited {
            process,
            attempt,
            exit,
            left: false,
        };
        self.tell_after(Duration::ZERO, exited, cause);
        let gone = Input::Gone { process, attempt };
        self.tell_after(self.scenario.latencies.answer, gone, cause);
    }

    /// It is asked, or made, to stop, and does.
    fn stop(&mut self, process: ProcessId, attempt: u32, signal: i32) {
        if self.lives[process.index()].runs(attempt) {
            let by = self.cause;
            self.bench_cleared(process);
            self.leave(process, Exit::Signal(signal), Some(by));
        }
    }

    /// It will never run again: nothing more comes out of its pipes.
    fn forsake(&mut self, process: ProcessId) {
        let life = &mut self.lives[process.index()];
        life.phase = Phase::Over;
        let by = life.span;
        self.moments[process.index()].ended.get_or_insert(self.now);
        for pipe in self.readers.writer_left(process) {
            self.feed_ended(Feed::Pipe(pipe), Cause::of(How::Pipe(pipe), by));
        }
    }

    /// Those who read it have read all.
    fn feed_ended(&mut self, feed: Feed, cause: Cause) {
        for reader in self.readers.end(feed) {
            let life = &mut self.lives[reader.index()];
            if matches!(life.phase, Phase::Running | Phase::Due) {
                life.open = life.open.saturating_sub(1);
                self.end_if_done(reader, Some(cause));
            }
        }
    }
}

/// SIGKILL.
const KILL: i32 = 9;

/// Whether somebody, no worker, has failed, and nobody says that this does not count.
fn is_failure(record: &Record) -> bool {
    match record {
        Record::Exited { outcome, .. } => outcome.is_failure(),
        Record::PoolEnded { outcome, .. } => *outcome == PoolOutcome::Failed,
        Record::Skipped { because, .. } | Record::PoolSkipped { because, .. } => {
            matches!(because, Because::WaitedTooLong { failed: true, .. })
        }
        Record::NotStarted { .. }
        | Record::RunStarted
        | Record::Started { .. }
        | Record::Ready { .. }
        | Record::Restarting { .. }
        | Record::NotRestarted { .. }
        | Record::GaveUp { .. }
        | Record::Stopping { .. }
        | Record::Killing { .. }
        | Record::LeftBehind { .. }
        | Record::TaskDone { .. }
        | Record::TaskRetried { .. }
        | Record::TaskFailed { .. }
        | Record::QueueClosed { .. }
        | Record::QueueBroken { .. }
        | Record::RunStopping { .. }
        | Record::RunEnded { .. } => false,
    }
}
