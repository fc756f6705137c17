//! Records as JSON: names instead of ids, one object a record, the same in `records.jsonl` and `run --json`.

use forkyard_core::id::{PoolId, ProcessId, QueueId, TaskId};
use forkyard_core::machine::{Because, Record};
use forkyard_core::plan::{Dependency, Hold, Party, Plan, Resource};
use forkyard_core::time::Time;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::deadlock::{Awaited, Deadlock, Stuck, What};
use crate::exit::Usage;
use crate::news::News;

/// One line for `records.jsonl` or `run --json`: `at` in nanoseconds since the start of the run, `record` says
/// what happened, the other keys depend on it. The first record, `run_started`, has the id of the run, `run`. Bytes
/// that are no UTF-8 are replaced by U+FFFD here; the logs have them.
#[must_use]
pub fn to_json(news: &News, plan: &Plan, run: &str) -> Value {
    match news {
        News::Record {
            at,
            record,
            pid,
            reason,
            usage,
            taken_over,
        } => {
            let mut object = record_to_json(*at, record, *pid, reason.as_deref());
            if let Some(Usage { cpu, peak }) = usage {
                object.insert("cpu_us".to_owned(), json!(cpu.as_micros()));
                object.insert("peak_bytes".to_owned(), json!(peak));
            }
            if *taken_over {
                object.insert("taken_over".to_owned(), json!(true));
            }
            name_ids(&mut object, record, plan, run);
            Value::Object(object)
        }
        News::Output {
            at,
            process,
            task,
            stream,
            line,
            ended,
        } => json!({
            "at": at,
            "record": "output",
            "process": process_name(plan, *process),
            "task": task,
            "stream": stream,
            "line": String::from_utf8_lossy(line),
            "ended": ended,
        }),
        News::Listening { at, endpoint } => json!({
            "at": at,
            "record": "listening",
            "process": endpoint.owner,
            "socket": endpoint.socket,
            "address": endpoint.address,
        }),
        News::Damaged { at, channel } => json!({"at": at, "record": "damaged", "channel": **channel}),
        News::Deadlock { at, deadlock } => deadlock_to_json(*at, deadlock, plan),
        News::OutputDropped { lines } => json!({"record": "output_dropped", "lines": lines}),
        News::StdinRead {
            at,
            process,
            queue,
            items,
            bytes,
            returned,
        } => json!({
            "at": at,
            "record": "stdin_read",
            "process": process_name(plan, *process),
            "queue": queue_name(plan, *queue),
            "items": items,
            "bytes": bytes,
            "returned": returned,
        }),
        News::QueueCounted { .. } | News::PoolCounted { .. } => counted_to_json(news, plan),
    }
}

/// Where the items of a queue went, and the tasks of a pool. Anything else is `null`.
fn counted_to_json(news: &News, plan: &Plan) -> Value {
    match news {
        News::QueueCounted {
            queue,
            put,
            got,
            returned,
            left,
            refused,
        } => json!({
            "record": "queue_counted",
            "queue": queue_name(plan, *queue),
            "put": put,
            "got": got,
            "returned": returned,
            "left": left,
            "refused": refused,
        }),
        News::PoolCounted { pool, taken, left } => json!({
            "record": "pool_counted",
            "pool": pool_name(plan, *pool),
            "taken": taken,
            "left": left,
        }),
        News::Record { .. }
        | News::Output { .. }
        | News::Listening { .. }
        | News::Damaged { .. }
        | News::Deadlock { .. }
        | News::OutputDropped { .. }
        | News::StdinRead { .. } => Value::Null,
    }
}

/// Appends the same as a line. There may be millions of tasks: their end is written by a shorter way.
pub fn write(news: &News, plan: &Plan, run: &str, lines: &mut Vec<u8>) {
    // To write into memory cannot fail.
    let _ = match *news {
        News::Record {
            at,
            record: Record::TaskDone { pool, task, process },
            pid: None,
            reason: None,
            usage: None,
            taken_over: false,
        } => serde_json::to_writer(
            &mut *lines,
            &TaskDone {
                at,
                pool: pool_name(plan, pool),
                process: process_name(plan, process),
                record: "task_done",
                task,
            },
        ),
        _ => serde_json::to_writer(&mut *lines, &to_json(news, plan, run)),
    };
    lines.push(b'\n');
}

#[derive(Serialize)]
struct TaskDone<'a> {
    at: Time,
    pool: &'a str,
    process: &'a str,
    record: &'static str,
    task: TaskId,
}

fn record_to_json(at: Time, record: &Record, pid: Option<i32>, reason: Option<&str>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("at".to_owned(), json!(at));
    // The record's own form has every key already, only with ids.
    if let Ok(Value::Object(fields)) = serde_json::to_value(record) {
        object.extend(fields);
    }
    if let Some(pid) = pid {
        object.insert("pid".to_owned(), json!(pid));
    }
    if let Some(reason) = reason {
        object.insert("reason".to_owned(), json!(reason));
    }
    object
}

