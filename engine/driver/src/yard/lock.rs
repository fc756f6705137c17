//! A lock of the yard, and who waits for it here.

use std::collections::VecDeque;
use std::io;

use forkyard_ipc::channel::{Kind, Place};
use forkyard_ipc::{Error, Patience};

use super::post::{Making, Post};
use super::waiting::Waiting;
use super::{LockKind, Refusal, Reply, Slot, Ticket, Trouble};

/// A lock.
#[derive(Debug)]
pub(super) struct Lock {
    mapped: forkyard_ipc::Lock,
    post: Post,
    waiters: VecDeque<(Ticket, Slot)>,
}

impl Lock {
    pub(super) fn make(name: String, kind: LockKind, making: impl Fn(String, Kind) -> Making) -> io::Result<Self> {
        let making = making(name, Kind::Lock);
        let reentrant = kind == LockKind::Reentrant;
        let made =
            forkyard_ipc::Lock::make(&Place::File(&making.path), reentrant, making.shape).map_err(io::Error::other)?;
        let lock = forkyard_ipc::Lock::attach(making.for_host(made.channel())?).map_err(io::Error::other)?;
        Ok(Self {
            post: Post::new(lock.channel(), making),
            mapped: lock,
            waiters: VecDeque::new(),
        })
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    pub(super) fn post_mut(&mut self) -> &mut Post {
        &mut self.post
    }

    pub(super) fn owner(&self) -> Option<Slot> {
        self.post.slot_of(self.mapped.owner()?)
    }

    pub(super) fn line_up(&mut self, slot: Slot, ticket: Ticket, permits: u32) -> Result<(), Reply> {
        if permits > 1 {
            return Err(Reply::TooMany { permits: 1 });
        }
        self.waiters.push_back((ticket, slot));
        Ok(())
    }

    pub(super) fn release(&mut self, slot: Slot) -> Result<(), Refusal> {
        let proxy = self.post.known(slot).ok_or(Refusal::NotHeld)?;
        let lock = self.mapped.clone();
        self.post
            .run(move || lock.release_as(proxy))
            .map_err(|_| Refusal::NotHeld)
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiters.retain(|(waiter, _)| *waiter != ticket);
    }

    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool) -> bool {
        self.waiters.retain(|(_, waiter)| *waiter != slot);
        self.post.let_go(slot, orphaned)
    }

    pub(super) fn settle(&mut self, waiting: &mut Waiting) {
        let ended = self.serve(waiting);
        self.post.conclude(&ended);
        if self.post.is_damaged() {
            for (ticket, slot) in self.waiters.drain(..) {
                waiting.answer(ticket, slot, Reply::Failed(Trouble::Damaged));
            }
        }
    }

    /// The longest waiter is the next. Who has it may have it again, if it is reentrant, however many wait.
    fn serve(&mut self, waiting: &mut Waiting) -> Result<(), Error> {
        self.post.work_off()?;
        let mut index = 0;
        while let Some(&(ticket, slot)) = self.waiters.get(index) {
            match self.attempt(index, slot)? {
                Some(reply) => {
                    self.waiters.remove(index);
                    waiting.answer(ticket, slot, reply);
                }
                None if self.mapped.is_reentrant() => index += 1,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn attempt(&mut self, index: usize, slot: Slot) -> Result<Option<Reply>, Error> {
        let proxy = match self.post.proxy(slot) {
            Ok(proxy) => proxy,
            Err(error) => return Reply::of_error(error).map(Some),
        };
        if index > 0 && self.mapped.owner() != Some(proxy) {
            return Ok(None);
        }
        let granted = self.mapped.acquire_as(proxy, Patience::Try)?;
        Ok(granted.map(|granted| Reply::Granted {
            orphaned: granted.orphaned,
        }))
    }
}
