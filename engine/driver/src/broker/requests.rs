//! Requests, one after another: who asks, for what, and what the yard says.

use std::collections::BTreeMap;

use crate::yard::{Handed, ItemId, Refusal, Reply, Request, Slot, Station, Ticket, Yard};
use forkyard_ipc::channel::Kind;
use forkyard_ipc::wire::{self, Answer, Ask, Touch, VERSION, Why};

use super::connection::{Outgoing, Speaker};
use super::names::Names;
use super::{Asked, Broker, ConnectionId, PARKED_MAX, Parked, TableWanted, UNACKNOWLEDGED_MAX, Wanted};

/// Whose request it is.
#[derive(Clone, Copy)]
struct From {
    connection: ConnectionId,
    request: u64,
    slot: Slot,
    is_timed: bool,
}

/// What to do with a request that is understood and allowed.
enum Step {
    /// It is done, and this is the answer.
    Answer(Answer),
    /// The yard is to be asked.
    Ask {
        request: Request,
        wanted: Wanted,
        block: bool,
    },
    /// The channel is handed out.
    HandOut(Kind, Handed),
    /// The caller knows the table, or why that one does not get on.
    Table(Option<String>),
    /// No answer is due.
    Nothing,
}

/// Why a request is refused, and the words for it.
pub(super) type Refused = (Why, String);

impl Broker {
    pub(super) fn understand(
        &mut self,
        yard: &mut Yard,
        names: &Names,
        id: ConnectionId,
        asked: Asked,
    ) -> Option<TableWanted> {
        let speaker = self.connections.get(&id)?.speaker;
        let Asked {
            request,
            ask,
            cut,
            kind,
            is_timed,
        } = asked;
        match speaker {
            Speaker::Unknown => {
                self.greet(yard, names, id, request, ask);
                None
            }
            Speaker::Nobody => {
                let wanted = |why| TableWanted {
                    why,
                    connection: id,
                    request,
                };
                if ask == Ask::Ps {
                    return Some(wanted(None));
                }
                if let Ask::Why { name } = ask {
                    return Some(wanted(Some(name)));
                }
                let message = "this client speaks for no process of the run".to_owned();
                self.send(
                    yard,
                    id,
                    request,
                    Answer::Refused {
                        why: Why::UnknownToken,
                        message,
                    },
                );
                None
            }
            Speaker::Process(slot) => {
                let from = From {
                    connection: id,
                    request,
                    slot,
                    is_timed,
                };
                let step = names
                    .expect(kind, &ask)
                    .and_then(|()| self.step(yard, names, from, ask, cut));
                self.carry_out(yard, from, step)
            }
        }
    }

    fn greet(&mut self, yard: &mut Yard, names: &Names, id: ConnectionId, request: u64, ask: Ask) {
        match speaker(names, ask) {
            Ok(speaker) => {
                let Some(connection) = self.connections.get_mut(&id) else {
                    return;
                };
                connection.speaker = speaker;
                if let Some(slot) = speaker.slot() {
                    connection.allow(names.largest_item(slot));
                }
                self.send(yard, id, request, Answer::Done);
            }
            Err((why, message)) => self.refuse_and_end(yard, id, request, why, message),
        }
    }

    /// `cut`: how much of an item over the limit was thrown away.
    fn step(&mut self, yard: &mut Yard, names: &Names, from: From, ask: Ask, cut: usize) -> Result<Step, Refused> {
        let slot = from.slot;
        match ask {
            Ask::Put { name, item, block } => {
                let queue = names.queue(slot, &name, Touch::Put)?;
                if cut > 0 {
                    return answer(yard.refuse(queue)).map(Step::Answer);
                }
                Ok(Step::Ask {
                    request: Request::Put { queue, item },
                    wanted: Wanted::Put,
                    block,
                })
            }
            Ask::Get { name, block } => {
                let queue = names.queue(slot, &name, Touch::Get)?;
                self.has_room_for_items(from)?;
                Ok(Step::Ask {
                    request: Request::Take { queue },
                    wanted: Wanted::Take(queue),
                    block,
                })
            }
            Ask::Ack { name, item } => {
                let (queue, item) = self.settle(names, from, &name, item)?;
                done_or(yard.ack(slot, queue, &[item]), &name)
            }
            Ask::Nack { name, item } => {
                let (queue, item) = self.settle(names, from, &name, item)?;
                done_or(yard.give_back(slot, queue, &[item]), &name)
            }
            Ask::Acquire { name, permits, block } => {
                let (held, permits) = (names.held(slot, &name)?, some(permits)?);
                let request = Request::Acquire { held, permits };
                Ok(Step::Ask {
                    request,
                    wanted: Wanted::Hold(held, permits),
                    block,
                })
            }
            Ask::Release { name, permits } => {
                let (held, permits) = (names.held(slot, &name)?, some(permits)?);
                done_or(yard.release(slot, held, permits), &name)
            }
            Ask::Wait { name, block } => {
                let event = names.event(slot, &name, Touch::Wait)?;
                Ok(Step::Ask {
                    request: Request::Wait { event },
                    wanted: Wanted::Event,
                    block,
                })
            }
            Ask::Set { name } => {
                yard.set(names.event(slot, &name, Touch::Set)?);
                Ok(DONE)
            }
            Ask::Clear { name } => {
                yard.clear(names.event(slot, &name, Touch::Set)?);
                Ok(DONE)
            }
            Ask::Cancel { request } => {
                self.cancel(yard, from.connection, request);
                Ok(Step::Nothing)
            }
            Ask::Ps => Ok(Step::Table(None)),
            Ask::Why { name } => Ok(Step::Table(Some(name))),
            Ask::Attach { name, touch } => hand_out(yard, slot, names.station(slot, &name, touch)?),
            Ask::Hello { .. } => Err((Why::Protocol, "a client says hello once".to_owned())),
        }
    }

