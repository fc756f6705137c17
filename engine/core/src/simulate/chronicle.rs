//! What has happened, as far as it is asked for afterwards.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::cause::{Cause, SpanId};
use super::gauge::Gauge;
use super::played::{Counts, LongWait};
use crate::id::{PoolId, ProcessId};
use crate::machine::{Outcome, Record};
use crate::plan::{Plan, Resource};
use crate::time::Time;

/// So many of the longest waits are kept.
const WAITS_KEPT: usize = 10;

/// A life, or a task of a persistent worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub process: ProcessId,
    pub is_task: bool,
    /// What let it begin.
    pub because: Cause,
    /// What made it end, when that was not its own time.
    pub ended_by: Option<Cause>,
    /// When nothing but what it holds, or a free slot, was missing.
    pub begun: Time,
    /// When it ran.
    pub started: Time,
    /// When it had ended.
    pub ended: Time,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Chronicle {
    pub spans: Vec<Span>,
    pub running: Gauge,
    /// By pool: slots that are taken, or workers that have a task.
    pub pools: Vec<Gauge>,
    pub counts: Counts,
    /// The longest waits, the shortest of them first.
    longest: BinaryHeap<Reverse<(Duration, ProcessId, Option<Resource>)>>,
}

impl Chronicle {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            spans: Vec::with_capacity(plan.processes.len()),
            running: Gauge::default(),
            pools: vec![Gauge::default(); plan.pools.len()],
            counts: Counts::default(),
            longest: BinaryHeap::new(),
        }
    }

    /// A life, or a task, begins.
    pub(super) fn begin(&mut self, now: Time, process: ProcessId, is_task: bool, because: Cause) -> SpanId {
        let span = SpanId::at(self.spans.len());
        self.spans.push(Span {
            process,
            is_task,
            because,
            ended_by: None,
            begun: now,
            started: now,
            ended: now,
        });
        span
    }

    pub(super) fn at(&mut self, span: SpanId) -> &mut Span {
        &mut self.spans[span.index()]
    }

    /// Someone waited so long for a slot of his pool, or for what he holds.
    pub(super) fn waited(&mut self, waited: Duration, process: ProcessId, on: Option<Resource>) {
        // Of equal waits the first stay.
        if self.longest.len() == WAITS_KEPT && self.longest.peek().is_some_and(|Reverse((least, ..))| waited <= *least)
        {
            return;
        }
        self.longest.push(Reverse((waited, process, on)));
        if self.longest.len() > WAITS_KEPT {
            self.longest.pop();
        }
    }

    /// The longest waits, the longest first.
    pub(super) fn longest(&self) -> Vec<LongWait> {
        let mut waits: Vec<_> = self.longest.iter().map(|Reverse(wait)| *wait).collect();
        waits.sort_unstable_by_key(|(waited, process, _)| (Reverse(*waited), *process));
        let wait = |(waited, process, on)| LongWait { process, on, waited };
        waits.into_iter().map(wait).collect()
    }

    pub(super) fn slot_taken(&mut self, now: Time, pool: PoolId) {
        self.pools[pool.index()].take(now, 1);
    }

    pub(super) fn slot_left(&mut self, now: Time, pool: PoolId) {
        self.pools[pool.index()].give(now, 1);
    }

    /// What the machine tells of ends is counted.
    pub(super) fn count(&mut self, record: &Record, is_worker: bool) {
        let counts = &mut self.counts;
        match record {
            Record::Exited { .. } | Record::NotStarted { .. } if is_worker => {}
            Record::Exited { outcome, .. } => match outcome {
                Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored => counts.done += 1,
                Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => counts.failed += 1,
                Outcome::Stopped => counts.stopped += 1,
                Outcome::Restarts => {}
            },
            Record::NotStarted { .. } => counts.failed += 1,
            Record::Skipped { .. } => counts.skipped += 1,
            Record::Restarting { .. } => counts.restarts += 1,
            Record::TaskDone { .. } => counts.tasks_done += 1,
            Record::TaskRetried { .. } => counts.tasks_retried += 1,
            Record::TaskFailed { .. } => counts.tasks_failed += 1,
            Record::RunStarted
            | Record::Started { .. }
            | Record::Ready { .. }
            | Record::NotRestarted { .. }
            | Record::GaveUp { .. }
            | Record::Stopping { .. }
            | Record::Killing { .. }
            | Record::LeftBehind { .. }
            | Record::PoolSkipped { .. }
            | Record::PoolEnded { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunStopping { .. }
            | Record::RunEnded { .. } => {}
        }
    }
}
