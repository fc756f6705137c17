//! What came of a simulated run, for people.

use std::time::Duration;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Standing, Verdict};
use forkyard_core::plan::{Party, Plan, Resource};
use forkyard_core::simulate::{Counts, Ending, Feed, How, Played, Step, Stuck, Use, Waits};
use forkyard_core::time::Time;
use forkyard_driver::records::{dependency_name, party_name, resource_name};

use super::assumed::Assumed;
use crate::duration::human;
use crate::report::plural;
use crate::table;

/// Of a longer path so many steps are shown from either end.
const STEPS_SHOWN: usize = 12;

/// So many pools, locks and semaphores are shown, those for which was waited longest.
const USES_SHOWN: usize = 20;

/// All of it.
pub(super) fn text(plan: &Plan, assumed: &Assumed, played: &Played) -> String {
    let mut lines = vec![ending(plan, played)];
    lines.extend(stuck(plan, &played.ending));
    lines.extend(assumptions(assumed));
    lines.push(work(played));
    let mut text = lines.join("\n");
    text.push('\n');
    text.push_str(&path(plan, &played.path));
    text.push_str(&uses(plan, played));
    text.push_str(&waits(plan, played));
    text
}

/// `nightly would succeed after 1m 3s: 12 done · 1 stopped`
fn ending(plan: &Plan, played: &Played) -> String {
    let how = match played.ending {
        Ending::Ended(Verdict::Succeeded) => "would succeed",
        Ending::Ended(Verdict::Failed | Verdict::Fault | Verdict::Signal(_)) => "would fail",
        Ending::Ended(Verdict::TimedOut) => "would time out",
        Ending::Ended(Verdict::Deadlock) | Ending::Stuck { .. } => "would never end: nothing could go on",
        Ending::TooLong => "would go on",
    };
    let name = &plan.name;
    let counts = counted(played.counts);
    let lasted = human(played.lasted);
    match played.stopped {
        Some(stopped) => format!(
            "{name} {how} after {lasted}, if it is stopped when nothing is left but services, at {}: {counts}",
            human(stopped)
        ),
        None => format!("{name} {how} after {lasted}: {counts}"),
    }
}

