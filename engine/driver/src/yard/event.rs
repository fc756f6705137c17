//! An event of the yard, and who waits for it here.

use std::io;

use forkyard_ipc::channel::{Kind, Place};
use forkyard_ipc::{Error, Patience};

use super::post::{Making, Post};
use super::waiting::Waiting;
use super::{Change, Reply, Slot, Ticket, Trouble};

/// An event.
#[derive(Debug)]
pub(super) struct Event {
    mapped: forkyard_ipc::Event,
    post: Post,
    waiters: Vec<Waiter>,
    /// So many settings have been told.
    told: u32,
    /// It was set from the start, or has been set since: what programs do with it by themselves need not be told.
    is_old: bool,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    slot: Slot,
    /// It had been set so often when the waiter came.
    since: u32,
}

impl Event {
    pub(super) fn make(name: String, set: bool, making: impl Fn(String, Kind) -> Making) -> io::Result<Self> {
        let making = making(name, Kind::Event);
        let made =
            forkyard_ipc::Event::make(&Place::File(&making.path), set, making.shape).map_err(io::Error::other)?;
        let event = forkyard_ipc::Event::attach(making.for_host(made.channel())?).map_err(io::Error::other)?;
        // A program may be the first to set it.
        let is_old = event.watch();
        Ok(Self {
            post: Post::new(event.channel(), making),
            mapped: event,
            waiters: Vec::new(),
            told: 0,
            is_old,
        })
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    pub(super) fn post_mut(&mut self) -> &mut Post {
        &mut self.post
    }

    pub(super) fn is_set(&self) -> bool {
        self.mapped.is_set()
    }

    pub(super) fn set(&self) {
        self.mapped.set();
    }

    pub(super) fn clear(&self) {
        self.mapped.clear();
    }

    #[expect(clippy::unnecessary_wraps, reason = "others refuse some at once")]
    pub(super) fn line_up(&mut self, slot: Slot, ticket: Ticket) -> Result<(), Reply> {
        let since = self.mapped.settings();
        self.waiters.push(Waiter { ticket, slot, since });
        Ok(())
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
    }

    pub(super) fn let_go(&mut self, slot: Slot) -> bool {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.slot != slot);
        self.waiters.len() < before
    }

    pub(super) fn settle(&mut self, number: u32, waiting: &mut Waiting, changes: &mut Vec<Change>) {
        let ended = self.serve(waiting);
        self.post.conclude(&ended);
        if self.post.is_damaged() {
            for Waiter { ticket, slot, .. } in self.waiters.drain(..) {
                waiting.answer(ticket, slot, Reply::Failed(Trouble::Damaged));
            }
        } else if self.has_been_set() {
            changes.push(Change::EventSet(number));
        }
    }

    /// Whether it has been set since that was last told. Until it has been for the first time, the bell rings then.
    fn has_been_set(&mut self) -> bool {
        let is_news = self.mapped.settings() != self.told || !self.is_old && self.mapped.watch();
        if is_news {
            self.told = self.mapped.settings();
            self.is_old = true;
        }
        is_news
    }

    fn serve(&mut self, waiting: &mut Waiting) -> Result<(), Error> {
        self.post.work_off()?;
        let event = &self.mapped;
        self.waiters.retain(|waiter| {
            let goes_on = matches!(event.wait_since(waiter.since, Patience::Try), Ok(true));
            if goes_on {
                waiting.answer(waiter.ticket, waiter.slot, Reply::Done);
            }
            !goes_on
        });
        Ok(())
    }
}
