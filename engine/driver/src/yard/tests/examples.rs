//! What each primitive does, one short story each.

use super::world::World;
use crate::yard::{Change, Held, ItemId, Layout, LockKind, QueueLimits, Refusal, Reply, Request, Slot, Ticket};

const A: Slot = Slot(0);
const B: Slot = Slot(1);
const C: Slot = Slot(2);
const LOCK: Held = Held::Lock(0);
const REENTRANT: Held = Held::Lock(1);
const PERMITS: Held = Held::Semaphore(0);
const GRANTED: Reply = Reply::Granted { orphaned: false };
const ORPHANED: Reply = Reply::Granted { orphaned: true };

/// A queue of 2 items of 4 bytes, one lock of each kind, a semaphore of 3 and an event.
fn yard() -> World {
    World::new(Layout {
        slots: 3,
        queues: vec![(
            "queue".to_owned(),
            QueueLimits {
                capacity: 2,
                max_item: 4,
            },
        )],
        locks: vec![
            ("plain".to_owned(), LockKind::Plain),
            ("reentrant".to_owned(), LockKind::Reentrant),
        ],
        semaphores: vec![("semaphore".to_owned(), 3)],
        events: vec![("event".to_owned(), false)],
    })
}

fn put(text: &str) -> Request {
    Request::Put {
        queue: 0,
        item: text.as_bytes().to_vec(),
    }
}

const fn take() -> Request {
    Request::Take { queue: 0 }
}

const fn acquire(held: Held, permits: u32) -> Request {
    Request::Acquire { held, permits }
}

fn item(id: u64, text: &str, deliveries: u32) -> Reply {
    Reply::Item {
        id: ItemId { number: id, index: 0 },
        bytes: text.as_bytes().to_vec(),
        deliveries,
    }
}

fn reply(ticket: u64, reply: Reply) -> (Ticket, Reply) {
    (Ticket(ticket), reply)
}

#[test]
fn items_leave_in_the_order_in_which_they_came() {
    let mut yard = yard();
    assert_eq!(yard.ask(A, Ticket(1), put("one"), true), Some(Reply::Done));
    assert_eq!(yard.ask(B, Ticket(2), put("two"), true), Some(Reply::Done));
    assert_eq!(yard.ask(C, Ticket(3), take(), true), Some(item(0, "one", 1)));
    assert_eq!(yard.ask(C, Ticket(4), take(), true), Some(item(1, "two", 1)));
    assert_eq!(yard.ask(C, Ticket(5), take(), false), Some(Reply::WouldBlock));
}

#[test]
fn a_put_into_a_full_queue_waits_its_turn() {
    let mut yard = yard();
    for (ticket, text) in [(1, "a"), (2, "b")] {
        assert_eq!(yard.ask(A, Ticket(ticket), put(text), true), Some(Reply::Done));
    }
    assert_eq!(yard.ask(A, Ticket(3), put("c"), true), None);
    assert_eq!(yard.ask(B, Ticket(4), put("d"), true), None);
    assert_eq!(yard.ask(B, Ticket(5), put("e"), false), Some(Reply::WouldBlock));
    assert_eq!(yard.counts(0).put, 2, "what is parked is not put yet");

    assert_eq!(yard.ask(C, Ticket(6), take(), true), Some(item(0, "a", 1)));
    assert_eq!(yard.replies(), [reply(3, Reply::Done)]);
    assert!(yard.cancel(Ticket(4)));
    assert!(!yard.cancel(Ticket(3)), "it was answered");
    assert_eq!(yard.counts(0).waiting_put, 0);
}

#[test]
fn items_of_the_permitted_size_pass_and_larger_ones_are_refused() {
    let mut yard = yard();
    assert_eq!(yard.ask(A, Ticket(1), put(""), true), Some(Reply::Done));
    assert_eq!(yard.ask(A, Ticket(2), put("1234"), true), Some(Reply::Done));
    assert_eq!(
        yard.ask(A, Ticket(3), put("12345"), true),
        Some(Reply::TooLarge { max: 4 })
    );
    assert_eq!((yard.counts(0).put, yard.counts(0).refused), (2, 1));
}

#[test]
fn without_a_capacity_nobody_waits_for_room() {
    let limits = QueueLimits {
        capacity: 0,
        max_item: 4,
    };
    let mut yard = World::new(Layout {
        queues: vec![("endless".to_owned(), limits)],
        ..Layout::default()
    });
    for ticket in 0..5000 {
        assert_eq!(yard.ask(A, Ticket(ticket), put("x"), false), Some(Reply::Done));
    }
    assert_eq!(yard.counts(0).len, 5000);
}

