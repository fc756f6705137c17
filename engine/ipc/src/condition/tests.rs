use std::thread;

use super::*;
use crate::trial::again;

fn pair(reentrant: bool) -> (Lock, Condition) {
    let lock = Lock::create(&Place::Memory, reentrant).expect("there is memory");
    let condition = Condition::create(&Place::Memory).expect("there is memory");
    (lock, condition)
}

fn other((lock, condition): &(Lock, Condition)) -> (Lock, Condition) {
    let lock = Lock::from_fd(again(lock.descriptor())).expect("it is whole");
    let condition = Condition::from_fd(again(condition.descriptor())).expect("it is whole");
    (lock, condition)
}

/// Returns when so many wait.
fn until_waiting(condition: &Condition, count: u32) {
    while condition.waiting() < count {
        thread::yield_now();
    }
}

#[test]
fn so_many_go_on_as_are_notified_who_came_first_before_others() {
    let ours = pair(false);
    let order = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..4 {
            let (lock, condition) = other(&ours);
            let order = &order;
            scope.spawn(move || {
                let guard = lock.acquire().expect("it is whole");
                assert!(condition.wait_with(&lock, Patience::Block).expect("it is whole"));
                order.lock().expect("no panic").push(number);
                drop(guard);
            });
            until_waiting(&ours.1, number + 1);
        }
        assert_eq!(ours.1.notify(1).expect("it is whole"), 1);
        while order.lock().expect("no panic").is_empty() {
            thread::yield_now();
        }
        assert_eq!(*order.lock().expect("no panic"), [0]);
        assert_eq!(ours.1.waiting(), 3);
        assert_eq!(ours.1.notify_all().expect("it is whole"), 3);
    });
    let mut order = order.into_inner().expect("no panic");
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3]);
    assert_eq!(ours.1.notify(7).expect("it is whole"), 0, "nobody waits");
}

#[test]
fn who_waits_has_not_the_lock_and_has_it_again_as_often() {
    let (lock, condition) = pair(true);
    for _ in 0..3 {
        std::mem::forget(lock.acquire().expect("it is whole"));
    }
    thread::scope(|scope| {
        let notifier = scope.spawn(|| {
            let guard = lock.acquire().expect("it is whole");
            until_waiting(&condition, 1);
            condition.notify(1).expect("it is whole");
            drop(guard);
        });
        condition.wait(&lock).expect("it is whole");
        notifier.join().expect("no panic");
    });
    assert_eq!(lock.depth().expect("it is whole"), 3);
}

#[test]
fn who_gives_up_is_not_notified_in_place_of_others() {
    let (lock, condition) = pair(false);
    assert!(matches!(
        condition.wait_timeout(&lock, Duration::ZERO),
        Err(Error::NotHeld)
    ));
    let guard = lock.acquire().expect("it is whole");
    let called = condition.wait_timeout(&lock, Duration::from_millis(1));
    assert!(!called.expect("it is whole"));
    assert!(lock.owner().is_some(), "it has the lock again");
    assert_eq!(condition.waiting(), 0);
    assert_eq!(condition.notify(1).expect("it is whole"), 0);
    drop(guard);
}
