//! Locks, semaphores, events and cells.

use std::sync::Arc;

use super::{End, Victim, at_every_step, at_two_steps, stride};
use crate::channel::{Channel, Kind, Place, Shape};
use crate::patience::Patience;
use crate::{Event, Lock, Semaphore};

/// Few slots, so that there are few steps: for us, who dies, and who repairs or waits.
fn small(kind: Kind) -> Shape {
    Shape {
        slots: 3,
        ..Shape::new(kind)
    }
}

fn lock(reentrant: bool) -> Lock {
    Lock::make(&Place::Memory, reentrant, small(Kind::Lock)).expect("there is memory")
}

/// The dead have let go of it, and say so once.
fn is_free(lock: &Lock) {
    lock.channel().bury_dead().expect("it is whole");
    assert_eq!(lock.clients().len(), 1, "only we are left");
    assert_eq!(lock.owner(), None);
    let guard = lock.try_acquire().expect("it is whole").expect("nobody has it");
    assert_eq!(lock.depth().expect("it is whole"), 1);
    drop(guard);
    let again = lock.try_acquire().expect("it is whole").expect("nobody has it");
    assert!(!again.orphaned(), "that was told already");
}

#[test]
fn i1_ee15_a_lock_is_free_whenever_its_user_is_killed() {
    for reentrant in [false, true] {
        let use_it = |lock: &Lock| {
            let depth = if reentrant { 3 } else { 1 };
            for _ in 0..depth {
                std::mem::forget(lock.acquire().expect("it is whole"));
            }
            for _ in 0..depth {
                lock.release().expect("it is ours");
            }
        };
        let steps = at_every_step(|| lock(reentrant), Lock::channel, use_it, |lock, _| is_free(lock));
        assert!(steps >= 2);
        at_two_steps(1, || lock(reentrant), Lock::channel, use_it, |lock, _| is_free(lock));
    }
}

#[test]
fn a_lock_that_dies_with_its_holder_is_orphaned_once() {
    let hold = |lock: &Lock| std::mem::forget(lock.acquire().expect("it is whole"));
    let look = |lock: &Lock, end| {
        lock.channel().bury_dead().expect("it is whole");
        let guard = lock.try_acquire().expect("it is whole").expect("nobody has it");
        // It has ended with the lock without a word, which is death enough.
        assert_eq!(guard.orphaned(), end == End::Done);
        drop(guard);
        is_free(lock);
    };
    at_every_step(|| lock(false), Lock::channel, hold, look);
    at_two_steps(1, || lock(false), Lock::channel, hold, look);
}

#[test]
fn a_lock_is_had_by_who_tries_though_nobody_buries_its_holder() {
    for step in 0..3 {
        let lock = lock(false);
        let holder = lock.clone();
        Victim::new(move || std::mem::forget(holder.acquire().expect("it is whole"))).wait();
        let end = super::die_at(step, lock.channel(), || {
            drop(lock.try_acquire().expect("it is whole").expect("its holder is dead"));
        });
        assert_eq!(end, End::Killed);
        drop(lock.try_acquire().expect("it is whole").expect("its holders are dead"));
    }
}

/// One waits for what a dead one holds, and is killed at each step; another one waits all the time and gets it.
#[test]
fn who_waits_for_a_lock_gets_it_whoever_dies() {
    let prepare = || {
        let lock = lock(false);
        lock.channel().me().expect("there are slots");
        let (holder, waiter) = (lock.clone(), lock.clone());
        Victim::new(move || std::mem::forget(holder.acquire().expect("it is whole"))).wait();
        let waiter = Victim::new(move || waiter.acquire().map(drop).expect("it is whole"));
        (lock, std::cell::Cell::new(Some(waiter)))
    };
    let wait = |(lock, _): &(Lock, _)| drop(lock.acquire().expect("it is whole"));
    let look = |(lock, waiter): &(Lock, std::cell::Cell<Option<Victim>>), _| {
        assert_eq!(waiter.take().map(Victim::wait), Some(End::Done));
        is_free(lock);
    };
    at_every_step(prepare, |(lock, _)| lock.channel(), wait, look);
}

