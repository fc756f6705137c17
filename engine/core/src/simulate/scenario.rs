//! What is assumed of the world.

use std::time::Duration;

use crate::id::PoolId;
use crate::plan::{OnFailure, Plan, Policy, Pool, TaskSource, Tasks};

/// What is assumed of the world; tables have the plan's indices.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// By process: how long a life of it lasts, of a worker: a task. `None`: until it is stopped.
    pub lasts: Vec<Option<Duration>>,
    /// By process: how long after its start it is seen to be ready, where anybody looks.
    pub ready: Vec<Duration>,
    /// By process: how many of its first lives fail.
    pub fails: Vec<u32>,
    /// By pool: how many tasks its source has; of a queue that counts nothing, its items do.
    pub tasks: Vec<u64>,
    /// By queue: how many items its processes put in all; `None`: each one. What pools put, they have done.
    pub items: Vec<Option<u64>>,
    /// How late the world answers.
    pub latencies: Latencies,
    /// What pauses before restarts are drawn from.
    pub seed: u64,
}

/// How late the world answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// From the wish to start a process to its running.
    pub start: Duration,
    /// Of anything else that the engine is told or carries out.
    pub answer: Duration,
}

impl Default for Latencies {
    /// About what a start takes, and a turn of the engine, as `docs/performance.md` has them.
    fn default() -> Self {
        Self {
            start: Duration::from_millis(1),
            answer: Duration::from_micros(50),
        }
    }
}

impl Scenario {
    /// Every life and task lasts so long; daemons, and processes that are always started again, live until they are
    /// stopped, and are ready after a start's time. Nothing fails.
    #[must_use]
    pub fn uniform(plan: &Plan, lasts: Duration) -> Self {
        let latencies = Latencies::default();
        let is_endless = |process: &crate::plan::Process| {
            let restart = process.restart.as_ref();
            process.worker_of.is_none()
                && (process.daemon || restart.is_some_and(|restart| restart.policy == Policy::Always))
        };
        let life = |process| (!is_endless(process)).then_some(lasts);
        Self {
            lasts: plan.processes.iter().map(life).collect(),
            ready: vec![latencies.start; plan.processes.len()],
            fails: vec![0; plan.processes.len()],
            tasks: plan.pools.iter().map(tasks_of).collect(),
            items: vec![None; plan.queues.len()],
            latencies,
            seed: 0,
        }
    }
}

/// How many tasks stand in the workflow; of lines of a file none are known here.
fn tasks_of(pool: &Pool) -> u64 {
    match pool.work.as_ref().map(|work| &work.source) {
        Some(TaskSource::Tasks(Tasks::Listed(tasks))) => tasks.len() as u64,
        Some(TaskSource::Tasks(Tasks::Range(first, end))) => end.saturating_sub(*first).max(0).unsigned_abs(),
        Some(TaskSource::Tasks(Tasks::Lines(..)) | TaskSource::Queue(_)) | None => 0,
    }
}

/// Lets all processes that run in no pool and are no daemons share `size` slots, those of a new pool of this name.
pub fn share_slots(plan: &mut Plan, name: &str, size: u32) {
    let shared = PoolId::at(plan.pools.len());
    let workers = crate::id::ProcessId::at(plan.processes.len()).0;
    plan.pools.push(Pool {
        name: name.to_owned(),
        size,
        workers: workers..workers,
        work: None,
        after: Vec::new(),
        daemon: false,
        on_failure: OnFailure::Fail,
    });
    let free = |process: &&mut crate::plan::Process| {
        process.worker_of.is_none() && process.slot_in.is_none() && !process.daemon
    };
    for process in plan.processes.iter_mut().filter(free) {
        process.slot_in = Some(shared);
    }
}
