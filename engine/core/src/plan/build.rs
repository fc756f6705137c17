//! From a workflow to its plan: names become ids, instances of processes and workers of pools
//! become entries of one table, and each channel learns who is at its ends.

mod group;
mod launch;

use std::collections::BTreeMap;

use super::{
    Dependency, Event, Hold, Lock, Party, Pipe, Plan, Pool, Process, Queue, Resource, Semaphore, TaskSource, Tasks,
    Wait, Work,
};
use crate::diagnostic::Diagnostic;
use crate::id::{GroupId, PoolId, ProcessId, QueueId};
use crate::spec::target::{Names, Role, Target};
use crate::spec::{self, Body, Condition, Endings, Reference, Restart, Stream, Wish, Workflow};
use launch::Streams;

/// The plan of `workflow`, which the checks have found sound.
///
/// Fails only when references of the workflow do not resolve, with a diagnostic for each; what else
/// the checks refuse (a pipe without a reader, say) is planned as it is written.
pub fn build(workflow: &Workflow) -> Result<Plan, Vec<Diagnostic>> {
    let mut builder = Builder::new(workflow);
    for process in &workflow.processes {
        builder.add_process(process);
    }
    for (index, pool) in workflow.pools.iter().enumerate() {
        builder.add_pool(PoolId::at(index), pool);
    }
    for (index, group) in workflow.groups.iter().enumerate() {
        builder.add_group(GroupId::at(index), group);
    }
    builder.finish()
}

/// A plan in the making.
struct Builder<'a> {
    workflow: &'a Workflow,
    names: Names<'a>,
    problems: Vec<Diagnostic>,
    plan: Plan,
}

/// Whose body is planned.
#[derive(Clone, Copy)]
struct Owner {
    /// Its place in the table of processes.
    process: ProcessId,
    /// As who it takes part in a queue: a worker as its pool.
    party: Party,
}

impl<'a> Builder<'a> {
    fn new(workflow: &'a Workflow) -> Self {
        // A table that grows is copied again and again, and of a million processes it has a gigabyte.
        let workers = workflow.pools.iter().filter(|pool| pool.body.run.is_some());
        let count = workflow.processes.len() + workers.map(|pool| pool.size as usize).sum::<usize>();
        Self {
            workflow,
            names: Names::of(workflow),
            problems: Vec::new(),
            plan: Plan {
                name: workflow.name.clone(),
                timeout: workflow.options.timeout.map(|(timeout, _)| timeout),
                on_deadlock: workflow.options.on_deadlock,
                pipefail: workflow.options.pipefail,
                processes: Vec::with_capacity(count),
                launches: Vec::with_capacity(count),
                pools: Vec::new(),
                queues: workflow.queues.iter().map(queue).collect(),
                pipes: workflow.pipes.iter().map(pipe).collect(),
                locks: workflow.locks.iter().map(lock).collect(),
                semaphores: workflow.semaphores.iter().map(semaphore).collect(),
                events: workflow.events.iter().map(event).collect(),
                groups: Vec::new(),
            },
        }
    }

    fn add_process(&mut self, process: &spec::Process) {
        let owner = Owner {
            process: ProcessId::at(self.plan.processes.len()),
            party: Party::Process(ProcessId::at(self.plan.processes.len())),
        };
        let slot_in = process.pool.as_ref().and_then(|pool| self.pool(pool));
        let entry = Process {
            slot_in,
            after: self.waits(&process.body),
            restart: match &process.body.restart {
                Wish::Unsaid | Wish::Never => None,
                Wish::When(restart) => Some(Restart::clone(restart)),
            },
            ..self.entry(process.name(), &process.body)
        };
        let launch = self.launch(owner, &process.body, process.index.unwrap_or(0), Streams::OfProcess);
        self.plan.processes.push(entry);
        self.plan.launches.push(launch);
    }

    fn add_pool(&mut self, id: PoolId, pool: &spec::Pool) {
        let after = self.waits(&pool.body);
        let work = pool.body.run.as_ref().map(|_| self.work(pool));
        let first = ProcessId::at(self.plan.processes.len()).0;
        if let Some(work) = &work {
            if let TaskSource::Queue(queue) = work.source {
                self.plan.queues[queue.index()].receivers.push(Party::Pool(id));
            }
            for index in 0..pool.size {
                self.add_worker(id, pool, index);
            }
        }
        self.plan.pools.push(Pool {
            name: pool.declared.name.clone(),
            size: pool.size,
            workers: first..ProcessId::at(self.plan.processes.len()).0,
            work,
            after,
            daemon: pool.body.daemon,
            on_failure: pool.body.on_failure.unwrap_or(self.workflow.options.on_failure),
        });
    }

    fn add_worker(&mut self, id: PoolId, pool: &spec::Pool, index: u32) {
        let owner = Owner {
            process: ProcessId::at(self.plan.processes.len()),
            party: Party::Pool(id),
        };
        let name = format!("{}.{index}", pool.declared.name);
        let entry = Process {
            worker_of: Some(id),
            ..self.entry(name, &pool.body)
        };
        let launch = self.launch(owner, &pool.body, index, Streams::OfWorker);
        self.plan.processes.push(entry);
        self.plan.launches.push(launch);
    }

    /// What a process and a worker have in common.
    fn entry(&mut self, name: String, body: &Body) -> Process {
        Process {
            name,
            worker_of: None,
            after: Vec::new(),
            holds: self.holds(&body.holds),
            slot_in: None,
            daemon: body.daemon,
            timeout: body.timeout.map(|(timeout, _)| timeout),
            grace: body.stop.grace,
            success: success(body),
            restart: None,
            ready: body.ready.as_ref().map(|probe| probe.timeout),
            group: None,
            on_failure: body.on_failure.unwrap_or(self.workflow.options.on_failure),
        }
    }

