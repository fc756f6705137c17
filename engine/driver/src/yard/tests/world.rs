//! A yard in a folder of its own, whose items are known by their numbers alone.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use crate::yard::{ItemId, Layout, Refusal, Reply, Request, Slot, Ticket, Yard};

pub struct World {
    yard: Yard,
    /// The queue of each take.
    takes: BTreeMap<Ticket, u32>,
    /// The items that were handed out, by queue and number.
    items: BTreeMap<(u32, u64), ItemId>,
    /// Removed when the story is over.
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new(layout: Layout) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            yard: Yard::create(folder.path(), layout).expect("it is made"),
            takes: BTreeMap::new(),
            items: BTreeMap::new(),
            _folder: folder,
        }
    }

    pub fn ask(&mut self, slot: Slot, ticket: Ticket, request: Request, block: bool) -> Option<Reply> {
        if let Request::Take { queue } = request {
            self.takes.insert(ticket, queue);
        }
        let reply = self.yard.ask(slot, ticket, request, block)?;
        Some(self.note(ticket, reply))
    }

    pub fn replies(&mut self) -> Vec<(Ticket, Reply)> {
        let replies = self.yard.replies();
        let noted = replies
            .into_iter()
            .map(|(ticket, reply)| (ticket, self.note(ticket, reply)));
        noted.collect()
    }

    /// The place of an item in its queue is none of the stories' business.
    fn note(&mut self, ticket: Ticket, mut reply: Reply) -> Reply {
        if let Reply::Item { id, .. } = &mut reply {
            self.items.insert((self.takes[&ticket], id.number), *id);
            id.index = 0;
        }
        reply
    }

    pub fn ack(&mut self, slot: Slot, queue: u32, number: u64) -> Result<(), Refusal> {
        self.yard.ack(slot, queue, &[self.items[&(queue, number)]])
    }

    pub fn give_back(&mut self, slot: Slot, queue: u32, number: u64) -> Result<(), Refusal> {
        self.yard.give_back(slot, queue, &[self.items[&(queue, number)]])
    }
}

impl Deref for World {
    type Target = Yard;

    fn deref(&self) -> &Yard {
        &self.yard
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Yard {
        &mut self.yard
    }
}
