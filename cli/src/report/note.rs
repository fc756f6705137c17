//! What the engine has to say about a record, in words.

use std::time::Duration;

use forkyard_core::id::{GroupId, PoolId, ProcessId, TaskId};
use forkyard_core::machine::{Because, Exit, Outcome, PoolOutcome, Record, Stopped, Why};
use forkyard_core::plan::{Condition, Dependency, Intensity, Plan, Wait};

use crate::duration;
use crate::signal;

/// About whom a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A process.
    Process(ProcessId),
    /// A pool.
    Pool(PoolId),
    /// The run as a whole.
    Engine,
}

/// How loudly it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As expected.
    Quiet,
    /// To be noticed.
    Warning,
    /// A failure.
    Bad,
}

/// One line of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// About whom.
    pub speaker: Speaker,
    /// How loudly.
    pub tone: Tone,
    /// What; one line.
    pub text: String,
}

impl Note {
    /// Something about a process.
    pub fn process(process: ProcessId, tone: Tone, text: impl Into<String>) -> Self {
        Self {
            speaker: Speaker::Process(process),
            tone,
            text: text.into(),
        }
    }

    /// Something about the run as a whole.
    pub fn engine(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            speaker: Speaker::Engine,
            tone,
            text: text.into(),
        }
    }

    /// What to say about `record`; `None` for what only the summary tells.
    pub fn of(record: Record, pid: Option<i32>, reason: Option<&str>, plan: &Plan) -> Option<Self> {
        match record {
            Record::Started { process, task, .. } => {
                let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                let task = task.map_or_else(String::new, |task| format!(" for task {}", task.0));
                let text = with_reason(format!("started{pid}{task}"), reason);
                Some(Self::process(process, Tone::Quiet, text))
            }
            Record::Exited {
                process,
                exit,
                lasted,
                outcome,
                ..
            } => {
                let text = with_reason(exited(exit, lasted, outcome), reason);
                Some(Self::process(process, tone(outcome), text))
            }
            Record::NotStarted { process, .. } => {
                let text = format!("could not be started: {}", reason.unwrap_or("for no known reason"));
                Some(Self::process(process, Tone::Bad, text))
            }
            Record::Skipped { process, because } => Some(Self::skipped(Dependency::Process(process), because, plan)),
            Record::PoolSkipped { pool, because } => Some(Self::skipped(Dependency::Pool(pool), because, plan)),
            Record::Stopping { process, why } => Some(Self::stopping(process, why, reason)),
            Record::Ready { process, took, .. } => {
                let text = format!("ready after {}", duration::human(took));
                Some(Self::process(process, Tone::Quiet, text))
            }
            Record::Restarting {
                process, pause, count, ..
            } => Some(Self::restarting(process, pause, count, reason)),
            Record::NotRestarted { process, because } => {
                let why = because_of(Dependency::Process(process), because, plan);
                Some(Self::process(process, Tone::Quiet, format!("not started again: {why}")))
            }
            Record::GaveUp { process, group } => Some(Self::gave_up(process, group, plan)),
            Record::Killing { process } => Some(Self::killing(process, None)),
            Record::LeftBehind { process } => Some(Self::left_behind(process, reason)),
            Record::TaskRetried {
                process, task, tries, ..
            } => Some(Self::task_retried(process, task, tries)),
            Record::TaskFailed { process, task, .. } => Some(Self::task_failed(process, task, reason)),
            Record::PoolEnded {
                pool,
                outcome,
                done,
                failed,
            } => Self::pool_ended(pool, outcome, (done, failed), reason),
            Record::RunStopping { why } => Some(Self::engine(
                Tone::Warning,
                format!("stopping the run, {}", stopped(why, reason)),
            )),
            Record::RunStarted
            | Record::TaskDone { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunEnded { .. } => None,
        }
    }

    /// What to say about a process that an earlier engine had started, and that runs on under this one.
    pub fn taken_over(process: ProcessId, pid: Option<i32>, reason: Option<&str>) -> Self {
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        Self::process(process, Tone::Quiet, with_reason(format!("taken over{pid}"), reason))
    }

    fn skipped(who: Dependency, because: Because, plan: &Plan) -> Self {
        let (tone, what) = match because {
            Because::WaitedTooLong { failed: true, .. } => (Tone::Bad, "failed"),
            Because::NotNeeded => (Tone::Quiet, "skipped"),
            Because::Of(_) | Because::WaitedTooLong { failed: false, .. } | Because::RunStops => {
                (Tone::Warning, "skipped")
            }
        };
        let speaker = match who {
            Dependency::Process(process) => Speaker::Process(process),
            Dependency::Pool(pool) => Speaker::Pool(pool),
            // Neither an event nor a queue is ever skipped.
            Dependency::Event(_) | Dependency::Queue(_) => Speaker::Engine,
        };
        let text = format!("{what}: {}", because_of(who, because, plan));
        Self { speaker, tone, text }
    }

    /// It is being killed, `patience` after it was asked to stop: its grace, or less when the run is to end at once.
    pub fn killing(process: ProcessId, patience: Option<Duration>) -> Self {
        let text = patience.map_or_else(
            || "killing it".to_owned(),
            |patience| format!("has not stopped after {}: killing it", duration::human(patience)),
        );
        Self::process(process, Tone::Warning, text)
    }

    fn stopping(process: ProcessId, why: Why, reason: Option<&str>) -> Self {
        let tone = match why {
            Why::Timeout | Why::NotReady | Why::NotLive => Tone::Bad,
            Why::RunStops | Why::NotNeeded | Why::Group => Tone::Quiet,
        };
        let text = with_reason(format!("stopping, {}", why_in_words(why)), reason);
        Self::process(process, tone, text)
    }

    fn restarting(process: ProcessId, pause: Duration, count: u32, reason: Option<&str>) -> Self {
        let when = if pause.is_zero() {
            "at once".to_owned()
        } else {
            format!("in {}", duration::human(pause))
        };
        let refused = reason.map_or_else(String::new, |reason| format!("could not be started: {reason}; "));
        let text = format!("{refused}starting again {when} (restart {count})");
        Self::process(process, Tone::Warning, text)
    }

    fn gave_up(process: ProcessId, group: Option<GroupId>, plan: &Plan) -> Self {
        let text = match group {
            None => {
                let restart = plan.processes[process.index()].restart.as_ref();
                let intensity = restart.map(|restart| restart.intensity).unwrap_or_default();
                format!("has failed for good: {}", too_often(intensity))
            }
            Some(group) => {
                let group = &plan.groups[group.index()];
                format!(
                    "has failed, and with it the group {}: {}",
                    group.name,
                    too_often(group.intensity)
                )
            }
        };
        Self::process(process, Tone::Bad, text)
    }

    fn left_behind(process: ProcessId, reason: Option<&str>) -> Self {
        let who = reason.map_or_else(String::new, |who| format!(" ({who})"));
        Self::process(
            process,
            Tone::Warning,
            format!("has left processes behind{who}: stopping them"),
        )
    }

    fn task_failed(process: ProcessId, task: TaskId, reason: Option<&str>) -> Self {
        let text = with_reason(format!("task {} failed", task.0), reason);
        Self::process(process, Tone::Bad, text)
    }

    fn task_retried(process: ProcessId, task: TaskId, tries: u32) -> Self {
        let text = format!("task {} failed, trying it again (tried {})", task.0, times(tries));
        Self::process(process, Tone::Warning, text)
    }

    fn pool_ended(
        pool: PoolId,
        outcome: PoolOutcome,
        (done, failed): (u64, u64),
        reason: Option<&str>,
    ) -> Option<Self> {
        let (tone, text) = match outcome {
            PoolOutcome::Succeeded => (Tone::Quiet, format!("{done} tasks done")),
            PoolOutcome::Ignored => (Tone::Warning, format!("{done} tasks done, {failed} failed (ignored)")),
            PoolOutcome::Failed => (Tone::Bad, format!("{done} tasks done, {failed} failed")),
            PoolOutcome::Stopped => (Tone::Warning, format!("stopped: {done} tasks done, {failed} failed")),
            // Why it was skipped has been told.
            PoolOutcome::Skipped => return None,
        };
        Some(Self {
            speaker: Speaker::Pool(pool),
            tone,
            text: with_reason(text, reason),
        })
    }
}

