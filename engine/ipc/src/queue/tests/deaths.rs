//! A user of the queue is killed before each of the steps of each operation; then, for each of these, whoever repairs that.

use std::cell::Cell;

use super::{MAX, item};
use crate::channel::{Kind, Place, Shape};
use crate::deaths::{self, End, Victim, at_every_step, at_two_steps};
use crate::patience::Patience;
use crate::queue::Queue;

const SMALL: usize = 3;
const MEDIUM: usize = 100;
const LARGE: usize = 5000;

/// A repair looks at all there is: it has hundreds of steps.
fn stride() -> u64 {
    deaths::stride(97)
}

/// Few slots, so that there are few steps.
fn queue() -> Queue {
    let shape = Shape {
        slots: 4,
        ..Shape::new(Kind::Queue)
    };
    Queue::make(&Place::Memory, 9, MAX, shape).expect("there is memory")
}

/// With items of all three ways to be kept, 0 to 2.
fn filled() -> Queue {
    let queue = queue();
    for (seed, length) in [SMALL, MEDIUM, LARGE].into_iter().enumerate() {
        queue.put(&item(length, seed)).expect("there is room");
    }
    queue
}

/// Buries who has died, and says which items are left, by their first byte; that of item `n` is `7 n`.
fn left(queue: &Queue) -> Vec<u8> {
    queue.channel().bury_dead().expect("it is whole");
    queue.audit().expect("all fits");
    assert_eq!(queue.clients().len(), 1, "only we are left");
    let counts = queue.counts().expect("it is whole");
    assert_eq!((counts.taken, counts.reserved), (0, 0), "the dead have nothing");
    assert_eq!(counts.put, counts.got + counts.ready);
    let mut left = Vec::new();
    while let Some(taken) = queue.try_take().unwrap_or_default() {
        let returned = u64::from(taken.deliveries() - 1);
        assert!(returned <= counts.returned, "what was handed out has come back");
        let bytes = taken.to_vec();
        let seed = usize::from(bytes[0] / 7);
        assert_eq!(bytes, item(bytes.len(), seed), "no item is half there");
        left.push(bytes[0] / 7);
        taken.ack().expect("it is held");
    }
    assert_eq!(left.len() as u64, counts.ready);
    queue.audit().expect("all fits");
    left
}

/// Does `act` on a queue with three items, dies at each step, and looks which items are there: one of `allowed`, the last of them when
/// it was done.
fn check(act: impl Fn(&Queue), allowed: &[&[u8]]) {
    let look = |queue: &Queue, end| {
        let left = left(queue);
        assert!(allowed.contains(&left.as_slice()), "{left:?} are left");
        if end == End::Done {
            assert_eq!(Some(&left.as_slice()), allowed.last());
        }
    };
    let steps = at_every_step(filled, Queue::channel, &act, look);
    assert!(steps > 5, "an operation is more than {steps} steps");
    at_two_steps(stride(), filled, Queue::channel, &act, look);
}

#[test]
fn i1_i4_who_is_killed_while_it_puts_has_put_all_or_nothing() {
    for length in [SMALL, MEDIUM, LARGE, 3 * LARGE] {
        let put = |queue: &Queue| queue.put(&item(length, 3)).expect("there is room");
        check(put, &[&[0, 1, 2], &[0, 1, 2, 3]]);
    }
}

#[test]
fn who_is_killed_while_it_puts_many_has_put_the_first_of_them() {
    let put = |queue: &Queue| {
        let items = [item(SMALL, 3), item(LARGE, 4), item(MEDIUM, 5)];
        assert_eq!(queue.put_many(&items, Patience::Try).expect("there is room"), 3);
    };
    let allowed: [&[u8]; 4] = [&[0, 1, 2], &[0, 1, 2, 3], &[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4, 5]];
    check(put, &allowed);
}

#[test]
fn i1_who_is_killed_while_it_gets_has_got_it_or_not() {
    let get = |count: usize| {
        move |queue: &Queue| {
            for _ in 0..count {
                queue.get().expect("there is one");
            }
        }
    };
    check(get(1), &[&[0, 1, 2], &[1, 2]]);
    check(get(3), &[&[0, 1, 2], &[1, 2], &[2], &[]]);
    let get_many = |queue: &Queue| assert_eq!(queue.get_many(9, Patience::Try).expect("some").len(), 2);
    check(get_many, &[&[0, 1, 2], &[1, 2], &[2]]);
}

#[test]
fn i1_i3_what_is_taken_and_not_acknowledged_comes_back_to_its_place() {
    let take = |queue: &Queue| {
        for _ in 0..3 {
            let _kept = queue.take().expect("there is one").into_item();
        }
    };
    check(take, &[&[0, 1, 2]]);
    let look = |queue: &Queue, _| {
        queue.channel().bury_dead().expect("it is whole");
        let returned = queue.counts().expect("it is whole").returned;
        let handed_out: Vec<u32> = std::iter::from_fn(|| queue.try_take().ok()?)
            .map(|taken| {
                let deliveries = taken.deliveries();
                taken.ack().expect("it is held");
                deliveries
            })
            .collect();
        let again = handed_out.iter().filter(|deliveries| **deliveries == 2).count() as u64;
        assert_eq!(again, returned, "each return is counted once: {handed_out:?}");
    };
    at_every_step(filled, Queue::channel, take, look);
    at_two_steps(stride(), filled, Queue::channel, take, look);
}

