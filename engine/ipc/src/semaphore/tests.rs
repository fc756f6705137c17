use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;

use super::*;
use crate::trial::{again, bell, has_rung, until_asleep, with_bell};

fn semaphore(permits: u32, bounded: bool) -> Semaphore {
    Semaphore::create(&Place::Memory, permits, bounded).expect("there is memory")
}

fn other(semaphore: &Semaphore) -> Semaphore {
    Semaphore::from_fd(again(semaphore.descriptor())).expect("it is whole")
}

/// Returns when so many permits are held.
fn until_holding(semaphore: &Semaphore, permits: u32) {
    while semaphore.permits() - semaphore.free() < permits {
        thread::yield_now();
    }
}

#[test]
fn permits_are_held_by_their_slots_and_come_back() {
    let ours = semaphore(5, true);
    let theirs = other(&ours);
    let three = ours.try_acquire(3).expect("it is whole").expect("they are free");
    assert!(theirs.try_acquire(3).expect("it is whole").is_none());
    let two = theirs.try_acquire(2).expect("it is whole").expect("they are free");
    assert!(!two.orphaned());
    let (me, they) = (
        ours.channel().me().expect("claimed"),
        theirs.channel().me().expect("claimed"),
    );
    assert_eq!(ours.holders(), [(me, 3), (they, 2)]);
    assert_eq!((ours.free(), ours.permits()), (0, 5));
    assert!(matches!(ours.release_raw(4), Err(Error::NotHeld)));
    drop((two, three));
    assert_eq!((theirs.free(), theirs.holders().len()), (5, 0));
}

#[test]
fn more_permits_than_tokens_are_counted() {
    let ours = semaphore(100, true);
    let theirs = other(&ours);
    let most = ours.acquire(93).expect("it is whole");
    let rest: Vec<_> = (0..7).map(|_| theirs.acquire(1).expect("it is whole")).collect();
    assert!(theirs.try_acquire(1).expect("it is whole").is_none());
    assert_eq!((ours.free(), ours.holders().len()), (0, 2));
    theirs.release_any(3).expect("they are held");
    assert!(ours.try_acquire(4).expect("it is whole").is_none());
    drop((most, rest));
    assert_eq!(ours.free(), 100);
    mend(ours.channel()).expect("it is whole");
    assert_eq!(ours.free(), 100);
}

#[test]
fn nonsense_is_refused() {
    let bounded = semaphore(2, true);
    assert!(matches!(bounded.try_acquire(3), Err(Error::TooMany { permits: 2 })));
    assert!(matches!(bounded.try_acquire(0), Err(Error::Nonsense(_))));
    assert!(matches!(bounded.release_any(1), Err(Error::NotHeld)));
    let full = semaphore(u32::MAX, false);
    assert!(matches!(full.release_any(1), Err(Error::Nonsense(_))));
    let small = Shape::new(Kind::Semaphore);
    let hollow = Channel::create(&Place::Memory, small, &RULES).expect("there is memory");
    assert!(matches!(
        Semaphore::from_fd(again(hollow.descriptor())),
        Err(Error::Damaged)
    ));
}

#[test]
fn anybody_may_release_and_an_unbounded_one_grows() {
    let ours = semaphore(1, false);
    let theirs = other(&ours);
    assert!(ours.acquire_raw(1, Patience::Try).expect("it is whole").is_some());
    theirs.release_any(3).expect("it grows");
    assert_eq!((ours.permits(), ours.free()), (3, 3));
    assert!(ours.holders().is_empty());
    assert!(theirs.try_acquire(3).expect("it is whole").is_some());
}

#[test]
fn there_are_never_more_holders_than_permits() {
    let permits = semaphore(3, true);
    let (inside, rounds) = (AtomicU32::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for worker in 0..4 {
            let other = other(&permits);
            let (inside, rounds) = (&inside, &rounds);
            scope.spawn(move || {
                for round in 0..500 {
                    let wants = 1 + (worker + round) % 3;
                    let held = other.acquire(wants).expect("it is whole");
                    assert!(inside.fetch_add(wants, Ordering::SeqCst) + wants <= 3);
                    thread::yield_now();
                    inside.fetch_sub(wants, Ordering::SeqCst);
                    rounds.fetch_add(1, Ordering::Relaxed);
                    drop(held);
                }
            });
        }
    });
    assert_eq!((rounds.into_inner(), permits.free()), (2000, 3));
}

