//! The broker: the socket at which the programs of a run ask for what is in the yard.
//!
//! Tasks of their own accept connections and cut frames; whatever they learn arrives as
//! [`FromClient`] in the inbox of the turn loop, which owns the yard and passes it to
//! [`Broker::handle`]. There a token becomes a slot, a name becomes a channel, and what the process
//! has not declared is refused. Requests that have to wait are parked in the yard under tickets of
//! the broker's own (the highest bit is set), and answered by [`Broker::answered`].
//!
//! Programs that speak frames ([`forkyard_ipc::wire`]) and those that speak HTTP ([`http`]) come to the same socket;
//! what they ask is the same from here on.
//!
//! A hold belongs to the slot and survives the connection; requests that wait, and items that were
//! taken and not acknowledged, belong to the connection and end with it. Over HTTP an item that was to be kept belongs
//! to the slot, once it has reached the client.

mod connection;
mod delivery;
mod http;
mod names;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use forkyard_ipc::channel::Kind;
use forkyard_ipc::wire::{Answer, Ask, Why, WireError};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::alarm::Alarm;
use crate::yard::{Held, Reply, Slot, Ticket, Yard};
use connection::{Connection, Door, Items, Outgoing};
use delivery::Delivered;
pub use names::Names;

/// With more connections than this, those who have said nothing are closed, and others wait to be accepted.
pub const CONNECTIONS_MAX: usize = 10_000;

/// So many answers may wait until their client reads them; a client that is slower is cut off.
pub const ANSWERS_MAX: usize = 1024;

/// So many requests of one connection may wait in the yard.
pub const PARKED_MAX: usize = 64;

/// So many items may be taken by one connection, or kept over HTTP by one process, and not acknowledged.
pub const UNACKNOWLEDGED_MAX: usize = 1024;

/// Tickets of the broker have this bit set; whoever else asks the yard leaves it clear.
pub const TICKET_BIT: u64 = 1 << 63;

/// The number of a connection, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// Something that happened at a connection, to be passed to [`Broker::handle`].
#[derive(Debug)]
pub struct FromClient {
    connection: ConnectionId,
    what: What,
}

impl FromClient {
    /// What keeps the broker from its work, and comes from no client.
    pub(crate) fn fault(&self) -> Option<Arc<str>> {
        match &self.what {
            What::Deaf(reason) => Some(Arc::clone(reason)),
            What::Opened(_) | What::Asked(_) | What::Malformed { .. } | What::Delivered | What::Closed => None,
        }
    }
}

#[derive(Debug)]
enum What {
    Opened(Connection),
    Asked(Asked),
    Malformed {
        request: u64,
        error: WireError,
    },
    /// Something has reached a client; what, the broker looks up.
    Delivered,
    /// Nobody can connect any more: why not.
    Deaf(Arc<str>),
    Closed,
}

/// A request of a client.
#[derive(Debug)]
struct Asked {
    /// Its number, by which its answer is known.
    request: u64,
    ask: Ask,
    /// How many bytes of its item were thrown away, being over the limit.
    cut: usize,
    /// What the name must be, when the client has said so.
    kind: Option<Kind>,
    /// It will be withdrawn after some time.
    is_timed: bool,
}

/// A client wants to see the processes of the run, or why one does not get on; the answer is [`Broker::reply_table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableWanted {
    /// About whom; `None` for all processes.
    pub why: Option<String>,
    /// Who.
    pub connection: ConnectionId,
    /// The number of its request.
    pub request: u64,
}

/// A request of a client that waits, for the search for deadlocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientWait {
    /// Its number in the yard.
    pub ticket: Ticket,
    /// At which connection.
    pub connection: ConnectionId,
    /// Of which process, if that is known.
    pub pid: Option<i32>,
    /// It will be withdrawn after some time.
    pub is_timed: bool,
}

/// A request that waits in the yard.
#[derive(Clone, Copy, Debug)]
struct Parked {
    connection: ConnectionId,
    request: u64,
    slot: Slot,
    wanted: Wanted,
    is_timed: bool,
}

/// What a request is after, to undo it if its client has gone when it is granted.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Put,
    Take(u32),
    Hold(Held, u32),
    Event,
}

/// The server side of a run's socket. Dropped, it closes all connections and removes the socket.
#[derive(Debug)]
pub struct Broker {
    socket: PathBuf,
    accepting: AbortHandle,
    connections: BTreeMap<ConnectionId, Connection>,
    parked: BTreeMap<Ticket, Parked>,
    tickets: u64,
    /// What has reached clients over HTTP.
    delivered: mpsc::UnboundedReceiver<Delivered>,
    /// What processes have taken over HTTP and not acknowledged.
    kept: BTreeMap<Slot, Items>,
}