#[test]
fn returned_items_are_at_the_front_in_order_and_say_so() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), put("a"), true);
    yard.ask(A, Ticket(2), put("b"), true);
    yard.ask(B, Ticket(3), take(), true);
    yard.ask(B, Ticket(4), take(), true);
    yard.ask(A, Ticket(5), put("c"), true);
    yard.died(B);
    assert_eq!(yard.counts(0).returned, 2);
    assert_eq!(yard.ask(C, Ticket(6), take(), true), Some(item(0, "a", 2)));
    assert_eq!(yard.ask(C, Ticket(7), take(), true), Some(item(1, "b", 2)));
    assert_eq!(yard.ask(C, Ticket(8), take(), true), Some(item(2, "c", 1)));
    assert_eq!(yard.give_back(C, 0, 1), Ok(()));
    assert_eq!(yard.ask(C, Ticket(9), take(), true), Some(item(1, "b", 3)));
}

#[test]
fn only_the_taker_acknowledges_and_only_once() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), put("a"), true);
    yard.ask(B, Ticket(2), take(), true);
    assert_eq!(yard.ack(C, 0, 0), Err(Refusal::NotHeld));
    assert_eq!(yard.give_back(C, 0, 0), Err(Refusal::NotHeld));
    assert_eq!(yard.ack(B, 0, 0), Ok(()));
    assert_eq!(yard.ack(B, 0, 0), Err(Refusal::NotHeld));
    assert_eq!(yard.counts(0).got, 1);
}

#[test]
fn a_closed_queue_is_emptied_and_then_drained_once() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), put("a"), true);
    yard.ask(A, Ticket(2), put("b"), true);
    assert_eq!(yard.ask(A, Ticket(3), put("c"), true), None);
    yard.close(0);
    assert_eq!(yard.ask(A, Ticket(4), put("d"), true), Some(Reply::Closed));
    for (ticket, id, text) in [(5, 0, "a"), (6, 1, "b"), (7, 2, "c")] {
        assert_eq!(yard.ask(B, Ticket(ticket), take(), true), Some(item(id, text, 1)));
        assert_eq!(yard.changes(), []);
        assert_eq!(yard.ack(B, 0, id), Ok(()));
    }
    assert_eq!(yard.ask(B, Ticket(8), take(), true), Some(Reply::Closed));
    assert_eq!(yard.changes(), [Change::Drained(0)]);
    yard.close(0);
    yard.break_queue(0);
    assert_eq!(yard.changes(), []);
}

#[test]
fn closing_turns_away_who_waits_for_an_item() {
    let mut yard = yard();
    assert_eq!(yard.ask(B, Ticket(1), take(), true), None);
    yard.close(0);
    assert_eq!(yard.replies(), [reply(1, Reply::Closed)]);
    assert_eq!(yard.changes(), [Change::Drained(0)]);
}

#[test]
fn the_end_of_a_closed_queue_waits_for_what_others_may_give_back() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), put("a"), true);
    yard.ask(A, Ticket(2), put("b"), true);
    for ticket in [3, 4] {
        yard.ask(B, Ticket(ticket), take(), true);
    }
    yard.close(0);
    assert_eq!(yard.ask(A, Ticket(5), take(), false), Some(Reply::WouldBlock));
    assert_eq!(yard.ask(A, Ticket(6), take(), true), None);
    assert_eq!(yard.ask(A, Ticket(7), take(), true), None);
    let own = yard.ask(B, Ticket(8), take(), true);
    assert_eq!(own, Some(Reply::Closed), "what B has itself it does not wait for");
    assert_eq!(yard.give_back(B, 0, 0), Ok(()));
    assert_eq!(yard.replies(), [(Ticket(6), item(0, "a", 2))]);
    assert_eq!(yard.ack(B, 0, 1), Ok(()));
    assert_eq!(yard.replies(), [reply(7, Reply::Closed)]);
}

#[test]
fn a_broken_queue_counts_what_is_left_and_turns_senders_away() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), put("a"), true);
    yard.ask(A, Ticket(2), put("b"), true);
    yard.ask(B, Ticket(3), take(), true);
    yard.ask(A, Ticket(4), put("c"), true);
    assert_eq!(yard.ask(A, Ticket(5), put("d"), true), None);
    yard.break_queue(0);
    assert_eq!(yard.replies(), [reply(5, Reply::Broken)]);
    assert_eq!(yard.ask(A, Ticket(6), put("e"), true), Some(Reply::Broken));
    assert_eq!(yard.changes(), [], "one item is neither back nor acknowledged");
    yard.let_go(B);
    assert_eq!(yard.changes(), [Change::Drained(0)]);
    let counts = yard.counts(0);
    assert_eq!((counts.put, counts.got, counts.left, counts.len), (3, 0, 3, 0));
    assert_eq!(yard.ask(B, Ticket(7), take(), true), Some(Reply::Closed));
}

