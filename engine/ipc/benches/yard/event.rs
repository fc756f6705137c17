//! Two processes that wake each other by turns.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use forkyard_ipc::Event;
use forkyard_ipc::channel::Place;

use crate::crew::{Setup, Tally, Worker, race};
use crate::outcome::{Outcome, must_equal};
use crate::peers::{futex_wait, futex_wake};
use crate::shared::Shared;

/// Ours.
pub fn forkyard(setup: &Setup) -> io::Result<Outcome> {
    let event = || Event::create(&Place::Memory, false).map_err(io::Error::other);
    let events = [event()?, event()?];
    let rest = |side: usize| {
        events[side].wait().expect("an event is waited for until it is set");
        events[side].clear();
    };
    ping_pong(setup, |side| events[side].set(), rest)
}

/// A word for each side, and nothing else.
pub fn futex(setup: &Setup) -> io::Result<Outcome> {
    let words = Shared::new([const { AtomicU32::new(0) }; 2])?;
    let ring = |side: usize| {
        words[side].store(1, Ordering::Release);
        futex_wake(&words[side], 1);
    };
    let rest = |side: usize| {
        while words[side].swap(0, Ordering::AcqRel) == 0 {
            futex_wait(&words[side], 0);
        }
    };
    ping_pong(setup, ring, rest)
}

fn ping_pong(setup: &Setup, ring: impl Fn(usize), rest: impl Fn(usize)) -> io::Result<Outcome> {
    let last = Shared::new(AtomicU32::new(0))?;
    let setup = Setup { processes: 2, ..*setup };
    let race = race(&setup, |worker| {
        if worker.number == 0 {
            serve(worker, &last, || ring(1), || rest(0))
        } else {
            answer(&last, || ring(0), || rest(1))
        }
    })?;
    let [first, second] = race.tallies[..] else {
        return Err(io::Error::other("it takes two"));
    };
    must_equal("answers", second.operations, first.operations)?;
    Ok(Outcome {
        operations: first.operations,
        ..Outcome::of(&race)
    })
}

fn serve(worker: &Worker<'_>, last: &AtomicU32, ring: impl Fn(), rest: impl Fn()) -> Tally {
    let mut tally = Tally::default();
    loop {
        let is_last = worker.is_over();
        if is_last {
            last.store(1, Ordering::Release);
        }
        ring();
        rest();
        tally.operations += 1;
        if is_last {
            return tally;
        }
    }
}

fn answer(last: &AtomicU32, ring: impl Fn(), rest: impl Fn()) -> Tally {
    let mut tally = Tally::default();
    loop {
        rest();
        let is_last = last.load(Ordering::Acquire) == 1;
        ring();
        tally.operations += 1;
        if is_last {
            return tally;
        }
    }
}
