//! Sheaves by example, and in the hands of those who die.

use std::sync::atomic::Ordering::Relaxed;

use super::{MAX, item, other, queue};
use crate::channel::{Kind, Place, Shape};
use crate::deaths::{self, End, at_every_step, at_two_steps};
use crate::error::Error;
use crate::patience::Patience;
use crate::queue::layout::{ARENA_END, ARENA_PROVIDED};
use crate::queue::{Queue, Sheaf};

/// No byte of an item that [`item`] makes.
const DELIMITER: u8 = 255;

fn bytes(items: &[Vec<u8>]) -> Vec<u8> {
    items
        .iter()
        .flat_map(|item| [item, &[DELIMITER][..]].concat())
        .collect()
}

fn put(queue: &Queue, items: &[Vec<u8>]) -> u32 {
    let bytes = bytes(items);
    let sheaf = Sheaf::new(&bytes, DELIMITER).expect("it ends with a delimiter");
    sheaf.len() - queue.put_sheaf(&sheaf).expect("the queue is open").len()
}

fn items(seeds: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    seeds.map(|seed| item(3 + 40 * (seed % 3), seed)).collect()
}

fn rest(queue: &Queue) -> Vec<Vec<u8>> {
    queue.audit().expect("all fits");
    std::iter::from_fn(|| queue.try_get().expect("it is whole")).collect()
}

#[test]
fn a_sheaf_is_so_many_items_to_all_others() {
    let queue = queue(5);
    assert_eq!(put(&queue, &items(0..3)), 3);
    assert_eq!(put(&queue, &items(3..7)), 2, "as many as there is room for");
    assert!(queue.is_full() && queue.len() == 5);
    assert_eq!(put(&queue, &items(7..8)), 0);
    let taken = queue.take().expect("the first");
    assert_eq!((taken.item().number, taken.to_vec()), (0, item(3, 0)));
    assert_eq!(queue.get().expect("the second"), item(43, 1));
    drop(taken);
    queue.audit().expect("all fits");
    let counts = queue.counts().expect("counts");
    assert_eq!((counts.put, counts.got, counts.ready, counts.returned), (5, 1, 4, 1));
    assert_eq!(rest(&queue), [0, 2, 3, 4].map(|seed| items(0..5)[seed].clone()));
}

#[test]
fn a_sheaf_is_taken_whole_and_acknowledged_from_its_front() {
    let (queue, others) = (queue(0), queue(0));
    drop(others);
    put(&queue, &items(0..6));
    assert_eq!(queue.get().expect("the first"), item(3, 0));
    let me = queue.channel().me().expect("a slot");
    let mut stream = b"before".to_vec();
    let taken = queue.take_sheaf_as(me, &mut stream).expect("open").expect("a sheaf");
    assert_eq!(stream, [b"before", bytes(&items(1..6)).as_slice()].concat());
    assert_eq!((taken.items, taken.delimiter), (5, DELIMITER));
    let first = bytes(&items(1..3)).len() as u64;
    queue
        .ack_from_sheaf_as(me, taken.item, 2, first)
        .expect("they are held");
    queue.audit().expect("all fits");
    let counts = queue.counts().expect("counts");
    assert_eq!((counts.got, counts.taken, counts.ready), (3, 3, 0));
    assert!(matches!(
        queue.ack_from_sheaf_as(me, taken.item, 4, 9),
        Err(Error::NotHeld)
    ));
    queue.task_done().expect("the oldest that is taken");
    queue.nack(taken.item).expect("it is held");
    assert!(matches!(
        queue.ack_from_sheaf_as(me, taken.item, 1, 9),
        Err(Error::NotHeld)
    ));
    assert_eq!(queue.counts().expect("counts").returned, 2);
    let again = queue.take().expect("it came back");
    assert_eq!((again.to_vec(), again.deliveries()), (item(43, 4), 2));
    again.ack().expect("it is held");
    assert_eq!(rest(&queue), items(5..6));
}

#[test]
fn who_leaves_with_a_sheaf_gives_back_what_is_left_of_it() {
    let (queue, leaver) = {
        let queue = queue(0);
        (other(&queue), queue)
    };
    put(&queue, &items(0..4));
    let me = leaver.channel().me().expect("a slot");
    let taken = leaver
        .take_sheaf_as(me, &mut Vec::new())
        .expect("open")
        .expect("a sheaf");
    let first = bytes(&items(0..1)).len() as u64;
    leaver.ack_from_sheaf_as(me, taken.item, 1, first).expect("it is held");
    queue.put(&item(3, 9)).expect("there is room");
    drop(leaver);
    assert_eq!(queue.counts().expect("counts").returned, 3);
    assert_eq!(rest(&queue), [items(1..4), vec![item(3, 9)]].concat());
}