/// The lock is held, with sleepers; its holder is killed while it lets go of it.
#[test]
fn who_sleeps_for_a_lock_gets_it_though_nobody_comes_to_wake_him() {
    for step in 0.. {
        let lock = lock(false);
        lock.channel().me().expect("there are slots");
        let (holder, waiter) = (lock.clone(), lock.clone());
        let (mut told, tell) = std::io::pipe().expect("there are descriptors left");
        let holder = Victim::new(move || {
            let guard = holder.acquire().expect("it is whole");
            std::io::Write::write_all(&mut &tell, b"x").expect("somebody reads");
            crate::trial::until_asleep(holder.channel(), 1);
            crate::steps::kill_after(step);
            drop(guard);
            crate::steps::live();
        });
        std::io::Read::read_exact(&mut told, &mut [0]).expect("somebody writes");
        let waiter = Victim::new(move || waiter.acquire().map(drop).expect("it is whole"));
        let end = holder.wait();
        assert_eq!(waiter.wait(), End::Done);
        is_free(&lock);
        if end == End::Done {
            break;
        }
    }
}

fn semaphore() -> Semaphore {
    Semaphore::make(&Place::Memory, 5, false, small(Kind::Semaphore)).expect("there is memory")
}

/// With more permits than tokens, so that some are counted.
fn large_semaphore() -> Semaphore {
    Semaphore::make(&Place::Memory, 12, false, small(Kind::Semaphore)).expect("there is memory")
}

/// All permits are there, and can be had.
fn permits_add_up(semaphore: &Semaphore, total: u32) {
    semaphore.channel().bury_dead().expect("it is whole");
    assert_eq!(semaphore.clients().len(), 1, "only we are left");
    assert_eq!(semaphore.holders(), []);
    assert_eq!((semaphore.free(), semaphore.permits()), (total, total));
    drop(
        semaphore
            .try_acquire(total)
            .expect("it is whole")
            .expect("all are free"),
    );
    let again = semaphore.try_acquire(1).expect("it is whole").expect("all are free");
    assert!(!again.orphaned(), "that was told already");
}

#[test]
fn i1_ee15_permits_add_up_whenever_somebody_is_killed() {
    let use_them = |semaphore: &Semaphore| {
        std::mem::forget(semaphore.acquire(3).expect("it is whole"));
        std::mem::forget(semaphore.acquire(1).expect("it is whole"));
        semaphore.release_raw(2).expect("they are ours");
        semaphore.release_any(2).expect("they are ours");
    };
    let look = |semaphore: &Semaphore, _| permits_add_up(semaphore, 5);
    assert!(at_every_step(semaphore, Semaphore::channel, use_them, look) > 20);
    let use_more = |semaphore: &Semaphore| {
        std::mem::forget(semaphore.acquire(7).expect("it is whole"));
        semaphore.release_raw(2).expect("they are ours");
        std::mem::forget(semaphore.acquire(4).expect("it is whole"));
        semaphore.release_any(9).expect("they are ours");
    };
    let look = |semaphore: &Semaphore, _| permits_add_up(semaphore, 12);
    assert!(at_every_step(large_semaphore, Semaphore::channel, use_more, look) > 50);
    let briefly = |semaphore: &Semaphore| {
        // Four are counted, so one is a token.
        std::mem::forget(semaphore.acquire(5).expect("it is whole"));
        semaphore.release_any(5).expect("they are ours");
    };
    at_two_steps(stride(4), large_semaphore, Semaphore::channel, briefly, look);
}

#[test]
fn permits_that_are_added_are_there_whole_or_not_at_all() {
    let add = |semaphore: &Semaphore| semaphore.release_any(2).expect("it grows");
    at_every_step(semaphore, Semaphore::channel, add, |semaphore, end| {
        semaphore.channel().bury_dead().expect("it is whole");
        let total = semaphore.permits();
        assert!(total == 7 || total == 5 && end == End::Killed);
        permits_add_up(semaphore, total);
    });
}

#[test]
fn permits_that_die_with_their_holder_are_orphaned_once() {
    let hold = |semaphore: &Semaphore| std::mem::forget(semaphore.acquire(2).expect("it is whole"));
    let look = |semaphore: &Semaphore, end| {
        semaphore.channel().bury_dead().expect("it is whole");
        let guard = semaphore.try_acquire(5).expect("it is whole").expect("all are free");
        assert!(guard.orphaned() || end == End::Killed);
        drop(guard);
        permits_add_up(semaphore, 5);
    };
    at_two_steps(stride(4), semaphore, Semaphore::channel, hold, look);
}

