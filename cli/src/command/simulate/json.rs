//! What came of a simulated run, for programs. All times are nanoseconds.

use std::time::Duration;

use forkyard_core::machine::{Standing, Verdict};
use forkyard_core::plan::{Plan, Resource};
use forkyard_core::simulate::{Ending, Feed, How, LongWait, Played, Step, Stuck, Use};
use forkyard_driver::records::{dependency_name, party_name, resource_name};
use serde_json::{Value, json};

use super::assumed::Assumed;
use super::text::{share, slot_of};

/// Of a longer path so many steps are given from either end.
const STEPS_MAX: usize = 500;

/// All of it.
pub(super) fn object(plan: &Plan, assumed: &Assumed, played: &Played) -> Value {
    let uses = |names: &mut dyn Iterator<Item = &String>, uses: &[Use]| -> Vec<Value> {
        names
            .zip(uses)
            .map(|(name, used)| use_object(plan, name, used))
            .collect()
    };
    let counts = played.counts;
    json!({
        "workflow": plan.name,
        "verdict": verdict(&played.ending),
        "makespan": nanos(played.lasted),
        "stopped": played.stopped.map(nanos),
        "processes": {
            "done": counts.done,
            "failed": counts.failed,
            "stopped": counts.stopped,
            "skipped": counts.skipped,
            "restarts": counts.restarts,
        },
        "tasks": {
            "done": counts.tasks_done,
            "retried": counts.tasks_retried,
            "failed": counts.tasks_failed,
        },
        "assumed": {
            "default_duration": nanos(assumed.otherwise),
            "unsaid": assumed.unsaid,
            "start_latency": nanos(assumed.scenario.latencies.start),
            "answer_latency": nanos(assumed.scenario.latencies.answer),
            "remarks": assumed.remarks,
        },
        "work": nanos(played.work),
        "running": {"mean": played.running.mean, "peak": played.running.peak},
        "pools": uses(&mut plan.pools.iter().map(|pool| &pool.name), &played.pools),
        "locks": uses(&mut plan.locks.iter().map(|lock| &lock.name), &played.locks),
        "semaphores": uses(&mut plan.semaphores.iter().map(|semaphore| &semaphore.name), &played.semaphores),
        "critical_path": path(plan, &played.path),
        "longest_waits": played.waits.iter().map(|wait| wait_object(plan, wait)).collect::<Vec<_>>(),
        "stuck": stuck(plan, &played.ending),
    })
}

const fn verdict(ending: &Ending) -> &'static str {
    match ending {
        Ending::Ended(Verdict::Succeeded) => "succeeded",
        Ending::Ended(Verdict::Failed | Verdict::Signal(_) | Verdict::Fault) => "failed",
        Ending::Ended(Verdict::TimedOut) => "timed_out",
        Ending::Ended(Verdict::Deadlock) | Ending::Stuck { .. } => "deadlock",
        Ending::TooLong => "too_long",
    }
}

fn use_object(plan: &Plan, name: &str, used: &Use) -> Value {
    json!({
        "name": name,
        "size": used.size,
        "mean": used.mean,
        "share": share(used),
        "peak": used.peak,
        "waits": used.waits.count,
        "waited": nanos(used.waits.total),
        "longest": nanos(used.waits.longest),
        "longest_by": used.waits.by.map(|by| &plan.processes[by.index()].name),
    })
}

/// The steps of the path, or those of both its ends.
fn path(plan: &Plan, steps: &[Step]) -> Value {
    let step = |step: &Step| {
        json!({
            "process": plan.processes[step.process.index()].name,
            "task": step.is_task,
            "from": step.from,
            "started": step.started,
            "until": step.until,
            "since": how(plan, step.how),
            "by": step.by.map(|by| &plan.processes[by.index()].name),
            "to_end": step.to_end,
        })
    };
    let shown: Vec<Value> = if steps.len() <= 2 * STEPS_MAX {
        steps.iter().map(step).collect()
    } else {
        let last = &steps[steps.len() - STEPS_MAX..];
        steps[..STEPS_MAX].iter().chain(last).map(step).collect()
    };
    json!({"steps": steps.len(), "left_out": steps.len() - shown.len(), "shown": shown})
}

/// What let it go on: one word, and the name of what it is about.
fn how(plan: &Plan, how: How) -> Value {
    let (what, name) = match how {
        How::Began => ("began", None),
        How::Started => ("started", None),
        How::Ready => ("ready", None),
        How::Ended => ("ended", None),
        How::Slot(pool) => ("slot", Some(&plan.pools[pool.index()].name)),
        How::Held(Resource::Lock(lock)) => ("lock", Some(&plan.locks[lock.index()].name)),
        How::Held(Resource::Semaphore(semaphore)) => ("semaphore", Some(&plan.semaphores[semaphore.index()].name)),
        How::Set(event) => ("event", Some(&plan.events[event.index()].name)),
        How::Item(queue) => ("item", Some(&plan.queues[queue.index()].name)),
        How::Worker => ("worker", None),
        How::Queue(queue) => ("queue", Some(&plan.queues[queue.index()].name)),
        How::Pipe(pipe) => ("pipe", Some(&plan.pipes[pipe.index()].name)),
        How::Clock => ("pause", None),
    };
    json!({"what": what, "name": name})
}

fn wait_object(plan: &Plan, wait: &LongWait) -> Value {
    let on = match wait.on {
        Some(resource) => resource_name(plan, resource),
        None => slot_of(plan, wait.process),
    };
    json!({"process": plan.processes[wait.process.index()].name, "for": on, "waited": nanos(wait.waited)})
}

fn stuck(plan: &Plan, ending: &Ending) -> Value {
    match ending {
        Ending::Stuck { first, more } => {
            let named: Vec<Value> = first.iter().map(|stuck| stuck_object(plan, stuck)).collect();
            json!({"named": named, "more": more})
        }
        Ending::Ended(_) | Ending::TooLong => Value::Null,
    }
}

fn stuck_object(plan: &Plan, stuck: &Stuck) -> Value {
    let feeds = stuck.feeds.iter().map(|feed| match feed {
        Feed::Queue(queue) => plan.queues[queue.index()].name.as_str(),
        Feed::Pipe(pipe) => plan.pipes[pipe.index()].name.as_str(),
        Feed::Event(event) => plan.events[event.index()].name.as_str(),
    });
    let waits: Vec<&str> = match &stuck.standing {
        Standing::Pending { open } => open.iter().map(|wait| dependency_name(plan, wait.on)).collect(),
        Standing::Queued { pool, .. } => vec![plan.pools[pool.index()].name.as_str()],
        Standing::Acquiring { hold, .. } => vec![resource_name(plan, hold.resource)],
        Standing::Starting
        | Standing::Running { .. }
        | Standing::Stopping
        | Standing::Leaving
        | Standing::Settling
        | Standing::Ended => feeds.collect(),
    };
    json!({"name": party_name(plan, stuck.party), "waits_for": waits})
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