impl Broker {
    /// Listens at `socket` (at most about 100 bytes long, in a folder that nobody else may enter), from
    /// within a tokio runtime. What clients send goes into the inbox; when it is full, they wait. Should a task
    /// panic, the alarm rings.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(socket: &Path, inbox: mpsc::Sender<FromClient>, alarm: &Alarm) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
        let (door, delivered) = Door::new(inbox);
        let accepting = tokio::spawn(connection::accept(listener, door, alarm.clone())).abort_handle();
        Ok(Self {
            socket: socket.to_owned(),
            accepting,
            connections: BTreeMap::new(),
            parked: BTreeMap::new(),
            tickets: TICKET_BIT,
            delivered,
            kept: BTreeMap::new(),
        })
    }

    /// Does what a client asks, or parks it. What becomes possible by it, for this client or others, is in
    /// the yard's replies and changes, which the caller collects and passes on until there are none.
    pub fn handle(&mut self, yard: &mut Yard, names: &Names, from: FromClient) -> Option<TableWanted> {
        self.look(yard);
        let FromClient { connection, what } = from;
        match what {
            What::Opened(opened) => {
                self.connections.insert(connection, opened);
                None
            }
            What::Asked(asked) => self.understand(yard, names, connection, asked),
            What::Malformed { request, error } => {
                self.refuse_and_end(yard, connection, request, Why::Protocol, error.to_string());
                None
            }
            // Looked at already, and nobody's.
            What::Delivered | What::Deaf(_) => None,
            What::Closed => {
                self.forget(yard, connection);
                None
            }
        }
    }

    /// Passes a reply of the yard to the client that waits for it. False: the ticket is not the broker's.
    ///
    /// What is granted to a client that has gone meanwhile is undone.
    pub fn answered(&mut self, yard: &mut Yard, ticket: Ticket, reply: Reply) -> bool {
        if ticket.0 & TICKET_BIT == 0 {
            return false;
        }
        if let Some(parked) = self.parked.remove(&ticket) {
            if let Some(connection) = self.connections.get_mut(&parked.connection) {
                connection.parked.remove(&parked.request);
            }
            self.deliver(yard, parked, reply);
        }
        true
    }

    /// Answers a [`TableWanted`] with the text of the table.
    pub fn reply_table(&mut self, yard: &mut Yard, wanted: &TableWanted, json: Vec<u8>) {
        self.send(yard, wanted.connection, wanted.request, Answer::Table(json));
    }

    /// There is no such name.
    pub fn refuse_table(&mut self, yard: &mut Yard, wanted: &TableWanted, message: String) {
        let why = Why::NoSuchName;
        self.send(
            yard,
            wanted.connection,
            wanted.request,
            Answer::Refused { why, message },
        );
    }

    /// The slot's process has ended: its connections are told and closed. To be called with
    /// [`Yard::let_go`] or [`Yard::died`], which let go of whatever they waited for or had taken.
    pub fn hang_up(&mut self, yard: &mut Yard, slot: Slot) {
        let of_slot = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.speaks_for(slot));
        let ids: Vec<ConnectionId> = of_slot.map(|(id, _)| *id).collect();
        let message = "the process this client speaks for has ended";
        for id in ids {
            let waiting = self
                .connections
                .get(&id)
                .into_iter()
                .flat_map(|connection| connection.parked.keys().copied());
            for request in waiting.collect::<Vec<_>>() {
                self.send(
                    yard,
                    id,
                    request,
                    Answer::Refused {
                        why: Why::Ended,
                        message: message.to_owned(),
                    },
                );
            }
            self.end(yard, id);
        }
        // The yard has forgotten these, or is about to: no reply will come for them.
        self.parked.retain(|_, parked| parked.slot != slot);
        self.kept.remove(&slot);
    }

    /// The connection has ended: its requests are withdrawn and its items go back.
    fn forget(&mut self, yard: &mut Yard, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        for ticket in connection.parked.into_values() {
            // A reply that is on its way already finds its request here, and its client gone.
            if yard.cancel(ticket) {
                self.parked.remove(&ticket);
            }
        }
        let Some(slot) = connection.speaker.slot() else { return };
        for (held, permits) in connection.grants {
            let _released = yard.release(slot, held, permits);
        }
        for ((queue, _), item) in connection.items {
            // A slot that was let go has nothing left to give back.
            let _returned = yard.give_back(slot, queue, &[item]);
        }
    }

    /// True when the answer is on its way; else the client is (or now becomes) one that has gone.
    fn send(&mut self, yard: &mut Yard, id: ConnectionId, request: u64, answer: Answer) -> bool {
        let outgoing = Outgoing {
            request,
            answer,
            descriptors: None,
        };
        self.send_out(yard, id, outgoing)
    }

    fn send_out(&mut self, yard: &mut Yard, id: ConnectionId, outgoing: Outgoing) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return false;
        };
        let sent = connection.answers.try_send(outgoing).is_ok();
        if !sent {
            tracing::debug!(?id, "a client that does not read its answers is cut off");
            self.forget(yard, id);
        }
        sent
    }

    /// Refuses, and closes the connection once the client has been told.
    fn refuse_and_end(&mut self, yard: &mut Yard, id: ConnectionId, request: u64, why: Why, message: String) {
        self.send(yard, id, request, Answer::Refused { why, message });
        self.end(yard, id);
    }

    /// Closes the connection once what was answered is written.
    fn end(&mut self, yard: &mut Yard, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.end();
        }
        self.forget(yard, id);
    }

    /// The requests of clients that wait in the yard.
    #[must_use]
    pub fn waits(&self) -> Vec<ClientWait> {
        let wait = |(ticket, parked): (&Ticket, &Parked)| ClientWait {
            ticket: *ticket,
            connection: parked.connection,
            pid: self
                .connections
                .get(&parked.connection)
                .and_then(|connection| connection.peer),
            is_timed: parked.is_timed,
        };
        self.parked.iter().map(wait).collect()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        // Nobody is listening any more; a socket that stays says no more than that.
        let _removed = fs::remove_file(&self.socket);
    }
}
