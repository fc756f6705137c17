//! Barriers, conditions and cells.

use std::cell::Cell;

use super::{End, Victim, at_every_step, at_two_steps, die_at, stride};
use crate::barrier::Arrival;
use crate::channel::{Kind, Place, Shape};
use crate::patience::Patience;
use crate::{Barrier, Cells, Condition, Error, Lock};

/// Few slots, so that there are few steps: for us, who dies, and who repairs or waits.
fn small(kind: Kind) -> Shape {
    Shape {
        slots: 3,
        ..Shape::new(kind)
    }
}

fn barrier(parties: u32) -> Barrier {
    Barrier::make(&Place::Memory, parties, small(Kind::Barrier)).expect("there is memory")
}

/// Two have arrived of three, and the third is killed while it arrives.
#[test]
fn all_meet_or_all_are_told_that_a_party_has_died() {
    let prepare = || {
        let barrier = barrier(3);
        let arrivals = [(); 2].map(|()| barrier.arrive().expect("it is whole"));
        (barrier, arrivals)
    };
    let arrive = |(barrier, _): &(Barrier, [Arrival; 2])| assert_eq!(barrier.wait().expect("they are here"), 2);
    let look = |(barrier, arrivals): &(Barrier, [Arrival; 2]), end| {
        barrier.channel().bury_dead().expect("it is whole");
        let outcomes = arrivals.map(|arrival| barrier.meet(arrival, Patience::Try));
        match &outcomes {
            [Ok(true), Ok(true)] => assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false)),
            [Err(Error::BrokenBarrier), Err(Error::BrokenBarrier)] => assert!(barrier.is_broken()),
            // It was killed before it had arrived.
            [Ok(false), Ok(false)] => assert_eq!(barrier.waiting(), 2),
            others => panic!("the parties are told different things: {others:?}"),
        }
        assert!(end == End::Killed || outcomes[0].is_ok());
        barrier.reset().expect("it is whole");
        let again = [(); 3].map(|()| barrier.arrive().expect("it is whole"));
        for (index, arrival) in again.into_iter().enumerate() {
            assert_eq!(arrival.index, index);
            assert!(barrier.meet(arrival, Patience::Try).expect("all are here"));
        }
    };
    assert!(at_every_step(prepare, |(barrier, _)| barrier.channel(), arrive, look) > 8);
    at_two_steps(stride(4), prepare, |(barrier, _)| barrier.channel(), arrive, look);
}

/// One has arrived of three, and another one dies while it arrives or when it has arrived.
#[test]
fn i2_a_party_that_dies_waiting_breaks_the_barrier() {
    let prepare = || {
        let barrier = barrier(3);
        let arrival = barrier.arrive().expect("it is whole");
        (barrier, arrival)
    };
    let arrive = |(barrier, _): &(Barrier, Arrival)| assert_eq!(barrier.arrive().expect("it is whole").index, 1);
    let look = |(barrier, arrival): &(Barrier, Arrival), end| {
        barrier.channel().bury_dead().expect("it is whole");
        match barrier.meet(*arrival, Patience::Try) {
            Err(Error::BrokenBarrier) => assert!(barrier.is_broken()),
            // It was killed before it had arrived.
            Ok(false) => assert_eq!((barrier.waiting(), end), (1, End::Killed)),
            other => panic!("one of three is missing: {other:?}"),
        }
    };
    at_every_step(prepare, |(barrier, _)| barrier.channel(), arrive, look);
    at_two_steps(stride(4), prepare, |(barrier, _)| barrier.channel(), arrive, look);
}

#[test]
fn who_sleeps_at_a_barrier_learns_of_it_whoever_dies() {
    for step in 0.. {
        let barrier = barrier(2);
        barrier.channel().me().expect("there are slots");
        let waiter = barrier.clone();
        let waiter = Victim::new(move || match waiter.wait() {
            Ok(_) | Err(Error::BrokenBarrier) => {}
            Err(error) => panic!("{error}"),
        });
        crate::trial::until_asleep(barrier.channel(), 1);
        let end = die_at(step, barrier.channel(), || {
            barrier.wait().expect("he is here");
        });
        barrier.channel().bury_dead().expect("it is whole");
        if barrier.waiting() == 1 {
            assert_eq!((waiter.kill(), end), (End::Killed, End::Killed));
        } else {
            assert_eq!(waiter.wait(), End::Done);
        }
        if end == End::Done {
            break;
        }
    }
}

#[test]
fn who_breaks_or_resets_a_barrier_may_be_killed_doing_so() {
    let prepare = || {
        let barrier = barrier(2);
        let arrival = barrier.arrive().expect("it is whole");
        (barrier, arrival)
    };
    let renew = |(barrier, _): &(Barrier, Arrival)| barrier.reset().expect("it is whole");
    let look = |(barrier, arrival): &(Barrier, Arrival), end| {
        barrier.channel().bury_dead().expect("it is whole");
        match barrier.meet(*arrival, Patience::Try) {
            Ok(met) => assert!(!met && end == End::Killed),
            Err(error) => assert!(matches!(error, Error::BrokenBarrier)),
        }
        assert!(!barrier.is_broken() || end == End::Killed);
    };
    at_two_steps(stride(4), prepare, |(barrier, _)| barrier.channel(), renew, look);
}

type Pair = (Lock, Condition);