/// Puts names where the record has ids.
fn name_ids(object: &mut Map<String, Value>, record: &Record, plan: &Plan, run: &str) {
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    match *record {
        Record::Started { process, .. }
        | Record::Exited { process, .. }
        | Record::NotStarted { process, .. }
        | Record::Ready { process, .. }
        | Record::Restarting { process, .. }
        | Record::Stopping { process, .. }
        | Record::Killing { process }
        | Record::LeftBehind { process } => {
            put("process", json!(process_name(plan, process)));
        }
        Record::GaveUp { process, group } => {
            put("process", json!(process_name(plan, process)));
            put("group", json!(group.map(|group| &plan.groups[group.index()].name)));
        }
        Record::Skipped { process, because } | Record::NotRestarted { process, because } => {
            put("process", json!(process_name(plan, process)));
            put("because", because_to_json(because, plan));
        }
        Record::TaskDone { pool, process, .. }
        | Record::TaskRetried { pool, process, .. }
        | Record::TaskFailed { pool, process, .. } => {
            put("pool", json!(pool_name(plan, pool)));
            put("process", json!(process_name(plan, process)));
        }
        Record::PoolSkipped { pool, because } => {
            put("pool", json!(pool_name(plan, pool)));
            put("because", because_to_json(because, plan));
        }
        Record::PoolEnded { pool, .. } => {
            put("pool", json!(pool_name(plan, pool)));
        }
        Record::QueueClosed { queue } | Record::QueueBroken { queue } => {
            put("queue", json!(queue_name(plan, queue)));
        }
        Record::RunStarted => {
            put("run", json!(run));
            put("workflow", json!(plan.name));
        }
        Record::RunStopping { .. } | Record::RunEnded { .. } => {}
    }
}

fn because_to_json(because: Because, plan: &Plan) -> Value {
    match because {
        Because::Of(on) => json!({"of": dependency_name(plan, on)}),
        Because::WaitedTooLong { on, failed } => {
            json!({"waited_too_long": {"on": dependency_name(plan, on), "failed": failed}})
        }
        Because::RunStops => json!("run_stops"),
        Because::NotNeeded => json!("not_needed"),
    }
}

/// Who waits for what, and who has it.
fn deadlock_to_json(at: Time, deadlock: &Deadlock, plan: &Plan) -> Value {
    let hold = |hold: &Hold| json!({"name": resource_name(plan, hold.resource), "permits": hold.permits});
    let wait = |awaited: &Awaited| {
        let (kind, name) = what_to_words(plan, awaited.what);
        let from: Vec<&str> = awaited.from.iter().map(|party| party_name(plan, *party)).collect();
        json!({"for": kind, "name": name, "from": from})
    };
    let party = |stuck: &Stuck| {
        json!({
            "name": party_name(plan, stuck.who),
            "pid": stuck.pid,
            "holds": stuck.holds.iter().map(hold).collect::<Vec<Value>>(),
            "slot": stuck.slot.map(|pool| pool_name(plan, pool)),
            "waits": stuck.waits.iter().map(wait).collect::<Vec<Value>>(),
        })
    };
    json!({
        "at": at,
        "record": "deadlock",
        "parties": deadlock.parties.iter().map(party).collect::<Vec<Value>>(),
    })
}

/// What is waited for, as one word, and its name.
#[must_use]
pub fn what_to_words(plan: &Plan, what: What) -> (&'static str, &str) {
    match what {
        What::Condition(wait) => ("condition", dependency_name(plan, wait.on)),
        What::Slot(pool) => ("slot", pool_name(plan, pool)),
        What::Held(Resource::Lock(lock)) => ("lock", &plan.locks[lock.index()].name),
        What::Held(Resource::Semaphore(semaphore)) => ("semaphore", &plan.semaphores[semaphore.index()].name),
        What::Room(queue) => ("room", queue_name(plan, queue)),
        What::Item(queue) => ("item", queue_name(plan, queue)),
        What::Event(event) => ("event", &plan.events[event.index()].name),
        What::Pipe(pipe) => ("pipe", &plan.pipes[pipe.index()].name),
        What::Task(pool) => ("task", pool_name(plan, pool)),
        What::Worker(worker) => ("worker", process_name(plan, worker)),
    }
}

/// The name of a lock or semaphore.
#[must_use]
pub fn resource_name(plan: &Plan, resource: Resource) -> &str {
    match resource {
        Resource::Lock(lock) => &plan.locks[lock.index()].name,
        Resource::Semaphore(semaphore) => &plan.semaphores[semaphore.index()].name,
    }
}

/// The name of a process or pool.
#[must_use]
pub fn party_name(plan: &Plan, party: Party) -> &str {
    match party {
        Party::Process(process) => process_name(plan, process),
        Party::Pool(pool) => pool_name(plan, pool),
    }
}

/// The name of whatever can be waited for.
#[must_use]
pub fn dependency_name(plan: &Plan, on: Dependency) -> &str {
    match on {
        Dependency::Process(process) => process_name(plan, process),
        Dependency::Pool(pool) => pool_name(plan, pool),
        Dependency::Event(event) => &plan.events[event.index()].name,
        Dependency::Queue(queue) => queue_name(plan, queue),
    }
}

fn process_name(plan: &Plan, process: ProcessId) -> &str {
    &plan.processes[process.index()].name
}

fn pool_name(plan: &Plan, pool: PoolId) -> &str {
    &plan.pools[pool.index()].name
}

fn queue_name(plan: &Plan, queue: QueueId) -> &str {
    &plan.queues[queue.index()].name
}
