//! A yard as one would explain it: a list of all who wait, in the order in which they asked, and a
//! list of all items with the place of each. After every call the list is gone through from the
//! front until nobody can be served any more.

use std::collections::BTreeMap;

use crate::yard::{Change, Held, Layout, LockKind, Reply, Request, Slot, Ticket};

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Inside,
    With(Slot),
    Gone,
}

#[derive(Debug)]
struct Item {
    bytes: Vec<u8>,
    at: Where,
    deliveries: u32,
}

#[derive(Clone, Debug)]
struct Asked {
    slot: Slot,
    ticket: Ticket,
    request: Request,
    /// A put that was asked for after the queue had closed.
    late: bool,
}

/// The naive yard.
#[derive(Debug)]
pub struct Model {
    layout: Layout,
    items: Vec<Vec<Item>>,
    closed: Vec<bool>,
    broken: Vec<bool>,
    drained: Vec<bool>,
    holds: BTreeMap<(Held, Slot), u32>,
    orphaned: BTreeMap<Held, bool>,
    set: Vec<bool>,
    asked: Vec<Asked>,
    pub replies: Vec<(Ticket, Reply)>,
    pub changes: Vec<Change>,
}

impl Model {
    pub fn new(layout: Layout) -> Self {
        let queues = layout.queues.len();
        Self {
            items: (0..queues).map(|_| Vec::new()).collect(),
            closed: vec![false; queues],
            broken: vec![false; queues],
            drained: vec![false; queues],
            holds: BTreeMap::new(),
            orphaned: BTreeMap::new(),
            set: layout.events.iter().map(|(_, set)| *set).collect(),
            asked: Vec::new(),
            replies: Vec::new(),
            changes: Vec::new(),
            layout,
        }
    }

