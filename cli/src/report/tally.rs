//! What has happened so far, added up: for the status line and for the summary.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use forkyard_core::machine::{Because, Exit, Outcome, Record, Stopped, Verdict};
use forkyard_core::plan::{Dependency, OnFailure, Plan};
use forkyard_core::time::Time;
use forkyard_driver::exit::Usage;
use forkyard_driver::news::News;

/// How many single failures of tasks are kept; beyond, they are only counted.
const TASKS_KEPT_MAX: usize = 20;

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not started yet.
    Waiting,
    /// It runs.
    Running,
    /// It has ended well; a worker: between two tasks.
    Done,
    /// It was stopped: a daemon, or since the run stops.
    Stopped,
    /// It has failed.
    Failed,
    /// It will not run.
    Skipped,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ended so.
    Exited(Exit, Duration, Outcome),
    /// It could not be started.
    NotStarted(Option<Arc<str>>),
    /// It waited longer than it was to wait.
    NotReached(Because),
}

/// A task that failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTask {
    /// Whose.
    pub pool: PoolId,
    /// Which.
    pub task: TaskId,
    /// The last worker that tried it.
    pub worker: ProcessId,
    /// Why, as the driver says.
    pub reason: Option<Arc<str>>,
}

/// How the tasks of a pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCount {
    /// Whose.
    pub pool: PoolId,
    /// Tasks done.
    pub done: u64,
    /// Tasks failed for good.
    pub failed: u64,
}

/// Where the items of a queue went that were not simply got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCount {
    /// Which.
    pub queue: QueueId,
    /// Never got.
    pub left: u64,
    /// Put back, since their taker died.
    pub returned: u64,
    /// Larger than `max_item`.
    pub refused: u64,
}

/// How many processes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not started yet.
    pub waiting: usize,
    /// Running, workers included.
    pub running: usize,
    /// Ended well.
    pub done: usize,
    /// Stopped.
    pub stopped: usize,
    /// Failed.
    pub failed: usize,
    /// Will not run.
    pub skipped: usize,
    /// Tasks of all pools that are done.
    pub tasks: u64,
    /// Tasks of all pools that failed for good.
    pub failed_tasks: u64,
}

/// Everything reporters remember.
pub struct Tally {
    plan: Arc<Plan>,
    standings: Vec<Standing>,
    counts: Counts,
    /// Processes that failed, and pools that did not begin in time. Of workers only those that could not be started,
    /// one of each pool: all others are told of by their tasks.
    pub failures: Vec<(Dependency, Cause)>,
    /// Processes and pools that will not run, in order.
    pub skipped: Vec<(Dependency, Because)>,
    /// The first tasks that failed for good.
    pub failed_tasks: Vec<FailedTask>,
    /// Pools with a worker that could not be started.
    workerless: BTreeSet<PoolId>,
    /// Pools that have ended.
    pub pools: Vec<PoolCount>,
    /// Queues of which something is to be said.
    pub queues: Vec<QueueCount>,
    /// Tasks never taken from their sources.
    pub untaken: Vec<(PoolId, u64)>,
    /// What all processes have used.
    pub used: Usage,
    /// When processes, or what they have left behind, were asked to stop.
    stopping: BTreeMap<ProcessId, Time>,
    /// How often processes were started again.
    pub restarts: u32,
    /// Lines that were not shown.
    pub dropped: u64,
    /// Why the run was stopped.
    pub stopped: Option<Stopped>,
    /// How the run ended, and when.
    pub ended: Option<(Verdict, Time)>,
}