/// One holds all, another waits for many, with a claim, and is killed at each step; a third one waits for few.
#[test]
fn a_claim_dies_with_its_owner() {
    let prepare = || {
        let semaphore = semaphore();
        let all = semaphore.acquire_raw(5, Patience::Try).expect("it is whole");
        assert!(all.is_some());
        semaphore
    };
    let wait = |semaphore: &Semaphore| {
        let late = semaphore.acquire_timeout(3, std::time::Duration::from_millis(8));
        assert!(late.expect("it is whole").is_none());
    };
    at_every_step(prepare, Semaphore::channel, wait, |semaphore, _| {
        let waiter = semaphore.clone();
        let waiter = Victim::new(move || waiter.acquire(1).map(drop).expect("it is whole"));
        semaphore.release_raw(5).expect("they are ours");
        assert_eq!(waiter.wait(), End::Done);
        permits_add_up(semaphore, 5);
    });
}

/// All are held by one who is killed while he lets go of them, with others asleep.
#[test]
fn who_sleeps_for_permits_gets_them_though_nobody_comes_to_wake_him() {
    for step in 0.. {
        let four = Shape {
            slots: 4,
            ..Shape::new(Kind::Semaphore)
        };
        let semaphore = Semaphore::make(&Place::Memory, 5, false, four).expect("there is memory");
        semaphore.channel().me().expect("there are slots");
        let (holder, few, many) = (semaphore.clone(), semaphore.clone(), semaphore.clone());
        let (mut told, tell) = std::io::pipe().expect("there are descriptors left");
        let holder = Victim::new(move || {
            std::mem::forget(holder.acquire(5).expect("it is whole"));
            std::io::Write::write_all(&mut &tell, b"x").expect("somebody reads");
            crate::trial::until_asleep(holder.channel(), 2);
            crate::steps::kill_after(step);
            holder.release_raw(5).expect("they are ours");
            crate::steps::live();
        });
        std::io::Read::read_exact(&mut told, &mut [0]).expect("somebody writes");
        let few = Victim::new(move || few.acquire(1).map(drop).expect("it is whole"));
        let many = Victim::new(move || many.acquire(4).map(drop).expect("it is whole"));
        let end = holder.wait();
        assert_eq!((few.wait(), many.wait()), (End::Done, End::Done));
        semaphore.channel().bury_dead().expect("it is whole");
        drop(semaphore.try_acquire(5).expect("it is whole").expect("all are free"));
        permits_add_up(&semaphore, 5);
        if end == End::Done {
            break;
        }
    }
}

fn event(set: bool) -> Event {
    Event::make(&Place::Memory, set, small(Kind::Event)).expect("there is memory")
}

fn only_we_are_left(channel: &Arc<Channel>) {
    channel.bury_dead().expect("it is whole");
    assert_eq!(channel.clients().len(), 1);
}

#[test]
fn i1_i5_an_event_is_set_or_not_and_who_waits_goes_on_when_it_is() {
    for step in 0.. {
        let event = event(false);
        event.channel().me().expect("there are slots");
        let waiter = event.clone();
        let waiter = Victim::new(move || waiter.wait().expect("it is whole"));
        crate::trial::until_asleep(event.channel(), 1);
        let end = super::die_at(step, event.channel(), || event.set());
        if event.is_set() {
            assert_eq!(waiter.wait(), End::Done);
        } else {
            assert_eq!((waiter.kill(), end), (End::Killed, End::Killed));
        }
        only_we_are_left(event.channel());
        if end == End::Done {
            break;
        }
    }
    at_every_step(
        || event(true),
        Event::channel,
        Event::clear,
        |event, end| {
            assert!(!event.is_set() || end == End::Killed);
            only_we_are_left(event.channel());
        },
    );
}

#[test]
fn i5_who_dies_waiting_for_an_event_leaves_it_as_it_was() {
    let wait = |event: &Event| {
        let set = event.wait_timeout(std::time::Duration::from_millis(4));
        assert!(!set.expect("it is whole"));
    };
    at_every_step(
        || event(false),
        Event::channel,
        wait,
        |event, _| {
            assert!(!event.is_set());
            event.set();
            assert!(event.is_set());
            only_we_are_left(event.channel());
        },
    );
}
