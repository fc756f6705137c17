//! The news of a run, batch by batch, for a reporter that lets itself be woken only so often.
//!
//! To wake a thread costs the engine about as much as half a turn. Where news comes all the time, the reporter sleeps a
//! little before it waits for more, and finds several batches then.

use std::thread;
use std::time::{Duration, Instant};

use forkyard_driver::news::{News, Receiver};
use tokio::sync::mpsc::error::TryRecvError;

/// Waits that begin within so long of each other follow each other closely.
const CLOSE: Duration = Duration::from_millis(4);

/// So many may do so before a rest is taken: what a short run tells is shown at once.
const CLOSE_MAX: u32 = 8;

/// How long a rest is; nobody sees that something is shown so much later.
const REST: Duration = Duration::from_millis(4);

/// How closely the waits for news follow each other.
#[derive(Debug)]
pub struct Pace {
    waited: Instant,
    close: u32,
}

impl Pace {
    /// It begins now.
    pub fn new() -> Self {
        Self {
            waited: Instant::now(),
            close: 0,
        }
    }

    /// To be called before each wait.
    pub fn rest(&mut self) {
        let is_close = self.waited.elapsed() < CLOSE;
        self.close = if is_close { self.close.saturating_add(1) } else { 0 };
        if self.close > CLOSE_MAX {
            thread::sleep(REST);
        }
        self.waited = Instant::now();
    }
}

/// The batches, until the run has ended.
pub struct Batches {
    news: Receiver,
    pace: Pace,
}

impl Batches {
    /// Those that come out of `news`.
    pub fn new(news: Receiver) -> Self {
        Self {
            news,
            pace: Pace::new(),
        }
    }
}

impl Iterator for Batches {
    type Item = Vec<News>;

    fn next(&mut self) -> Option<Vec<News>> {
        match self.news.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.pace.rest();
                self.news.blocking_recv()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: u64) -> Vec<News> {
        vec![News::OutputDropped { lines }]
    }

    #[test]
    fn every_batch_comes_in_order_until_the_end() {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let teller = thread::spawn(move || (0..1000).all(|lines| sender.blocking_send(batch(lines)).is_ok()));
        let told: Vec<News> = Batches::new(receiver).flatten().collect();
        assert!(teller.join().expect("it does not panic"), "somebody listens");
        let lines = told.iter().map(|news| match news {
            News::OutputDropped { lines } => *lines,
            other => panic!("{other:?} was not told"),
        });
        assert!(lines.eq(0..1000));
    }
}
