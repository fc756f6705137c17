//! The queue by example, and against a naive model.

mod deaths;
mod histories;
mod sheaves;

use std::thread;
use std::time::Duration;

use super::*;

pub(super) const MAX: u64 = 1 << 24;
const LARGEST: usize = 1 << 24;

pub(super) fn queue(capacity: u64) -> Queue {
    Queue::create(&Place::Memory, capacity, MAX).expect("a queue is made")
}

/// Another process's view: a handle of its own, with a slot of its own.
pub(super) fn other(queue: &Queue) -> Queue {
    let fd = queue.descriptor().try_clone_to_owned().expect("a descriptor");
    Queue::from_fd(fd).expect("it is a queue")
}

fn item(length: usize, seed: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at * 31 + seed * 7) % 251).unwrap_or_default();
    (0..length).map(byte).collect()
}

#[test]
fn items_of_all_lengths_come_out_as_they_went_in() {
    let queue = queue(0);
    let lengths = [0, 1, 24, 25, 63, 64, 65, 4095, 4096, 4097, 65_536, 1 << 20, LARGEST];
    for round in 0..2 {
        for (seed, length) in lengths.into_iter().enumerate() {
            queue.put(&item(length, seed + round)).expect("it is put");
        }
        for (seed, length) in lengths.into_iter().enumerate() {
            assert_eq!(
                queue.get().expect("it is got"),
                item(length, seed + round),
                "{length} bytes"
            );
        }
    }
    queue.audit().expect("all fits");
    let counts = queue.counts().expect("counts");
    assert_eq!((counts.put, counts.got, counts.ready), (26, 26, 0));
}

#[test]
fn an_item_that_is_too_large_is_refused_and_counted() {
    let queue = Queue::create(&Place::Memory, 1, 10).expect("a queue is made");
    assert!(matches!(queue.put(&[0; 11]), Err(Error::TooLarge { max: 10 })));
    assert!(queue.try_put(&[0; 10]).expect("it is put"));
    assert!(!queue.try_put(&[0; 10]).expect("it is full"));
    assert!(
        !queue
            .put_timeout(&[0; 10], Duration::from_millis(1))
            .expect("it is full")
    );
    assert_eq!(queue.counts().expect("counts").refused, 1);
}

#[test]
fn what_is_taken_comes_back_to_its_place_unless_acknowledged() {
    let queue = queue(10);
    for text in ["a", "b", "c", "d"] {
        queue.put(text.as_bytes()).expect("it is put");
    }
    let (a, b, c) = (
        queue.take().expect("a"),
        queue.take().expect("b"),
        queue.take().expect("c"),
    );
    assert_eq!((a.deliveries(), b.len()), (1, 1));
    let mut byte = [0];
    b.copy_to_slice(&mut byte);
    assert_eq!(&byte, b"b");
    c.nack().expect("c is back");
    a.nack().expect("a is back");
    let b = b.into_item();
    assert_eq!(queue.get().expect("an item"), b"a");
    queue.nack(b).expect("b is back");
    let b = queue.take().expect("b");
    assert_eq!((b.to_vec(), b.deliveries()), (b"b".to_vec(), 2));
    let id = b.item();
    b.ack().expect("b is gone");
    assert!(matches!(queue.ack(id), Err(Error::NotHeld)), "twice");
    assert!(
        matches!(queue.ack(ItemId { number: 0, index: 9 }), Err(Error::NotHeld)),
        "never taken"
    );
    assert_eq!(queue.get_many(9, Patience::Try).expect("the rest"), [b"c", b"d"]);
    queue.audit().expect("all fits");
    assert_eq!(queue.counts().expect("counts").returned, 3);
}

#[test]
fn who_has_taken_an_item_is_the_one_to_acknowledge_it() {
    let (ours, theirs) = {
        let queue = queue(10);
        (other(&queue), queue)
    };
    ours.put(b"x").expect("it is put");
    let taken = ours.take().expect("x").into_item();
    assert!(matches!(theirs.ack(taken), Err(Error::NotHeld)));
    theirs.task_done().expect("as multiprocessing has it");
    assert!(matches!(theirs.task_done(), Err(Error::NotHeld)));
    assert!(theirs.join_with(Patience::Try).expect("it is done"));
}

#[test]
fn a_closed_queue_gives_what_it_has_and_waits_for_what_may_come_back() {
    let queue = queue(10);
    let others = other(&queue);
    queue.put(b"x").expect("it is put");
    let taken = others.take().expect("x");
    let large = others.reserve(100).expect("room");
    queue.close().expect("it is closed");
    assert!(matches!(queue.put(b"y"), Err(Error::Closed)));
    assert_eq!(queue.try_get().expect("it may come back"), None);
    large.commit().expect("it had its place before");
    assert_eq!(queue.get().expect("it came").len(), 100);
    assert!(
        matches!(others.try_get(), Err(Error::Closed)),
        "its own it need not wait for"
    );
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.get());
        taken.ack().expect("x is gone");
        assert!(matches!(waiter.join().expect("no panic"), Err(Error::Closed)));
    });
}

#[test]
fn a_broken_queue_takes_and_gives_nothing_and_keeps_count() {
    let queue = queue(1);
    queue.put(b"x").expect("it is put");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.put(b"y"));
        queue.break_off().expect("it is broken");
        assert!(matches!(waiter.join().expect("no panic"), Err(Error::Broken)));
    });
    assert!(matches!(queue.try_get(), Err(Error::Closed)));
    queue.close().expect("it stays broken");
    assert!(matches!(queue.try_put(b"y"), Err(Error::Broken)));
    let counts = queue.counts().expect("counts");
    assert_eq!((counts.put, counts.got, counts.ready), (1, 0, 1));
}

