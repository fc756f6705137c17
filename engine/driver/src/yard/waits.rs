//! Who waits at the channels of a yard, for whoever looks for deadlocks, or asks why somebody does not get on.

use forkyard_ipc::channel::Waiting;

use super::{Place, Slot, Station, Ticket, Yard};

/// A request that waits in the yard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parked {
    /// Its number; a later request has another one.
    pub ticket: Ticket,
    /// On whose behalf.
    pub slot: Slot,
    /// Where.
    pub place: Place,
}

/// A program that has mapped a channel and sleeps there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleeper {
    /// Of which process of the workflow.
    pub slot: Slot,
    /// Its pid.
    pub pid: u32,
    /// Where.
    pub station: Station,
    /// How many of its threads, and how.
    pub waiting: Waiting,
}

impl Yard {
    /// Whether anybody may wait: cheap, and true rather too often.
    #[must_use]
    pub fn may_have_waits(&self) -> bool {
        !self.waiting.is_empty() || !self.deaths.is_empty()
    }

    /// All requests that wait, in the order of their tickets.
    #[must_use]
    pub fn parked(&self) -> Vec<Parked> {
        let parked = self.waiting.parked();
        parked
            .map(|(ticket, slot, place)| Parked { ticket, slot, place })
            .collect()
    }

    /// All programs that sleep at a channel that they have mapped.
    #[must_use]
    pub fn sleepers(&self) -> Vec<Sleeper> {
        if self.deaths.is_empty() {
            return Vec::new();
        }
        let own = std::process::id();
        let at = |station: Station| {
            let clients = self.channel(station).clients().into_iter();
            let asleep = clients.filter(move |client| client.pid != own && client.waiting.threads() > 0);
            asleep.filter_map(move |client| {
                Some(Sleeper {
                    slot: Slot::of_party(client.party)?,
                    pid: client.pid,
                    station,
                    waiting: client.waiting,
                })
            })
        };
        self.stations().flat_map(at).collect()
    }

    /// Whether a put into the queue has to wait now.
    #[must_use]
    pub fn is_full(&self, queue: u32) -> bool {
        self.queues[queue as usize].is_full()
    }
}
