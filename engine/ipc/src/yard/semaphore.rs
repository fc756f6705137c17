//! A semaphore: so many permits, who holds them, and who waits for some.

use std::collections::{BTreeMap, VecDeque};

use super::waiting::Waiting;
use super::{Refusal, Reply, Slot, Ticket};

/// A semaphore.
#[derive(Debug)]
pub(super) struct Semaphore {
    permits: u32,
    free: u32,
    holders: BTreeMap<Slot, u32>,
    /// A holder died with some, and nobody has been told.
    orphaned: bool,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    slot: Slot,
    permits: u32,
}

impl Semaphore {
    pub(super) const fn new(permits: u32) -> Self {
        Self {
            permits,
            free: permits,
            holders: BTreeMap::new(),
            orphaned: false,
            waiters: VecDeque::new(),
        }
    }

    pub(super) const fn free(&self) -> u32 {
        self.free
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = (Slot, u32)> + '_ {
        self.holders.iter().map(|(slot, permits)| (*slot, *permits))
    }

    pub(super) fn acquire(&mut self, slot: Slot, ticket: Ticket, permits: u32, block: bool) -> Option<Reply> {
        if permits > self.permits {
            return Some(Reply::TooMany { permits: self.permits });
        }
        // Who asks for few must not overtake who waits for many, or the latter may wait for ever.
        if self.waiters.is_empty() && permits <= self.free {
            return Some(self.grant(slot, permits));
        }
        if !block {
            return Some(Reply::WouldBlock);
        }
        self.waiters.push_back(Waiter { ticket, slot, permits });
        None
    }

    fn grant(&mut self, slot: Slot, permits: u32) -> Reply {
        self.free -= permits;
        if permits > 0 {
            *self.holders.entry(slot).or_default() += permits;
        }
        Reply::Granted {
            orphaned: std::mem::take(&mut self.orphaned),
        }
    }

    /// Serves the waiters from the front, as far as the free permits reach.
    fn settle(&mut self, waiting: &mut Waiting) {
        while let Some(Waiter { ticket, slot, permits }) = self.waiters.pop_front_if(|first| first.permits <= self.free)
        {
            let granted = self.grant(slot, permits);
            waiting.answer(ticket, slot, granted);
        }
    }

    pub(super) fn release(&mut self, slot: Slot, permits: u32, waiting: &mut Waiting) -> Result<(), Refusal> {
        let held = self
            .holders
            .get_mut(&slot)
            .filter(|held| **held >= permits)
            .ok_or(Refusal::NotHeld)?;
        *held -= permits;
        if *held == 0 {
            self.holders.remove(&slot);
        }
        self.free += permits;
        self.settle(waiting);
        Ok(())
    }

    /// Who waits behind the one that has gone may be served now.
    pub(super) fn cancel(&mut self, ticket: Ticket, waiting: &mut Waiting) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
        self.settle(waiting);
    }

    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool, waiting: &mut Waiting) {
        self.waiters.retain(|waiter| waiter.slot != slot);
        if let Some(held) = self.holders.remove(&slot) {
            self.orphaned |= orphaned;
            self.free += held;
        }
        self.settle(waiting);
        self.check();
    }

    pub(super) fn check(&self) {
        let held: u32 = self.holders.values().sum();
        assert_eq!(
            self.free + held,
            self.permits,
            "the permits of a semaphore do not add up"
        );
        assert!(
            self.holders.values().all(|held| *held > 0),
            "a holder of no permits is kept"
        );
        let first = self.waiters.front();
        assert!(
            first.is_none_or(|first| first.permits > self.free),
            "a waiter is not served though it could be"
        );
    }
}