#[test]
fn a_reservation_is_a_place_until_it_is_committed_or_dropped() {
    let queue = queue(1);
    let mut place = queue.reserve(5_000_000).expect("room");
    assert!(!queue.try_put(b"y").expect("the place is taken"));
    place.write_at(4_999_999, b"!");
    // SAFETY: nobody else has mapped the queue.
    unsafe { place.bytes_mut()[0] = b'?' };
    place.commit().expect("it is put");
    let taken = queue.take().expect("it is there");
    // SAFETY: nobody else has mapped the queue.
    let bytes = unsafe { taken.bytes() };
    assert_eq!((bytes.len(), bytes[0], bytes[4_999_999]), (5_000_000, b'?', b'!'));
    taken.ack().expect("it is gone");
    drop(queue.reserve(9).expect("room"));
    assert!(queue.try_put(b"y").expect("the place is free"));
    queue.audit().expect("all fits");
}

#[test]
fn many_at_once_are_put_as_far_as_there_is_room() {
    let queue = queue(300);
    let items: Vec<Vec<u8>> = (0..500_usize).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(queue.put_many(&items, Patience::Try).expect("some"), 300);
    assert_eq!(queue.get_many(200, Patience::Try).expect("some").len(), 128, "a batch");
    thread::scope(|scope| {
        scope.spawn(|| queue.put_many(&items[300..], Patience::Block).expect("the rest"));
        let mut got = 128;
        while got < 500 {
            for bytes in queue.get_many(1000, Patience::Block).expect("some") {
                assert_eq!(bytes, items[got]);
                got += 1;
            }
        }
    });
    queue.audit().expect("all fits");
}

#[test]
fn a_queue_without_a_capacity_grows_and_gives_its_room_back_for_other_lengths() {
    let queue = queue(0);
    for n in 0..100_000_u32 {
        queue.put(&n.to_le_bytes()).expect("it is put");
    }
    for n in 0..100_000_u32 {
        assert_eq!(queue.get().expect("it is got"), n.to_le_bytes());
    }
    for length in [100, 1000, 10_000, 100_000, 100] {
        for n in 0..10 {
            queue.put(&item(length, n)).expect("it is put");
        }
        for n in 0..10 {
            assert_eq!(queue.get().expect("it is got"), item(length, n));
        }
    }
    queue.audit().expect("all fits");
}

#[test]
fn four_put_and_four_get_and_nothing_is_lost() {
    const EACH: u64 = 20_000;
    let queue = queue(16);
    let sums: u64 = thread::scope(|scope| {
        let putters: Vec<_> = (0..4)
            .map(|putter| {
                let queue = other(&queue);
                scope.spawn(move || {
                    for n in 0..EACH {
                        queue.put(&(putter * EACH + n).to_le_bytes()).expect("it is put");
                    }
                })
            })
            .collect();
        let getters: Vec<_> = (0..4)
            .map(|_| {
                let queue = other(&queue);
                scope.spawn(move || {
                    let (mut sum, mut last) = (0, [None; 4]);
                    while let Ok(bytes) = queue.get() {
                        let n = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                        let putter = usize::try_from(n / EACH).expect("0 to 3");
                        assert!(last[putter] < Some(n), "the items of one putter come in their order");
                        last[putter] = Some(n);
                        sum += n;
                    }
                    sum
                })
            })
            .collect();
        for putter in putters {
            putter.join().expect("no panic");
        }
        queue.close().expect("it is closed");
        getters.into_iter().map(|getter| getter.join().expect("no panic")).sum()
    });
    let count = 4 * EACH;
    assert_eq!(sums, count * (count - 1) / 2);
    queue.audit().expect("all fits");
}

#[test]
fn a_joiner_waits_until_all_is_acknowledged() {
    let queue = queue(0);
    queue.put(b"x").expect("it is put");
    let taken = queue.take().expect("x");
    assert!(
        !queue
            .join_with(Patience::For(Duration::from_millis(1)))
            .expect("not yet")
    );
    thread::scope(|scope| {
        let joiner = scope.spawn(|| queue.join());
        taken.ack().expect("x is gone");
        joiner.join().expect("no panic").expect("all is done");
    });
}

#[test]
fn another_kind_another_version_half_a_file_and_nonsense_are_refused() {
    let lock = crate::Lock::create(&Place::Memory, false).expect("a lock is made");
    let fd = lock.descriptor().try_clone_to_owned().expect("a descriptor");
    assert!(matches!(Queue::from_fd(fd), Err(Error::WrongKind { .. })));
    assert!(matches!(
        Queue::create(&Place::Memory, 1, u64::MAX),
        Err(Error::Nonsense(_))
    ));
    assert!(matches!(
        Queue::create(&Place::Memory, 1 << 25, 1),
        Err(Error::Nonsense(_))
    ));
    let shape = Shape {
        slots: 0,
        ..Shape::new(Kind::Queue)
    };
    assert!(matches!(
        Queue::make(&Place::Memory, 1, 1, shape),
        Err(Error::Nonsense(_))
    ));
    let null = std::fs::File::open("/dev/null").expect("there is one");
    assert!(matches!(Queue::from_fd(null.into()), Err(Error::NotAChannel)));
}
