//! A lock: one owner, and who waits to be the next.

use std::collections::VecDeque;

use super::waiting::Waiting;
use super::{LockKind, Refusal, Reply, Slot, Ticket};

/// A lock.
#[derive(Debug)]
pub(super) struct Lock {
    kind: LockKind,
    owner: Option<Owner>,
    /// The last owner died with it, and nobody has been told.
    orphaned: bool,
    waiters: VecDeque<(Ticket, Slot)>,
}

#[derive(Debug)]
struct Owner {
    slot: Slot,
    /// How often it must release it; above 1 only when reentrant.
    depth: u32,
}

impl Lock {
    pub(super) const fn new(kind: LockKind) -> Self {
        Self {
            kind,
            owner: None,
            orphaned: false,
            waiters: VecDeque::new(),
        }
    }

    pub(super) fn owner(&self) -> Option<Slot> {
        self.owner.as_ref().map(|owner| owner.slot)
    }

    pub(super) fn acquire(&mut self, slot: Slot, ticket: Ticket, permits: u32, block: bool) -> Option<Reply> {
        if permits > 1 {
            return Some(Reply::TooMany { permits: 1 });
        }
        let Some(owner) = &mut self.owner else {
            return Some(self.grant(slot));
        };
        if owner.slot == slot && self.kind == LockKind::Reentrant {
            owner.depth = owner.depth.saturating_add(1);
            return Some(Reply::Granted { orphaned: false });
        }
        if !block {
            return Some(Reply::WouldBlock);
        }
        self.waiters.push_back((ticket, slot));
        None
    }

    fn grant(&mut self, slot: Slot) -> Reply {
        self.owner = Some(Owner { slot, depth: 1 });
        Reply::Granted {
            orphaned: std::mem::take(&mut self.orphaned),
        }
    }

    pub(super) fn release(&mut self, slot: Slot, waiting: &mut Waiting) -> Result<(), Refusal> {
        match &mut self.owner {
            Some(owner) if owner.slot == slot => owner.depth -= 1,
            Some(_) | None => return Err(Refusal::NotHeld),
        }
        if self.owner.as_ref().is_some_and(|owner| owner.depth == 0) {
            self.pass_on(waiting);
        }
        Ok(())
    }

    /// The owner has none of it any more: the longest waiter is the next.
    fn pass_on(&mut self, waiting: &mut Waiting) {
        self.owner = None;
        let Some((ticket, slot)) = self.waiters.pop_front() else {
            return;
        };
        let granted = self.grant(slot);
        waiting.answer(ticket, slot, granted);
        if self.kind == LockKind::Reentrant {
            self.let_in_again(slot, waiting);
        }
    }

    /// Requests of the new owner that waited beside the one just granted need not wait any more.
    fn let_in_again(&mut self, slot: Slot, waiting: &mut Waiting) {
        let (again, others): (VecDeque<_>, VecDeque<_>) = self.waiters.drain(..).partition(|(_, of)| *of == slot);
        self.waiters = others;
        for (ticket, slot) in again {
            if let Some(owner) = &mut self.owner {
                owner.depth = owner.depth.saturating_add(1);
            }
            waiting.answer(ticket, slot, Reply::Granted { orphaned: false });
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiters.retain(|(waiter, _)| *waiter != ticket);
    }

    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool, waiting: &mut Waiting) {
        self.waiters.retain(|(_, waiter)| *waiter != slot);
        if self.owner() == Some(slot) {
            self.orphaned = orphaned;
            self.pass_on(waiting);
        }
        self.check();
    }

    pub(super) fn check(&self) {
        match &self.owner {
            Some(owner) => {
                assert!(owner.depth >= 1, "a lock is owned and not held");
                assert!(
                    owner.depth == 1 || self.kind == LockKind::Reentrant,
                    "a plain lock is held twice"
                );
            }
            None => assert!(self.waiters.is_empty(), "somebody waits for a lock that is free"),
        }
    }
}
