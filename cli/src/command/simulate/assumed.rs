//! From the command line, and the records of a run, to what is assumed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use forkyard_core::plan::{Plan, TaskSource, Tasks, declared};
use forkyard_core::simulate::{Latencies, Scenario, share_slots};
use forkyard_core::spec::Workflow;

use super::Args;
use super::past::Past;
use super::rules::Rules;
use crate::failure::{Failure, reason};

/// How the pool of those is called that share the slots of `--slots N`: no name of a workflow begins so.
pub(super) const SHARED: &str = "--slots";

/// The language lets a pool have no more workers.
const WORKERS_MAX: u32 = 100_000;

/// What is assumed, and what is to be said about it.
pub(super) struct Assumed {
    pub scenario: Scenario,
    /// How long those last of whom nothing is said.
    pub otherwise: Duration,
    /// How many these are.
    pub unsaid: usize,
    /// What could not be known.
    pub remarks: Vec<String>,
}

/// All that is assumed for a plan, whose relative paths start in `folder`.
pub(super) fn assumed(args: &Args, plan: &Plan, folder: &Path) -> Result<Assumed, Failure> {
    let past = args.from.as_deref().map(Past::read).transpose()?;
    let mut assumed = Assumed {
        scenario: Scenario::uniform(plan, args.default_duration),
        otherwise: args.default_duration,
        unsaid: 0,
        remarks: Vec::new(),
    };
    assumed.scenario.seed = args.seed;
    assumed.scenario.latencies = Latencies {
        start: args.start_latency,
        ..Latencies::default()
    };
    assumed.durations(args, plan, past.as_ref())?;
    assumed.failures(args, plan)?;
    assumed.items(args, plan, past.as_ref(), folder)?;
    Ok(assumed)
}

impl Assumed {
    fn durations(&mut self, args: &Args, plan: &Plan, past: Option<&Past>) -> Result<(), Failure> {
        let mut said = Rules::new(&args.duration).map_err(Failure::invalid)?;
        for (index, process) in plan.processes.iter().enumerate() {
            let name = &process.name;
            let lasts = &mut self.scenario.lasts[index];
            let before = past.and_then(|past| match process.worker_of {
                Some(_) => past.task_of(name),
                None => past.life_of(name),
            });
            // How long a service has lasted before says nothing.
            if let Some(said) = said.of(name, declared(name)).or(before.filter(|_| lasts.is_some())) {
                *lasts = Some(said);
            } else if lasts.is_some() {
                self.unsaid += 1;
            }
            if let Some(ready) = past.and_then(|past| past.ready_of(name)) {
                self.scenario.ready[index] = ready;
            }
        }
        refuse_unused("--duration", "process or pool", said.unused())
    }

    fn failures(&mut self, args: &Args, plan: &Plan) -> Result<(), Failure> {
        let mut said = Rules::new(&args.fail).map_err(Failure::invalid)?;
        for (process, fails) in plan.processes.iter().zip(&mut self.scenario.fails) {
            *fails = said.of(&process.name, declared(&process.name)).unwrap_or(0);
        }
        refuse_unused("--fail", "process or pool", said.unused())
    }

    fn items(&mut self, args: &Args, plan: &Plan, past: Option<&Past>, folder: &Path) -> Result<(), Failure> {
        let mut said = Rules::new(&args.items).map_err(Failure::invalid)?;
        let before = |name: &str| past.and_then(|past| past.counts.get(name).copied());
        for (queue, items) in plan.queues.iter().zip(&mut self.scenario.items) {
            *items = said.of(&queue.name, &queue.name).or(before(&queue.name));
        }
        for (pool, tasks) in plan.pools.iter().zip(&mut self.scenario.tasks) {
            let source = pool.work.as_ref().map(|work| &work.source);
            let (Some(TaskSource::Tasks(given)), name) = (source, &pool.name) else {
                continue;
            };
            match (said.of(name, name), given) {
                (Some(said), _) => *tasks = said,
                (None, Tasks::Lines(path, _)) => match lines(&folder.join(path)) {
                    Ok(lines) => *tasks = lines,
                    Err(why) => {
                        *tasks = before(name).unwrap_or(0);
                        let path = path.escape_debug();
                        let remark = format!("{name} has {tasks} tasks: {path} cannot be read: {why}; see --items");
                        self.remarks.push(remark);
                    }
                },
                (None, Tasks::Listed(_) | Tasks::Range(..)) => {}
            }
        }
        refuse_unused("--items", "queue, or pool with tasks of its own,", said.unused())
    }
}

impl Args {
    /// Pools and semaphores of another size.
    pub(super) fn resize(&self, workflow: &mut Workflow) -> Result<(), Failure> {
        for (name, size) in &self.slots {
            let Some(name) = name else { continue };
            let pool = workflow.pools.iter_mut().find(|pool| pool.declared.name == *name);
            let mut semaphores = workflow.semaphores.iter_mut();
            let semaphore = semaphores.find(|semaphore| semaphore.declared.name == *name);
            match (pool, semaphore) {
                (Some(pool), _) if pool.body.run.is_some() && *size > WORKERS_MAX => {
                    let message = format!("--slots: the pool `{name}` may have {WORKERS_MAX} workers at most");
                    return Err(Failure::invalid(message));
                }
                (Some(pool), _) => pool.size = *size,
                (None, Some(semaphore)) => semaphore.permits = *size,
                (None, None) => refuse_unused("--slots", "pool or semaphore", Some(name))?,
            }
        }
        Ok(())
    }

    /// Slots for those that run in no pool.
    pub(super) fn share(&self, plan: &mut Plan) {
        let shared = self.slots.iter().rev().find(|(name, _)| name.is_none());
        if let Some((_, size)) = shared {
            share_slots(plan, SHARED, *size);
        }
    }
}

fn refuse_unused(option: &str, kind: &str, unused: Option<&str>) -> Result<(), Failure> {
    match unused {
        Some(name) => Err(Failure::invalid(format!(
            "{option}: there is no {kind} `{}` in this workflow",
            name.escape_debug()
        ))),
        None => Ok(()),
    }
}

/// How many lines a file has.
fn lines(path: &Path) -> Result<u64, String> {
    let metadata = path.metadata().map_err(|error| reason(&error))?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut reader = BufReader::new(File::open(path).map_err(|error| reason(&error))?);
    let mut count = 0;
    loop {
        let chunk = reader.fill_buf().map_err(|error| reason(&error))?;
        let Some(last) = chunk.last().copied() else {
            return Ok(count);
        };
        let length = chunk.len();
        count += chunk.split(|byte| *byte == b'\n').skip(1).count() as u64;
        reader.consume(length);
        // A last line without a newline is one, too.
        if last != b'\n' && reader.fill_buf().map_err(|error| reason(&error))?.is_empty() {
            return Ok(count + 1);
        }
    }
}
