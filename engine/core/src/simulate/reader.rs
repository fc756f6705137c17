//! Who reads what, and so ends no earlier than that.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{EventId, PipeId, ProcessId, QueueId};
use crate::plan::{Grant, Plan, Wire};

/// Something that a process reads to its end, or waits for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// A queue, as a stream.
    Queue(QueueId),
    /// A pipe that is no duplex pipe.
    Pipe(PipeId),
    /// An event.
    Event(EventId),
}

/// All that is read, from both sides; what nobody reads is not in it.
#[derive(Debug, Default)]
pub(super) struct Readers {
    of: BTreeMap<ProcessId, Vec<Feed>>,
    by: BTreeMap<Feed, Vec<ProcessId>>,
    ended: BTreeSet<Feed>,
    /// By process: the pipes that it writes to.
    writes: BTreeMap<ProcessId, Vec<PipeId>>,
    /// By pipe: who has not let go of its writing end.
    writers_left: Vec<usize>,
}

impl Readers {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut readers = Self {
            writers_left: plan.pipes.iter().map(|pipe| pipe.senders.len()).collect(),
            ..Self::default()
        };
        for (index, pipe) in plan.pipes.iter().enumerate().filter(|(_, pipe)| !pipe.duplex) {
            for sender in &pipe.senders {
                readers.writes.entry(*sender).or_default().push(PipeId::at(index));
            }
        }
        for (index, launch) in plan.launches.iter().enumerate() {
            if plan.processes[index].worker_of.is_some() {
                continue;
            }
            let wires = launch.fds.values().filter_map(feed_of);
            let waits = launch.grants.iter().filter_map(|grant| awaited(*grant, plan));
            for feed in wires.chain(waits) {
                let process = ProcessId::at(index);
                readers.of.entry(process).or_default().push(feed);
                readers.by.entry(feed).or_default().push(process);
            }
        }
        readers
    }

    /// What it reads that has not ended.
    pub(super) fn open(&self, process: ProcessId) -> impl Iterator<Item = Feed> + '_ {
        let feeds = self.of.get(&process).map_or(&[][..], Vec::as_slice);
        feeds.iter().copied().filter(|feed| !self.ended.contains(feed))
    }

    /// It has ended, or come: those who read it, the first time.
    pub(super) fn end(&mut self, feed: Feed) -> Vec<ProcessId> {
        match self.by.get(&feed) {
            Some(readers) if self.ended.insert(feed) => readers.clone(),
            Some(_) | None => Vec::new(),
        }
    }

    /// It will write no more: the pipes that nobody writes to now.
    pub(super) fn writer_left(&mut self, process: ProcessId) -> Vec<PipeId> {
        let mut closed = self.writes.remove(&process).unwrap_or_default();
        closed.retain(|pipe| {
            let left = &mut self.writers_left[pipe.index()];
            *left -= 1;
            *left == 0
        });
        closed
    }
}

fn feed_of(wire: &Wire) -> Option<Feed> {
    match wire {
        Wire::FromQueue(queue) => Some(Feed::Queue(*queue)),
        Wire::PipeReader(pipe) => Some(Feed::Pipe(*pipe)),
        Wire::Null
        | Wire::Inherit
        | Wire::Log
        | Wire::Stdout
        | Wire::ToQueue(_)
        | Wire::PipeWriter(_)
        | Wire::Duplex(..)
        | Wire::ReadFile(_)
        | Wire::WriteFile(_)
        | Wire::AppendFile(_)
        | Wire::Text(_)
        | Wire::Notify
        | Wire::Tasks
        | Wire::Results => None,
    }
}

fn awaited(grant: Grant, plan: &Plan) -> Option<Feed> {
    match grant {
        Grant::Wait(event) if !plan.events[event.index()].set => Some(Feed::Event(event)),
        Grant::Wait(_) | Grant::Put(_) | Grant::Get(_) | Grant::Acquire(_) | Grant::Set(_) => None,
    }
}
