use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;

use super::*;
use crate::trial::{again, bell, has_rung, until_asleep, with_bell};

fn lock(reentrant: bool) -> Lock {
    Lock::create(&Place::Memory, reentrant).expect("there is memory")
}

fn other(lock: &Lock) -> Lock {
    Lock::from_fd(again(lock.descriptor())).expect("it is whole")
}

#[test]
fn one_has_it_at_a_time() {
    let first = lock(false);
    let (inside, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            let other = other(&first);
            let (inside, rounds) = (&inside, &rounds);
            scope.spawn(move || {
                for _ in 0..500 {
                    let guard = other.acquire().expect("it is whole");
                    assert!(!inside.swap(true, Ordering::SeqCst));
                    thread::yield_now();
                    inside.store(false, Ordering::SeqCst);
                    rounds.fetch_add(1, Ordering::Relaxed);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(rounds.into_inner(), 2000);
    assert_eq!(first.owner(), None);
}

#[test]
fn a_reentrant_one_belongs_to_a_thread() {
    let first = lock(true);
    let outer = first.acquire().expect("it is whole");
    let inner = first.acquire().expect("it is whole");
    assert_eq!(first.depth().expect("it is whole"), 2);
    thread::scope(|scope| {
        let of_another = scope.spawn(|| {
            assert!(first.try_acquire().expect("it is whole").is_none());
            assert_eq!(first.depth().expect("it is whole"), 0);
            assert!(matches!(first.release(), Err(Error::NotHeld)));
            assert!(matches!(first.release_any(), Err(Error::NotHeld)));
        });
        of_another.join().expect("it is not theirs");
        let waiter = scope.spawn(|| drop(first.acquire().expect("it is whole")));
        until_asleep(first.channel(), 1);
        drop(inner);
        assert!(first.owner().is_some(), "once is not enough");
        drop(outer);
        waiter.join().expect("it is theirs now");
    });
    assert!(matches!(first.release(), Err(Error::NotHeld)));
}

#[test]
fn one_that_is_not_may_be_released_by_anybody() {
    let first = lock(false);
    let second = other(&first);
    assert!(matches!(first.release_any(), Err(Error::NotHeld)));
    assert!(first.acquire_raw(Patience::Try).expect("it is whole").is_some());
    assert!(second.acquire_raw(Patience::Try).expect("it is whole").is_none());
    assert!(matches!(second.release(), Err(Error::NotHeld)));
    second.release_any().expect("somebody has it");
    assert_eq!(first.owner(), None);
}

#[test]
fn given_up_whole_it_is_had_again_as_often() {
    let first = lock(true);
    let second = other(&first);
    for _ in 0..3 {
        std::mem::forget(first.acquire().expect("it is whole"));
    }
    let depth = first.give_up().expect("it is ours");
    assert!(matches!(first.give_up(), Err(Error::NotHeld)));
    drop(second.try_acquire().expect("it is whole").expect("it is free"));
    first.resume(depth).expect("it is whole");
    assert_eq!(first.depth().expect("it is whole"), 3);
}

#[test]
fn who_gives_up_keeps_nobody_out() {
    let first = lock(false);
    let second = other(&first);
    let guard = first.acquire().expect("it is whole");
    let late = second.acquire_timeout(Duration::from_millis(20)).expect("it is whole");
    assert!(late.is_none());
    drop(guard);
    assert_eq!(first.word().load(Ordering::SeqCst) & FAIR, 0);
    assert!(first.try_acquire().expect("it is whole").is_some());
}

#[test]
fn who_only_tries_gets_a_free_lock_though_it_is_kept_for_sleepers_that_never_come() {
    let first = lock(false);
    first.word().store(FAIR | CONTENDED, Ordering::SeqCst);
    assert!(first.try_acquire().expect("it is whole").is_some());
}

#[test]
fn a_host_is_rung_when_it_is_free() {
    let first = lock(false);
    let bell = bell();
    let host = Lock::attach(with_bell(first.descriptor(), Manner::Host, &bell)).expect("it is whole");
    let client = Lock::attach(with_bell(first.descriptor(), Manner::Client, &bell)).expect("it is whole");
    let proxy = host.channel().proxy(9).expect("there are slots");
    let guard = client.acquire().expect("it is whole");
    assert_eq!(host.acquire_as(proxy, Patience::Block).expect("it is whole"), None);
    assert!(!has_rung(&bell, host.channel()));
    drop(guard);
    assert!(has_rung(&bell, host.channel()));
    let granted = host.acquire_as(proxy, Patience::Try).expect("it is whole");
    assert_eq!(granted, Some(Granted { orphaned: false }));
    assert_eq!(client.owner(), Some(proxy));
    host.channel().let_go(proxy, true).expect("it is whole");
    assert!(
        client
            .try_acquire()
            .expect("it is whole")
            .expect("it is free")
            .orphaned()
    );
    drop(client.try_acquire().expect("it is whole").expect("it is free"));
    assert!(!has_rung(&bell, host.channel()), "nobody asked");
}
