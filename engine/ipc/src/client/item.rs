//! An item taken from a queue.

use super::{Client, ClientError};
use crate::wire::{Ask, ItemId};

/// An item taken from a queue. It is gone from there only with [`Item::ack`]; dropped without it, or
/// lost with its client, it goes back to the queue's front.
#[derive(Debug)]
#[must_use = "an item that is not acknowledged goes back to the queue"]
pub struct Item<'a> {
    client: &'a mut Client,
    queue: String,
    id: ItemId,
    deliveries: u32,
    bytes: Vec<u8>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Taken,
    Settled,
}

impl<'a> Item<'a> {
    pub(super) fn new(client: &'a mut Client, queue: &str, id: ItemId, deliveries: u32, bytes: Vec<u8>) -> Self {
        Self {
            client,
            queue: queue.to_owned(),
            id,
            deliveries,
            bytes,
            state: State::Taken,
        }
    }

    /// Its bytes, as they were put.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often it has been handed out, this time included: above 1 somebody took it before and did
    /// not acknowledge it, perhaps after some of the work was done.
    #[must_use]
    pub const fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// The work is done (or the item safely written on), and the item gone.
    pub fn ack(mut self) -> Result<(), ClientError> {
        self.state = State::Settled;
        let name = std::mem::take(&mut self.queue);
        self.client.order(&Ask::Ack { name, item: self.id })
    }

    /// Puts it back to the queue's front for the next who asks.
    pub fn give_back(mut self) -> Result<(), ClientError> {
        self.settle_back()
    }

    fn settle_back(&mut self) -> Result<(), ClientError> {
        self.state = State::Settled;
        let name = std::mem::take(&mut self.queue);
        self.client.order(&Ask::Nack { name, item: self.id })
    }
}

impl Drop for Item<'_> {
    fn drop(&mut self) {
        if self.state == State::Taken {
            // When the engine cannot be told, the end of the connection tells it.
            let _told = self.settle_back();
        }
    }
}
