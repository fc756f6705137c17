//! What is done for each path.

use forkyard_ipc::channel::Kind;
use forkyard_ipc::client::Patience;
use forkyard_ipc::wire::{Answer, Ask};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use tokio::time::Instant;

use super::desk::{Desk, Question};
use super::refusal::{Code, Refusal};
use super::route::Verb;
use super::told::{Taken, Told};
use super::wish::{self, GetWish, PutWish};
use crate::broker::delivery::Fate;

/// After so many bytes no further item is got with those that are.
const GOT_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn carry_out(
    desk: &mut Desk,
    verb: Verb,
    name: &str,
    head: &Parts,
    body: &mut Incoming,
) -> Result<Told, Refusal> {
    let (headers, query) = (&head.headers, head.uri.query());
    let name = name.to_owned();
    match verb {
        Verb::Put => {
            let wish = wish::put(headers, query, body, desk.item_bytes_max()).await?;
            put(desk, &name, wish).await
        }
        Verb::Get => get(desk, &name, wish::get(headers, query, body).await?).await,
        Verb::Ack | Verb::Nack => {
            for item in wish::settle(headers, query, body).await? {
                let name = name.clone();
                let ask = if verb == Verb::Ack {
                    Ask::Ack { name, item }
                } else {
                    Ask::Nack { name, item }
                };
                order(desk, ask.into()).await?;
            }
            Ok(Told::Done)
        }
        Verb::AcquireLock => {
            let patience = wish::waiting(headers, query, body).await?;
            acquire(desk, Kind::Lock, name, 1, patience).await
        }
        Verb::AcquirePermits => {
            let (permits, patience) = wish::permits(headers, query, body).await?;
            acquire(desk, Kind::Semaphore, name, permits, patience).await
        }
        Verb::ReleaseLock => {
            wish::nothing(headers, query, body).await?;
            release(desk, Kind::Lock, name, 1).await
        }
        Verb::ReleasePermits => {
            let permits = wish::released(headers, query, body).await?;
            release(desk, Kind::Semaphore, name, permits).await
        }
        Verb::Set | Verb::Clear => {
            wish::nothing(headers, query, body).await?;
            let ask = if verb == Verb::Set {
                Ask::Set { name }
            } else {
                Ask::Clear { name }
            };
            order(desk, ask.into()).await
        }
        Verb::Wait => {
            let patience = wish::waiting(headers, query, body).await?;
            let block = blocks(patience);
            desk.ask(Ask::Wait { name, block }.into(), patience).await?;
            Ok(Told::Done)
        }
        Verb::Ps => {
            wish::nothing(headers, query, body).await?;
            match desk.ask(Ask::Ps.into(), Patience::Block).await? {
                Answer::Table(json) => Ok(Told::Table(json)),
                answer => Err(unexpected(&answer)),
            }
        }
        Verb::Openapi => Ok(Told::Openapi),
    }
}

async fn order(desk: &mut Desk, question: Question) -> Result<Told, Refusal> {
    desk.ask(question, Patience::Block).await.map(|_| Told::Done)
}

/// All of them within one patience.
async fn put(desk: &mut Desk, name: &str, wish: PutWish) -> Result<Told, Refusal> {
    let is_one = wish.items.len() == 1;
    let begun = Instant::now();
    let mut put = 0;
    for item in wish.items {
        let ask = Ask::Put {
            name: name.to_owned(),
            item,
            block: blocks(wish.patience),
        };
        let question = Question {
            cut: wish.cut,
            ..ask.into()
        };
        let patience = match wish.patience {
            Patience::For(time) => Patience::For(time.saturating_sub(begun.elapsed())),
            Patience::Block | Patience::Try => wish.patience,
        };
        let refused = desk.ask(question, patience).await.err();
        if let Some(refusal) = refused {
            return Err(Refusal {
                put: (!is_one).then_some(put),
                ..refusal
            });
        }
        put += 1;
    }
    Ok(Told::Put(put))
}

/// Waits for the first only.
async fn get(desk: &mut Desk, name: &str, wish: GetWish) -> Result<Told, Refusal> {
    let mut items = vec![take(desk, name, wish.patience).await?];
    let mut bytes = items[0].bytes.len();
    while items.len() < wish.max && bytes < GOT_BYTES {
        match take(desk, name, Patience::Try).await {
            Ok(item) => {
                bytes += item.bytes.len();
                items.push(item);
            }
            // Those that are taken are taken back already.
            Err(refusal) if refusal.code == Code::Ended => return Err(refusal),
            // Whatever is wrong with the next is said to who asks for it.
            Err(_) => break,
        }
    }
    desk.grants(if wish.ack { Fate::Acknowledge } else { Fate::Keep });
    match items.pop() {
        Some(item) if wish.raw => Ok(Told::Raw(item)),
        last => Ok(Told::Items(items.into_iter().chain(last).collect())),
    }
}

async fn take(desk: &mut Desk, name: &str, patience: Patience) -> Result<Taken, Refusal> {
    let ask = Ask::Get {
        name: name.to_owned(),
        block: blocks(patience),
    };
    match desk.ask(ask.into(), patience).await? {
        Answer::Item { id, deliveries, bytes } => Ok(Taken { id, deliveries, bytes }),
        answer => Err(unexpected(&answer)),
    }
}

async fn acquire(desk: &mut Desk, kind: Kind, name: String, permits: u32, patience: Patience) -> Result<Told, Refusal> {
    let block = blocks(patience);
    let question = Question {
        kind: Some(kind),
        ..Ask::Acquire { name, permits, block }.into()
    };
    match desk.ask(question, patience).await? {
        Answer::Granted { orphaned } => {
            desk.grants(Fate::Keep);
            Ok(Told::Granted { orphaned })
        }
        answer => Err(unexpected(&answer)),
    }
}

async fn release(desk: &mut Desk, kind: Kind, name: String, permits: u32) -> Result<Told, Refusal> {
    let question = Question {
        kind: Some(kind),
        ..Ask::Release { name, permits }.into()
    };
    order(desk, question).await
}

const fn blocks(patience: Patience) -> bool {
    match patience {
        Patience::Block | Patience::For(_) => true,
        Patience::Try => false,
    }
}

fn unexpected(answer: &Answer) -> Refusal {
    tracing::error!(?answer, "the broker has answered what was not asked");
    Refusal::new(Code::Unable, "the engine has a fault")
}
