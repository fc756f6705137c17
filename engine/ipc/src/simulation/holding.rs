//! Locks and semaphores in all orders of steps.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::{Notes, Scenario, Setting, explore_by_chance, explore_everything, pass, victim};
use crate::channel::{Kind, Place};
use crate::patience::Patience;
use crate::trial::again;
use crate::{Lock, Semaphore};

fn lock(setting: Setting) -> Lock {
    Lock::make(&Place::Memory, false, setting.shape(Kind::Lock)).expect("there is memory")
}

fn hold(lock: &Lock, notes: &Notes) {
    let guard = lock.acquire().expect("it is whole");
    let before = notes.inside.swap(1, SeqCst);
    assert!(
        before == 0 || guard.orphaned(),
        "two have the lock, or the second was not told of a death"
    );
    pass();
    notes.inside.store(0, SeqCst);
}

fn hold_twice(lock: &Lock, notes: &Notes) {
    hold(lock, notes);
    hold(lock, notes);
}

/// Who only tries may not be let down for ever by those who sleep.
fn try_once(lock: &Lock, notes: &Notes) {
    if let Some(guard) = lock.try_acquire().expect("it is whole") {
        let before = notes.inside.swap(1, SeqCst);
        assert!(before == 0 || guard.orphaned());
        pass();
        notes.inside.store(0, SeqCst);
    }
}

fn locks(users: Vec<fn(&Lock, &Notes)>) -> Scenario<Lock> {
    Scenario {
        make: lock,
        again: |lock| Lock::from_fd(again(lock.descriptor())).expect("it is a lock"),
        channels: |lock| vec![Arc::clone(lock.channel())],
        users,
        after_death: |_, _| {},
        judge: |lock, _, died| {
            let guard = lock.try_acquire().expect("it is whole").expect("nobody has it");
            assert!(died || !guard.orphaned());
        },
    }
}

#[test]
fn two_and_three_have_a_lock_one_after_the_other_and_may_die() {
    explore_everything(60, || locks(vec![hold_twice, hold_twice]));
    explore_everything(90, || locks(vec![hold_twice, hold_twice, hold]));
    explore_everything(60, || locks(vec![hold, hold, try_once]));
}

fn semaphore(setting: Setting) -> Semaphore {
    Semaphore::make(&Place::Memory, 2, true, setting.shape(Kind::Semaphore)).expect("there is memory")
}

fn sit(semaphore: &Semaphore, notes: &Notes, permits: u32) {
    semaphore
        .acquire_raw(permits, Patience::Block)
        .expect("it is whole")
        .expect("it waits");
    let inside = notes.inside.fetch_add(permits, SeqCst) + permits;
    assert!(inside <= 2 || victim().is_some(), "{inside} of two permits are held");
    pass();
    notes.inside.fetch_sub(permits, SeqCst);
    semaphore.release_raw(permits).expect("it holds them");
}

fn one(semaphore: &Semaphore, notes: &Notes) {
    sit(semaphore, notes, 1);
    sit(semaphore, notes, 1);
}

fn once(semaphore: &Semaphore, notes: &Notes) {
    sit(semaphore, notes, 1);
}

fn both(semaphore: &Semaphore, notes: &Notes) {
    sit(semaphore, notes, 2);
}

fn semaphores(users: Vec<fn(&Semaphore, &Notes)>) -> Scenario<Semaphore> {
    Scenario {
        make: semaphore,
        again: |seats| Semaphore::from_fd(again(seats.descriptor())).expect("it is a semaphore"),
        channels: |seats| vec![Arc::clone(seats.channel())],
        users,
        after_death: |_, _| {},
        judge: |seats, _, _| {
            assert_eq!((seats.free(), seats.permits()), (2, 2));
            assert_eq!(seats.holders(), []);
            assert!(seats.try_acquire(2).expect("it is whole").is_some());
        },
    }
}

#[test]
fn permits_add_up_whoever_dies() {
    explore_everything(60, || semaphores(vec![one, both]));
    explore_everything(90, || semaphores(vec![one, one, one]));
    explore_everything(90, || semaphores(vec![one, both, both]));
    explore_everything(90, || semaphores(vec![once, once, once, once]));
}

#[test]
fn a_host_buries_who_has_died_asleep() {
    let setting = Setting {
        deadly: 30,
        ..Setting::CALM
    };
    explore_by_chance(setting, || locks(vec![hold, hold, hold, hold]));
}
