//! Queues in all orders of steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::{Notes, Scenario, Setting, explore_everything};
use crate::channel::{Kind, Place};
use crate::patience::Patience;
use crate::queue::Sheaf;
use crate::trial::again;
use crate::{Error, Queue};

/// Longer than what is copied under the latch.
const LARGE: usize = 5000;

fn queue(setting: Setting, capacity: u64) -> Queue {
    Queue::make(&Place::Memory, capacity, 1 << 16, setting.shape(Kind::Queue)).expect("there is memory")
}

fn queues(make: fn(Setting) -> Queue, users: Vec<fn(&Queue, &Notes)>) -> Scenario<Queue> {
    Scenario {
        make,
        again: |queue| Queue::from_fd(again(queue.descriptor())).expect("it is a queue"),
        channels: |queue| vec![Arc::clone(queue.channel())],
        users,
        after_death: |queue, _| queue.close().expect("it is whole"),
        judge,
    }
}

/// Each item is in one place, whoever has died; who has just got one may have taken it along.
fn judge(queue: &Queue, notes: &Notes, died: bool) {
    queue.audit().expect("all words fit");
    let counts = queue.counts().expect("it is whole");
    assert_eq!((counts.taken, counts.reserved), (0, 0));
    assert_eq!(counts.put, counts.got + counts.ready);
    while let Ok(Some(bytes)) = queue.try_get() {
        notes.write(number(&bytes), "left");
    }
    let items = notes.items.lock().expect("nobody panics with it");
    let mut places: BTreeMap<u64, BTreeMap<&str, u32>> = BTreeMap::new();
    for (item, what) in items.iter() {
        *places.entry(*item).or_default().entry(what).or_default() += 1;
    }
    let mut lost = 0;
    for (item, places) in places {
        let count = |what| places.get(what).copied().unwrap_or_default();
        let found = count("gone") + count("left");
        assert!(found <= 1, "item {item} is there twice: {places:?}");
        assert!(found <= count("begun"), "item {item} was never put: {places:?}");
        lost += u32::from(found == 0 && count("put") > 0 && count("given up") == 0);
    }
    assert!(lost <= u32::from(died), "{lost} items are lost: {items:?}");
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

fn item(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length, 7);
    bytes
}

