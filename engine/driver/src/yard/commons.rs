//! The yard as the tasks of the engine's one thread share it.
//!
//! A pump puts and takes many items at once, and only when nothing can be done does it wait, in the line with all others. What it does
//! may be news for the turn loop, which is stirred then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use forkyard_ipc::queue::{Sheaf, TakenSheaf};
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

/// What a pump is handed.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// An item.
    Item(ItemId, &'a [u8]),
    /// What is left of a sheaf, as it stands in a stream.
    Sheaf(TakenSheaf, &'a [u8]),
}

/// Items from the front of a sheaf that are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of which.
    pub item: ItemId,
    /// How many.
    pub items: u32,
    /// How many bytes they have in the stream.
    pub bytes: u64,
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

    /// Both together.
    pub(super) fn and(self, more: Self) -> Self {
        Self {
            items: self.items + more.items,
            bytes: self.bytes + more.bytes,
        }
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

    /// Puts all items of a sheaf, in their order.
    ///
    /// # Errors
    /// As [`Commons::put_all`].
    pub async fn put_sheaf(&self, slot: Slot, queue: u32, sheaf: &Sheaf<'_>) -> Result<(), Reply> {
        if sheaf.is_empty() {
            return Ok(());
        }
        let asked = self.stir(|yard| yard.put_and_listen(slot, queue, sheaf));
        match self.answer(slot, queue, asked).await {
            Some(Reply::Done) => Ok(()),
            refused => {
                // Items that nobody will get are to be told.
                self.shared.stirred.notify_one();
                Err(refused.unwrap_or(Reply::Broken))
            }
        }
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
        mut each: impl FnMut(Piece<'_>),
    ) -> Result<(), Reply> {
        let mut taken = self.stir(|yard| yard.take_many(slot, queue, handful, &mut each))?;
        if taken.items == 0 {
            taken = self.take_first(slot, queue, &mut each).await?;
        }
        // Who waits for room has filled it again.
        while let Some(left) = handful.less(taken) {
            match self.stir(|yard| yard.take_many(slot, queue, left, &mut each)) {
                Ok(more) if more.items > 0 => taken = taken.and(more),
                // Whatever has come to an end is told by the next call.
                Ok(_) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Waits for an item, in the line.
    async fn take_first(&self, slot: Slot, queue: u32, each: &mut impl FnMut(Piece<'_>)) -> Result<Handful, Reply> {
        match self.ask(slot, queue, Request::Take { queue }).await {
            Some(Reply::Item { id, bytes, .. }) => {
                each(Piece::Item(id, &bytes));
                Ok(Handful {
                    items: 1,
                    bytes: bytes.len(),
                })
            }
            Some(refused) => Err(refused),
            // The slot was let go.
            None => Err(Reply::Closed),
        }
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

    /// Acknowledges items from the fronts of sheaves.
    ///
    /// # Errors
    /// When the slot had not taken one of them.
    pub fn ack_parts(&self, slot: Slot, queue: u32, parts: &[Part]) -> Result<(), Refusal> {
        self.stir(|yard| parts.iter().try_for_each(|part| yard.ack_part(slot, queue, *part)))
    }

    /// Waits for the reply, in the line. `None`: the slot was let go.
    async fn ask(&self, slot: Slot, queue: u32, request: Request) -> Option<Reply> {
        let asked = self.stir(|yard| yard.ask_and_listen(slot, request));
        self.answer(slot, queue, asked).await
    }

    async fn answer(
        &self,
        slot: Slot,
        queue: u32,
        asked: Result<Reply, (Ticket, oneshot::Receiver<Reply>)>,
    ) -> Option<Reply> {
        let (ticket, reply) = match asked {
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
            // What it was to put may be lost, which is to be told.
            self.commons.shared.stirred.notify_one();
            return;
        }
        if let Ok(Reply::Item { id, .. }) = reply.try_recv() {
            // A slot that was let go has nothing to give back.
            let _ = self.commons.settle(self.slot, self.queue, &[], &[id]);
        }
    }
}
