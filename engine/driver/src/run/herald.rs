//! Hands out what happened: records to `records.jsonl`, everything to the reporters. It never waits: what the
//! reporters do not take at once is kept for them.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::thread;

use forkyard_core::machine::Record;
use forkyard_core::plan::Plan;
use tokio::sync::mpsc::error::TrySendError;

use crate::news::{News, Sender};
use crate::records;
use crate::stdio::outlet::Outlet;

/// How many records are kept for a reporter that takes nothing; `records.jsonl` has those it misses.
const BACKLOG_MAX: usize = 1 << 18;

/// How many bytes of records are kept for a disk that is full, to be written when it has room again.
const UNWRITTEN_MAX: usize = 16 * 1024 * 1024;

/// The way to the records and to the reporters.
#[derive(Debug)]
pub struct Herald {
    plan: Arc<Plan>,
    /// The run's id.
    run: String,
    records: File,
    /// So many bytes of it are whole lines.
    kept: u64,
    news: Sender,
    outlet: Outlet,
    /// Lines for `records.jsonl` of this turn, and those before that could not be written.
    lines: Vec<u8>,
    backlog: Vec<News>,
}

impl Herald {
    pub(super) fn new(plan: Arc<Plan>, run: String, records: File, news: Sender) -> Self {
        Self {
            plan,
            run,
            records,
            kept: 0,
            outlet: Outlet::new(news.clone()),
            news,
            lines: Vec::new(),
            backlog: Vec::new(),
        }
    }

    /// The way of output lines to the reporters.
    pub(super) fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }

    /// Notes one thing; it leaves with the next [`Herald::flush`].
    pub(super) fn tell(&mut self, news: News) {
        records::write(&news, &self.plan, &self.run, &mut self.lines);
        let is_the_end = matches!(
            news,
            News::Record {
                record: Record::RunEnded { .. },
                ..
            }
        );
        if self.backlog.len() < BACKLOG_MAX || is_the_end {
            self.backlog.push(news);
        }
    }

    /// Hands out what was noted: one write, one batch.
    ///
    /// # Errors
    /// When the records cannot be written. They are tried again with the next ones, the reporters are told all the same.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.offer();
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.records.write_all(&self.lines);
        if written.is_ok() {
            self.kept += self.lines.len() as u64;
            self.lines.clear();
        } else {
            // No torn line is to stand before the next. Where that cannot be had, the last one is torn.
            let _ = self.records.set_len(self.kept);
            if self.lines.len() > UNWRITTEN_MAX {
                self.lines.clear();
            }
        }
        written
    }

    /// Whether reporters have not taken everything yet.
    pub(super) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Resolves when a reporter that was behind has room again.
    pub(super) async fn room(&self) {
        // Without reporters there is nothing to wait for; the next offer finds that out.
        let _ = self.news.reserve().await;
    }

    /// Gives the reporters what they have room for.
    pub(super) fn offer(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        match self.news.try_reserve() {
            Ok(permit) => permit.send(std::mem::take(&mut self.backlog)),
            Err(TrySendError::Closed(())) => self.backlog.clear(),
            Err(TrySendError::Full(())) => {}
        }
    }

    /// The last batch. It does not wait for the reporter, but neither is it lost: the end must be told also to somebody
    /// who reads slowly, or only later.
    ///
    /// # Errors
    /// When the records cannot be written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(dropped) = self.outlet.take_dropped() {
            self.backlog.push(dropped);
        }
        let last = std::mem::take(&mut self.backlog);
        if let Err(TrySendError::Full(last)) = self.news.try_send(last) {
            let news = self.news.clone();
            // It ends when the reporter takes the batch, or goes. Without a thread nobody can be told.
            let _ = thread::Builder::new().spawn(move || news.blocking_send(last));
        }
        self.flush()
    }
}