fn pair() -> Pair {
    let shape = Shape {
        slots: 4,
        ..Shape::new(Kind::Lock)
    };
    let lock = Lock::make(&Place::Memory, true, shape).expect("there is memory");
    lock.channel().me().expect("there are slots");
    // For us, two who wait, and one more.
    let shape = Shape {
        slots: 4,
        ..Shape::new(Kind::Condition)
    };
    let condition = Condition::make(&Place::Memory, shape).expect("there is memory");
    (lock, condition)
}

fn nobody_is_left((lock, condition): &Pair) {
    lock.channel().bury_dead().expect("it is whole");
    condition.channel().bury_dead().expect("it is whole");
    assert_eq!((lock.clients().len(), condition.clients().len()), (1, 1));
    assert_eq!((lock.owner(), condition.waiting()), (None, 0));
    assert_eq!(condition.notify(1).expect("it is whole"), 0);
}

/// A process that waits until it is notified.
fn waiter((lock, condition): &Pair) -> Victim {
    let (lock_once_more, lock, theirs) = (lock, lock.clone(), condition.clone());
    let (mut told, tell) = std::io::pipe().expect("there are descriptors left");
    let waiter = Victim::new(move || {
        let guard = lock.acquire().expect("it is whole");
        std::io::Write::write_all(&mut &tell, b"x").expect("somebody reads");
        theirs.wait(&lock).expect("it is whole");
        drop(guard);
    });
    std::io::Read::read_exact(&mut told, &mut [0]).expect("somebody writes");
    // It has the lock until it waits.
    drop(lock_once_more.acquire().expect("it is whole"));
    waiter
}

/// The first of two is killed at each step of waiting and of coming back, and one is notified.
#[test]
fn i2_i5_a_call_is_not_lost_with_who_dies_waiting() {
    let mut handed_on = 0;
    for step in 0.. {
        let pair = pair();
        let (lock, condition) = &pair;
        condition.channel().me().expect("there are slots");
        let (their_lock, theirs) = pair.clone();
        let first = Victim::new(move || {
            let guard = their_lock.acquire().expect("it is whole");
            theirs.channel().me().expect("there are slots");
            crate::steps::kill_after(step);
            theirs.wait(&their_lock).expect("it is whole");
            drop(guard);
            crate::steps::live();
        });
        while condition.waiting() == 0 && !first.has_ended() {
            std::thread::yield_now();
        }
        if first.has_ended() {
            condition.channel().bury_dead().expect("it is whole");
        }
        let second = waiter(&pair);
        let guard = lock.acquire().expect("it is whole");
        // The first one is called, or has died before: then the second one is.
        let both_wait = condition.waiting() == 2;
        condition.notify(1).expect("it is whole");
        drop(guard);
        let end = first.wait();
        lock.channel().bury_dead().expect("it is whole");
        condition.channel().bury_dead().expect("it is whole");
        if both_wait && condition.waiting() == 0 {
            handed_on += 1;
        }
        condition.notify(1).expect("it is whole");
        assert_eq!(second.wait(), End::Done);
        nobody_is_left(&pair);
        if end == End::Done {
            break;
        }
    }
    assert!(
        handed_on > 3,
        "those who died before they had the lock have left their call to the other"
    );
}

/// Two wait, and whoever notifies both is killed at each step: none is left asleep who has been called.
#[test]
fn who_was_called_wakes_though_the_caller_is_killed() {
    for step in 0.. {
        let pair = pair();
        let condition = &pair.1;
        condition.channel().me().expect("there are slots");
        let waiters = [waiter(&pair), waiter(&pair)];
        let end = die_at(step, condition.channel(), || {
            condition.notify_all().expect("it is whole");
        });
        let uncalled = condition.waiting();
        assert!(uncalled == 0 || end == End::Killed);
        condition.channel().bury_dead().expect("it is whole");
        condition.notify(uncalled).expect("it is whole");
        for waiter in waiters {
            assert_eq!(waiter.wait(), End::Done);
        }
        nobody_is_left(&pair);
        if end == End::Done {
            break;
        }
    }
}

#[test]
fn a_value_is_written_whole_or_not_at_all_and_its_lock_tells() {
    let make = || Cells::make(&Place::Memory, 16, small(Kind::Cells)).expect("there is memory");
    let write = |cells: &Cells| {
        let guard = cells.lock().acquire().expect("it is whole");
        cells.store(0, &[1; 8]).expect("there is room");
        cells.store(8, &[2; 4]).expect("there is room");
        cells.store(13, &[3; 2]).expect("there is room");
        drop(guard);
    };
    let look = |cells: &Cells, end| {
        cells.channel().bury_dead().expect("it is whole");
        let guard = cells.lock().try_acquire().expect("it is whole").expect("nobody has it");
        let mut found = [0; 16];
        cells.load(0, &mut found).expect("they are there");
        let whole = |part: &[u8]| part.iter().all(|byte| *byte == part[0]);
        assert!(whole(&found[..8]) && whole(&found[8..12]) && whole(&found[13..15]));
        let all = found[..8] == [1; 8] && found[8..] == [2, 2, 2, 2, 0, 3, 3, 0];
        let nothing = found == [0; 16];
        assert!(
            all || nothing || guard.orphaned(),
            "half of it is there, and nobody is told"
        );
        assert!(all || end == End::Killed);
    };
    let count = Cell::new(0);
    let counted = || {
        count.set(count.get() + 1);
        make()
    };
    assert_eq!(at_every_step(counted, Cells::channel, write, look) + 1, count.get());
    at_two_steps(stride(4), make, Cells::channel, write, look);
}
