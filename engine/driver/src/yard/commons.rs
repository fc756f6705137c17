//! The yard as the tasks of the engine's one thread share it.
//!
//! A pump puts and takes many items at once, and only when nothing can be done does it wait, in the line with all others. What it does
//! may be news for the turn loop, which is stirred then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::{Notify, oneshot};

use super::{ItemId, Refusal, Reply, Request, Slot, Ticket, Yard};

/// The yard, shared.
#[derive(Clone, Debug)]
pub struct Commons {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    yard: RefCell<Yard>,
    stirred: Notify,
    /// Somebody will look before long who waits.
    is_watched: Cell<bool>,
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handful {
    /// So many items at most.
    pub items: usize,
    /// No more once they have so many bytes together.
    pub bytes: usize,
}

impl Handful {
    /// What is left of it; `None`: nothing.
    pub(super) fn less(self, taken: Self) -> Option<Self> {
        let left = Self {
            items: self.items.saturating_sub(taken.items),
            bytes: self.bytes.saturating_sub(taken.bytes),
        };
        (left.items > 0 && left.bytes > 0).then_some(left)
    }
}

impl Commons {
    /// From now on it is shared.
    #[must_use]
    pub fn new(yard: Yard) -> Self {
        let shared = Shared {
            yard: RefCell::new(yard),
            stirred: Notify::new(),
            is_watched: Cell::new(false),
        };
        Self {
            shared: Rc::new(shared),
        }
    }

    /// Acts on the yard.
    pub fn with<T>(&self, act: impl FnOnce(&mut Yard) -> T) -> T {
        act(&mut self.shared.yard.borrow_mut())
    }

    /// Looks what programs have done by themselves, and which of them have ended.
    pub fn look(&self) {
        self.stir(Yard::look);
    }

    /// Resolves when a pump has done something that the turn loop has to hear of.
    pub async fn stirred(&self) {
        self.shared.stirred.notified().await;
    }

    /// Whether somebody looks who waits; if not, the turn loop is stirred when a pump begins to wait.
    pub fn watch(&self, is_watched: bool) {
        self.shared.is_watched.set(is_watched);
    }

    fn stir<T>(&self, act: impl FnOnce(&mut Yard) -> T) -> T {
        let (done, has_news) = self.with(|yard| (act(yard), yard.has_news()));
        if has_news {
            self.shared.stirred.notify_one();
        }
        done
    }

    /// Puts all items, in their order.
    ///
    /// # Errors
    /// Why they cannot be put. Those that are left over are counted as lost, also when this is dropped before its end.
    pub async fn put_all(&self, slot: Slot, queue: u32, items: &[&[u8]]) -> Result<(), Reply> {
        let mut unput = Unput {
            commons: self,
            queue,
            items: items.len(),
        };
        while unput.items > 0 {
            let rest = &items[items.len() - unput.items..];
            unput.items -= self.stir(|yard| yard.put_many(slot, queue, rest))?;
            let Some(next) = items.len().checked_sub(unput.items).and_then(|next| items.get(next)) else {
                return Ok(());
            };
            let item = next.to_vec();
            match self.ask(slot, queue, Request::Put { queue, item }).await {
                Some(Reply::Done) => unput.items -= 1,
                Some(refused) => return Err(refused),
                None => return Err(Reply::Broken),
            }
        }
        Ok(())
    }

    /// Takes what is there, up to a handful, in its order; waits for the first item.
    ///
    /// # Errors
    /// Why nothing more can be taken.
    pub async fn take_some(
        &self,
        slot: Slot,
        queue: u32,
        handful: Handful,
        mut each: impl FnMut(ItemId, &[u8]),
    ) -> Result<(), Reply> {
        let taken = self.stir(|yard| yard.take_many(slot, queue, handful, &mut each))?;
        if taken.items > 0 {
            return Ok(());
        }
        let first = match self.ask(slot, queue, Request::Take { queue }).await {
            Some(Reply::Item { id, bytes, .. }) => {
                each(id, &bytes);
                Handful {
                    items: 1,
                    bytes: bytes.len(),
                }
            }
            Some(refused) => return Err(refused),
            // The slot was let go.
            None => return Err(Reply::Closed),
        };
        if let Some(more) = handful.less(first) {
            // Whatever has come to an end is told by the next call.
            let _ = self.stir(|yard| yard.take_many(slot, queue, more, &mut each));
        }
        Ok(())
    }

    /// What has become of items that a slot has taken: acknowledged, or given back.
    ///
    /// # Errors
    /// When it had not taken one of them.
    pub fn settle(&self, slot: Slot, queue: u32, done: &[ItemId], back: &[ItemId]) -> Result<(), Refusal> {
        self.stir(|yard| {
            let acked = if done.is_empty() {
                Ok(())
            } else {
                yard.ack(slot, queue, done)
            };
            let returned = if back.is_empty() {
                Ok(())
            } else {
                yard.give_back(slot, queue, back)
            };
            acked.and(returned)
        })
    }

    /// Waits for the reply, in the line. `None`: the slot was let go.
    async fn ask(&self, slot: Slot, queue: u32, request: Request) -> Option<Reply> {
        let (ticket, reply) = match self.stir(|yard| yard.ask_and_listen(slot, request)) {
            Ok(reply) => return Some(reply),
            Err(parked) => parked,
        };
        if !self.shared.is_watched.get() {
            self.shared.stirred.notify_one();
        }
        let mut asking = Asking {
            commons: self,
            slot,
            queue,
            ticket,
            reply: Some(reply),
        };
        let reply = asking.reply.as_mut()?.await;
        asking.reply = None;
        reply.ok()
    }
}

/// Items that a pump has read and not yet put.
struct Unput<'a> {
    commons: &'a Commons,
    queue: u32,
    items: usize,
}

impl Drop for Unput<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.commons.with(|yard| yard.lose(self.queue, self.items as u64));
            // Items that nobody will get are to be told.
            self.commons.shared.stirred.notify_one();
        }
    }
}

/// A request that waits. Dropped, it is withdrawn, and what it was given meanwhile goes back.
struct Asking<'a> {
    commons: &'a Commons,
    slot: Slot,
    queue: u32,
    ticket: Ticket,
    /// `None`: it has been answered.
    reply: Option<oneshot::Receiver<Reply>>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(mut reply) = self.reply.take() else { return };
        let withdrawn = self.commons.stir(|yard| yard.cancel(self.ticket));
        if withdrawn {
            return;
        }
        if let Ok(Reply::Item { id, .. }) = reply.try_recv() {
            // A slot that was let go has nothing to give back.
            let _ = self.commons.settle(self.slot, self.queue, &[], &[id]);
        }
    }
}