#[test]
fn nonsense_is_refused() {
    assert!(Sheaf::new(b"a\nb", b'\n').is_err());
    assert!(Sheaf::new(b"", b'\n').is_ok_and(|sheaf| sheaf.is_empty()));
    let many = b"x\n".repeat(1000);
    assert_eq!(Sheaf::new(&many, b'\n').expect("it ends so").len(), 1000);
    let queue = Queue::create(&Place::Memory, 0, 2).expect("a queue");
    let sheaf = |bytes| Sheaf::new(bytes, b'\n').expect("it ends so");
    assert!(matches!(
        queue.put_sheaf(&sheaf(b"ab\nabc\n")),
        Err(Error::TooLarge { max: 2 })
    ));
    let put = queue.put_sheaf(&sheaf(b"ab\n\nab\n"));
    assert!(put.is_ok_and(|others| others.is_empty()));
    assert_eq!(rest(&queue), [&b"ab"[..], b"", b"ab"]);
    queue.close().expect("it is whole");
    assert!(matches!(queue.put_sheaf(&sheaf(b"a\n")), Err(Error::Closed)));
}

/// A sheaf of the items 0 to 2, behind it item 3.
fn filled() -> Queue {
    let shape = Shape {
        slots: 4,
        ..Shape::new(Kind::Queue)
    };
    let queue = Queue::make(&Place::Memory, 9, MAX, shape).expect("there is memory");
    put(&queue, &items(0..3));
    queue.put(&item(3, 3)).expect("there is room");
    queue
}

/// Dies at each step of `act`, and then in the repair; what is left must be one of `allowed`, the last of them when it was done.
fn check(act: impl Fn(&Queue), allowed: &[std::ops::Range<usize>]) {
    let look = |queue: &Queue, end| {
        queue.channel().bury_dead().expect("it is whole");
        queue.audit().expect("all fits");
        let counts = queue.counts().expect("it is whole");
        assert_eq!((counts.taken, counts.reserved), (0, 0), "the dead have nothing");
        assert_eq!(counts.put, counts.got + counts.ready);
        let left = rest(queue);
        assert_eq!(left.len() as u64, counts.ready);
        let expected = |range: &std::ops::Range<usize>| {
            let wanted = range
                .clone()
                .map(|seed| item(if seed == 3 { 3 } else { 3 + 40 * (seed % 3) }, seed));
            wanted.eq(left.iter().cloned())
        };
        assert!(allowed.iter().any(expected), "{} are left", left.len());
        assert!(end == End::Killed || allowed.last().is_some_and(expected));
    };
    at_every_step(filled, Queue::channel, &act, look);
    at_two_steps(deaths::stride(97), filled, Queue::channel, &act, look);
}

#[test]
fn who_is_killed_with_a_sheaf_in_hand_loses_no_item() {
    let put = |queue: &Queue| assert_eq!(put(queue, &[item(43, 4), item(83, 5)]), 2);
    check(put, &[0..4, 0..6]);
    let get = |queue: &Queue| {
        for _ in 0..4 {
            queue.get().expect("there is one");
        }
    };
    check(get, &[0..4, 1..4, 2..4, 3..4, 4..4]);
    let take = |queue: &Queue| {
        for _ in 0..3 {
            let _kept = queue.take().expect("there is one").into_item();
        }
    };
    check(take, &[0..4, 0..4]);
}

#[test]
fn who_is_killed_while_it_has_taken_a_sheaf_gives_back_what_it_has_not_acknowledged() {
    let sheaf_of = |queue: &Queue| {
        let me = queue.channel().me().expect("a slot");
        let taken = queue.take_sheaf_as(me, &mut Vec::new()).expect("open");
        (me, taken.expect("a sheaf"))
    };
    let ack = |queue: &Queue| {
        let (me, taken) = sheaf_of(queue);
        queue.ack_from_sheaf_as(me, taken.item, 1, 4).expect("it is held");
        queue.task_done().expect("it is held");
        queue.ack_from_sheaf_as(me, taken.item, 1, 84).expect("it is held");
    };
    check(ack, &[0..4, 1..4, 2..4, 3..4]);
    let nack = |queue: &Queue| {
        let (me, taken) = sheaf_of(queue);
        queue.ack_from_sheaf_as(me, taken.item, 1, 4).expect("it is held");
        queue.nack_as(me, taken.item).expect("it is held");
    };
    check(nack, &[0..4, 1..4]);
}

#[test]
fn waiting_is_as_for_single_items() {
    let queue = queue(0);
    let getter = other(&queue);
    let got = std::thread::spawn(move || [getter.get(), getter.get()].map(|item| item.expect("it is open")));
    crate::trial::until_asleep(queue.channel(), 1);
    put(&queue, &items(0..2));
    assert_eq!(got.join().expect("it does not panic").as_slice(), items(0..2));
    assert_eq!(queue.get_with(Patience::Try).expect("open"), None);
}

/// Too long to stand in a descriptor, but for the last, which is not in the sheaf.
fn long(seed: usize) -> Vec<u8> {
    item(if seed == 3 { 3 } else { 30 + 10 * seed }, seed)
}

