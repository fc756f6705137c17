//! Queues from as many processes that put to as many that get.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use forkyard_ipc::channel::Place;
use forkyard_ipc::queue::ItemId;
use forkyard_ipc::{Patience, Queue};

use crate::crew::{Setup, Tally, Worker, race};
use crate::outcome::{Outcome, must_equal};
use crate::ring::Ring;
use crate::shared::Shared;

/// How many items are put or got at once, where several are.
const BATCH: usize = 100;

/// As many items as make about 16 MiB, but no more than a thousand.
pub fn capacity(size: usize) -> u64 {
    (16 << 20 >> size.ilog2()).clamp(16, 1000)
}

/// The items that a process puts: each begins with its number.
#[derive(Debug)]
struct Source {
    item: Vec<u8>,
    next: u64,
    tally: Tally,
}

impl Source {
    fn new(size: usize, number: usize) -> Self {
        Self {
            item: vec![b'y'; size],
            next: (number as u64) << 40,
            tally: Tally::default(),
        }
    }

    /// The next item, counted as put.
    #[inline]
    fn next(&mut self) -> &[u8] {
        self.item[..8].copy_from_slice(&self.next.to_le_bytes());
        self.tally.operations += 1;
        self.tally.sum = self.tally.sum.wrapping_add(self.next);
        self.next += 1;
        &self.item
    }
}

/// The items that a process gets.
#[derive(Debug)]
struct Sink {
    size: usize,
    tally: Tally,
}

impl Sink {
    #[inline]
    fn note(&mut self, item: &[u8]) {
        assert_eq!(item.len(), self.size, "an item is as long as it was");
        assert!(item[8..].last().is_none_or(|last| *last == b'y'), "an item is whole");
        let number = item.first_chunk().copied().map_or(0, u64::from_le_bytes);
        self.tally.operations += 1;
        self.tally.sum = self.tally.sum.wrapping_add(number);
    }
}

/// The first half of the processes puts until the time is over, and the last of them closes; the other half gets until the end,
/// each with a buffer that is empty at every call.
fn flow(
    setup: &Setup,
    put: impl Fn(&mut Source),
    get: impl Fn(&mut Sink, &mut Vec<u8>) -> bool,
    close: impl Fn(),
) -> io::Result<Outcome> {
    let half = (setup.processes / 2).max(1);
    let putting = Shared::new(AtomicUsize::new(half))?;
    let setup = Setup {
        processes: 2 * half,
        ..*setup
    };
    let race = race(&setup, |worker| {
        if worker.number >= half {
            return sink(setup.size, &get);
        }
        let tally = source(worker, setup.size, &put);
        if putting.fetch_sub(1, Ordering::AcqRel) == 1 {
            close();
        }
        tally
    })?;
    let (sources, sinks) = race.tallies.split_at(half);
    let count = |tallies: &[Tally]| tallies.iter().map(|it| it.operations).sum::<u64>();
    let sum = |tallies: &[Tally]| tallies.iter().fold(0_u64, |sum, it| sum.wrapping_add(it.sum));
    must_equal("items got", count(sinks), count(sources))?;
    must_equal("sum of the items got", sum(sinks), sum(sources))?;
    Ok(Outcome {
        operations: count(sinks),
        ..Outcome::of(&race)
    })
}

fn source(worker: &Worker<'_>, size: usize, put: &impl Fn(&mut Source)) -> Tally {
    let mut source = Source::new(size, worker.number);
    while !worker.is_over() {
        put(&mut source);
    }
    source.tally
}

fn sink(size: usize, get: &impl Fn(&mut Sink, &mut Vec<u8>) -> bool) -> Tally {
    let mut sink = Sink {
        size,
        tally: Tally::default(),
    };
    let mut buffer = Vec::with_capacity(size);
    while get(&mut sink, &mut buffer) {
        buffer.clear();
    }
    sink.tally
}

fn our_queue(setup: &Setup) -> io::Result<Queue> {
    Queue::create(&Place::Memory, capacity(setup.size), setup.size as u64).map_err(io::Error::other)
}

fn put_one(queue: &Queue, source: &mut Source) {
    queue.put(source.next()).expect("the queue is open");
}

