use std::thread;

use super::*;
use crate::trial::{again, until_asleep};

fn barrier(parties: u32) -> Barrier {
    Barrier::create(&Place::Memory, parties).expect("there is memory")
}

fn other(barrier: &Barrier) -> Barrier {
    Barrier::from_fd(again(barrier.descriptor())).expect("it is whole")
}

#[test]
fn all_meet_again_and_again_each_with_a_number_of_its_own() {
    let first = barrier(3);
    let numbers: Vec<Vec<usize>> = thread::scope(|scope| {
        let parties: Vec<_> = (0..3)
            .map(|_| {
                let other = other(&first);
                scope.spawn(move || (0..200).map(|_| other.wait().expect("it is whole")).collect())
            })
            .collect();
        parties
            .into_iter()
            .map(|party| party.join().expect("no panic"))
            .collect()
    });
    for round in 0..200 {
        let mut of_round: Vec<usize> = numbers.iter().map(|of_party| of_party[round]).collect();
        of_round.sort_unstable();
        assert_eq!(of_round, [0, 1, 2]);
    }
    assert_eq!((first.waiting(), first.is_broken()), (0, false));
}

#[test]
fn who_gives_up_breaks_it_for_all_until_it_is_reset() {
    let first = barrier(3);
    thread::scope(|scope| {
        let patient = scope.spawn(|| first.wait());
        until_asleep(first.channel(), 1);
        let second = other(&first);
        let late = second.wait_timeout(Duration::from_millis(1));
        assert!(matches!(late, Err(Error::BrokenBarrier)));
        assert!(matches!(patient.join().expect("no panic"), Err(Error::BrokenBarrier)));
    });
    assert!(first.is_broken());
    assert_eq!(first.waiting(), 0);
    assert!(matches!(first.wait(), Err(Error::BrokenBarrier)));
    first.reset().expect("it is whole");
    assert!(!first.is_broken());
    assert!(first.arrive().is_ok());
}

#[test]
fn a_reset_sends_away_who_waits_and_leaves_who_has_met_alone() {
    let first = barrier(2);
    let (one, two) = (first.arrive().expect("whole"), other(&first).arrive().expect("whole"));
    assert_eq!((one.index, two.index), (0, 1));
    let next = first.arrive().expect("whole");
    first.reset().expect("it is whole");
    first.abort().expect("it is whole");
    first.reset().expect("it is whole");
    assert!(first.meet(one, Patience::Try).expect("they have met"));
    assert!(first.meet(two, Patience::Try).expect("they have met"));
    assert!(matches!(first.meet(next, Patience::Try), Err(Error::BrokenBarrier)));
    assert!(!first.is_broken());
}

#[test]
fn who_comes_after_many_failures_is_told_that_his_meeting_failed() {
    let first = barrier(2);
    let early = first.arrive().expect("whole");
    for _ in 0..=KEPT {
        first.abort().expect("it is whole");
        first.reset().expect("it is whole");
    }
    assert!(matches!(first.meet(early, Patience::Try), Err(Error::BrokenBarrier)));
}

#[test]
fn nonsense_is_refused() {
    assert!(matches!(Barrier::create(&Place::Memory, 0), Err(Error::Nonsense(_))));
    assert!(matches!(
        Barrier::create(&Place::Memory, u32::MAX),
        Err(Error::Nonsense(_))
    ));
    let small = Shape::new(Kind::Barrier);
    let hollow = Channel::create(&Place::Memory, small, &RULES).expect("there is memory");
    assert!(matches!(
        Barrier::from_fd(again(hollow.descriptor())),
        Err(Error::Damaged)
    ));
}
