//! An event: set or not, and who waits until it is.

use super::waiting::Waiting;
use super::{Reply, Slot, Ticket};

/// An event.
#[derive(Debug)]
pub(super) struct Event {
    set: bool,
    waiters: Vec<(Ticket, Slot)>,
}

impl Event {
    pub(super) const fn new(set: bool) -> Self {
        Self {
            set,
            waiters: Vec::new(),
        }
    }

    pub(super) const fn is_set(&self) -> bool {
        self.set
    }

    pub(super) fn wait(&mut self, slot: Slot, ticket: Ticket, block: bool) -> Option<Reply> {
        if self.set {
            return Some(Reply::Done);
        }
        if !block {
            return Some(Reply::WouldBlock);
        }
        self.waiters.push((ticket, slot));
        None
    }

    /// True when it was clear before.
    pub(super) fn set(&mut self, waiting: &mut Waiting) -> bool {
        for (ticket, slot) in self.waiters.drain(..) {
            waiting.answer(ticket, slot, Reply::Done);
        }
        !std::mem::replace(&mut self.set, true)
    }

    pub(super) const fn clear(&mut self) {
        self.set = false;
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiters.retain(|(waiter, _)| *waiter != ticket);
    }

    pub(super) fn let_go(&mut self, slot: Slot) {
        self.waiters.retain(|(_, waiter)| *waiter != slot);
    }

    pub(super) fn check(&self) {
        assert!(
            !self.set || self.waiters.is_empty(),
            "somebody waits for an event that is set"
        );
    }
}
