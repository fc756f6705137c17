//! The way of output lines to the reporters: a slow reporter holds the processes back for a while, then
//! loses lines, which are counted; it never holds them back for ever.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use forkyard_core::plan::WhenFull;
use tokio::sync::mpsc::error::{SendTimeoutError, TrySendError};

use crate::news::{News, Sender};

/// So many lines at most make a batch: since the channel holds so many batches, they bound what it holds however
/// short the lines are.
const BATCH_LINES: usize = 256;

/// How long a full channel holds the processes back.
const PATIENCE: Duration = Duration::from_secs(1);

/// An outlet; all of a run share the count of what was dropped.
#[derive(Clone, Debug)]
pub struct Outlet {
    news: Sender,
    dropped: Rc<Cell<u64>>,
    when_full: WhenFull,
}

impl Outlet {
    /// Lines go to `news`.
    #[must_use]
    pub fn new(news: Sender) -> Self {
        Self {
            news,
            dropped: Rc::new(Cell::new(0)),
            when_full: WhenFull::Drop,
        }
    }

    /// The same for a process that says what is to happen when nobody takes its lines.
    #[must_use]
    pub fn of_process(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Passes lines on; waits for a slow reporter unless it has been found stuck already.
    pub async fn send(&self, lines: Vec<News>) {
        let mut rest = lines.into_iter();
        loop {
            let batch: Vec<News> = rest.by_ref().take(BATCH_LINES).collect();
            if batch.is_empty() {
                return;
            }
            self.send_batch(batch).await;
        }
    }

    async fn send_batch(&self, lines: Vec<News>) {
        if self.when_full == WhenFull::Drop && self.dropped.get() > 0 {
            self.try_again(lines);
            return;
        }
        match self.news.try_send(lines) {
            // Without reporters nobody misses the lines.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            // What waiting needs is had only while it is waited: there may be thousands of outlets.
            Err(TrySendError::Full(lines)) => Box::pin(self.wait_for_room(lines)).await,
        }
    }

    async fn wait_for_room(&self, lines: Vec<News>) {
        if self.when_full == WhenFull::Block {
            // Without reporters nobody misses the lines.
            let _ = self.news.send(lines).await;
            return;
        }
        match self.news.send_timeout(lines, PATIENCE).await {
            // As above.
            Ok(()) | Err(SendTimeoutError::Closed(_)) => {}
            Err(SendTimeoutError::Timeout(lines)) => self.drop_lines(lines.len()),
        }
    }

    /// What was dropped since the reporters were last told; they are told now by the caller.
    #[must_use]
    pub fn take_dropped(&self) -> Option<News> {
        let lines = self.dropped.take();
        (lines > 0).then_some(News::OutputDropped { lines })
    }

    fn try_again(&self, mut lines: Vec<News>) {
        let dropped = self.dropped.get();
        lines.insert(0, News::OutputDropped { lines: dropped });
        match self.news.try_send(lines) {
            Ok(()) | Err(TrySendError::Closed(_)) => self.dropped.set(0),
            Err(TrySendError::Full(lines)) => self.drop_lines(lines.len() - 1),
        }
    }

    fn drop_lines(&self, lines: usize) {
        self.dropped.set(self.dropped.get() + lines as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> News {
        News::OutputDropped { lines: 0 }
    }

    #[tokio::test]
    async fn a_batch_has_few_lines_however_many_are_read_at_once() {
        let (news, mut reporter) = tokio::sync::mpsc::channel(8);
        let outlet = Outlet::new(news);
        outlet.send(vec![line(); 3 * BATCH_LINES + 1]).await;
        drop(outlet);
        let mut sizes = Vec::new();
        while let Some(batch) = reporter.recv().await {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [BATCH_LINES, BATCH_LINES, BATCH_LINES, 1]);
    }

    #[tokio::test]
    async fn a_stuck_reporter_loses_lines_and_is_told_how_many() {
        let (news, mut reporter) = tokio::sync::mpsc::channel(1);
        let outlet = Outlet::new(news);
        outlet.send(vec![line()]).await;
        outlet.send(vec![line(), line()]).await;
        outlet.send(vec![line()]).await;
        assert_eq!(reporter.recv().await.map(|batch| batch.len()), Some(1));
        outlet.send(vec![line()]).await;
        let batch = reporter.recv().await.expect("a batch");
        assert!(matches!(batch[..], [News::OutputDropped { lines: 3 }, _]), "{batch:?}");
        assert!(outlet.take_dropped().is_none());
    }

    #[tokio::test]
    async fn nobody_has_to_listen() {
        let (news, reporter) = tokio::sync::mpsc::channel(1);
        drop(reporter);
        Outlet::new(news).send(vec![line()]).await;
    }
}