fn counted(counts: Counts) -> String {
    let parts = [
        (counts.done, "done"),
        (counts.stopped, "stopped"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.restarts, "restarted"),
        (counts.tasks_done, "tasks done"),
        (counts.tasks_retried, "tasks tried again"),
        (counts.tasks_failed, "tasks failed"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    if parts.is_empty() {
        "nothing done".to_owned()
    } else {
        parts.join(" · ")
    }
}

fn stuck(plan: &Plan, ending: &Ending) -> Vec<String> {
    let Ending::Stuck { first, more } = ending else {
        return Vec::new();
    };
    let mut lines: Vec<String> = first
        .iter()
        .map(|stuck| format!("  {}", waits_for_ever(plan, stuck)))
        .collect();
    if *more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// `b` runs, and waits for the end of the queue `q`
fn waits_for_ever(plan: &Plan, stuck: &Stuck) -> String {
    let name = party_name(plan, stuck.party);
    let feeds: Vec<String> = stuck.feeds.iter().map(|feed| feed_in_words(plan, *feed)).collect();
    let list = |names: Vec<String>| names.join(", ");
    match &stuck.standing {
        Standing::Pending { open } => {
            let open = open.iter().map(|wait| format!("`{}`", dependency_name(plan, wait.on)));
            format!("`{name}` waits for {}", list(open.collect()))
        }
        Standing::Queued { pool, .. } => format!("`{name}` waits for a slot of `{}`", plan.pools[pool.index()].name),
        Standing::Acquiring { hold, .. } => format!("`{name}` waits for `{}`", resource_name(plan, hold.resource)),
        Standing::Running { .. } if !feeds.is_empty() => format!("`{name}` runs, and waits for {}", list(feeds)),
        Standing::Starting
        | Standing::Running { .. }
        | Standing::Stopping
        | Standing::Leaving
        | Standing::Settling
        | Standing::Ended => match stuck.party {
            Party::Process(_) => format!("`{name}` runs, and has no end"),
            Party::Pool(_) => format!("`{name}` waits for tasks"),
        },
    }
}

fn feed_in_words(plan: &Plan, feed: Feed) -> String {
    match feed {
        Feed::Queue(queue) => format!("the end of the queue `{}`", plan.queues[queue.index()].name),
        Feed::Pipe(pipe) => format!("the end of the pipe `{}`", plan.pipes[pipe.index()].name),
        Feed::Event(event) => format!("the event `{}`", plan.events[event.index()].name),
    }
}

fn assumptions(assumed: &Assumed) -> Vec<String> {
    let start = human(assumed.scenario.latencies.start);
    let unsaid = match assumed.unsaid {
        0 => String::new(),
        1 => format!("{} for the one of which nothing is said; ", human(assumed.otherwise)),
        count => format!(
            "{} for each of {count} of which nothing is said; ",
            human(assumed.otherwise)
        ),
    };
    let mut lines = vec![format!("assumed: {unsaid}a start takes {start}")];
    lines.extend(assumed.remarks.iter().map(|remark| format!("assumed: {remark}")));
    lines
}

fn work(played: &Played) -> String {
    let running = &played.running;
    format!(
        "work: {} in all, {:.1} at a time on the average, {} at most",
        human(played.work),
        running.mean,
        running.peak
    )
}

/// The critical path, from both ends.
fn path(plan: &Plan, steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let row = |step: &Step| {
        let until = Duration::from_nanos(step.until.0);
        [
            human(step.from.since(Time::START)),
            human(until.saturating_sub(Duration::from_nanos(step.from.0))),
            named(plan, step),
            why(plan, step),
        ]
    };
    let head = ["AT", "TAKES", "NAME", "SINCE"];
    let title = format!("\ncritical path, {}:\n", plural(steps.len() as u64, "step", "steps"));
    if steps.len() <= 2 * STEPS_SHOWN {
        let rows: Vec<_> = steps.iter().map(row).collect();
        return title + &table::align(head, &rows);
    }
    let mut rows: Vec<_> = steps[..STEPS_SHOWN].iter().map(row).collect();
    let left = steps.len() - 2 * STEPS_SHOWN;
    rows.push(["…".to_owned(), String::new(), format!("{left} more"), String::new()]);
    rows.extend(steps[steps.len() - STEPS_SHOWN..].iter().map(row));
    title + &table::align(head, &rows)
}

fn named(plan: &Plan, step: &Step) -> String {
    let name = &plan.processes[step.process.index()].name;
    if step.is_task {
        format!("{name}, a task")
    } else {
        name.clone()
    }
}

/// What let it go on.
fn why(plan: &Plan, step: &Step) -> String {
    let by = step.by.map_or("", |by| plan.processes[by.index()].name.as_str());
    let resource = |resource: Resource| resource_name(plan, resource);
    match step.how {
        How::Began => "the run began".to_owned(),
        How::Started => format!("`{by}` had started"),
        How::Ready => format!("`{by}` was ready"),
        How::Ended if step.to_end => format!("nobody needed it, as `{by}` had ended"),
        How::Ended => format!("`{by}` had ended"),
        How::Slot(pool) => format!("`{by}` left a slot of `{}`", plan.pools[pool.index()].name),
        How::Held(held) => format!("`{by}` let go of `{}`", resource(held)),
        How::Set(event) => format!("`{by}` had set `{}`", plan.events[event.index()].name),
        How::Item(queue) => format!("`{by}` put an item into `{}`", plan.queues[queue.index()].name),
        How::Worker if step.to_end => format!("`{by}` had done the last task"),
        How::Worker => format!("`{by}` had done a task"),
        How::Queue(queue) if step.to_end => format!("it had read `{}` to its end", plan.queues[queue.index()].name),
        How::Queue(queue) => format!("`{}` was drained", plan.queues[queue.index()].name),
        How::Pipe(pipe) => format!("it had read `{}` to its end", plan.pipes[pipe.index()].name),
        How::Clock => "its pause was over".to_owned(),
    }
}

/// What is shared, those for which was waited longest first.
fn uses(plan: &Plan, played: &Played) -> String {
    let pools = plan.pools.iter().zip(&played.pools);
    let pools = pools.map(|(pool, used)| {
        let kind = if pool.work.is_some() { "workers" } else { "slots" };
        (&pool.name, kind, used)
    });
    let locks = plan.locks.iter().zip(&played.locks);
    let locks = locks.map(|(lock, used)| (&lock.name, "lock", used));
    let semaphores = plan.semaphores.iter().zip(&played.semaphores);
    let semaphores = semaphores.map(|(semaphore, used)| (&semaphore.name, "permits", used));
    let mut all: Vec<_> = pools.chain(locks).chain(semaphores).collect();
    if all.is_empty() {
        return String::new();
    }
    all.sort_by_key(|(_, _, used)| std::cmp::Reverse(used.waits.total));
    let shown = all.iter().take(USES_SHOWN);
    let rows: Vec<_> = shown
        .map(|(name, kind, used)| use_row(plan, name, kind, used))
        .collect();
    let head = ["NAME", "KIND", "OF", "IN USE", "AT MOST", "WAITS", "IN ALL", "LONGEST"];
    let mut text = "\nin use, on the average of the whole time:\n".to_owned();
    text.push_str(&table::align(head, &rows));
    if all.len() > USES_SHOWN {
        text.extend([format!("and {} more\n", all.len() - USES_SHOWN)]);
    }
    text
}

fn use_row(plan: &Plan, name: &str, kind: &str, used: &Use) -> [String; 8] {
    let Waits {
        count,
        total,
        longest,
        by,
    } = used.waits;
    let longest = match by {
        Some(by) => format!("{} {}", human(longest), process_name(plan, by)),
        None => "-".to_owned(),
    };
    [
        name.to_owned(),
        kind.to_owned(),
        used.size.to_string(),
        format!("{:.1} = {:.0} %", used.mean, 100.0 * share(used)),
        used.peak.to_string(),
        count.to_string(),
        if count == 0 { "-".to_owned() } else { human(total) },
        longest,
    ]
}

/// How much of it is in use on the average.
#[expect(clippy::cast_precision_loss, reason = "a share is shown in per cent")]
pub(super) fn share(used: &Use) -> f64 {
    used.mean / (used.size.max(1) as f64)
}

fn waits(plan: &Plan, played: &Played) -> String {
    if played.waits.is_empty() {
        return String::new();
    }
    let row = |wait: &forkyard_core::simulate::LongWait| {
        let on = match wait.on {
            Some(resource) => resource_name(plan, resource),
            None => slot_of(plan, wait.process),
        };
        [
            human(wait.waited),
            process_name(plan, wait.process).to_owned(),
            on.to_owned(),
        ]
    };
    let rows: Vec<_> = played.waits.iter().map(row).collect();
    format!("\nlongest waits:\n{}", table::align(["WAITED", "NAME", "FOR"], &rows))
}

fn process_name(plan: &Plan, process: ProcessId) -> &str {
    &plan.processes[process.index()].name
}

/// The pool in whose slots it runs.
pub(super) fn slot_of(plan: &Plan, process: ProcessId) -> &str {
    let pool = plan.processes[process.index()].slot_in;
    pool.map_or("", |pool| plan.pools[pool.index()].name.as_str())
}
