//! Slots: one for each process, however it comes to use a channel.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::Lock;
use crate::deaths::{End, Victim};

fn lock() -> Lock {
    Lock::create(&Place::Memory, false).expect("there is memory")
}

#[test]
fn threads_that_come_at_once_have_one_slot() {
    for _ in 0..50 {
        let lock = lock();
        let start = Barrier::new(4);
        let claim = || {
            start.wait();
            lock.channel().me().expect("there are slots")
        };
        let slots: Vec<Slot> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim)).collect();
            let slots = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            slots.collect()
        });
        assert!(slots.iter().all(|slot| *slot == slots[0]), "{slots:?}");
        assert_eq!(lock.clients().len(), 1, "the other slots are free again");
    }
}

#[test]
fn a_child_is_not_stopped_by_a_mutex_that_a_thread_of_its_parent_had() {
    let lock = lock();
    let ours = lock.channel().me().expect("there are slots");
    let child = {
        let _another_thread_looks = lock.channel().watch.lock().expect("nobody panics");
        let lock = lock.clone();
        Victim::new(move || {
            let theirs = lock.channel().me().expect("there are slots");
            assert_ne!(theirs, ours, "a child is another process");
            lock.channel().bury_dead().expect("it is whole");
            drop(lock.try_acquire().expect("it is whole").expect("it is free"));
        })
    };
    assert_eq!(child.wait(), End::Done);
}