fn with_reason(text: String, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    }
}

fn times(tries: u32) -> String {
    match tries {
        0 => "0 times".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// `restarted 5 times within 1m`
fn too_often(intensity: Intensity) -> String {
    format!(
        "restarted {} within {}",
        times(intensity.max),
        duration::human(intensity.within)
    )
}

const fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Stopped => Tone::Quiet,
        Outcome::Ignored | Outcome::Restarts => Tone::Warning,
        Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => Tone::Bad,
    }
}

/// `exited with code 1 after 3.2s`, with what that means where the code does not say it.
pub fn exited(exit: Exit, lasted: Duration, outcome: Outcome) -> String {
    let lasted = duration::human(lasted);
    let how = match exit {
        Exit::Code(code) => format!("exited with code {code} after {lasted}"),
        Exit::Signal(number) => format!("killed by {} after {lasted}", signal::name(number)),
        Exit::Unknown => format!("ended after {lasted}, nobody knows how"),
    };
    match outcome {
        Outcome::Succeeded | Outcome::Failed | Outcome::Restarts => how,
        Outcome::BrokenPipe => format!("{how}, as its readers had ended"),
        Outcome::Ignored => format!("{how} (ignored)"),
        Outcome::TimedOut => format!("timed out: {how}"),
        Outcome::NotReady => format!("not ready in time: {how}"),
        Outcome::NotLive => format!("not alive: {how}"),
        Outcome::Stopped => format!("stopped: {how}"),
    }
}

