//! The tasks of pools: where they come from, what is in them, and what came of them. The machine knows only
//! their numbers.

mod results;
mod source;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::yard::ItemId;
use forkyard_core::id::{PoolId, QueueId, TaskId};
use forkyard_core::plan::{Framing, Plan, TaskSource, Work};

use results::Results;
pub use source::{Source, SourceError};

use crate::directory::RunDirectory;

/// The largest result of a task when no queue says otherwise: the language's default of `max_item`.
pub const RESULT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A task that has been taken from its source.
#[derive(Debug)]
pub struct Task {
    /// What it is about.
    pub payload: Rc<[u8]>,
    /// The item of the source queue, until it is acknowledged.
    pub item: Option<ItemId>,
    /// What came of it, until it is delivered.
    pub result: Option<Vec<u8>>,
}

/// The tasks of one pool.
#[derive(Debug)]
pub struct Tasks {
    /// How a task stands on a worker's stdin: as in the queue it came from, otherwise as a line.
    pub framing: Framing,
    /// The queue that results go to.
    pub results_to: Option<QueueId>,
    /// Where tasks come from.
    pub source: Source,
    /// How many more the machine wants now.
    pub credit: u32,
    at_hand: BTreeMap<TaskId, Task>,
    taken: u64,
    kept: Results,
}

/// What was taken from a source at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// So many tasks.
    pub count: u32,
    /// And the source has no more.
    pub ended: bool,
}

/// The tasks of all pools; a pool that has only slots has none.
#[derive(Debug)]
pub struct Pools {
    pools: Vec<Option<Tasks>>,
}

impl Pools {
    /// Nothing is taken yet. Files are looked for in `folder`.
    #[must_use]
    pub fn new(plan: &Plan, folder: &Path, directory: &RunDirectory) -> Self {
        let tasks = |name: &str, work: &Work| Tasks {
            framing: match work.source {
                TaskSource::Queue(queue) => plan.queues[queue.index()].framing,
                TaskSource::Tasks(_) => Framing::Lines,
            },
            results_to: work.results,
            source: Source::new(&work.source, folder),
            credit: 0,
            at_hand: BTreeMap::new(),
            taken: 0,
            kept: Results::new(directory.results(name)),
        };
        let pools = plan
            .pools
            .iter()
            .map(|pool| pool.work.as_ref().map(|work| tasks(&pool.name, work)));
        Self { pools: pools.collect() }
    }

    /// The tasks of a pool that has any.
    ///
    /// # Panics
    /// When the pool has only slots: nobody speaks of its tasks.
    pub fn of(&mut self, pool: PoolId) -> &mut Tasks {
        self.pools[pool.index()]
            .as_mut()
            .expect("only pools with work have tasks")
    }

    /// Writes down what came of the tasks that have left since the last time; says which pool's results could not be written.
    ///
    /// # Errors
    /// When a disk is full, say.
    pub fn flush(&mut self) -> Result<(), (PoolId, io::Error)> {
        for (index, tasks) in self.pools.iter_mut().enumerate() {
            if let Some(tasks) = tasks {
                tasks.kept.flush().map_err(|error| (PoolId::at(index), error))?;
            }
        }
        Ok(())
    }

    /// All pools that have tasks.
    pub fn iter(&self) -> impl Iterator<Item = (PoolId, &Tasks)> {
        let pools = self.pools.iter().enumerate();
        pools.filter_map(|(index, tasks)| Some((PoolId::at(index), tasks.as_ref()?)))
    }
}

impl Tasks {
    /// Takes as many as are wanted and there, from a source that is no queue.
    ///
    /// # Errors
    /// When the source's file cannot be read.
    pub fn pull(&mut self) -> Result<Pulled, SourceError> {
        let mut count = 0;
        while self.credit > 0 {
            let Some(payload) = self.source.next()? else { break };
            self.add(payload, None);
            count += 1;
        }
        let ended = self.source.is_exhausted()?;
        if ended {
            self.source = Source::Ended;
        }
        Ok(Pulled { count, ended })
    }

    /// A task has arrived.
    pub fn add(&mut self, payload: Vec<u8>, item: Option<ItemId>) {
        self.credit = self.credit.saturating_sub(1);
        let task = Task {
            payload: payload.into(),
            item,
            result: None,
        };
        self.at_hand.insert(TaskId(self.taken), task);
        self.taken += 1;
    }

    /// A task that has not left yet.
    pub fn get_mut(&mut self, task: TaskId) -> Option<&mut Task> {
        self.at_hand.get_mut(&task)
    }

    /// A task that has not left yet.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<&Task> {
        self.at_hand.get(&task)
    }

    /// The task leaves; what came of it is kept in the pool's results.
    pub fn deliver(&mut self, task: TaskId) -> Option<Vec<u8>> {
        let Task { payload, result, .. } = self.at_hand.remove(&task)?;
        self.kept.note(task, &payload, result.as_deref());
        result
    }

    /// The task leaves, nothing came of it.
    pub fn discard(&mut self, task: TaskId) -> Option<Task> {
        self.at_hand.remove(&task)
    }

    /// No more are wanted. Those that stand in the workflow are kept, to be counted.
    pub fn stop(&mut self) {
        if let Source::Queue(_) | Source::Lines(..) | Source::File(_) = self.source {
            self.source = Source::Ended;
        }
    }

    /// How many tasks were taken from the source.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

#[cfg(test)]
mod tests;