#[test]
fn who_wants_many_is_not_overtaken_for_ever() {
    let permits = semaphore(2, true);
    let (holding, done) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        // Whoever lets go of one waits until the other one has one, so that they are never both free by chance.
        let (holding, done) = (&holding, &done);
        for _ in 0..2 {
            let other = other(&permits);
            scope.spawn(move || {
                while done.load(Ordering::SeqCst) == 0 {
                    let one = other.acquire(1).expect("it is whole");
                    holding.fetch_add(1, Ordering::SeqCst);
                    while done.load(Ordering::SeqCst) == 0
                        && holding.load(Ordering::SeqCst) < 2
                        && other.channel().u64(CLAIM).load(Ordering::SeqCst) == 0
                    {
                        thread::yield_now();
                    }
                    holding.fetch_sub(1, Ordering::SeqCst);
                    drop(one);
                }
            });
        }
        until_holding(&permits, 2);
        let all = permits.acquire(2).expect("it is whole");
        done.store(1, Ordering::SeqCst);
        drop(all);
    });
    assert_eq!(permits.free(), 2);
}

#[test]
fn a_claim_that_is_not_renewed_lapses() {
    let permits = semaphore(2, true);
    let theirs = other(&permits);
    let me = theirs.channel().me().expect("claimed");
    let held = permits.acquire(1).expect("it is whole");
    let long_ago = Instant::now().checked_sub(UNCLAIMED_MAX).expect("the clock has run");
    theirs.join_crowd(2, theirs.claim_of(me), long_ago, Patience::Block);
    assert!(permits.try_acquire(1).expect("it is whole").is_none(), "it is claimed");
    permits.channel().u64(LEASE).store(clock() - 1, Ordering::SeqCst);
    assert!(permits.try_acquire(1).expect("it is whole").is_some());
    permits
        .channel()
        .u64(LEASE)
        .store(clock() + 2 * LEASE_NS, Ordering::SeqCst);
    assert!(
        permits.try_acquire(1).expect("it is whole").is_some(),
        "no clock of ours wrote that"
    );
    drop(held);
}

#[test]
fn a_claim_is_withdrawn_when_the_time_is_over() {
    let permits = semaphore(2, true);
    let theirs = other(&permits);
    let held = permits.acquire(1).expect("it is whole");
    let late = theirs.acquire_timeout(2, Duration::from_millis(20));
    assert!(late.expect("it is whole").is_none());
    assert_eq!(permits.channel().u64(CLAIM).load(Ordering::SeqCst), 0);
    assert!(permits.try_acquire(1).expect("it is whole").is_some());
    drop(held);
}

#[test]
fn all_who_can_go_are_woken() {
    let permits = semaphore(4, true);
    let all = permits.acquire(4).expect("it is whole");
    let meeting = std::sync::Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            let other = other(&permits);
            let meeting = &meeting;
            scope.spawn(move || {
                let one = other.acquire(1).expect("it is whole");
                // Kept until the others have theirs.
                meeting.wait();
                drop(one);
            });
        }
        until_asleep(permits.channel(), 4);
        drop(all);
    });
}

#[test]
fn a_host_is_rung_when_permits_come_and_its_claim_holds_until_it_withdraws() {
    let permits = semaphore(2, true);
    let bell = bell();
    let host = Semaphore::attach(with_bell(permits.descriptor(), Manner::Host, &bell)).expect("it is whole");
    let client = Semaphore::attach(with_bell(permits.descriptor(), Manner::Client, &bell)).expect("it is whole");
    let proxy = host.channel().proxy(9).expect("there are slots");
    let (one, two) = (client.acquire(1).expect("free"), client.acquire(1).expect("free"));
    assert!(host.acquire_as(proxy, 2, Patience::Try).expect("it is whole").is_none());
    drop(one);
    assert!(has_rung(&bell, host.channel()));
    assert!(
        client.try_acquire(1).expect("it is whole").is_some(),
        "trying claims nothing"
    );
    assert!(
        host.acquire_as(proxy, 2, Patience::Block)
            .expect("it is whole")
            .is_none()
    );
    assert!(client.try_acquire(1).expect("it is whole").is_none(), "it is claimed");
    drop(two);
    assert!(has_rung(&bell, host.channel()));
    let granted = host.acquire_as(proxy, 2, Patience::Block).expect("it is whole");
    assert_eq!(granted, Some(Granted { orphaned: false }));
    assert_eq!(client.holders(), [(proxy, 2)]);
    host.release_as(proxy, 1).expect("held");
    assert!(
        host.acquire_as(proxy, 2, Patience::Block)
            .expect("it is whole")
            .is_none()
    );
    assert!(client.try_acquire(1).expect("it is whole").is_none(), "it is claimed");
    host.withdraw_as(proxy).expect("it is whole");
    assert!(client.try_acquire(1).expect("it is whole").is_some());
    host.channel().let_go(proxy, true).expect("it is whole");
    assert!(client.try_acquire(1).expect("it is whole").expect("free").orphaned());
    assert!(!client.try_acquire(1).expect("it is whole").expect("free").orphaned());
}
