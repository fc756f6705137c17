//! What a client was granted over HTTP, until it is known to have reached it.
//!
//! It is the connection's until then, and goes back with it. The news that it has reached the client comes beside
//! the inbox, so that it is there before whatever the client does next, its end included.

use super::{Broker, ConnectionId};
use crate::yard::Yard;

/// The last answer of a connection is with its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) connection: ConnectionId,
    pub(super) fate: Fate,
}

/// What becomes of the items in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are acknowledged.
    Acknowledge,
    /// They are the process's, until it acknowledges them or ends.
    Keep,
}

impl Broker {
    /// Takes note of what has reached clients. To be called before anything is done to a slot whose process has ended.
    pub fn look(&mut self, yard: &mut Yard) {
        while let Ok(Delivered { connection, fate }) = self.delivered.try_recv() {
            let Some(connection) = self.connections.get_mut(&connection) else {
                continue;
            };
            let Some(slot) = connection.speaker.slot() else {
                continue;
            };
            connection.grants.clear();
            let mut items = std::mem::take(&mut connection.items);
            match fate {
                Fate::Acknowledge => {
                    for ((queue, _), item) in items {
                        // A slot that was let go has nothing left to acknowledge.
                        let _acknowledged = yard.ack(slot, queue, &[item]);
                    }
                }
                Fate::Keep => self.kept.entry(slot).or_default().append(&mut items),
            }
        }
    }
}
