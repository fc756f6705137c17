//! Coming, leaving, burying, and the latch: the same for all kinds.

use super::{End, Victim, at_every_step, die_at};
use crate::channel::{Kind, Place, Shape};
use crate::{Semaphore, steps};

/// With two slots: the test's own, and that of a victim.
fn narrow() -> Semaphore {
    let shape = Shape {
        slots: 2,
        ..Shape::new(Kind::Semaphore)
    };
    let semaphore = Semaphore::make(&Place::Memory, 3, true, shape).expect("there is memory");
    semaphore.channel().me().expect("there are slots");
    semaphore
}

fn hold(semaphore: &Semaphore) {
    std::mem::forget(semaphore.acquire(2).expect("it is whole"));
}

fn is_whole(semaphore: &Semaphore) {
    semaphore.channel().bury_dead().expect("it is whole");
    assert_eq!(semaphore.clients().len(), 1, "only we are left");
    assert_eq!(semaphore.free(), 3);
    // Somebody else finds a place, too.
    let another = semaphore.clone();
    let another = Victim::new(move || another.acquire(3).map(drop).expect("it is whole"));
    assert_eq!(another.wait(), End::Done);
    semaphore.channel().bury_dead().expect("it is whole");
    assert_eq!(semaphore.free(), 3);
}

/// Forks one that is killed before a step of coming to a slot and more.
fn come_and_die_at(step: u64, semaphore: &Semaphore) -> End {
    Victim::new(|| {
        steps::kill_after(step);
        hold(semaphore);
        steps::live();
    })
    .wait()
}

#[test]
fn a_slot_is_free_again_whenever_who_claims_it_is_killed() {
    for step in 0.. {
        let semaphore = narrow();
        let end = come_and_die_at(step, &semaphore);
        is_whole(&semaphore);
        if end == End::Done {
            break;
        }
    }
}

#[test]
fn the_slot_of_a_dead_one_may_be_claimed_and_again_whenever_the_claimant_is_killed() {
    for step in 0.. {
        let semaphore = narrow();
        assert_eq!(come_and_die_at(u64::MAX, &semaphore), End::Done);
        let end = come_and_die_at(step, &semaphore);
        is_whole(&semaphore);
        if end == End::Done {
            break;
        }
    }
}

#[test]
fn who_leaves_in_order_may_be_killed_doing_so() {
    let leave = |semaphore: &Semaphore| {
        hold(semaphore);
        let me = semaphore.channel().me().expect("claimed");
        semaphore.channel().leave(me).expect("it is whole");
    };
    let steps = at_every_step(narrow, Semaphore::channel, leave, |semaphore, _| is_whole(semaphore));
    assert!(steps > 10);
}

#[test]
fn the_dead_are_buried_though_those_who_bury_them_are_killed() {
    let with_a_dead_one = || {
        let semaphore = Semaphore::make(
            &Place::Memory,
            3,
            true,
            Shape {
                slots: 4,
                ..Shape::new(Kind::Semaphore)
            },
        )
        .expect("there is memory");
        semaphore.channel().me().expect("there are slots");
        assert_eq!(die_at(u64::MAX, semaphore.channel(), || hold(&semaphore)), End::Done);
        semaphore
    };
    let bury = |semaphore: &Semaphore| semaphore.channel().bury_dead().expect("it is whole");
    let look = |semaphore: &Semaphore, _| {
        semaphore.channel().bury_dead().expect("it is whole");
        let guard = semaphore.acquire(3).expect("it is whole");
        assert!(guard.orphaned(), "somebody died with permits, and it has not been told");
        drop(guard);
        is_whole(semaphore);
    };
    at_every_step(with_a_dead_one, Semaphore::channel, bury, look);
}

/// One dies with the latch at each step, a second one takes it over and dies at each step of that.
#[test]
fn the_latch_is_taken_from_the_dead_though_those_who_take_it_are_killed() {
    let wide = || {
        let shape = Shape {
            slots: 4,
            ..Shape::new(Kind::Semaphore)
        };
        let semaphore = Semaphore::make(&Place::Memory, 3, true, shape).expect("there is memory");
        semaphore.channel().me().expect("there are slots");
        semaphore
    };
    for first in 0.. {
        let mut end = End::Done;
        for second in 0.. {
            let semaphore = wide();
            end = die_at(first, semaphore.channel(), || hold(&semaphore));
            let taken_over = die_at(second, semaphore.channel(), || {
                drop(semaphore.channel().latch().expect("it is whole"));
            });
            is_whole(&semaphore);
            if taken_over == End::Done {
                break;
            }
        }
        if end == End::Done {
            break;
        }
    }
}
