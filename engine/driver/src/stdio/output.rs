//! From a process's stdout or stderr into its log and to the reporters.

use std::rc::Rc;
use std::sync::Arc;

use forkyard_core::id::{ProcessId, TaskId};
use forkyard_core::time::Time;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lines::{Line, Lines};
use super::log::Log;
use super::outlet::Outlet;
use super::tap::Tap;
use crate::news::{News, Stream};
use crate::run::Happening;

/// Whose output it is.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who wrote it.
    pub process: ProcessId,
    /// Its task, for a pool's worker.
    pub task: Option<TaskId>,
    /// Where.
    pub stream: Stream,
    /// The start of the run.
    pub start: Instant,
}

impl Origin {
    fn news(&self, line: Line) -> News {
        News::Output {
            at: time_since(self.start),
            process: self.process,
            task: self.task,
            stream: self.stream,
            line: line.bytes,
            ended: line.ended,
        }
    }
}

/// The time of the run, given when it started.
#[must_use]
pub fn time_since(start: Instant) -> Time {
    Time::START.after(start.elapsed())
}

/// Pumps until the end of the stream. When the log cannot be written, the engine is told once, and the rest is
/// still read, so that the process can come to its end.
pub async fn pump(mut tap: Tap, log: Rc<Log>, origin: Origin, outlet: Outlet, inbox: mpsc::Sender<Happening>) {
    let mut lines = Lines::default();
    let mut cut = Vec::new();
    let mut writable = true;
    while let Some(bytes) = tap.read().await {
        if writable && let Err(error) = log.append(bytes) {
            writable = false;
            let reason = Arc::from(format!("a log cannot be written: {error}"));
            // The engine has ended when it does not listen any more.
            let _ = inbox.send(Happening::Fault { reason }).await;
        }
        lines.feed(bytes, &mut cut);
        outlet.send(cut.drain(..).map(|line| origin.news(line)).collect()).await;
    }
    outlet
        .send(lines.finish().into_iter().map(|line| origin.news(line)).collect())
        .await;
}