fn put_batch(queue: &Queue, source: &mut Source) {
    let items: Vec<Vec<u8>> = (0..BATCH).map(|_| source.next().to_vec()).collect();
    let count = queue.put_many(&items, Patience::Block).expect("the queue is open");
    assert_eq!(count, BATCH, "all are put");
}

fn close(queue: &Queue) {
    queue.close().expect("a queue can be closed");
}

/// Whether something was got; what ends a queue is that it is closed.
fn unless_closed<T>(got: Result<T, forkyard_ipc::Error>) -> Option<T> {
    match got {
        Ok(got) => Some(got),
        Err(forkyard_ipc::Error::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Ours, one item a call, into a buffer that is used again.
pub fn forkyard(setup: &Setup) -> io::Result<Outcome> {
    let queue = our_queue(setup)?;
    let get = |sink: &mut Sink, buffer: &mut Vec<u8>| {
        let got = unless_closed(queue.get_into(buffer, Patience::Block)).is_some();
        if got {
            sink.note(buffer);
        }
        got
    };
    flow(setup, |source| put_one(&queue, source), get, || close(&queue))
}

/// Ours, each item taken, copied and acknowledged.
pub fn acknowledged(setup: &Setup) -> io::Result<Outcome> {
    let queue = our_queue(setup)?;
    let get = |sink: &mut Sink, buffer: &mut Vec<u8>| {
        let Some(taken) = unless_closed(queue.take()) else {
            return false;
        };
        taken.copy_to(buffer);
        sink.note(buffer);
        taken.ack().expect("what was taken can be acknowledged");
        true
    };
    flow(setup, |source| put_one(&queue, source), get, || close(&queue))
}

/// Ours, put a hundred at a time, and as many taken, copied and acknowledged at a time.
pub fn acknowledged_batches(setup: &Setup) -> io::Result<Outcome> {
    let queue = our_queue(setup)?;
    let get = |sink: &mut Sink, _: &mut Vec<u8>| {
        let me = queue.channel().me().expect("there is a slot for each process");
        let Some(items) = unless_closed(queue.take_many_as(me, BATCH, usize::MAX, Patience::Block)) else {
            return false;
        };
        for item in &items {
            sink.note(&item.bytes);
        }
        let names: Vec<ItemId> = items.iter().map(|item| item.item).collect();
        queue
            .ack_many_as(me, &names)
            .expect("what was taken can be acknowledged");
        true
    };
    flow(setup, |source| put_batch(&queue, source), get, || close(&queue))
}

/// Ours, a hundred items a call.
pub fn batches(setup: &Setup) -> io::Result<Outcome> {
    let queue = our_queue(setup)?;
    let get = |sink: &mut Sink, _: &mut Vec<u8>| {
        let Some(items) = unless_closed(queue.get_many(BATCH, Patience::Block)) else {
            return false;
        };
        for item in &items {
            sink.note(item);
        }
        true
    };
    flow(setup, |source| put_batch(&queue, source), get, || close(&queue))
}

/// Ours, written and read where the item stands, without copies: one word of it changes hands.
pub fn in_place(setup: &Setup) -> io::Result<Outcome> {
    let queue = our_queue(setup)?;
    let put = |source: &mut Source| {
        let item = source.next();
        let mut reservation = queue.reserve(item.len()).expect("the queue is open");
        reservation.write_at(0, &item[..8]);
        reservation.write_at(item.len() - 8, &item[item.len() - 8..]);
        reservation.commit().expect("what was reserved can be put");
    };
    let get = |sink: &mut Sink, _: &mut Vec<u8>| {
        let Some(taken) = unless_closed(queue.take()) else {
            return false;
        };
        // SAFETY: the processes of this benchmark do not write to what they have put.
        sink.note(unsafe { taken.bytes() });
        taken.ack().expect("what was taken can be acknowledged");
        true
    };
    flow(setup, put, get, || close(&queue))
}

/// The bare mutex and ring.
pub fn ring(setup: &Setup) -> io::Result<Outcome> {
    let ring = Ring::new(capacity(setup.size), setup.size)?;
    let get = |sink: &mut Sink, buffer: &mut Vec<u8>| {
        let got = ring.get(buffer);
        if got {
            sink.note(buffer);
        }
        got
    };
    flow(setup, |source| ring.put(source.next()), get, || ring.close())
}