#[test]
fn i1_who_is_killed_while_it_acknowledges_has_done_so_or_not() {
    let take_and_ack = |queue: &Queue| {
        let (first, second) = (queue.take().expect("there is one"), queue.take().expect("there is one"));
        second.ack().expect("it is held");
        first.ack().expect("it is held");
    };
    check(take_and_ack, &[&[0, 1, 2], &[0, 2], &[2]]);
    let task_done = |queue: &Queue| {
        let _kept = queue.take().expect("there is one").into_item();
        queue.task_done().expect("it is held");
    };
    check(task_done, &[&[0, 1, 2], &[1, 2]]);
}

#[test]
fn who_is_killed_while_it_gives_back_loses_nothing() {
    let take_and_nack = |queue: &Queue| {
        let (first, second) = (queue.take().expect("there is one"), queue.take().expect("there is one"));
        second.nack().expect("it is held");
        first.nack().expect("it is held");
    };
    check(take_and_nack, &[&[0, 1, 2]]);
}

#[test]
fn a_place_that_was_reserved_is_free_again() {
    check(
        |queue| drop(queue.reserve(LARGE).expect("there is room")),
        &[&[0, 1, 2]],
    );
    check(
        |queue| std::mem::forget(queue.reserve(LARGE).expect("there is room")),
        &[&[0, 1, 2]],
    );
}

#[test]
fn who_is_killed_while_it_ends_the_queue_has_ended_it_or_not() {
    check(|queue| queue.close().expect("it is whole"), &[&[0, 1, 2]]);
    let look = |queue: &Queue, end| {
        queue.channel().bury_dead().expect("it is whole");
        queue.audit().expect("all fits");
        assert!(queue.is_closed() || end == End::Killed);
        assert_eq!(
            queue.counts().expect("it is whole").ready,
            3,
            "they stay where they are"
        );
    };
    at_every_step(
        filled,
        Queue::channel,
        |queue| queue.break_off().expect("it is whole"),
        look,
    );
}

/// A process that waits for an item.
fn getter(queue: &Queue) -> Victim {
    let queue = queue.clone();
    Victim::new(move || assert_eq!(queue.get().expect("it is whole").len(), SMALL))
}

#[test]
fn who_waits_for_an_item_gets_it_though_its_putter_is_killed() {
    let prepare = || {
        let queue = queue();
        let getter = getter(&queue);
        crate::trial::until_asleep(queue.channel(), 1);
        (queue, Cell::new(Some(getter)))
    };
    let put = |(queue, _): &(Queue, _)| queue.put(&item(SMALL, 1)).expect("there is room");
    let look = |(queue, getter): &(Queue, Cell<Option<Victim>>), _| {
        queue.channel().bury_dead().expect("it is whole");
        if queue.counts().expect("it is whole").put == 0 {
            queue.put(&item(SMALL, 1)).expect("there is room");
        }
        assert_eq!(getter.take().map(Victim::wait), Some(End::Done));
        assert!(left(queue).is_empty());
    };
    at_every_step(prepare, |(queue, _)| queue.channel(), put, look);
}

#[test]
fn who_waits_for_room_gets_it_though_the_getter_is_killed() {
    let prepare = || {
        let queue = Queue::make(
            &Place::Memory,
            1,
            MAX,
            Shape {
                slots: 4,
                ..Shape::new(Kind::Queue)
            },
        );
        let queue = queue.expect("there is memory");
        queue.put(&item(SMALL, 1)).expect("there is room");
        let putter = queue.clone();
        let putter = Victim::new(move || putter.put(&item(SMALL, 2)).expect("it is whole"));
        crate::trial::until_asleep(queue.channel(), 1);
        (queue, Cell::new(Some(putter)))
    };
    let get = |(queue, _): &(Queue, _)| drop(queue.get().expect("there is one"));
    let look = |(queue, putter): &(Queue, Cell<Option<Victim>>), _| {
        queue.channel().bury_dead().expect("it is whole");
        if queue.counts().expect("it is whole").got == 0 {
            drop(queue.get().expect("there is one"));
        }
        assert_eq!(putter.take().map(Victim::wait), Some(End::Done));
        assert_eq!(left(queue), [2]);
    };
    at_every_step(prepare, |(queue, _)| queue.channel(), get, look);
}

/// Two wait for items. One of them is killed at each of its steps, woken or not: the other one gets its own.
#[test]
fn a_waking_is_not_lost_with_who_was_woken() {
    let prepare = || {
        let queue = queue();
        let (getter, putter) = (getter(&queue), queue.clone());
        crate::trial::until_asleep(queue.channel(), 1);
        let putter = Victim::new(move || {
            crate::trial::until_asleep(putter.channel(), 2);
            putter.put(&item(SMALL, 1)).expect("there is room");
            putter.put(&item(SMALL, 2)).expect("there is room");
        });
        (queue, Cell::new(Some((getter, putter))))
    };
    let get = |(queue, _): &(Queue, _)| drop(queue.get().expect("it is whole"));
    let look = |(queue, others): &(Queue, Cell<Option<(Victim, Victim)>>), end| {
        let (getter, putter) = others.take().expect("they are there");
        if end == End::Done {
            assert_eq!(putter.wait(), End::Done);
        } else {
            // It may wait for a sleeper that has died before it slept.
            putter.kill();
            queue.put(&item(SMALL, 1)).expect("there is room");
        }
        assert_eq!(getter.wait(), End::Done);
        left(queue);
    };
    at_every_step(prepare, |(queue, _)| queue.channel(), get, look);
}
