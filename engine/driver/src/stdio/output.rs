//! From a process's stdout or stderr into its log and to the reporters.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{ProcessId, TaskId};
use forkyard_core::time::Time;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lines::{Line, Lines};
use super::log::Log;
use super::mask::{Mask, Secrets};
use super::outlet::Outlet;
use super::tap::Tap;
use crate::news::{News, Stream};
use crate::run::{Happening, Watchword, is_transient};

/// How long it takes until a log that could not be made for want of a descriptor is tried again, and how often: ten
/// seconds in all, as long as a process that cannot be started is tried.
const PAUSE: Duration = Duration::from_millis(20);
const TRIES_MAX: u32 = 500;

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
    fn news(&self, at: Time, line: Line) -> News {
        News::Output {
            at,
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

/// Where output goes.
#[derive(Debug)]
pub struct Output {
    /// `None`: the process itself writes to its log.
    log: Option<Rc<Log>>,
    origin: Origin,
    /// `None`: nobody sees its lines.
    outlet: Option<Outlet>,
    inbox: mpsc::Sender<Happening>,
    lines: Lines,
    mask: Option<Box<Mask>>,
    /// When the log cannot be written, the engine is told once, and the rest is still read, so that the process can
    /// come to its end.
    writable: bool,
    /// A line that is looked for, until it has come.
    watchword: Option<Box<Watchword>>,
}

impl Output {
    /// Into `log` and, line by line, to `outlet`, without the `secrets`; a fault goes to `inbox`.
    #[must_use]
    pub fn new(
        log: Option<Rc<Log>>,
        origin: Origin,
        outlet: Option<Outlet>,
        inbox: mpsc::Sender<Happening>,
        secrets: Option<Secrets>,
    ) -> Self {
        Self {
            log,
            origin,
            outlet,
            inbox,
            lines: Lines::default(),
            mask: secrets.map(|secrets| Box::new(Mask::new(secrets))),
            writable: true,
            watchword: None,
        }
    }

    /// A line that is like this is told.
    #[must_use]
    pub fn watching_for(mut self, watchword: Option<Watchword>) -> Self {
        self.watchword = watchword.map(Box::new);
        self
    }

    /// Takes what was read.
    pub async fn take(&mut self, bytes: &[u8]) {
        match &mut self.mask {
            None => self.show(bytes).await,
            Some(mask) => {
                let shown = mask.take(bytes);
                self.show(&shown).await;
            }
        }
    }

    async fn show(&mut self, bytes: &[u8]) {
        // What was read together has one time.
        let at = time_since(self.origin.start);
        if self.writable
            && let Some(log) = &self.log
            && let Err(error) = append(log, bytes).await
        {
            self.writable = false;
            let reason = Arc::from(format!("a log cannot be written: {error}"));
            // The engine has ended when it does not listen any more.
            let _ = Box::pin(self.inbox.send(Happening::Fault { reason })).await;
        }
        if self.outlet.is_none() && self.watchword.is_none() {
            return;
        }
        let mut cut = Vec::new();
        self.lines.feed(bytes, &mut cut);
        if let Some(watchword) = &self.watchword
            && cut.iter().any(|line| watchword.is_in(&line.bytes))
        {
            self.watchword = None;
        }
        self.tell(at, cut).await;
    }

    async fn tell(&self, at: Time, lines: impl IntoIterator<Item = Line>) {
        if let Some(outlet) = &self.outlet {
            let news = lines.into_iter().map(|line| self.origin.news(at, line));
            outlet.send(news.collect()).await;
        }
    }

    /// The stream has ended.
    pub async fn finish(&mut self) {
        if let Some(mask) = &mut self.mask {
            let held = mask.finish();
            self.show(&held).await;
        }
        let last = self.lines.finish();
        self.tell(time_since(self.origin.start), last).await;
    }
}

/// Appends to a log. A log is made at its first byte: whoever finds no descriptor free then waits for one.
async fn append(log: &Log, bytes: &[u8]) -> io::Result<()> {
    for _ in 0..TRIES_MAX {
        match log.open() {
            Err(error) if is_transient(&error) => Box::pin(tokio::time::sleep(PAUSE)).await,
            Err(_) | Ok(()) => break,
        }
    }
    log.append(bytes)
}

/// Pumps until the end of the stream.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function has room for its arguments twice, and thousands of pumps may wait"
)]
pub fn pump(mut tap: Tap, mut output: Output) -> impl Future<Output = ()> {
    async move {
        // What is needed while something is taken is not part of every pump that waits.
        while let Some(bytes) = tap.read().await {
            Box::pin(output.take(bytes)).await;
        }
        tap.put_aside();
        Box::pin(output.finish()).await;
    }
}
