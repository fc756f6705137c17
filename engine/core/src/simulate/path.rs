//! The critical path: from the end of the run back to its start, by what let each begin, or end.

use super::cause::{Cause, How};
use super::chronicle::Span;
use crate::id::ProcessId;
use crate::time::Time;

/// One life or task on the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub process: ProcessId,
    /// It is a task of a persistent worker.
    pub is_task: bool,
    /// When the one before had come so far that it could go on.
    pub from: Time,
    /// When it ran.
    pub started: Time,
    /// When it had come as far as the next one waited for.
    pub until: Time,
    /// What it waited for.
    pub how: How,
    /// Whom.
    pub by: Option<ProcessId>,
    /// It ran already, and this let it end.
    pub to_end: bool,
}

/// The steps from `last` back, the first first.
pub(super) fn critical_path(spans: &[Span], last: Cause, end: Time) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut cause, mut until) = (last, end);
    while let Some(span) = cause.by {
        let known = &spans[span.index()];
        let (next, to_end) = match known.ended_by {
            Some(by) if is_end(cause.how) => (by, true),
            Some(_) | None => (known.because, false),
        };
        let by = next.by.map(|by| &spans[by.index()]);
        let from = match by {
            Some(by) if is_end(next.how) => by.ended,
            Some(by) if next.how == How::Started => by.started,
            Some(_) => known.begun,
            None => Time::START,
        };
        let from = from.min(until);
        steps.push(Step {
            process: known.process,
            is_task: known.is_task,
            from,
            started: known.started,
            until,
            how: next.how,
            by: by.map(|by| by.process),
            to_end,
        });
        until = from;
        // Each step goes back in the order of what happened; this ends the way should it ever not.
        if steps.len() > 2 * spans.len() {
            break;
        }
        cause = next;
    }
    steps.reverse();
    steps
}

/// Whether it was the end of the one before that let this happen.
const fn is_end(how: How) -> bool {
    match how {
        How::Ended | How::Slot(_) | How::Held(_) | How::Worker | How::Queue(_) | How::Pipe(_) => true,
        How::Began | How::Started | How::Ready | How::Set(_) | How::Item(_) | How::Clock => false,
    }
}
