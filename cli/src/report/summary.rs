//! The end of a run, told in a few lines: what ran, what failed and why, what was skipped because of what,
//! and what is left over.

use std::collections::BTreeMap;

use forkyard_core::machine::{Because, Stopped, Verdict};
use forkyard_core::plan::{Dependency, Plan};
use forkyard_core::time::Time;
use forkyard_driver::exit::Usage;
use forkyard_driver::records::dependency_name;

use super::note::{self, Note, Tone};
use super::tally::{Cause, Counts, QueueCount, Tally};
use crate::duration;
use crate::signal;

/// So many failures, skipped processes, queues and tasks are told one by one, then their number.
const TOLD_MAX: usize = 20;

/// How far back a chain of skipped processes is followed.
const CHAIN_MAX: usize = 8;

/// The lines of the summary; `run` is the run's id.
pub fn notes(tally: &Tally, plan: &Plan, run: &str) -> Vec<Note> {
    let mut notes = vec![verdict(tally, plan)];
    notes.extend(capped(
        tally
            .failures
            .iter()
            .flat_map(|(who, cause)| failure(*who, cause, plan, run)),
        2,
    ));
    notes.extend(capped(failed_tasks(tally, plan), 1));
    notes.extend(capped(skipped(tally, plan).into_iter(), 1));
    notes.extend(capped(pools(tally, plan), 1));
    notes.extend(capped(tally.queues.iter().map(|count| queue(*count, plan)), 1));
    if tally.dropped > 0 {
        let text = format!(
            "{} not shown here; the logs have all",
            plural(tally.dropped, "line was", "lines were")
        );
        notes.push(Note::engine(Tone::Warning, text));
    }
    notes.extend(used(tally.used));
    notes.push(Note::engine(Tone::Quiet, format!("see: forkyard logs {run}")));
    notes
}

/// Whether a quiet reporter speaks up.
pub fn is_bad(tally: &Tally) -> bool {
    !matches!(tally.ended, Some((Verdict::Succeeded, _)))
}

fn verdict(tally: &Tally, plan: &Plan) -> Note {
    let Some((verdict, at)) = tally.ended else {
        return Note::engine(
            Tone::Bad,
            format!("{} ended without a verdict: the engine could not go on", plan.name),
        );
    };
    let (tone, how) = match verdict {
        Verdict::Succeeded => (Tone::Quiet, "succeeded".to_owned()),
        Verdict::Failed if tally.stopped == Some(Stopped::Failure) => {
            (Tone::Bad, "was stopped by a failure".to_owned())
        }
        Verdict::Failed => (Tone::Bad, "failed".to_owned()),
        Verdict::Deadlock => (Tone::Bad, "was stopped: processes waited for each other".to_owned()),
        Verdict::TimedOut => (Tone::Bad, "timed out".to_owned()),
        Verdict::Signal(number) => (Tone::Bad, format!("was stopped by {}", signal::name(number))),
        Verdict::Fault => (Tone::Bad, "was stopped: the engine could not do its work".to_owned()),
    };
    let lasted = duration::human(at.since(Time::START));
    Note::engine(
        tone,
        format!("{} {how} after {lasted}: {}", plan.name, counted(tally.counts())),
    )
}

/// `used: 1.2s of CPU time, 34.5 MiB of memory at most in one process`
fn used(Usage { cpu, peak }: Usage) -> Option<Note> {
    let text = format!(
        "used: {} of CPU time, {} of memory at most in one process",
        duration::human(cpu),
        mebibytes(peak)
    );
    (peak > 0).then(|| Note::engine(Tone::Quiet, text))
}

