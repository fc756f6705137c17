//! A connection's way to the broker: it asks there what requests ask here, and waits for the answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use forkyard_ipc::channel::Kind;
use forkyard_ipc::client::Patience;
use forkyard_ipc::wire::{Answer, Ask, OVERHEAD_BYTES_MAX, VERSION};

use super::flight::Flight;
use super::refusal::{Code, Refusal};
use crate::broker::connection::{Door, Manner, Opened};
use crate::broker::delivery::{Delivered, Fate};
use crate::broker::{Asked, What};

/// One for each connection.
#[derive(Debug)]
pub(super) struct Desk {
    door: Door,
    /// The pid of the client.
    peer: Option<i32>,
    flight: Arc<Flight>,
    session: Option<Session>,
}

/// A connection of the broker, with the token that it was greeted with.
#[derive(Debug)]
struct Session {
    opened: Opened,
    token: String,
    requests: u64,
}

/// What to ask, and how.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) ask: Ask,
    /// What the name is taken for.
    pub(super) kind: Option<Kind>,
    /// How much of an item is missing, being over the limit.
    pub(super) cut: usize,
}

impl Desk {
    pub(super) const fn new(door: Door, peer: Option<i32>, flight: Arc<Flight>) -> Self {
        Self {
            door,
            peer,
            flight,
            session: None,
        }
    }

    pub(super) const fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// From now on it speaks for the process with that token; empty for nobody.
    pub(super) async fn greet(&mut self, token: &str) -> Result<(), Refusal> {
        let is_same = |session: &Session| session.token == token && !session.opened.answers.is_closed();
        if self.session.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        self.close().await;
        let opened = self
            .door
            .open(Manner::Http, self.peer)
            .await
            .ok_or_else(Refusal::ended)?;
        self.session = Some(Session {
            opened,
            token: token.to_owned(),
            requests: 0,
        });
        let hello = Ask::Hello {
            token: token.to_owned(),
            version: VERSION,
        };
        self.ask(hello.into(), Patience::Block).await.map(drop)
    }

    /// How long an item may be that this process puts, in bytes.
    pub(super) fn item_bytes_max(&self) -> usize {
        let limit = self
            .session
            .as_ref()
            .map_or(0, |session| session.opened.limit.load(Ordering::Relaxed));
        limit.saturating_sub(OVERHEAD_BYTES_MAX)
    }

    /// The answer, when it is none of those that refuse.
    pub(super) async fn ask(&mut self, question: Question, patience: Patience) -> Result<Answer, Refusal> {
        let answer = self.exchange(question, patience).await;
        if answer.is_none() {
            self.session = None;
        }
        match answer.ok_or_else(Refusal::ended)? {
            Answer::WouldBlock => Err(Refusal::not_now(patience)),
            Answer::Closed => Err(Refusal::new(
                Code::Closed,
                "the queue is closed: all its senders have ended",
            )),
            Answer::Broken => Err(Refusal::new(
                Code::Broken,
                "the queue is broken: all its receivers have ended",
            )),
            Answer::Refused { why, message } => Err(Refusal::new(Code::of(why), message)),
            answer @ (Answer::Done
            | Answer::Item { .. }
            | Answer::Granted { .. }
            | Answer::Table(_)
            | Answer::Channel { .. }) => Ok(answer),
        }
    }

    /// `None`: the broker has ended the connection.
    async fn exchange(&mut self, question: Question, patience: Patience) -> Option<Answer> {
        let session = self.session.as_mut()?;
        session.requests += 1;
        let (id, request) = (session.opened.id, session.requests);
        let asked = Asked {
            request,
            ask: question.ask,
            cut: question.cut,
            kind: question.kind,
            is_timed: matches!(patience, Patience::For(_)),
        };
        self.door.tell(id, What::Asked(asked)).await;
        let answers = &mut session.opened.answers;
        if let Patience::For(time) = patience {
            // A time beyond what the clock can count is for ever, as tokio has it.
            if let Ok(outgoing) = tokio::time::timeout(time, answers.recv()).await {
                return Some(outgoing?.answer);
            }
            session.requests += 1;
            let cancel = Asked {
                request: session.requests,
                ask: Ask::Cancel { request },
                cut: 0,
                kind: None,
                is_timed: false,
            };
            self.door.tell(id, What::Asked(cancel)).await;
        }
        Some(answers.recv().await?.answer)
    }

    /// The answer to this request grants what was asked for: it goes back if it cannot be written.
    pub(super) fn grants(&self, fate: Fate) {
        if let Some(session) = &self.session {
            let connection = session.opened.id;
            self.flight.load(Delivered { connection, fate });
        }
    }

    /// Ends the connection at the broker: what waits is withdrawn, and what was not written goes back.
    pub(super) async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            self.door.tell(session.opened.id, What::Closed).await;
        }
    }
}

impl From<Ask> for Question {
    fn from(ask: Ask) -> Self {
        Self {
            ask,
            kind: None,
            cut: 0,
        }
    }
}