const fn why_in_words(why: Why) -> &'static str {
    match why {
        Why::Timeout => "its timeout is over",
        Why::RunStops => "the run stops",
        Why::NotNeeded => "nobody needs it any more",
        Why::NotReady => "it is not ready in time",
        Why::NotLive => "it is not alive",
        Why::Group => "its group is started again",
    }
}

fn stopped(why: Stopped, reason: Option<&str>) -> String {
    match why {
        Stopped::Signal(number) => format!("by {}; once more kills it at once", signal::name(number)),
        Stopped::Timeout => "its timeout is over".to_owned(),
        Stopped::Deadlock => "since processes wait for each other".to_owned(),
        Stopped::Failure => "since a failure stops it (on_failure: stop)".to_owned(),
        Stopped::Fault => reason.map_or_else(
            || "the engine cannot go on".to_owned(),
            |reason| format!("the engine cannot go on: {reason}"),
        ),
    }
}

/// Why a process or pool will not run: `read did not succeed`.
pub fn because_of(who: Dependency, because: Because, plan: &Plan) -> String {
    match because {
        Because::Of(on) => cannot_come(on, awaited(who, on, plan), plan),
        Because::WaitedTooLong { on, .. } => format!("waited too long for {}", dependency(on, plan)),
        Because::RunStops => "the run stops".to_owned(),
        Because::NotNeeded => "nobody needs it any more".to_owned(),
    }
}

/// The condition of `on` for which `who` waits.
fn awaited(who: Dependency, on: Dependency, plan: &Plan) -> Option<Condition> {
    let waits: &[Wait] = match who {
        Dependency::Process(process) => &plan.processes[process.index()].after,
        Dependency::Pool(pool) => &plan.pools[pool.index()].after,
        Dependency::Event(_) | Dependency::Queue(_) => &[],
    };
    waits.iter().find(|wait| wait.on == on).map(|wait| wait.is)
}

fn cannot_come(on: Dependency, condition: Option<Condition>, plan: &Plan) -> String {
    let whom = dependency(on, plan);
    match condition {
        None => format!("{whom} has not come so far"),
        Some(Condition::Started) => format!("{whom} was not started"),
        Some(Condition::Ready) => format!("{whom} did not become ready"),
        Some(Condition::Succeeded) => format!("{whom} did not succeed"),
        Some(Condition::Failed) => format!("{whom} did not fail"),
        Some(Condition::Finished) => format!("{whom} did not run"),
        Some(Condition::Set) => format!("nobody is left to set {whom}"),
        Some(Condition::Drained) => format!("{whom} was not drained"),
    }
}

fn dependency(on: Dependency, plan: &Plan) -> String {
    match on {
        Dependency::Process(process) => plan.processes[process.index()].name.clone(),
        Dependency::Pool(pool) => format!("the pool {}", plan.pools[pool.index()].name),
        Dependency::Event(event) => format!("the event {}", plan.events[event.index()].name),
        Dependency::Queue(queue) => format!("the queue {}", plan.queues[queue.index()].name),
    }
}
