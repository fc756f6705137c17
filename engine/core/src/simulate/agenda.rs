//! What will happen, and when: a heap of events, those of one moment in the order in which they were foreseen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::cause::Cause;
use crate::id::{ProcessId, QueueId};
use crate::machine::Input;
use crate::time::Time;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The machine is told of it.
    Tell { input: Input, cause: Cause },
    /// The time of a process is over; a service has come up.
    Over { process: ProcessId, attempt: u32 },
    /// A persistent worker has done the first of its tasks.
    Answer { process: ProcessId, attempt: u32 },
    /// A process puts an item, and has so many left that follow at the same distance.
    Put {
        process: ProcessId,
        attempt: u32,
        queue: QueueId,
        left: u64,
        every: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

/// All that is foreseen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Entry>,
    foreseen: u64,
    /// The moment at which the machine wants to be woken.
    wake: Option<Time>,
}

/// What is next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    Event(Time, Event),
    Wake(Time),
}

impl Agenda {
    pub(super) fn add(&mut self, at: Time, event: Event) {
        self.foreseen += 1;
        self.heap.push(Entry {
            at,
            number: self.foreseen,
            event,
        });
    }

    pub(super) fn wake_at(&mut self, at: Time) {
        self.wake = Some(at);
    }

    /// Takes out what is next. Who does something in the very moment of its time limit has kept it.
    pub(super) fn pop(&mut self) -> Option<Next> {
        let first = self.heap.peek().map(|entry| entry.at);
        if let Some(at) = self.wake
            && first.is_none_or(|first| at < first)
        {
            self.wake = None;
            return Some(Next::Wake(at));
        }
        self.heap.pop().map(|entry| Next::Event(entry.at, entry.event))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty() && self.wake.is_none()
    }
}

/// The heap gives the greatest first: the greatest is the earliest.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
