//! Random histories: the yard and the model are told the same, and must say the same.

use super::model::Model;
use super::world::World;
use crate::yard::{Held, Layout, LockKind, QueueLimits, Reply, Request, Slot, Ticket};

/// How many histories, and how many calls in each.
const HISTORIES: u64 = 100;
const CALLS: u64 = 300;

/// Marsaglia's xorshift64 ("Xorshift RNGs", 2003): a seed is a history.
struct Dice(u64);

impl Dice {
    const fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn number(&mut self, sides: u64) -> u32 {
        u32::try_from(self.roll(sides)).expect("dice have few sides")
    }

    fn slot(&mut self) -> Slot {
        Slot(self.number(4))
    }

    fn held(&mut self) -> Held {
        match self.roll(4) {
            0 => Held::Lock(0),
            1 => Held::Lock(1),
            _ => Held::Semaphore(0),
        }
    }

    fn request(&mut self) -> Request {
        match self.roll(10) {
            0..4 => Request::Put {
                queue: self.number(3),
                item: vec![b'x'; self.number(6) as usize],
            },
            4..7 => Request::Take { queue: self.number(3) },
            7..9 => {
                let held = self.held();
                let permits = if matches!(held, Held::Lock(_)) {
                    1
                } else {
                    1 + self.number(4)
                };
                Request::Acquire { held, permits }
            }
            _ => Request::Wait { event: 0 },
        }
    }
}

fn layout() -> Layout {
    let queue = |capacity| (format!("of-{capacity}"), QueueLimits { capacity, max_item: 4 });
    Layout {
        slots: 4,
        queues: vec![queue(1), queue(3), queue(0)],
        locks: vec![
            ("plain".to_owned(), LockKind::Plain),
            ("reentrant".to_owned(), LockKind::Reentrant),
        ],
        semaphores: vec![("semaphore".to_owned(), 3)],
        events: vec![("event".to_owned(), false)],
    }
}

/// The two yards, and what the history remembers to say something sensible next.
struct Pair {
    yard: World,
    model: Model,
    dice: Dice,
    tickets: u64,
    asked: Vec<(Slot, u32)>,
    outstanding: Vec<(Slot, u32, u64)>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        // A state of 0 would stay 0, and small seeds begin alike.
        let dice = Dice(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (yard, model) = (World::new(layout()), Model::new(layout()));
        Self {
            yard,
            model,
            dice,
            tickets: 0,
            asked: Vec::new(),
            outstanding: Vec::new(),
        }
    }

    fn call(&mut self) {
        let mut answered = Vec::new();
        match self.dice.roll(40) {
            0..22 => answered.extend(self.ask()),
            22..29 => self.settle_item(),
            29..33 => self.release(),
            33..36 => self.cancel(),
            36 => self.turn_event(),
            37 => self.depart(),
            _ => self.end_queue(),
        }
        self.compare(answered);
    }

    fn ask(&mut self) -> Option<(Ticket, Reply)> {
        let (slot, request, block) = (self.dice.slot(), self.dice.request(), self.dice.roll(4) > 0);
        let ticket = Ticket(self.tickets);
        let queue = if let Request::Take { queue } = request {
            queue
        } else {
            0
        };
        self.asked.push((slot, queue));
        self.tickets += 1;
        let reply = self.yard.ask(slot, ticket, request.clone(), block);
        let would_block = self.model.ask(slot, ticket, request, block);
        assert_eq!(reply == Some(Reply::WouldBlock), would_block, "{ticket:?} would block");
        reply.filter(|_| !would_block).map(|reply| (ticket, reply))
    }

    fn settle_item(&mut self) {
        let Some(last) = self.outstanding.len().checked_sub(1) else {
            return;
        };
        let (slot, queue, item) = self.outstanding.swap_remove(self.dice.number(last as u64 + 1) as usize);
        let slot = if self.dice.roll(8) == 0 { self.dice.slot() } else { slot };
        let back = self.dice.roll(3) == 0;
        let done = if back {
            self.yard.give_back(slot, queue, item)
        } else {
            self.yard.ack(slot, queue, item)
        };
        assert_eq!(
            done.is_ok(),
            self.model.ack(slot, queue, item, back),
            "{slot:?} had item {item} of queue {queue}"
        );
    }

    fn release(&mut self) {
        let (slot, held) = (self.dice.slot(), self.dice.held());
        let done = self.yard.release(slot, held, 1);
        assert_eq!(
            done.is_ok(),
            self.model.release(slot, held, 1),
            "{slot:?} releases {held:?}"
        );
    }

    fn cancel(&mut self) {
        let ticket = Ticket(self.dice.roll(self.tickets + 1));
        assert_eq!(
            self.yard.cancel(ticket),
            self.model.cancel(ticket),
            "{ticket:?} is cancelled"
        );
    }

    fn turn_event(&mut self) {
        if self.dice.roll(2) == 0 {
            self.yard.set(0);
            self.model.set(0);
        } else {
            self.yard.clear(0);
            self.model.clear(0);
        }
    }

    fn depart(&mut self) {
        let (slot, died) = (self.dice.slot(), self.dice.roll(2) == 0);
        if died {
            self.yard.died(slot);
        } else {
            self.yard.let_go(slot);
        }
        self.model.depart(slot, died);
    }

    /// Seldom: nothing happens in a queue that has ended.
    fn end_queue(&mut self) {
        let queue = self.dice.number(3);
        match self.dice.roll(20) {
            0 => {
                self.yard.close(queue);
                self.model.close(queue);
            }
            1 => {
                self.yard.break_queue(queue);
                self.model.break_queue(queue);
            }
            _ => {}
        }
    }

    fn compare(&mut self, mut replies: Vec<(Ticket, Reply)>) {
        replies.extend(self.yard.replies());
        replies.sort_by_key(|(ticket, _)| *ticket);
        self.model.replies.sort_by_key(|(ticket, _)| *ticket);
        assert_eq!(replies, std::mem::take(&mut self.model.replies));
        assert_eq!(self.yard.changes(), std::mem::take(&mut self.model.changes));
        for (Ticket(ticket), reply) in replies {
            if let Reply::Item { id, .. } = reply {
                let (slot, queue) = self.asked[usize::try_from(ticket).expect("a short history")];
                self.outstanding.push((slot, queue, id.number));
            }
        }
        for queue in 0..3 {
            assert_eq!(
                self.yard.counts(queue).len,
                self.model.inside(queue),
                "items in queue {queue}"
            );
        }
        assert_eq!(self.yard.holders(0), self.model.holder(Held::Semaphore(0)));
        for lock in 0..2 {
            let owner = self.model.holder(Held::Lock(lock)).first().map(|(slot, _)| *slot);
            assert_eq!(self.yard.owner(lock), owner, "the owner of lock {lock}");
        }
    }
}

#[test]
fn the_yard_does_what_the_model_does() {
    for seed in 0..HISTORIES {
        let mut pair = Pair::new(seed);
        for _ in 0..CALLS {
            pair.call();
        }
        let items: u64 = (0..3).map(|queue| pair.yard.counts(queue).put).sum();
        assert!(items > 0, "history {seed} put nothing");
    }
}
