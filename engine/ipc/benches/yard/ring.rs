//! A bare queue: a mutex and a ring of places in shared memory, nothing that survives anybody's death.
//!
//! It is made to be fast: small items are copied under the mutex, large ones outside of it, and nobody is woken who does not sleep.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::peers::{Mutex, futex_wait, futex_wake};
use crate::shared::{Shared, map};

/// Items up to this length are copied under the mutex.
const SMALL_BYTES_MAX: usize = 4096;

/// How often it is looked at before sleeping.
const SPINS: u32 = 60;

const FREE: u32 = 0;
const FILLING: u32 = 1;
const READY: u32 = 2;
const EMPTYING: u32 = 3;

/// The words of the ring. All but those of the gates are under the mutex.
#[derive(Debug)]
struct Words {
    mutex: Mutex,
    head: AtomicU64,
    tail: AtomicU64,
    closed: AtomicU32,
    getters: Gate,
    putters: Gate,
}

/// Where processes sleep.
#[derive(Debug, Default)]
struct Gate {
    turn: AtomicU32,
    asleep: AtomicU32,
}

/// A place of the ring.
#[derive(Debug)]
#[repr(C)]
struct Place {
    state: AtomicU32,
    length: AtomicU32,
}

/// A bare queue.
#[derive(Debug)]
pub struct Ring {
    words: Shared<Words>,
    places: NonNull<u8>,
    capacity: u64,
    /// From one place to the next, in bytes.
    stride: usize,
    item_max: usize,
}

impl Ring {
    /// For `capacity` items of up to `item_max` bytes.
    pub fn new(capacity: u64, item_max: usize) -> io::Result<Self> {
        let stride = (size_of::<Place>() + item_max).next_multiple_of(64);
        let bytes = stride * usize::try_from(capacity).map_err(io::Error::other)?;
        let words = Shared::new(Words {
            mutex: Mutex::unmade(),
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            closed: AtomicU32::new(0),
            getters: Gate::default(),
            putters: Gate::default(),
        })?;
        words.mutex.init(false)?;
        Ok(Self {
            words,
            places: map(bytes)?,
            capacity,
            stride,
            item_max,
        })
    }

    /// Puts an item when there is room.
    pub fn put(&self, item: &[u8]) {
        assert!(item.len() <= self.item_max, "the item is too long for the ring");
        let words = &*self.words;
        let tail = self
            .wait(&words.putters, &words.tail, FREE)
            .expect("nobody puts into a closed ring");
        let place = self.place(tail);
        let length = u32::try_from(item.len()).expect("the ring's items are short");
        place.length.store(length, Ordering::Relaxed);
        // SAFETY: the place has room for `item_max` bytes, and is this process's by its state or by the mutex.
        let copy = || unsafe { ptr::copy_nonoverlapping(item.as_ptr(), self.bytes(tail), item.len()) };
        self.use_place(place, item.len(), [FILLING, READY], &words.getters, copy);
    }

    /// Gets the first item; false when the ring is closed and empty.
    pub fn get(&self, buffer: &mut Vec<u8>) -> bool {
        let words = &*self.words;
        let Some(head) = self.wait(&words.getters, &words.head, READY) else {
            return false;
        };
        let place = self.place(head);
        let length = place.length.load(Ordering::Relaxed) as usize;
        buffer.clear();
        buffer.reserve(length);
        let to = buffer.as_mut_ptr();
        // SAFETY: an item of that length was put there, and the buffer has room for it.
        let copy = || unsafe { ptr::copy_nonoverlapping(self.bytes(head), to, length) };
        self.use_place(place, length, [EMPTYING, FREE], &words.putters, copy);
        // SAFETY: so many bytes have been written.
        unsafe { buffer.set_len(length) };
        true
    }

    /// Nothing more will be put.
    pub fn close(&self) {
        let words = &*self.words;
        words.mutex.acquire();
        words.closed.store(1, Ordering::Relaxed);
        words.getters.turn.fetch_add(1, Ordering::Relaxed);
        words.mutex.release();
        futex_wake(&words.getters.turn, i32::MAX);
    }

    /// Waits until the place that the counter names has that state, and counts it; the mutex is held then. `None`, without
    /// the mutex, when the ring is closed.
    fn wait(&self, gate: &Gate, counter: &AtomicU64, state: u32) -> Option<u64> {
        let mut spins = 0;
        loop {
            self.words.mutex.acquire();
            let number = counter.load(Ordering::Relaxed);
            if self.place(number).state.load(Ordering::Relaxed) == state {
                counter.store(number + 1, Ordering::Relaxed);
                return Some(number);
            }
            if self.words.closed.load(Ordering::Relaxed) == 1 && self.is_empty() {
                self.words.mutex.release();
                return None;
            }
            if spins < SPINS {
                self.words.mutex.release();
                while spins < SPINS && self.place(number).state.load(Ordering::Relaxed) != state {
                    std::hint::spin_loop();
                    spins += 1;
                }
                spins += 1;
                continue;
            }
            let turn = gate.turn.load(Ordering::Relaxed);
            gate.asleep
                .store(gate.asleep.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            self.words.mutex.release();
            futex_wait(&gate.turn, turn);
            spins = 0;
        }
    }

    fn is_empty(&self) -> bool {
        self.words.head.load(Ordering::Relaxed) == self.words.tail.load(Ordering::Relaxed)
    }

    /// Copies and gives the mutex back, the small under it; then whoever waits for the place's new state is woken.
    fn use_place(&self, place: &Place, length: usize, [busy, done]: [u32; 2], gate: &Gate, copy: impl FnOnce()) {
        if length <= SMALL_BYTES_MAX {
            copy();
        } else {
            place.state.store(busy, Ordering::Relaxed);
            self.words.mutex.release();
            copy();
            self.words.mutex.acquire();
        }
        place.state.store(done, Ordering::Relaxed);
        let asleep = gate.asleep.load(Ordering::Relaxed);
        if asleep > 0 {
            gate.asleep.store(asleep - 1, Ordering::Relaxed);
            gate.turn.fetch_add(1, Ordering::Relaxed);
        }
        self.words.mutex.release();
        if asleep > 0 {
            futex_wake(&gate.turn, 1);
        }
    }

    fn place(&self, number: u64) -> &Place {
        // SAFETY: a place begins there, aligned, and is only changed by atomic stores.
        unsafe { self.at(number).cast::<Place>().as_ref() }
    }

    fn bytes(&self, number: u64) -> *mut u8 {
        // SAFETY: the bytes of a place stand behind its words.
        unsafe { self.at(number).add(size_of::<Place>()).as_ptr() }
    }

    fn at(&self, number: u64) -> NonNull<u8> {
        let index = usize::try_from(number % self.capacity).expect("a ring is no larger than the memory");
        // SAFETY: the index is below the capacity.
        unsafe { self.places.add(index * self.stride) }
    }
}
