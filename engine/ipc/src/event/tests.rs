use std::thread;
use std::time::Duration;

use super::*;
use crate::trial::{again, bell, has_rung, until_asleep, with_bell};

fn event(set: bool) -> Event {
    Event::create(&Place::Memory, set).expect("there is memory")
}

fn other(event: &Event) -> Event {
    Event::from_fd(again(event.descriptor())).expect("it is whole")
}

#[test]
fn it_is_made_set_or_not_and_is_what_the_last_one_made_it() {
    for first in [false, true] {
        let event = event(first);
        let other = other(&event);
        assert_eq!(other.is_set(), first);
        for set in [true, true, false, false, true] {
            if set {
                event.set();
            } else {
                event.clear();
            }
            assert_eq!(other.is_set(), set);
            assert_eq!(other.wait_with(Patience::Try).expect("it is whole"), set);
        }
        assert_eq!(
            other.settings(),
            1 + u32::from(!first),
            "only the settings of one not set count"
        );
    }
}

#[test]
fn all_who_wait_go_on_though_it_is_cleared_at_once() {
    let event = event(false);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let other = other(&event);
                scope.spawn(move || other.wait())
            })
            .collect();
        until_asleep(event.channel(), 4);
        event.set();
        event.clear();
        for waiter in waiters {
            waiter.join().expect("no panic").expect("it goes on");
        }
    });
    assert!(!event.is_set());
}

#[test]
fn a_wait_ends_with_its_time() {
    let event = event(false);
    assert!(!event.wait_timeout(Duration::from_millis(1)).expect("it is whole"));
    event.set();
    assert!(event.wait_timeout(Duration::ZERO).expect("it is whole"));
}

#[test]
fn a_host_is_rung_when_it_is_set_and_only_if_it_wants_to_be() {
    let event = event(false);
    let bell = bell();
    let host = Event::attach(with_bell(event.descriptor(), Manner::Host, &bell)).expect("it is whole");
    let client = Event::attach(with_bell(event.descriptor(), Manner::Client, &bell)).expect("it is whole");
    client.set();
    assert!(!has_rung(&bell, host.channel()), "nobody asked");
    assert!(host.watch(), "it is set already");
    client.clear();
    let since = host.settings();
    assert!(
        !host.wait_with(Patience::Block).expect("it is whole"),
        "a host does not wait"
    );
    client.set();
    client.clear();
    assert!(has_rung(&bell, host.channel()));
    assert!(
        host.wait_since(since, Patience::Try).expect("it is whole"),
        "it was set since"
    );
    client.set();
    assert!(!has_rung(&bell, host.channel()), "one wish is one ring");
}
