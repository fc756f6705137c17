//! The reporter for a terminal: the lines, and below them a status line that is drawn again as things change.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use forkyard_driver::news::{News, Receiver};
use tokio::sync::mpsc::error::TryRecvError;

use super::batches::Pace;
use super::summary;
use super::text::{Text, Voice};
use crate::duration;

/// The status line is drawn at most ten times a second: an eye takes in no more.
const REDRAW: Duration = Duration::from_millis(100);

/// With no news the clock in the status line still goes on.
const TICK: Duration = Duration::from_millis(500);

/// Back to the first column, and the line cleared.
const CLEAR: &str = "\r\u{1b}[2K";

/// Writes everything to `out`, which is a terminal, until the run has ended; a quiet summary goes to `bad`.
/// `width` asks for the number of columns each time, since a window may change its size.
pub fn report(
    news: Receiver,
    mut text: Text,
    out: &mut impl Write,
    bad: &mut impl Write,
    width: impl Fn() -> usize,
) -> io::Result<()> {
    let mut status = Status::new(text.voice());
    let mut written = text.opening().map_or(Ok(()), |line| writeln!(out, "{line}"));
    let mut news = Waiting::new(news)?;
    while let Some(batch) = news.next(status.tick()) {
        if written.is_ok() {
            written = write_batch(&batch, &mut text, &mut status, out).and_then(|()| status.draw(&text, width(), out));
        } else {
            text.tally.add_all(&batch);
        }
    }
    written
        .and_then(|()| status.clear(out))
        .and_then(|()| match text.voice() {
            Voice::Full => write_lines(out, &text.summary()),
            Voice::Quiet => write_lines(bad, &text.summary()),
        })
}

fn write_batch(batch: &[News], text: &mut Text, status: &mut Status, out: &mut impl Write) -> io::Result<()> {
    let mut lines = Vec::with_capacity(batch.len());
    for news in batch {
        lines.extend(text.line(news));
    }
    if !lines.is_empty() {
        status.clear(out)?;
    }
    write_lines(out, &lines)
}

fn write_lines(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The receiver, with a wait that ends after a while even without news.
struct Waiting {
    news: Receiver,
    pace: Pace,
    runtime: tokio::runtime::Runtime,
}

impl Waiting {
    fn new(news: Receiver) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self {
            news,
            pace: Pace::new(),
            runtime,
        })
    }

    /// The next batch, or an empty one after `tick`; `None` once the run has ended.
    fn next(&mut self, tick: Duration) -> Option<Vec<News>> {
        match self.news.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.pace.rest();
                let wait = self
                    .runtime
                    .block_on(async { tokio::time::timeout(tick, self.news.recv()).await });
                wait.unwrap_or_else(|_| Some(Vec::new()))
            }
        }
    }
}

/// The line at the bottom.
struct Status {
    voice: Voice,
    started: Instant,
    drawn: Option<Instant>,
    shown: Option<String>,
}

impl Status {
    fn new(voice: Voice) -> Self {
        Self {
            voice,
            started: Instant::now(),
            drawn: None,
            shown: None,
        }
    }

    /// How long to wait for news: what had to make room for lines is to be back soon.
    const fn tick(&self) -> Duration {
        match self.shown {
            Some(_) => TICK,
            None => REDRAW,
        }
    }

    /// Draws it, unless it was drawn just now and is still there, or still says the same.
    fn draw(&mut self, text: &Text, width: usize, out: &mut impl Write) -> io::Result<()> {
        let now = Instant::now();
        let is_early = self.drawn.is_some_and(|drawn| now.duration_since(drawn) < REDRAW);
        if self.voice == Voice::Quiet || text.tally.ended.is_some() || is_early {
            return Ok(());
        }
        let line = line(text, now.duration_since(self.started), width);
        self.drawn = Some(now);
        if self.shown.as_ref() != Some(&line) {
            write!(out, "{CLEAR}\u{1b}[2m{line}\u{1b}[0m")?;
            out.flush()?;
            self.shown = Some(line);
        }
        Ok(())
    }

    /// Makes room for other lines.
    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        match self.shown.take() {
            Some(_) => write!(out, "{CLEAR}"),
            None => Ok(()),
        }
    }
}

/// `3 running · 5 waiting · 00:12`, cut so that it never wraps into a second row.
fn line(text: &Text, elapsed: Duration, width: usize) -> String {
    let line = format!(
        "{} · {}",
        summary::counted(text.tally.counts()),
        duration::clock(elapsed)
    );
    line.chars().take(width.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests;
