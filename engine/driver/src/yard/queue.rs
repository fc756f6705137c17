//! A queue of the yard, and who waits here to put or to take.

mod ending;
mod load;

use std::collections::VecDeque;
use std::io;

use forkyard_ipc::channel::{Kind, Place, Slot as Proxy};
use forkyard_ipc::queue::{Counts, Sheaf, TakenItem};
use forkyard_ipc::{Error, Patience};

use super::post::{Making, Post};
use super::waiting::Waiting;
use super::{Change, Handful, ItemId, Part, Piece, QueueLimits, Refusal, Reply, Slot, Ticket, Trouble};
use ending::{Ended, Ending};
use load::{Load, Put};

/// No more memory than that is kept for the next copy of what is taken.
const COPY_BYTES_MAX: usize = 256 * 1024;

/// Where the items of a queue are and went. At any time `put == got + taken + left`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Accepted, in all.
    pub put: u64,
    /// Taken and acknowledged.
    pub got: u64,
    /// How often a taken item came back.
    pub returned: u64,
    /// Not got: in the queue now, whether anybody will get them or not, or lost before they came there.
    pub left: u64,
    /// Never accepted, since larger than `max_item`.
    pub refused: u64,
    /// Taken now, and not acknowledged yet.
    pub taken: u64,
    /// Requests that wait for room.
    pub waiting_put: u64,
    /// Requests that wait for an item.
    pub waiting_take: u64,
    /// In the queue now, to be got.
    pub len: u64,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    mapped: forkyard_ipc::Queue,
    post: Post,
    ending: Ending,
    putters: VecDeque<Putter>,
    takers: VecDeque<(Ticket, Slot)>,
    /// Items that were too large to be offered.
    refused: u64,
    /// Items that came when nobody could take them any more.
    lost: u64,
    /// Its counts when it was last known to be sound.
    seen: Counts,
    /// What is taken is copied here, and from here to where it is wanted.
    copy: Vec<u8>,
}

#[derive(Debug)]
struct Putter {
    ticket: Ticket,
    slot: Slot,
    load: Load,
}

impl Queue {
    pub(super) fn make(name: String, limits: QueueLimits, making: impl Fn(String, Kind) -> Making) -> io::Result<Self> {
        let making = making(name, Kind::Queue);
        let QueueLimits { capacity, max_item } = limits;
        let made = forkyard_ipc::Queue::make(&Place::File(&making.path), capacity, max_item, making.shape)
            .map_err(io::Error::other)?;
        let queue = forkyard_ipc::Queue::attach(making.for_host(made.channel())?).map_err(io::Error::other)?;
        Ok(Self {
            post: Post::new(queue.channel(), making),
            mapped: queue,
            ending: Ending::default(),
            putters: VecDeque::new(),
            takers: VecDeque::new(),
            refused: 0,
            lost: 0,
            seen: Counts::default(),
            copy: Vec::new(),
        })
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    pub(super) fn post_mut(&mut self) -> &mut Post {
        &mut self.post
    }

    /// Whether it has as many items as it may have; not once it is ending.
    pub(super) fn is_full(&self) -> bool {
        let capacity = self.mapped.capacity();
        self.ending.wanted.is_none()
            && !self.post.is_damaged()
            && capacity > 0
            && self.mapped.glance().ready >= capacity
    }

    pub(super) fn counts(&self) -> QueueCounts {
        let counts = if self.post.is_damaged() {
            self.seen
        } else {
            self.mapped.glance()
        };
        let is_broken = self.ending.wanted == Some(Ended::Broken);
        QueueCounts {
            put: counts.put + self.lost,
            got: counts.got,
            returned: counts.returned,
            left: counts.ready + self.lost,
            refused: counts.refused + self.refused,
            taken: counts.taken,
            waiting_put: self.putters.len() as u64,
            waiting_take: self.takers.len() as u64,
            len: if is_broken { 0 } else { counts.ready },
        }
    }
}

/// Requests.
impl Queue {
    pub(super) fn line_up_put(&mut self, slot: Slot, ticket: Ticket, item: Vec<u8>) -> Result<(), Reply> {
        if item.len() as u64 > self.mapped.max_item() {
            return Err(self.refuse());
        }
        self.line_up(slot, ticket, Load::Item(item))
    }

    /// What is not put of a sheaf is counted as lost.
    pub(super) fn line_up_sheaf(&mut self, slot: Slot, ticket: Ticket, sheaf: &Sheaf<'_>) -> Result<(), Reply> {
        let lined_up = self.line_up(slot, ticket, Load::of_sheaf(sheaf));
        if lined_up.is_err() {
            self.lose(sheaf.len().into());
        }
        lined_up
    }

    fn line_up(&mut self, slot: Slot, ticket: Ticket, load: Load) -> Result<(), Reply> {
        match self.ending.wanted {
            None => {}
            Some(Ended::Closed) => return Err(Reply::Closed),
            Some(Ended::Broken) => return Err(Reply::Broken),
        }
        self.putters.push_back(Putter { ticket, slot, load });
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "others refuse some at once")]
    pub(super) fn line_up_take(&mut self, slot: Slot, ticket: Ticket) -> Result<(), Reply> {
        self.takers.push_back((ticket, slot));
        Ok(())
    }

