//! Semaphores with two permits, of which each process wants one.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use forkyard_ipc::channel::Place;

use crate::crew::{Setup, Tally, Worker, race};
use crate::outcome::{Outcome, must_equal};
use crate::peers::Semaphore;
use crate::shared::Shared;

const PERMITS: u32 = 2;

/// So many pairs are done between two looks at whether the time is over; in one of them those inside are counted.
const BLOCK: u64 = 16;

/// Ours.
pub fn forkyard(setup: &Setup) -> io::Result<Outcome> {
    let semaphore = forkyard_ipc::Semaphore::create(&Place::Memory, PERMITS, true).map_err(io::Error::other)?;
    let outcome = permits(setup, |inside| {
        let guard = semaphore.acquire(1).expect("a permit is waited for until it is there");
        inside();
        drop(guard);
    })?;
    must_equal("free permits", semaphore.free().into(), PERMITS.into())?;
    Ok(outcome)
}

/// The C library's.
pub fn posix(setup: &Setup) -> io::Result<Outcome> {
    let semaphore = Semaphore::shared(PERMITS)?;
    let outcome = permits(setup, |inside| {
        semaphore.acquire();
        inside();
        semaphore.release();
    })?;
    must_equal("free permits", semaphore.free(), PERMITS.into())?;
    Ok(outcome)
}

fn permits(setup: &Setup, pair: impl Fn(&dyn Fn())) -> io::Result<Outcome> {
    let inside = Shared::new(AtomicU32::new(0))?;
    let race = race(setup, |worker| work(worker, &inside, &pair))?;
    Ok(Outcome::of(&race))
}

fn work(worker: &Worker<'_>, inside: &AtomicU32, pair: &impl Fn(&dyn Fn())) -> Tally {
    let mut tally = Tally::default();
    while !worker.is_over() {
        for _ in 1..BLOCK {
            pair(&|| ());
        }
        pair(&|| {
            assert!(inside.fetch_add(1, Ordering::AcqRel) < PERMITS, "too many are inside");
            inside.fetch_sub(1, Ordering::AcqRel);
        });
        tally.operations += BLOCK;
    }
    tally
}