/// A sheaf of the items 0 to 2, behind it item 3; no block can be had any more but in a longer file.
fn filled_up() -> Queue {
    let shape = Shape {
        slots: 4,
        ..Shape::new(Kind::Queue)
    };
    let queue = Queue::make(&Place::Memory, 9, MAX, shape).expect("there is memory");
    assert_eq!(put(&queue, &[long(0), long(1), long(2)]), 3);
    queue.put(&long(3)).expect("it needs no block");
    let table = queue.table();
    let provided = table.u64(ARENA_PROVIDED).load(Relaxed);
    table.u64(ARENA_END).commit(provided);
    queue
}

/// From now on no file that this process uses can become longer, as on a disk that is full to its last block.
fn fill_disk() {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is read during the call alone, and the signal that tells of it is ignored.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const none), 0);
    }
}

/// Does something on a full disk, in another process, which is killed at each step of it; then in the repair. What is left must be all
/// from one of `allowed` on; the last of them when it was done.
fn check_on_full_disk(act: impl Fn(&Queue), allowed: &[usize]) {
    let look = |queue: &Queue, end| {
        queue.channel().bury_dead().expect("it is whole");
        queue.audit().expect("all fits");
        let counts = queue.counts().expect("it is whole");
        assert_eq!((counts.taken, counts.reserved), (0, 0), "the dead have nothing");
        assert_eq!(counts.put, counts.got + counts.ready);
        let left = rest(queue);
        assert_eq!(left.len() as u64, counts.ready);
        let first = 4 - left.len();
        assert!(
            left.iter().cloned().eq((first..4).map(long)),
            "they are as they were put"
        );
        assert!(allowed.contains(&first), "{first} are gone");
        assert!(end == End::Killed || allowed.last() == Some(&first));
    };
    let act = |queue: &Queue| {
        fill_disk();
        act(queue);
    };
    at_every_step(filled_up, Queue::channel, act, look);
    at_two_steps(deaths::stride(97), filled_up, Queue::channel, act, look);
}

#[test]
fn on_a_full_disk_a_reader_gets_its_item() {
    let get = |queue: &Queue| {
        for seed in 0..4 {
            assert_eq!(queue.get().expect("there is one"), long(seed));
        }
        assert_eq!(queue.try_get().expect("it is whole"), None);
    };
    check_on_full_disk(get, &[0, 1, 2, 3, 4]);
    let get_many = |queue: &Queue| {
        let got = queue.get_many(4, Patience::Try).expect("there are some");
        assert_eq!(got, [long(0)], "one at a time");
    };
    check_on_full_disk(get_many, &[0, 1]);
}

#[test]
fn on_a_full_disk_an_item_of_a_sheaf_is_taken_where_it_stands() {
    let ack = |queue: &Queue| {
        for seed in 0..2 {
            let taken = queue.take().expect("there is one");
            assert_eq!(taken.to_vec(), long(seed));
            assert_eq!((taken.item().number, taken.deliveries()), (seed as u64, 1));
            let item = taken.item();
            taken.ack().expect("it is held");
            assert!(matches!(queue.ack(item), Err(Error::NotHeld)), "it is gone");
        }
    };
    check_on_full_disk(ack, &[0, 1, 2]);
    let nack = |queue: &Queue| {
        queue.get().expect("there is one");
        queue.take().expect("there is one").nack().expect("it is held");
        let taken = queue.take().expect("there is one");
        assert_eq!((taken.to_vec(), taken.deliveries()), (long(1), 2));
        let _kept = taken.into_item();
    };
    check_on_full_disk(nack, &[0, 1]);
    let stream = |queue: &Queue| {
        queue.get().expect("there is one");
        let (me, mut bytes) = (queue.channel().me().expect("a slot"), Vec::new());
        let sheaf = queue.take_sheaf_as(me, &mut bytes).expect("open").expect("a sheaf");
        assert_eq!((sheaf.items, bytes.len()), (2, 41 + 51));
        queue.ack_from_sheaf_as(me, sheaf.item, 1, 41).expect("it is held");
    };
    check_on_full_disk(stream, &[0, 1, 2]);
}

#[test]
fn on_a_full_disk_nobody_waits_for_itself() {
    let queue = filled_up();
    let reader = other(&queue);
    let victim = deaths::Victim::new(|| {
        fill_disk();
        let first = queue.take().expect("there is one");
        let last = queue.take().expect("what is behind the sheaf");
        assert_eq!(last.to_vec(), long(3));
        last.ack().expect("it is held");
        queue.close().expect("it is whole");
        assert!(
            matches!(queue.try_take(), Err(Error::NoSpace)),
            "others come when the first is settled"
        );
        assert!(matches!(reader.try_take(), Ok(None)), "others wait for it");
        first.ack().expect("it is held");
        for seed in [1, 2] {
            let taken = reader.take().expect("there is one");
            assert_eq!(taken.to_vec(), long(seed));
            taken.ack().expect("it is held");
        }
        assert!(matches!(queue.take(), Err(Error::Closed)));
    });
    assert_eq!(victim.wait(), End::Done);
    queue.audit().expect("all fits");
}
