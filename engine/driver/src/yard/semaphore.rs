//! A semaphore of the yard, and who waits for permits here.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use forkyard_ipc::channel::{Kind, Place};
use forkyard_ipc::{Error, Patience};

use super::post::{Making, Post};
use super::waiting::Waiting;
use super::{Refusal, Reply, Slot, Ticket, Trouble};

/// A semaphore.
#[derive(Debug)]
pub(super) struct Semaphore {
    mapped: forkyard_ipc::Semaphore,
    post: Post,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    slot: Slot,
    permits: u32,
}

impl Semaphore {
    pub(super) fn make(name: String, permits: u32, making: impl Fn(String, Kind) -> Making) -> io::Result<Self> {
        let making = making(name, Kind::Semaphore);
        let made = forkyard_ipc::Semaphore::make(&Place::File(&making.path), permits, true, making.shape)
            .map_err(io::Error::other)?;
        let semaphore = forkyard_ipc::Semaphore::attach(making.for_host(made.channel())?).map_err(io::Error::other)?;
        Ok(Self {
            post: Post::new(semaphore.channel(), making),
            mapped: semaphore,
            waiters: VecDeque::new(),
        })
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    pub(super) fn post_mut(&mut self) -> &mut Post {
        &mut self.post
    }

    pub(super) fn free(&self) -> u32 {
        self.mapped.free()
    }

    pub(super) fn holders(&self) -> Vec<(Slot, u32)> {
        let mut holders = BTreeMap::new();
        for (place, permits) in self.mapped.holders() {
            if let Some(slot) = self.post.slot_of(place) {
                *holders.entry(slot).or_default() += permits;
            }
        }
        holders.into_iter().collect()
    }

    pub(super) fn line_up(&mut self, slot: Slot, ticket: Ticket, permits: u32) -> Result<(), Reply> {
        let all = self.mapped.permits();
        if permits > all {
            return Err(Reply::TooMany { permits: all });
        }
        self.waiters.push_back(Waiter { ticket, slot, permits });
        Ok(())
    }

    pub(super) fn release(&mut self, slot: Slot, permits: u32) -> Result<(), Refusal> {
        let proxy = self.post.known(slot).ok_or(Refusal::NotHeld)?;
        let semaphore = self.mapped.clone();
        self.post
            .run(move || semaphore.release_as(proxy, permits))
            .map_err(|_| Refusal::NotHeld)
    }

    /// Who has not got in may have kept others out.
    pub(super) fn cancel(&mut self, slot: Slot, ticket: Ticket) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
        if let Some(proxy) = self.post.known(slot) {
            let semaphore = self.mapped.clone();
            self.post.attend(move || semaphore.withdraw_as(proxy));
        }
    }

    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool) -> bool {
        self.waiters.retain(|waiter| waiter.slot != slot);
        self.post.let_go(slot, orphaned)
    }

    pub(super) fn settle(&mut self, waiting: &mut Waiting) {
        let ended = self.serve(waiting);
        self.post.conclude(&ended);
        if self.post.is_damaged() {
            for Waiter { ticket, slot, .. } in self.waiters.drain(..) {
                waiting.answer(ticket, slot, Reply::Failed(Trouble::Damaged));
            }
        }
    }

    /// From the front, as far as the free permits reach: who asks for few does not overtake who waits for many, or the latter
    /// might wait for ever.
    fn serve(&mut self, waiting: &mut Waiting) -> Result<(), Error> {
        self.post.work_off()?;
        while let Some(&Waiter { ticket, slot, permits }) = self.waiters.front() {
            let Some(reply) = self
                .attempt(slot, permits)
                .or_else(|error| Reply::of_error(error).map(Some))?
            else {
                return Ok(());
            };
            self.waiters.pop_front();
            waiting.answer(ticket, slot, reply);
        }
        Ok(())
    }

    fn attempt(&mut self, slot: Slot, permits: u32) -> Result<Option<Reply>, Error> {
        let proxy = self.post.proxy(slot)?;
        let granted = self.mapped.acquire_as(proxy, permits, Patience::Block)?;
        Ok(granted.map(|granted| Reply::Granted {
            orphaned: granted.orphaned,
        }))
    }
}
