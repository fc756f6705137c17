//! Events, barriers and conditions in all orders of steps.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::{Notes, Scenario, Setting, explore_everything, victim};
use crate::channel::{Kind, Place};
use crate::patience::Patience;
use crate::trial::again;
use crate::{Barrier, Condition, Error, Event, Lock};

fn event(setting: Setting) -> Event {
    Event::make(&Place::Memory, false, setting.shape(Kind::Event)).expect("there is memory")
}

/// It has been set since it was made, or will be.
fn listen(event: &Event, _: &Notes) {
    while !event.wait_since(0, Patience::Block).expect("it is whole") {}
    assert!(event.settings() > 0);
}

fn set(event: &Event, _: &Notes) {
    event.set();
}

fn set_and_clear(event: &Event, _: &Notes) {
    event.set();
    event.clear();
}

fn events(users: Vec<fn(&Event, &Notes)>) -> Scenario<Event> {
    Scenario {
        make: event,
        again: |event| Event::from_fd(again(event.descriptor())).expect("it is an event"),
        channels: |event| vec![Arc::clone(event.channel())],
        users,
        after_death: |event, _| event.set(),
        judge: |event, _, died| assert!(event.settings() > 0 || died),
    }
}

#[test]
fn who_waits_for_an_event_goes_on_though_it_is_cleared_and_others_die() {
    explore_everything(50, || events(vec![listen, listen, set_and_clear]));
    explore_everything(50, || events(vec![listen, listen, set_and_clear, set]));
}

fn barrier(setting: Setting) -> Barrier {
    Barrier::make(&Place::Memory, 2, setting.shape(Kind::Barrier)).expect("there is memory")
}

fn meet(barrier: &Barrier, notes: &Notes) {
    for meeting in 0..2 {
        match barrier.wait() {
            Ok(index) => notes.write(meeting, if index == 0 { "first" } else { "second" }),
            Err(Error::BrokenBarrier) if victim().is_some() => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn barriers() -> Scenario<Barrier> {
    Scenario {
        make: barrier,
        again: |barrier| Barrier::from_fd(again(barrier.descriptor())).expect("it is a barrier"),
        channels: |barrier| vec![Arc::clone(barrier.channel())],
        users: vec![meet, meet],
        // It need not have come to the barrier: then nobody else does.
        after_death: |barrier, _| barrier.abort().expect("it is whole"),
        judge: |barrier, notes, died| {
            let firsts = notes.count("first");
            assert!(died || firsts == 2 && notes.count("second") == 2);
            assert!(died || !barrier.is_broken());
            barrier.reset().expect("it is whole");
            assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
        },
    }
}

#[test]
fn two_meet_twice_or_learn_of_a_death() {
    explore_everything(60, barriers);
}

type Room = (Lock, Condition);

fn room(setting: Setting) -> Room {
    let lock = Lock::make(&Place::Memory, false, setting.shape(Kind::Lock));
    let condition = Condition::make(&Place::Memory, setting.shape(Kind::Condition));
    (lock.expect("there is memory"), condition.expect("there is memory"))
}

/// Takes a token, of which there are so many as have been notified of.
fn consume((lock, condition): &Room, notes: &Notes) {
    let _guard = lock.acquire().expect("it is whole");
    while notes.begun.load(SeqCst) == 0 && victim() != Some(PRODUCER) {
        condition.wait(lock).expect("it is whole");
    }
    if victim() != Some(PRODUCER) {
        notes.begun.fetch_sub(1, SeqCst);
        notes.write(0, "consumed");
    }
}

/// Its place among the processes.
const PRODUCER: usize = 3;

fn produce((lock, condition): &Room, notes: &Notes) {
    for _ in 0..2 {
        let _guard = lock.acquire().expect("it is whole");
        notes.begun.fetch_add(1, SeqCst);
        condition.notify(1).expect("it is whole");
    }
}

fn rooms() -> Scenario<Room> {
    Scenario {
        make: room,
        again: |(lock, condition)| {
            let lock = Lock::from_fd(again(lock.descriptor())).expect("it is a lock");
            let condition = Condition::from_fd(again(condition.descriptor())).expect("it is a condition");
            (lock, condition)
        },
        channels: |(lock, condition)| vec![Arc::clone(lock.channel()), Arc::clone(condition.channel())],
        users: vec![consume, consume, produce],
        after_death: |(lock, condition), victim| {
            // Who was notified and has died is replaced by the other one; but who would notify is not.
            if victim != PRODUCER {
                return;
            }
            let _guard = lock.acquire().expect("it is whole");
            condition.notify_all().expect("it is whole");
        },
        judge: |(lock, condition), notes, died| {
            assert!(died || notes.count("consumed") == 2);
            assert_eq!(condition.waiting(), 0);
            assert!(lock.try_acquire().expect("it is whole").is_some());
        },
    }
}

#[test]
fn who_is_notified_goes_on_whoever_dies() {
    explore_everything(120, rooms);
}