impl Tally {
    /// Nothing has happened yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        let standings = vec![Standing::Waiting; plan.processes.len()];
        let waiting = plan
            .processes
            .iter()
            .filter(|process| process.worker_of.is_none())
            .count();
        Self {
            plan,
            standings,
            counts: Counts {
                waiting,
                ..Counts::default()
            },
            failures: Vec::new(),
            skipped: Vec::new(),
            failed_tasks: Vec::new(),
            workerless: BTreeSet::new(),
            pools: Vec::new(),
            queues: Vec::new(),
            untaken: Vec::new(),
            used: Usage::default(),
            stopping: BTreeMap::new(),
            restarts: 0,
            dropped: 0,
            stopped: None,
            ended: None,
        }
    }

    /// When a process, or what it has left behind, was asked to stop.
    pub fn asked_to_stop(&self, process: ProcessId) -> Option<Time> {
        self.stopping.get(&process).copied()
    }

    /// How many stand where.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds a batch that nobody is told of any more.
    pub fn add_all(&mut self, batch: &[News]) {
        for news in batch {
            self.add(news);
        }
    }

    /// Adds one piece of news.
    pub fn add(&mut self, news: &News) {
        match news {
            News::Record {
                at,
                record,
                reason,
                usage,
                ..
            } => {
                self.used = self.used.with(usage.unwrap_or_default());
                self.add_record(*at, *record, reason.as_ref());
            }
            News::Output { .. }
            | News::Listening { .. }
            | News::Damaged { .. }
            | News::Deadlock { .. }
            | News::StdinRead { .. } => {}
            News::OutputDropped { lines } => self.dropped += lines,
            News::QueueCounted {
                queue,
                left,
                returned,
                refused,
                ..
            } => {
                if left + returned + refused > 0 {
                    self.queues.push(QueueCount {
                        queue: *queue,
                        left: *left,
                        returned: *returned,
                        refused: *refused,
                    });
                }
            }
            News::PoolCounted { pool, left, .. } => {
                if *left > 0 {
                    self.untaken.push((*pool, *left));
                }
            }
        }
    }

    fn add_record(&mut self, at: Time, record: Record, reason: Option<&Arc<str>>) {
        match record {
            Record::Started { process, .. } => self.stands(process, Standing::Running),
            Record::Exited {
                process,
                exit,
                lasted,
                outcome,
                ..
            } => self.exited(process, exit, lasted, outcome),
            Record::NotStarted { process, .. } => match self.on_failure(process) {
                OnFailure::Ignore => self.stands(process, Standing::Done),
                OnFailure::Fail | OnFailure::Stop => self.failed(process, Cause::NotStarted(reason.cloned())),
            },
            Record::Skipped { process, because } => {
                let standing = self.skip(Dependency::Process(process), because, self.on_failure(process));
                self.stands(process, standing);
            }
            Record::TaskDone { .. } => self.counts.tasks += 1,
            Record::TaskFailed { pool, task, process } => {
                self.counts.failed_tasks += 1;
                if self.failed_tasks.len() < TASKS_KEPT_MAX {
                    self.failed_tasks.push(FailedTask {
                        pool,
                        task,
                        worker: process,
                        reason: reason.cloned(),
                    });
                }
            }
            Record::PoolSkipped { pool, because } => {
                let on_failure = self.plan.pools[pool.index()].on_failure;
                self.skip(Dependency::Pool(pool), because, on_failure);
            }
            Record::PoolEnded { pool, done, failed, .. } => self.pools.push(PoolCount { pool, done, failed }),
            Record::RunStopping { why } => self.stopped = Some(why),
            Record::RunEnded { verdict } => self.ended = Some((verdict, at)),
            Record::Stopping { process, .. } | Record::LeftBehind { process } => {
                self.stopping.insert(process, at);
            }
            Record::Restarting { process, .. } => {
                self.restarts += 1;
                self.stands(process, Standing::Waiting);
            }
            Record::NotRestarted { process, .. } => self.stands(process, Standing::Stopped),
            Record::RunStarted
            | Record::Ready { .. }
            | Record::GaveUp { .. }
            | Record::Killing { .. }
            | Record::TaskRetried { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. } => {}
        }
    }

    fn exited(&mut self, process: ProcessId, exit: Exit, lasted: Duration, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored => self.stands(process, Standing::Done),
            Outcome::Stopped => self.stands(process, Standing::Stopped),
            Outcome::Restarts => self.stands(process, Standing::Waiting),
            Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => {
                self.failed(process, Cause::Exited(exit, lasted, outcome));
            }
        }
    }

    /// Notes who will not run. To wait too long can be a failure; then it stands among these.
    fn skip(&mut self, who: Dependency, because: Because, on_failure: OnFailure) -> Standing {
        let is_late = matches!(because, Because::WaitedTooLong { failed: true, .. });
        if is_late && on_failure != OnFailure::Ignore {
            self.failures.push((who, Cause::NotReached(because)));
            return Standing::Failed;
        }
        self.skipped.push((who, because));
        Standing::Skipped
    }

    fn failed(&mut self, process: ProcessId, cause: Cause) {
        self.stands(process, Standing::Failed);
        let is_told = match (self.worker_of(process), &cause) {
            (None, _) => true,
            (Some(pool), Cause::NotStarted(_)) => self.workerless.insert(pool),
            (Some(_), Cause::Exited(..) | Cause::NotReached(_)) => false,
        };
        if is_told {
            self.failures.push((Dependency::Process(process), cause));
        }
    }

    fn stands(&mut self, process: ProcessId, standing: Standing) {
        let before = std::mem::replace(&mut self.standings[process.index()], standing);
        if self.worker_of(process).is_some() {
            // Of a worker only that it runs is counted: what it achieves is counted in tasks.
            self.counts.running -= usize::from(before == Standing::Running);
            self.counts.running += usize::from(standing == Standing::Running);
        } else {
            *self.counts.of(before) -= 1;
            *self.counts.of(standing) += 1;
        }
    }

    fn on_failure(&self, process: ProcessId) -> OnFailure {
        self.plan.processes[process.index()].on_failure
    }

    fn worker_of(&self, process: ProcessId) -> Option<PoolId> {
        self.plan.processes[process.index()].worker_of
    }
}

impl Counts {
    const fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Waiting => &mut self.waiting,
            Standing::Running => &mut self.running,
            Standing::Done => &mut self.done,
            Standing::Stopped => &mut self.stopped,
            Standing::Failed => &mut self.failed,
            Standing::Skipped => &mut self.skipped,
        }
    }
}
