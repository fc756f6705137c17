//! Random histories of one queue with several users, against a model of vectors.

use std::collections::VecDeque;

use super::{MAX, item, other, queue};
use crate::error::Error;
use crate::patience::Patience;
use crate::queue::{ItemId, Queue, Sheaf};

/// A generator for tests: Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("it is below the bound")
    }
}

#[derive(Default)]
struct Model {
    ready: VecDeque<(u64, Vec<u8>)>,
    taken: Vec<(usize, ItemId, Vec<u8>)>,
    put: u64,
    got: u64,
    returned: u64,
}

impl Model {
    fn put(&mut self, bytes: Vec<u8>) {
        self.ready.push_back((self.put, bytes));
        self.put += 1;
    }

    fn give_back(&mut self, (_, id, bytes): (usize, ItemId, Vec<u8>)) {
        let place = self.ready.partition_point(|(number, _)| *number < id.number);
        self.ready.insert(place, (id.number, bytes));
        self.returned += 1;
    }
}

fn step(random: &mut Random, users: &[Queue], model: &mut Model, capacity: u64) {
    let user = random.below(users.len());
    let queue = &users[user];
    match random.below(8) {
        0 | 1 => {
            let length = [0, 7, 24, 100, 3000, 5000, 70_000][random.below(7)];
            let bytes = item(length, random.below(1000));
            let has_room = capacity == 0 || (model.ready.len() as u64) < capacity;
            assert_eq!(queue.try_put(&bytes).expect("open"), has_room);
            if has_room {
                model.put(bytes);
            }
        }
        2 => {
            let expected = model.ready.pop_front().map(|(_, bytes)| bytes);
            model.got += u64::from(expected.is_some());
            assert_eq!(queue.try_get().expect("open"), expected);
        }
        3 => {
            let taken = queue.try_take().expect("open");
            let expected = model.ready.pop_front();
            assert_eq!(taken.is_some(), expected.is_some());
            if let (Some(taken), Some((number, bytes))) = (taken, expected) {
                assert_eq!((taken.item().number, taken.to_vec()), (number, bytes.clone()));
                model.taken.push((user, taken.into_item(), bytes));
            }
        }
        6 => put_sheaf(random, queue, model, capacity),
        7 => pass_through(random, queue, model),
        _ if model.taken.is_empty() => {}
        choice => {
            let chosen = random.below(model.taken.len());
            let held = model.taken.swap_remove(chosen);
            let owner = &users[held.0];
            if held.0 != user {
                assert!(matches!(queue.ack(held.1), Err(Error::NotHeld)));
            }
            if choice == 4 {
                owner.ack(held.1).expect("it is held");
                model.got += 1;
            } else {
                owner.nack(held.1).expect("it is held");
                model.give_back(held);
            }
        }
    }
}

/// No byte of an item that [`item`] makes.
const DELIMITER: u8 = 255;

fn put_sheaf(random: &mut Random, queue: &Queue, model: &mut Model, capacity: u64) {
    let lengths = [0, 7, 30, 600];
    let items: Vec<Vec<u8>> = (0..random.below(5))
        .map(|_| item(lengths[random.below(4)], random.below(1000)))
        .collect();
    let bytes: Vec<u8> = items
        .iter()
        .flat_map(|item| [item, &[DELIMITER][..]].concat())
        .collect();
    let sheaf = Sheaf::new(&bytes, DELIMITER).expect("it ends with a delimiter");
    let room = match capacity {
        0 => usize::MAX,
        some => usize::try_from(some.saturating_sub(model.ready.len() as u64)).expect("few"),
    };
    let others = queue.put_sheaf(&sheaf).expect("open");
    let put = items.len() - others.len() as usize;
    assert_eq!(others.bytes(), &bytes[bytes.len() - others.bytes().len()..]);
    assert_eq!(put, items.len().min(room));
    items.into_iter().take(put).for_each(|item| model.put(item));
}

/// Takes a sheaf, acknowledges some of it, and gives the rest back.
fn pass_through(random: &mut Random, queue: &Queue, model: &mut Model) {
    let (me, mut bytes) = (queue.channel().me().expect("a slot"), Vec::new());
    let Some(taken) = queue.take_sheaf_as(me, &mut bytes).expect("open") else {
        return;
    };
    let done = random.below(taken.items as usize + 1);
    let mut items = bytes.split_inclusive(|byte| *byte == DELIMITER);
    let mut gone = 0;
    for item in items.by_ref().take(done) {
        let (_, expected) = model.ready.pop_front().expect("the model has it");
        assert_eq!(item, [expected.as_slice(), &[DELIMITER]].concat());
        gone += item.len() as u64;
        model.got += 1;
    }
    queue
        .ack_from_sheaf_as(me, taken.item, u32::try_from(done).expect("few"), gone)
        .expect("it is held");
    if items.next().is_some() {
        queue.nack_as(me, taken.item).expect("it is held");
        model.returned += u64::from(taken.items) - done as u64;
    }
}

#[test]
fn the_queue_does_what_the_model_does() {
    for seed in 1..=60_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let capacity = [0, 1, 3, 50][random.below(4)];
        let first = queue(capacity);
        assert_eq!(first.max_item(), MAX);
        let users = [other(&first), other(&first), first];
        let mut model = Model::default();
        for _ in 0..400 {
            step(&mut random, &users, &mut model, capacity);
            let counts = users[0].counts().expect("counts");
            let expected = (
                model.put,
                model.got,
                model.returned,
                model.ready.len() as u64,
                model.taken.len() as u64,
            );
            let found = (counts.put, counts.got, counts.returned, counts.ready, counts.taken);
            assert_eq!(found, expected, "seed {seed}");
        }
        users[0].audit().expect("all fits");
        // A user leaves: what it has taken is back.
        let [leaver, .., stayer] = users;
        drop(leaver);
        let (gone, kept): (Vec<_>, Vec<_>) = model.taken.drain(..).partition(|held| held.0 == 0);
        model.taken = kept;
        for held in gone {
            model.give_back(held);
        }
        stayer.audit().expect("all fits");
        let rest: Vec<Vec<u8>> = std::iter::from_fn(|| stayer.get_with(Patience::Try).expect("open")).collect();
        let expected: Vec<Vec<u8>> = model.ready.drain(..).map(|(_, bytes)| bytes).collect();
        assert_eq!(rest, expected, "seed {seed}");
    }
}