    fn work(&mut self, pool: &spec::Pool) -> Work {
        let source = match (&pool.tasks, &pool.body.stdin) {
            (Some(tasks), _) => TaskSource::Tasks(tasks.clone()),
            (None, Stream::Channel(queue)) => self
                .queue(Role::TaskSource, queue)
                .map_or(TaskSource::Tasks(Tasks::Listed(Vec::new())), TaskSource::Queue),
            (None, _) => TaskSource::Tasks(Tasks::Listed(Vec::new())),
        };
        let results = if let Stream::Channel(channel) = &pool.body.stdout {
            self.results(channel)
        } else {
            None
        };
        Work {
            source,
            worker: pool.worker,
            dispatch: pool.dispatch,
            order: pool.order,
            recycle: pool.recycle,
            retry_max: pool.retry_max,
            retry_backoff: pool.retry_backoff,
            results,
        }
    }

    /// The queue to which a pool's stdout leads; `None` when it is a pipe.
    fn results(&mut self, channel: &Reference) -> Option<QueueId> {
        self.resolve(Role::Stdout, channel)?.queue()
    }

    /// The waits of `after`: one for each instance of a process; none for a process that never runs.
    fn waits(&mut self, body: &Body) -> Vec<Wait> {
        let mut waits = Vec::new();
        for after in &body.after {
            let Some(target) = self.resolve(Role::After, &after.on) else {
                continue;
            };
            let is = after
                .is
                .or_else(|| target.default_condition())
                .unwrap_or(Condition::Succeeded);
            let wait = |on| Wait {
                on,
                is,
                timeout: after.timeout,
                otherwise: after.otherwise,
            };
            waits.extend(dependencies(&target).into_iter().map(wait));
        }
        waits
    }

    /// `holds` merged and in the one global order: locks by id, then semaphores by id.
    fn holds(&mut self, holds: &[spec::Hold]) -> Vec<Hold> {
        let mut permits = BTreeMap::new();
        for hold in holds {
            if let Some(resource) = self.resource(Role::Holds, &hold.on) {
                let sum: &mut u32 = permits.entry(resource).or_insert(0);
                *sum = match resource {
                    Resource::Lock(_) => 1,
                    Resource::Semaphore(_) => sum.saturating_add(hold.permits),
                };
            }
        }
        permits
            .into_iter()
            .map(|(resource, permits)| Hold { resource, permits })
            .collect()
    }

    fn resolve(&mut self, role: Role, reference: &Reference) -> Option<Target> {
        self.names
            .resolve(role, reference)
            .map_err(|diagnostic| self.problems.push(diagnostic))
            .ok()
    }

    fn resource(&mut self, role: Role, reference: &Reference) -> Option<Resource> {
        let target = self.resolve(role, reference)?;
        let lock = target.lock().map(Resource::Lock);
        lock.or_else(|| target.semaphore().map(Resource::Semaphore))
    }

    fn queue(&mut self, role: Role, reference: &Reference) -> Option<QueueId> {
        self.resolve(role, reference)?.queue()
    }

    fn pool(&mut self, reference: &Reference) -> Option<PoolId> {
        self.resolve(Role::InPool, reference)?.pool()
    }

    fn finish(mut self) -> Result<Plan, Vec<Diagnostic>> {
        if !self.problems.is_empty() {
            self.problems
                .sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
            self.problems.dedup();
            return Err(self.problems);
        }
        for queue in &mut self.plan.queues {
            sort_once(&mut queue.senders);
            sort_once(&mut queue.receivers);
        }
        for pipe in &mut self.plan.pipes {
            sort_once(&mut pipe.senders);
            sort_once(&mut pipe.receivers);
        }
        Ok(self.plan)
    }
}

/// The ends of a process that mean success.
fn success(body: &Body) -> Endings {
    let said = body.success.as_deref().cloned();
    said.unwrap_or_else(|| Endings::of_codes(&[0]))
}

fn sort_once<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

/// What stands behind a target that can be waited for: every instance of a process.
fn dependencies(target: &Target) -> Vec<Dependency> {
    match target {
        Target::Processes(_) | Target::Absent => target.process_ids().map(Dependency::Process).collect(),
        Target::Pool(pool) => vec![Dependency::Pool(*pool)],
        Target::Event(event) => vec![Dependency::Event(*event)],
        Target::Queue(queue) => vec![Dependency::Queue(*queue)],
        Target::Pipe(_)
        | Target::End(..)
        | Target::Lock(_)
        | Target::Semaphore(_)
        | Target::Template
        | Target::Group => Vec::new(),
    }
}

fn queue(queue: &spec::Queue) -> Queue {
    Queue {
        name: queue.declared.name.clone(),
        capacity: queue.capacity,
        framing: queue.framing,
        max_item: queue.max_item,
        senders: Vec::new(),
        receivers: Vec::new(),
    }
}

fn pipe(pipe: &spec::Pipe) -> Pipe {
    Pipe {
        name: pipe.declared.name.clone(),
        duplex: pipe.duplex,
        size: pipe.size,
        senders: Vec::new(),
        receivers: Vec::new(),
    }
}

fn lock(lock: &spec::Lock) -> Lock {
    Lock {
        name: lock.declared.name.clone(),
        reentrant: lock.reentrant,
    }
}

fn semaphore(semaphore: &spec::Semaphore) -> Semaphore {
    Semaphore {
        name: semaphore.declared.name.clone(),
        permits: semaphore.permits,
    }
}

fn event(event: &spec::Event) -> Event {
    Event {
        name: event.declared.name.clone(),
        set: event.set,
    }
}

#[cfg(test)]
mod tests;