#[test]
fn ee9_a_lock_has_one_owner_and_passes_to_the_longest_waiter() {
    let mut yard = yard();
    assert_eq!(yard.ask(A, Ticket(1), acquire(LOCK, 1), true), Some(GRANTED));
    assert_eq!(yard.ask(B, Ticket(2), acquire(LOCK, 1), true), None);
    assert_eq!(yard.ask(C, Ticket(3), acquire(LOCK, 1), true), None);
    assert_eq!(yard.ask(C, Ticket(4), acquire(LOCK, 1), false), Some(Reply::WouldBlock));
    assert_eq!(yard.release(B, LOCK, 1), Err(Refusal::NotHeld));
    assert_eq!(yard.release(A, LOCK, 1), Ok(()));
    assert_eq!(yard.replies(), [reply(2, GRANTED)]);
    assert_eq!(yard.owner(0), Some(B));
    assert_eq!(
        yard.ask(A, Ticket(5), acquire(LOCK, 2), true),
        Some(Reply::TooMany { permits: 1 })
    );
}

#[test]
fn a_reentrant_lock_is_released_as_often_as_acquired() {
    let mut yard = yard();
    for ticket in 1..=3 {
        assert_eq!(yard.ask(A, Ticket(ticket), acquire(REENTRANT, 1), false), Some(GRANTED));
    }
    assert_eq!(yard.ask(B, Ticket(4), acquire(REENTRANT, 1), true), None);
    for _ in 0..3 {
        assert_eq!(yard.replies(), []);
        assert_eq!(yard.release(A, REENTRANT, 1), Ok(()));
    }
    assert_eq!(yard.replies(), [reply(4, GRANTED)]);
}

#[test]
fn who_dies_lets_go_and_the_next_is_told() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), acquire(LOCK, 1), true);
    yard.ask(A, Ticket(2), acquire(PERMITS, 2), true);
    assert_eq!(yard.ask(B, Ticket(3), acquire(LOCK, 1), true), None);
    yard.died(A);
    assert_eq!(yard.replies(), [reply(3, ORPHANED)]);
    assert_eq!(yard.ask(C, Ticket(4), acquire(PERMITS, 3), true), Some(ORPHANED));
    yard.let_go(B);
    assert_eq!(yard.ask(C, Ticket(5), acquire(LOCK, 1), true), Some(GRANTED));
}

#[test]
fn who_has_gone_gets_no_reply() {
    let mut yard = yard();
    yard.ask(A, Ticket(1), acquire(LOCK, 1), true);
    assert_eq!(yard.ask(B, Ticket(2), acquire(LOCK, 1), true), None);
    assert_eq!(yard.ask(B, Ticket(3), Request::Wait { event: 0 }, true), None);
    yard.set(0);
    yard.let_go(B);
    assert_eq!(yard.release(A, LOCK, 1), Ok(()));
    assert_eq!(yard.replies(), []);
    assert_eq!(yard.owner(0), None);
}

#[test]
fn who_asks_for_many_permits_is_not_overtaken() {
    let mut yard = yard();
    assert_eq!(yard.ask(A, Ticket(1), acquire(PERMITS, 2), true), Some(GRANTED));
    assert_eq!(yard.ask(B, Ticket(2), acquire(PERMITS, 2), true), None);
    assert_eq!(yard.ask(C, Ticket(3), acquire(PERMITS, 1), true), None);
    assert_eq!(
        yard.ask(C, Ticket(4), acquire(PERMITS, 1), false),
        Some(Reply::WouldBlock)
    );
    assert_eq!(
        yard.ask(C, Ticket(5), acquire(PERMITS, 4), true),
        Some(Reply::TooMany { permits: 3 })
    );
    assert!(yard.cancel(Ticket(2)));
    assert_eq!(yard.replies(), [reply(3, GRANTED)]);
    assert_eq!(yard.holders(0), [(A, 2), (C, 1)]);
    assert_eq!(yard.release(A, PERMITS, 3), Err(Refusal::NotHeld));
    assert_eq!(yard.release(A, PERMITS, 1), Ok(()));
    assert_eq!(yard.free(0), 1);
}

#[test]
fn an_event_wakes_all_and_tells_of_each_change() {
    let mut yard = yard();
    let wait = || Request::Wait { event: 0 };
    assert_eq!(yard.ask(A, Ticket(1), wait(), false), Some(Reply::WouldBlock));
    assert_eq!(yard.ask(A, Ticket(2), wait(), true), None);
    assert_eq!(yard.ask(B, Ticket(3), wait(), true), None);
    yard.set(0);
    yard.set(0);
    assert_eq!(yard.replies(), [reply(2, Reply::Done), reply(3, Reply::Done)]);
    assert_eq!(yard.changes(), [Change::EventSet(0)]);
    assert_eq!(yard.ask(A, Ticket(4), wait(), true), Some(Reply::Done));
    yard.clear(0);
    assert!(!yard.is_set(0));
}