    /// Asks; every reply, at once or late, is in `replies`, but `WouldBlock`, which is returned as true.
    pub fn ask(&mut self, slot: Slot, ticket: Ticket, request: Request, block: bool) -> bool {
        let late = matches!(request, Request::Put { queue, .. } if self.closed[queue as usize]);
        self.asked.push(Asked {
            slot,
            ticket,
            request,
            late,
        });
        self.serve();
        !block && self.withdraw(ticket)
    }

    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let was = self.withdraw(ticket);
        self.serve();
        was
    }

    fn withdraw(&mut self, ticket: Ticket) -> bool {
        let before = self.asked.len();
        self.asked.retain(|asked| asked.ticket != ticket);
        self.asked.len() < before
    }

    pub fn ack(&mut self, slot: Slot, queue: u32, item: u64, back: bool) -> bool {
        let items = &mut self.items[queue as usize];
        let Some(item) = usize::try_from(item).ok().and_then(|index| items.get_mut(index)) else {
            return false;
        };
        let taken = item.at == Where::With(slot);
        if taken {
            item.at = if back && !self.broken[queue as usize] {
                Where::Inside
            } else {
                Where::Gone
            };
        }
        self.serve();
        taken
    }

    pub fn release(&mut self, slot: Slot, held: Held, permits: u32) -> bool {
        let Some(has) = self.holds.get_mut(&(held, slot)).filter(|has| **has >= permits) else {
            return false;
        };
        *has -= permits;
        self.holds.retain(|_, permits| *permits > 0);
        self.serve();
        true
    }

    pub fn set(&mut self, event: u32) {
        if !std::mem::replace(&mut self.set[event as usize], true) {
            self.changes.push(Change::EventSet(event));
        }
        self.serve();
    }

    pub fn clear(&mut self, event: u32) {
        self.set[event as usize] = false;
    }

    pub fn close(&mut self, queue: u32) {
        self.closed[queue as usize] = true;
        self.serve();
    }

    pub fn break_queue(&mut self, queue: u32) {
        if self.drained[queue as usize] {
            return;
        }
        self.broken[queue as usize] = true;
        for item in &mut self.items[queue as usize] {
            if item.at == Where::Inside {
                item.at = Where::Gone;
            }
        }
        self.serve();
    }

    pub fn depart(&mut self, slot: Slot, died: bool) {
        self.asked.retain(|asked| asked.slot != slot);
        for (held, _) in self
            .holds
            .extract_if(.., |(_, holder), _| *holder == slot)
            .map(|(key, _)| key)
        {
            let orphaned = self.orphaned.entry(held).or_default();
            *orphaned |= died;
        }
        for (queue, items) in self.items.iter_mut().enumerate() {
            for item in items.iter_mut().filter(|item| item.at == Where::With(slot)) {
                item.at = if self.broken[queue] { Where::Gone } else { Where::Inside };
            }
        }
        self.serve();
    }

    pub fn inside(&self, queue: u32) -> u64 {
        self.items[queue as usize]
            .iter()
            .filter(|item| item.at == Where::Inside)
            .count() as u64
    }

    pub fn holder(&self, held: Held) -> Vec<(Slot, u32)> {
        let of = self.holds.iter().filter(|((of, _), _)| *of == held);
        of.map(|((_, slot), permits)| (*slot, *permits)).collect()
    }

    fn serve(&mut self) {
        while let Some((index, reply)) = (0..self.asked.len()).find_map(|index| Some((index, self.answer(index)?))) {
            let asked = self.asked.remove(index);
            self.replies.push((asked.ticket, reply));
        }
        for queue in 0..self.items.len() {
            let number = u32::try_from(queue).expect("a small model");
            let ended = (self.closed[queue] || self.broken[queue]) && !self.drained[queue];
            let empty = self.items[queue].iter().all(|item| item.at == Where::Gone);
            let puts = |asked: &Asked| matches!(asked.request, Request::Put { queue, .. } if queue == number);
            if ended && empty && !self.asked.iter().any(puts) {
                self.drained[queue] = true;
                self.changes.push(Change::Drained(number));
            }
        }
    }

    /// The reply to the request at that place of the list, if it can be served now.
    fn answer(&mut self, index: usize) -> Option<Reply> {
        let Asked { slot, request, .. } = self.asked[index].clone();
        match request {
            Request::Put { queue, item } => self.answer_put(index, queue, item),
            Request::Take { queue } => self.answer_take(slot, queue),
            Request::Acquire { held, permits } => self.answer_acquire(index, slot, held, permits),
            Request::Wait { event } => self.set[event as usize].then_some(Reply::Done),
        }
    }

    fn answer_put(&mut self, index: usize, queue: u32, item: Vec<u8>) -> Option<Reply> {
        let limits = self.layout.queues[queue as usize].1;
        if item.len() as u64 > limits.max_item {
            return Some(Reply::TooLarge { max: limits.max_item });
        }
        if self.broken[queue as usize] {
            return Some(Reply::Broken);
        }
        if self.asked[index].late {
            return Some(Reply::Closed);
        }
        let same = |asked: &Asked| matches!(asked.request, Request::Put { queue: to, .. } if to == queue);
        let earlier = self.asked[..index].iter().any(same);
        let room = limits.capacity == 0 || self.inside(queue) < limits.capacity;
        (room && !earlier).then(|| {
            self.items[queue as usize].push(Item {
                bytes: item,
                at: Where::Inside,
                deliveries: 0,
            });
            Reply::Done
        })
    }

    fn answer_take(&mut self, slot: Slot, queue: u32) -> Option<Reply> {
        let at = self.items[queue as usize]
            .iter()
            .position(|item| item.at == Where::Inside);
        let Some(at) = at else {
            let elsewhere = |item: &Item| matches!(item.at, Where::With(taker) if taker != slot);
            let may_come_back = self.items[queue as usize].iter().any(elsewhere);
            let ended = self.broken[queue as usize] || self.closed[queue as usize] && !may_come_back;
            return ended.then_some(Reply::Closed);
        };
        let item = &mut self.items[queue as usize][at];
        item.at = Where::With(slot);
        item.deliveries += 1;
        let id = crate::yard::ItemId {
            number: at as u64,
            index: 0,
        };
        Some(Reply::Item {
            id,
            bytes: item.bytes.clone(),
            deliveries: item.deliveries,
        })
    }

    fn answer_acquire(&mut self, index: usize, slot: Slot, held: Held, permits: u32) -> Option<Reply> {
        let (total, reentrant) = match held {
            Held::Lock(lock) => (1, self.layout.locks[lock as usize].1 == LockKind::Reentrant),
            Held::Semaphore(semaphore) => (self.layout.semaphores[semaphore as usize].1, false),
        };
        if permits > total {
            return Some(Reply::TooMany { permits: total });
        }
        let again = reentrant && self.holds.contains_key(&(held, slot));
        let used: u32 = self.holder(held).iter().map(|(_, permits)| permits).sum();
        let same = |asked: &Asked| matches!(asked.request, Request::Acquire { held: of, .. } if of == held);
        let earlier = self.asked[..index].iter().any(same);
        if !again && (earlier || used + permits > total) {
            return None;
        }
        *self.holds.entry((held, slot)).or_default() += permits;
        let orphaned = !again && std::mem::take(self.orphaned.entry(held).or_default());
        Some(Reply::Granted { orphaned })
    }
}