/// `34.5 MiB`, rounded up.
fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `5 done · 1 failed · 2 skipped`, without what is none.
pub fn counted(counts: Counts) -> String {
    let mut parts = Vec::new();
    let numbers = [
        (counts.running, "running"),
        (counts.waiting, "waiting"),
        (counts.done, "done"),
        (counts.stopped, "stopped"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
    ];
    for (number, word) in numbers {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    if counts.tasks > 0 {
        parts.push(format!("{} done", plural(counts.tasks, "task", "tasks")));
    }
    if counts.failed_tasks > 0 {
        parts.push(format!("{} failed", plural(counts.failed_tasks, "task", "tasks")));
    }
    if parts.is_empty() {
        parts.push("nothing to run".to_owned());
    }
    parts.join(" · ")
}

fn failure(who: Dependency, cause: &Cause, plan: &Plan, run: &str) -> Vec<Note> {
    let name = dependency_name(plan, who);
    let (why, has_log) = match cause {
        Cause::Exited(exit, lasted, outcome) => (note::exited(*exit, *lasted, *outcome), true),
        Cause::NotStarted(reason) => {
            let reason = reason.as_deref().unwrap_or("for no known reason");
            (format!("could not be started: {reason}"), false)
        }
        Cause::NotReached(because) => (note::because_of(who, *because, plan), false),
    };
    let mut notes = vec![Note::engine(Tone::Bad, format!("failed: {name} {why}"))];
    if has_log {
        notes.push(Note::engine(
            Tone::Quiet,
            format!("        see: forkyard logs {run} {name}"),
        ));
    }
    notes
}

fn failed_tasks<'a>(tally: &'a Tally, plan: &'a Plan) -> impl Iterator<Item = Note> + 'a {
    tally.failed_tasks.iter().map(|failed| {
        let pool = &plan.pools[failed.pool.index()].name;
        let worker = &plan.processes[failed.worker.index()].name;
        let because = failed
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        let text = format!(
            "failed: task {} of {pool}, last tried by {worker}{because}",
            failed.task.0
        );
        Note::engine(Tone::Bad, text)
    })
}

fn skipped(tally: &Tally, plan: &Plan) -> Vec<Note> {
    let causes: BTreeMap<Dependency, Because> = tally.skipped.iter().copied().collect();
    let told = tally.skipped.iter().filter(|(_, because)| match because {
        Because::Of(_) | Because::WaitedTooLong { .. } => true,
        // The first line says already that the run was stopped, and a daemon that nobody needs is no loss.
        Because::RunStops | Because::NotNeeded => false,
    });
    told.map(|(who, because)| {
        let name = dependency_name(plan, *who);
        Note::engine(
            Tone::Warning,
            format!("skipped: {name}, since {}", chain(*who, *because, &causes, plan)),
        )
    })
    .collect()
}

/// Follows the reasons back to the one that was no skipping: `test did not succeed, since build did not succeed`.
fn chain(who: Dependency, because: Because, causes: &BTreeMap<Dependency, Because>, plan: &Plan) -> String {
    let mut reasons = vec![clause_of("it", who, because, plan)];
    let mut because = because;
    while let Because::Of(cause) = because {
        let Some(further) = causes.get(&cause) else { break };
        if reasons.len() == CHAIN_MAX {
            reasons.push("and so on".to_owned());
            break;
        }
        reasons.push(clause_of(dependency_name(plan, cause), cause, *further, plan));
        because = *further;
    }
    reasons.join(", since ")
}

/// A reason with its subject: `build did not succeed`, `it waited too long for build`.
fn clause_of(subject: &str, who: Dependency, because: Because, plan: &Plan) -> String {
    let reason = note::because_of(who, because, plan);
    match because {
        Because::WaitedTooLong { .. } => format!("{subject} {reason}"),
        Because::Of(_) | Because::RunStops | Because::NotNeeded => reason,
    }
}

fn pools<'a>(tally: &'a Tally, plan: &'a Plan) -> impl Iterator<Item = Note> + 'a {
    tally.pools.iter().filter_map(|count| {
        let untaken = tally
            .untaken
            .iter()
            .find(|(pool, _)| *pool == count.pool)
            .map_or(0, |(_, left)| *left);
        if count.failed + untaken == 0 {
            return None;
        }
        let name = &plan.pools[count.pool.index()].name;
        let mut parts = vec![format!("{} done", plural(count.done, "task", "tasks"))];
        parts.extend(clause(count.failed, "failed"));
        parts.extend(clause(untaken, "never begun"));
        let text = format!("pool {name}: {}", parts.join(", "));
        Some(Note::engine(Tone::Warning, text))
    })
}

fn queue(count: QueueCount, plan: &Plan) -> Note {
    let mut parts = Vec::new();
    if count.left > 0 {
        parts.push(format!("{} left, never got", plural(count.left, "item", "items")));
    }
    if count.returned > 0 {
        parts.push(format!(
            "{} put back, as their taker ended",
            plural(count.returned, "item", "items")
        ));
    }
    if count.refused > 0 {
        let max = plan.queues[count.queue.index()].max_item;
        parts.push(format!(
            "{} refused, larger than {max} bytes",
            plural(count.refused, "item", "items")
        ));
    }
    let name = &plan.queues[count.queue.index()].name;
    Note::engine(Tone::Warning, format!("queue {name}: {}", parts.join("; ")))
}

fn clause(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what}"))
}

/// `1 line`, `2 lines`.
pub fn plural(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The first [`TOLD_MAX`] things, of up to `lines` lines each, and how many lines there would have been more.
fn capped(notes: impl Iterator<Item = Note>, lines: usize) -> Vec<Note> {
    let max = TOLD_MAX * lines;
    let mut notes = notes.fuse();
    let mut told: Vec<Note> = notes.by_ref().take(max).collect();
    let more = notes.count() / lines;
    if more > 0 {
        told.push(Note::engine(Tone::Quiet, format!("        and {more} more")));
    }
    told
}

#[cfg(test)]
mod tests;
