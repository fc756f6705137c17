//! Which request waits where, and the replies that have become ready.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::{Held, Reply, Slot, Station, Ticket};

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// To put into that queue.
    Put(u32),
    /// To take from that queue.
    Take(u32),
    /// To hold that.
    Acquire(Held),
    /// For that event.
    Wait(u32),
}

impl Place {
    pub(super) fn station(self) -> Station {
        match self {
            Self::Put(queue) | Self::Take(queue) => Station::Queue(queue),
            Self::Acquire(held) => held.into(),
            Self::Wait(event) => Station::Event(event),
        }
    }
}

/// The parked requests of all channels, and the replies not yet collected.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    parked: BTreeMap<Ticket, (Slot, Place)>,
    ready: Vec<(Ticket, Slot, Reply)>,
    /// Who does not want to have his reply collected by others.
    listeners: BTreeMap<Ticket, oneshot::Sender<Reply>>,
}

impl Waiting {
    pub(super) fn park(&mut self, ticket: Ticket, slot: Slot, place: Place) {
        let before = self.parked.insert(ticket, (slot, place));
        debug_assert!(before.is_none(), "{ticket:?} was used twice");
    }

    /// Answers a parked request.
    pub(super) fn answer(&mut self, ticket: Ticket, slot: Slot, reply: Reply) {
        let parked = self.parked.remove(&ticket);
        debug_assert!(parked.is_some(), "{ticket:?} is answered without being parked");
        match self.listeners.remove(&ticket) {
            // Whoever listens no longer has withdrawn his request.
            Some(listener) => drop(listener.send(reply)),
            None => self.ready.push((ticket, slot, reply)),
        }
    }

    /// The reply to that request, if it is ready.
    pub(super) fn take_reply(&mut self, ticket: Ticket) -> Option<Reply> {
        let index = self.ready.iter().rposition(|(of, ..)| *of == ticket)?;
        Some(self.ready.remove(index).2)
    }

    /// The reply to a parked request comes here.
    pub(super) fn listen(&mut self, ticket: Ticket) -> oneshot::Receiver<Reply> {
        let (listener, reply) = oneshot::channel();
        self.listeners.insert(ticket, listener);
        reply
    }

    /// Whether any request is parked.
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    pub(super) fn parked(&self) -> impl Iterator<Item = (Ticket, Slot, Place)> {
        self.parked
            .iter()
            .map(|(ticket, (slot, place))| (*ticket, *slot, *place))
    }

    pub(super) fn has_replies(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn forget(&mut self, ticket: Ticket) -> Option<(Slot, Place)> {
        self.listeners.remove(&ticket);
        self.parked.remove(&ticket)
    }

    /// Drops the requests and the ready replies of a slot; its channels forget it themselves.
    pub(super) fn forget_slot(&mut self, slot: Slot) {
        self.ready.retain(|(_, of, _)| *of != slot);
        let gone = self.parked.extract_if(.., |_, (of, _)| *of == slot);
        for (ticket, _) in gone {
            self.listeners.remove(&ticket);
        }
    }

    pub(super) fn collect(&mut self) -> Vec<(Ticket, Reply)> {
        self.ready.drain(..).map(|(ticket, _, reply)| (ticket, reply)).collect()
    }
}