    pub(super) fn refuse(&mut self) -> Reply {
        self.refused += 1;
        Reply::TooLarge {
            max: self.mapped.max_item(),
        }
    }

    pub(super) fn lose(&mut self, items: u64) {
        self.lost += items;
    }

    /// Puts as much of a sheaf as there is room for now, unless others wait for room: what is left of it. What stands in the way is told to
    /// whoever lines up with that.
    pub(super) fn put_at_once<'s>(&mut self, slot: Slot, sheaf: &Sheaf<'s>) -> Sheaf<'s> {
        if self.ending.wanted.is_some() || !self.putters.is_empty() {
            return *sheaf;
        }
        let proxy = self.post.work_off().and_then(|()| self.post.proxy(slot));
        proxy.and_then(|_| self.mapped.put_sheaf(sheaf)).unwrap_or(*sheaf)
    }

    /// As many as there is room for now, unless others wait for room.
    pub(super) fn put_many(&mut self, slot: Slot, items: &[&[u8]]) -> Result<usize, Reply> {
        match self.ending.wanted {
            None => {}
            Some(Ended::Closed) => return Err(Reply::Closed),
            Some(Ended::Broken) => return Err(Reply::Broken),
        }
        if !self.putters.is_empty() {
            return Ok(0);
        }
        let proxy = self.post.work_off().and_then(|()| self.post.proxy(slot));
        let put = proxy.and_then(|proxy| self.mapped.put_many_as(proxy, items, Patience::Try));
        self.now_or_later(put)
    }

    /// Up to a handful, unless others wait for items; says how many, and how many bytes they have together.
    pub(super) fn take_many(
        &mut self,
        slot: Slot,
        handful: Handful,
        each: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Handful, Reply> {
        if !self.takers.is_empty() {
            return Ok(Handful::default());
        }
        let taken = self.take_handful(slot, handful, each);
        self.now_or_later(taken)
    }

    fn take_handful(&mut self, slot: Slot, wanted: Handful, each: &mut dyn FnMut(Piece<'_>)) -> Result<Handful, Error> {
        self.post.work_off()?;
        let proxy = self.post.proxy(slot)?;
        let mut taken = Handful::default();
        let mut copy = std::mem::take(&mut self.copy);
        let ended = loop {
            let Some(left) = wanted.less(taken) else {
                break Ok(taken);
            };
            copy.clear();
            match self.take_alike(proxy, wanted.items > 1, left, &mut copy, each) {
                Ok(Handful { items: 0, .. }) => break Ok(taken),
                Ok(more) => taken = taken.and(more),
                // It is told by the next call.
                Err(_) if taken.items > 0 => break Ok(taken),
                Err(error) => break Err(error),
            }
        };
        // A huge item is no reason to keep as much for ever.
        if copy.capacity() <= COPY_BYTES_MAX {
            self.copy = copy;
        }
        ended
    }

    /// What stands first in the line, if it may be a sheaf; else items until there is a sheaf.
    fn take_alike(
        &self,
        proxy: Proxy,
        with_sheaves: bool,
        wanted: Handful,
        bytes: &mut Vec<u8>,
        each: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Handful, Error> {
        let mut taken = Handful::default();
        if with_sheaves && let Some(sheaf) = self.mapped.take_sheaf_as(proxy, bytes)? {
            each(Piece::Sheaf(sheaf, bytes));
            return Ok(Handful {
                items: sheaf.items as usize,
                bytes: bytes.len(),
            });
        }
        self.mapped
            .take_each_as(proxy, wanted.items, wanted.bytes, Patience::Try, |item| {
                bytes.clear();
                item.copy_to(bytes);
                taken.items += 1;
                taken.bytes += bytes.len();
                each(Piece::Item(item.item(), bytes));
            })?;
        Ok(taken)
    }

    /// An attempt at a channel that is in trouble has come to nothing; what follows from that is for the next settling to find.
    fn now_or_later<T: Default>(&mut self, done: Result<T, Error>) -> Result<T, Reply> {
        match done.map_err(Reply::of_error) {
            Ok(done) => Ok(done),
            Err(Ok(reply)) => Err(reply),
            Err(Err(trouble)) => {
                self.post.conclude(&Err(trouble));
                Ok(T::default())
            }
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.withdraw(|putter| putter.ticket == ticket);
        self.takers.retain(|(taker, _)| *taker != ticket);
    }

    fn withdraw(&mut self, is_one: impl Fn(&Putter) -> bool) {
        let gone = self.putters.iter().filter(|putter| is_one(putter));
        self.lost += gone.map(|putter| putter.load.lost()).sum::<u64>();
        self.putters.retain(|putter| !is_one(putter));
    }
}

/// What becomes of items that were taken.
impl Queue {
    pub(super) fn ack(&mut self, slot: Slot, items: &[ItemId]) -> Result<(), Refusal> {
        let proxy = self.post.known(slot).ok_or(Refusal::NotHeld)?;
        let (queue, items) = (self.mapped.clone(), items.to_vec());
        self.post
            .run(move || queue.ack_many_as(proxy, &items))
            .map_err(|_| Refusal::NotHeld)
    }

    pub(super) fn ack_part(&mut self, slot: Slot, part: Part) -> Result<(), Refusal> {
        let proxy = self.post.known(slot).ok_or(Refusal::NotHeld)?;
        let queue = self.mapped.clone();
        let Part { item, items, bytes } = part;
        self.post
            .run(move || queue.ack_from_sheaf_as(proxy, item, items, bytes))
            .map_err(|_| Refusal::NotHeld)
    }

    pub(super) fn give_back(&mut self, slot: Slot, items: &[ItemId]) -> Result<(), Refusal> {
        let proxy = self.post.known(slot).ok_or(Refusal::NotHeld)?;
        let (queue, items) = (self.mapped.clone(), items.to_vec());
        self.post
            .run(move || queue.nack_many_as(proxy, &items))
            .map_err(|_| Refusal::NotHeld)
    }

    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool) -> bool {
        let before = self.putters.len() + self.takers.len();
        self.withdraw(|putter| putter.slot == slot);
        self.takers.retain(|(_, taker)| *taker != slot);
        let left = self.putters.len() + self.takers.len() < before;
        self.post.let_go(slot, orphaned) || left
    }
}

/// Serving those who wait.
impl Queue {
    pub(super) fn settle(&mut self, number: u32, waiting: &mut Waiting, changes: &mut Vec<Change>) {
        let ended = self.serve(waiting);
        self.post.conclude(&ended);
        let drained = if self.post.is_damaged() {
            self.turn_all_away(waiting);
            self.ending.is_over()
        } else {
            self.seen = self.mapped.glance();
            self.ending.is_drained(&self.mapped, &mut self.post)
        };
        if drained {
            changes.push(Change::Drained(number));
        }
    }

    /// Matches items with takers and room with putters until neither is possible.
    fn serve(&mut self, waiting: &mut Waiting) -> Result<(), Error> {
        self.post.work_off()?;
        loop {
            let taken = self.serve_takers(waiting)?;
            let put = self.serve_putters(waiting)?;
            let ended = self.ending.apply(&self.mapped, self.putters.is_empty())?;
            if !taken && !put && !ended {
                return Ok(());
            }
        }
    }

    /// Takers wait only while the queue is empty. When it has ended, those are told for whom nothing can come back, which may be
    /// some of those behind the first.
    fn serve_takers(&mut self, waiting: &mut Waiting) -> Result<bool, Error> {
        let mut index = 0;
        let mut served = false;
        while let Some(&(ticket, slot)) = self.takers.get(index) {
            match self.take(slot).or_else(|error| Reply::of_error(error).map(Some))? {
                Some(reply) => {
                    self.takers.remove(index);
                    waiting.answer(ticket, slot, reply);
                    served = true;
                }
                None if self.ending.wanted.is_some() => index += 1,
                None => return Ok(served),
            }
        }
        Ok(served)
    }

    fn take(&mut self, slot: Slot) -> Result<Option<Reply>, Error> {
        let proxy = self.post.proxy(slot)?;
        let taken = self.mapped.take_as(proxy, Patience::Try)?;
        let item = |TakenItem {
                        item,
                        deliveries,
                        bytes,
                    }| Reply::Item {
            id: item,
            bytes,
            deliveries,
        };
        Ok(taken.map(item))
    }

    fn serve_putters(&mut self, waiting: &mut Waiting) -> Result<bool, Error> {
        let mut served = false;
        while let Some(Putter { slot, load, .. }) = self.putters.front_mut() {
            let proxy = self.post.proxy(*slot);
            let put = proxy.and_then(|proxy| load.put(&self.mapped, proxy));
            let reply = match put {
                Ok(Put::All) => Reply::Done,
                Ok(Put::Some) => return Ok(true),
                Ok(Put::Nothing) => return Ok(served),
                Err(error) => Reply::of_error(error)?,
            };
            if let Some(Putter { ticket, slot, load }) = self.putters.pop_front() {
                self.lost += load.lost();
                waiting.answer(ticket, slot, reply);
            }
            served = true;
        }
        Ok(served)
    }

    /// Nobody can use the queue any more.
    fn turn_all_away(&mut self, waiting: &mut Waiting) {
        for Putter { ticket, slot, load } in self.putters.drain(..) {
            self.lost += load.lost();
            waiting.answer(ticket, slot, Reply::Failed(Trouble::Damaged));
        }
        for (ticket, slot) in self.takers.drain(..) {
            waiting.answer(ticket, slot, Reply::Failed(Trouble::Damaged));
        }
    }

    pub(super) fn close(&mut self) {
        self.ending.want(Ended::Closed);
    }

    pub(super) fn break_off(&mut self) {
        self.ending.want(Ended::Broken);
    }
}