/// Puts some items, until the queue is closed.
fn put(queue: &Queue, notes: &Notes, length: usize, numbers: &[u64]) {
    for number in numbers {
        notes.write(*number, "begun");
        match queue.put(&item(*number, length)) {
            Ok(()) => notes.write(*number, "put"),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Gets some items; they come in the order of their numbers if one has put them.
fn get(queue: &Queue, notes: &Notes, count: usize) {
    let mut last = [None; 10];
    for _ in 0..count {
        match queue.get() {
            Ok(bytes) => {
                let number = number(&bytes);
                notes.write(number, "gone");
                let putter = usize::try_from(number / 10).expect("few");
                assert!(last[putter] < Some(number), "out of order");
                last[putter] = Some(number);
            }
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn two_put_and_two_get_at_a_queue_of_one() {
    explore_everything(150, || {
        queues(
            |setting| queue(setting, 1),
            vec![
                |queue, notes| put(queue, notes, 8, &[10, 11]),
                |queue, notes| put(queue, notes, 8, &[20, 21]),
                |queue, notes| get(queue, notes, 2),
                |queue, notes| get(queue, notes, 2),
            ],
        )
    });
}

#[test]
fn who_has_got_one_of_several_lets_the_next_one_in() {
    explore_everything(100, || {
        queues(
            |setting| queue(setting, 0),
            vec![
                |queue, notes| put(queue, notes, 8, &[10, 11]),
                |queue, notes| get(queue, notes, 1),
                |queue, notes| get(queue, notes, 1),
            ],
        )
    });
    explore_everything(150, || {
        queues(
            |setting| queue(setting, 2),
            vec![
                |queue, notes| put(queue, notes, 8, &[10, 11]),
                |queue, notes| put(queue, notes, 30, &[20, 21]),
                |queue, notes| put(queue, notes, 30, &[30, 31]),
                |queue, notes| get(queue, notes, 6),
            ],
        )
    });
}

/// The one who puts closes: so those who get wait at a queue that is closed under them.
fn put_and_close(queue: &Queue, notes: &Notes) {
    put(queue, notes, 8, &[10, 11]);
    queue.close().expect("it is whole");
}

/// Takes, gives back what comes for the first time, and acknowledges what comes again.
fn take_twice(queue: &Queue, notes: &Notes) {
    while let Some(taken) = take(queue) {
        if taken.deliveries() == 1 {
            taken.nack().expect("it is held");
        } else {
            acknowledge(taken, notes);
        }
    }
}

fn take_all(queue: &Queue, notes: &Notes) {
    while let Some(taken) = take(queue) {
        acknowledge(taken, notes);
    }
}

fn take(queue: &Queue) -> Option<crate::queue::Taken<'_>> {
    match queue.take() {
        Ok(taken) => Some(taken),
        Err(Error::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Who dies in the middle of this may have acknowledged it.
fn acknowledge(taken: crate::queue::Taken<'_>, notes: &Notes) {
    let number = number(&taken.to_vec());
    notes.write(number, "given up");
    taken.ack().expect("it is held");
    notes.write(number, "gone");
}

#[test]
fn what_is_taken_comes_back_and_who_waits_at_a_closed_queue_gets_it() {
    explore_everything(150, || {
        queues(|setting| queue(setting, 0), vec![put_and_close, take_twice, take_all])
    });
    explore_everything(150, || {
        queues(|setting| queue(setting, 1), vec![put_and_close, take_twice, take_twice])
    });
}

fn put_many_and_close(queue: &Queue, notes: &Notes) {
    let numbers = [10, 11, 12, 13];
    let items = numbers.map(|number| {
        notes.write(number, "begun");
        item(number, 30)
    });
    match queue.put_many(&items, Patience::Block) {
        Ok(put) => numbers[..put].iter().for_each(|number| notes.write(*number, "put")),
        Err(Error::Closed) => {}
        Err(error) => panic!("{error}"),
    }
    queue.close().expect("it is whole");
}

/// Who dies with several that were got in one call has taken them all along.
fn get_many(queue: &Queue, notes: &Notes) {
    loop {
        match queue.get_many(2, Patience::Block) {
            Ok(items) => items.iter().for_each(|item| notes.write(number(item), "gone")),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn many_are_put_and_got_at_once() {
    explore_everything(120, || {
        let many = queues(
            |setting| queue(setting, 2),
            vec![put_many_and_close, get_many, get_many],
        );
        Scenario {
            judge: |queue: &Queue, notes, died| {
                if died {
                    // Of those that were got in one call both may be lost.
                    queue.audit().expect("all words fit");
                    let counts = queue.counts().expect("it is whole");
                    let gone = notes.count("gone") as u64;
                    assert!((gone..=gone + 2).contains(&counts.got));
                } else {
                    judge(queue, notes, died);
                }
            },
            ..many
        }
    });
}

/// Those that a pump cuts from a stream. The numbers are in the first of eight bytes, none of which is the delimiter.
fn put_sheaf_and_close(queue: &Queue, notes: &Notes) {
    let numbers = [10, 11, 12, 13];
    let bytes = numbers.map(|number| {
        notes.write(number, "begun");
        [item(number, 8).as_slice(), b"\xff"].concat()
    });
    let bytes = bytes.concat();
    let mut sheaf = Sheaf::new(&bytes, 0xff).expect("it ends with a delimiter");
    let mut next = numbers.iter();
    while !sheaf.is_empty() {
        match queue.put_sheaf(&sheaf) {
            Ok(others) if others.len() == sheaf.len() => {
                while !queue.wait_for_room(Patience::Block).expect("it is whole") {}
            }
            Ok(others) => {
                let put = (sheaf.len() - others.len()) as usize;
                next.by_ref().take(put).for_each(|number| notes.write(*number, "put"));
                sheaf = others;
            }
            Err(Error::Closed) => break,
            Err(error) => panic!("{error}"),
        }
    }
    queue.close().expect("it is whole");
}

/// Takes what is first, a sheaf or an item, gives the second half of it back, and goes on.
fn take_sheaves(queue: &Queue, notes: &Notes) {
    let me = queue.channel().me().expect("a slot");
    loop {
        let mut bytes = Vec::new();
        let Some(taken) = queue.take_sheaf_as(me, &mut bytes).expect("it is whole") else {
            match take(queue) {
                Some(taken) => acknowledge(taken, notes),
                None => return,
            }
            continue;
        };
        let done = taken.items.div_ceil(2);
        let items: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == 0xff).collect();
        let (done_with, back) = items.split_at(done as usize);
        for item in done_with {
            notes.write(number(item), "given up");
        }
        let length = done_with.iter().map(|item| item.len() as u64).sum();
        queue
            .ack_from_sheaf_as(me, taken.item, done, length)
            .expect("it is held");
        for item in done_with {
            notes.write(number(item), "gone");
        }
        if !back.is_empty() {
            queue.nack_as(me, taken.item).expect("it is held");
        }
    }
}

#[test]
fn sheaves_are_put_taken_and_singled_out() {
    explore_everything(120, || {
        queues(
            |setting| queue(setting, 0),
            vec![put_sheaf_and_close, take_sheaves, |queue, notes| {
                get_out_of_order(queue, notes);
            }],
        )
    });
    explore_everything(120, || {
        queues(
            |setting| queue(setting, 2),
            vec![put_sheaf_and_close, take_sheaves, take_all],
        )
    });
}

#[test]
fn large_items_are_reserved_and_taken_in_between() {
    explore_everything(150, || {
        queues(
            |setting| queue(setting, 1),
            vec![
                |queue, notes| {
                    put(queue, notes, LARGE, &[10, 11]);
                    queue.close().expect("it is whole");
                },
                |queue, notes| get_out_of_order(queue, notes),
                |queue, notes| get_out_of_order(queue, notes),
            ],
        )
    });
}

/// A large item that somebody died with while he copied it comes again after later ones.
fn get_out_of_order(queue: &Queue, notes: &Notes) {
    loop {
        match queue.get() {
            Ok(bytes) => notes.write(number(&bytes), "gone"),
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn who_joins_goes_on_when_all_is_acknowledged() {
    explore_everything(120, || {
        let join = queues(
            |setting| queue(setting, 0),
            vec![
                |queue, notes| {
                    put(queue, notes, 8, &[10, 11]);
                    queue.join().expect("it is whole");
                    notes.done.fetch_add(1, SeqCst);
                },
                |queue, notes| {
                    if let Some(taken) = take(queue) {
                        acknowledge(taken, notes);
                    }
                },
                |queue, notes| {
                    if let Some(taken) = take(queue) {
                        acknowledge(taken, notes);
                    }
                },
            ],
        );
        Scenario {
            // What is left over is for us to take, or nobody would come to the end of it.
            after_death: |queue: &Queue, _| {
                queue.close().expect("it is whole");
                while let Ok(bytes) = queue.get() {
                    drop(bytes);
                }
            },
            judge: |queue: &Queue, notes, died| {
                queue.audit().expect("all words fit");
                let counts = queue.counts().expect("it is whole");
                assert!(died || notes.done.load(SeqCst) == 1 && counts.got == 2);
                assert_eq!((counts.ready, counts.taken, counts.reserved), (0, 0, 0));
            },
            ..join
        }
    });
}

#[test]
fn who_waits_for_an_item_and_leaves_it_lets_the_next_one_in() {
    explore_everything(100, || {
        queues(
            |setting| queue(setting, 0),
            vec![
                |queue, notes| put(queue, notes, 8, &[10]),
                |queue, _| {
                    while !queue.wait_for_item(Patience::Block).expect("it is whole") {}
                },
                |queue, _| {
                    while !queue.wait_for_item(Patience::Block).expect("it is whole") {}
                },
            ],
        )
    });
}