    fn carry_out(&mut self, yard: &mut Yard, from: From, step: Result<Step, Refused>) -> Option<TableWanted> {
        let From {
            connection,
            request: number,
            slot,
            is_timed,
        } = from;
        match step {
            Ok(Step::Answer(answer)) => {
                self.send(yard, connection, number, answer);
            }
            Ok(Step::Ask { request, wanted, block }) => {
                let asked = Parked {
                    connection,
                    request: number,
                    slot,
                    wanted,
                    is_timed,
                };
                self.ask(yard, asked, request, block);
            }
            Ok(Step::Table(why)) => {
                return Some(TableWanted {
                    why,
                    connection,
                    request: number,
                });
            }
            Ok(Step::HandOut(kind, Handed { file, bell, party })) => {
                let outgoing = Outgoing {
                    request: number,
                    answer: Answer::Channel { party, kind },
                    descriptors: Some([file, bell]),
                };
                self.send_out(yard, connection, outgoing);
            }
            Ok(Step::Nothing) => {}
            Err((why, message)) => {
                self.send(yard, connection, number, Answer::Refused { why, message });
            }
        }
        None
    }

    fn ask(&mut self, yard: &mut Yard, asked: Parked, request: Request, block: bool) {
        let Some(connection) = self.connections.get_mut(&asked.connection) else {
            return;
        };
        if connection.parked.len() >= PARKED_MAX || connection.parked.contains_key(&asked.request) {
            let message = format!("more than {PARKED_MAX} requests wait, or two have one number");
            return self.refuse_and_end(yard, asked.connection, asked.request, Why::Protocol, message);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let Some(reply) = yard.ask(asked.slot, ticket, request, block) else {
            connection.parked.insert(asked.request, ticket);
            self.parked.insert(ticket, asked);
            return;
        };
        self.deliver(yard, asked, reply);
    }

    /// Passes the yard's reply on; when the client has gone, what it was granted is undone, since
    /// nobody knows that it is held.
    pub(super) fn deliver(&mut self, yard: &mut Yard, asked: Parked, reply: Reply) {
        let item = if let Reply::Item { id, .. } = &reply {
            Some(*id)
        } else {
            None
        };
        let granted = matches!(reply, Reply::Granted { .. });
        let answer = answer(reply).unwrap_or_else(|(why, message)| Answer::Refused { why, message });
        let sent = self.send(yard, asked.connection, asked.request, answer);
        match asked.wanted {
            Wanted::Take(queue) => match (item, self.connections.get_mut(&asked.connection)) {
                (Some(item), Some(connection)) if sent => {
                    connection.items.insert((queue, item.number), item);
                }
                (Some(item), _) => undo(yard.give_back(asked.slot, queue, &[item])),
                (None, _) => {}
            },
            Wanted::Hold(held, permits) if granted => match self.connections.get_mut(&asked.connection) {
                Some(connection) if sent => connection.granted(held, permits),
                Some(_) | None => undo(yard.release(asked.slot, held, permits)),
            },
            Wanted::Put | Wanted::Hold(..) | Wanted::Event => {}
        }
    }

    /// The queue of an item that this connection has taken, or its process has kept; from now on they have it no longer.
    fn settle(&mut self, names: &Names, from: From, name: &str, item: wire::ItemId) -> Result<(u32, ItemId), Refused> {
        let queue = names.queue(from.slot, name, Touch::Get)?;
        let connection = self.connections.get_mut(&from.connection);
        let theirs = connection.map(|connection| &mut connection.items);
        let mut held = theirs.into_iter().chain(self.kept.get_mut(&from.slot));
        held.find_map(|items| items.remove(&(queue, item.0)))
            .map(|item| (queue, item))
            .ok_or_else(|| not_held(Refusal::NotHeld, name))
    }

    fn has_room_for_items(&self, from: From) -> Result<(), Refused> {
        let connection = self.connections.get(&from.connection);
        let kept = self.kept.get(&from.slot).map_or(0, BTreeMap::len);
        let taken = kept + connection.map_or(0, |connection| connection.items.len());
        if taken < UNACKNOWLEDGED_MAX {
            return Ok(());
        }
        Err((
            Why::Protocol,
            format!("{taken} items are taken and not acknowledged, which is as many as may be"),
        ))
    }

    /// A request that is not parked any more has its answer on the way.
    fn cancel(&mut self, yard: &mut Yard, id: ConnectionId, request: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(ticket) = connection.parked.get(&request).copied() else {
            return;
        };
        if yard.cancel(ticket) {
            connection.parked.remove(&request);
            self.parked.remove(&ticket);
            self.send(yard, id, request, Answer::WouldBlock);
        }
    }
}

const DONE: Step = Step::Answer(Answer::Done);

/// Who speaks, by the first request of a client.
fn speaker(names: &Names, ask: Ask) -> Result<Speaker, Refused> {
    let Ask::Hello { token, version } = ask else {
        return Err((
            Why::Protocol,
            "the first request of a client must be its hello".to_owned(),
        ));
    };
    if version != VERSION {
        return Err((
            Why::Protocol,
            format!("the engine speaks version {VERSION}, this client {version}"),
        ));
    }
    if token.is_empty() {
        return Ok(Speaker::Nobody);
    }
    let stranger = || {
        (
            Why::UnknownToken,
            "FORKYARD_TOKEN belongs to no process of this run".to_owned(),
        )
    };
    names.slot(&token).map(Speaker::Process).ok_or_else(stranger)
}

fn hand_out(yard: &Yard, slot: Slot, station: Station) -> Result<Step, Refused> {
    let kind = match station {
        Station::Queue(_) => Kind::Queue,
        Station::Lock(_) => Kind::Lock,
        Station::Semaphore(_) => Kind::Semaphore,
        Station::Event(_) => Kind::Event,
    };
    let handed = yard.hand_out(slot, station);
    handed
        .map(|handed| Step::HandOut(kind, handed))
        .map_err(|error| (Why::Unable, format!("the channel cannot be handed out: {error}")))
}

fn some(permits: u32) -> Result<u32, Refused> {
    if permits == 0 {
        Err((Why::TooMany, "at least one permit must be asked for".to_owned()))
    } else {
        Ok(permits)
    }
}

fn done_or(refused: Result<(), Refusal>, name: &str) -> Result<Step, Refused> {
    refused.map(|()| DONE).map_err(|refusal| not_held(refusal, name))
}

fn not_held(refusal: Refusal, name: &str) -> Refused {
    match refusal {
        Refusal::NotHeld => (
            Why::NotHeld,
            format!("this process does not hold `{name}`, or less of it"),
        ),
    }
}

/// What the slot has let go of meanwhile need not be undone.
fn undo(undone: Result<(), Refusal>) {
    match undone {
        Ok(()) | Err(Refusal::NotHeld) => {}
    }
}

fn answer(reply: Reply) -> Result<Answer, Refused> {
    match reply {
        Reply::Done => Ok(Answer::Done),
        Reply::Item { id, bytes, deliveries } => Ok(Answer::Item {
            id: wire::ItemId(id.number),
            deliveries,
            bytes,
        }),
        Reply::Granted { orphaned } => Ok(Answer::Granted { orphaned }),
        Reply::WouldBlock => Ok(Answer::WouldBlock),
        Reply::Closed => Ok(Answer::Closed),
        Reply::Broken => Ok(Answer::Broken),
        Reply::TooLarge { max } => Err((
            Why::TooLarge,
            format!("the item is larger than the queue's `max_item` of {max} bytes"),
        )),
        Reply::TooMany { permits: 1 } => Err((Why::TooMany, "there is only one to be held".to_owned())),
        Reply::TooMany { permits } => Err((Why::TooMany, format!("there are only {permits} permits"))),
        Reply::Failed(trouble) => Err((Why::Unable, trouble.to_string())),
    }
}
