//! Locks, acquired and released again and again, by one process or by several.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forkyard_ipc::Lock;
use forkyard_ipc::channel::Place;

use crate::crew::{Child, Setup, Tally, pin, race};
use crate::outcome::{Outcome, must_equal};
use crate::peers::{Flock, Mutex, serve};
use crate::shared::Shared;

/// So many pairs are done between two looks at the clock, whose cost is spread over them. The longest wait of anyone is so
/// never understated.
const BLOCK: u64 = 16;

/// The same when nobody else is there to be waited for.
const BLOCK_ALONE: u64 = 256;

/// What the lock guards: a number that only comes out right if no two were ever inside.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Guarded {
    number: AtomicU64,
}

impl Guarded {
    /// Adds 1 in two steps, between which another must not come.
    #[inline]
    pub fn bump(&self) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number + 1, Ordering::Relaxed);
    }

    /// The number.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

/// Every process calls `join` for its pair of acquire and release with something inside, and does it until the time is over.
pub fn hold<P: FnMut(&Guarded)>(setup: &Setup, join: impl Fn(usize) -> P) -> io::Result<Outcome> {
    let guarded = Shared::new(Guarded::default())?;
    let block = if setup.processes == 1 { BLOCK_ALONE } else { BLOCK };
    let race = race(setup, |worker| {
        let mut pair = join(worker.number);
        let mut tally = Tally::default();
        let mut looked = Instant::now();
        while !worker.is_over() {
            for _ in 0..block {
                pair(&guarded);
            }
            tally.operations += block;
            let now = Instant::now();
            tally.longest = tally.longest.max(now - looked);
            looked = now;
        }
        tally
    })?;
    let outcome = Outcome::of(&race);
    must_equal("what the lock guards", guarded.number(), outcome.operations)?;
    Ok(Outcome {
        longest: race.tallies.iter().map(|tally| tally.longest).max(),
        ..outcome
    })
}

/// Ours.
pub fn forkyard(setup: &Setup) -> io::Result<Outcome> {
    let lock = Lock::create(&Place::Memory, false).map_err(io::Error::other)?;
    hold(setup, |_| {
        |guarded: &Guarded| {
            let guard = lock.acquire().expect("a lock is waited for until it is there");
            guarded.bump();
            drop(guard);
        }
    })
}

/// A pthread mutex between processes that survives its owner.
pub fn robust(setup: &Setup) -> io::Result<Outcome> {
    mutex(setup, true)
}

/// A pthread mutex between processes that does not.
pub fn stalled(setup: &Setup) -> io::Result<Outcome> {
    mutex(setup, false)
}

fn mutex(setup: &Setup, robust: bool) -> io::Result<Outcome> {
    let mutex = Mutex::shared(robust)?;
    hold(setup, |_| {
        |guarded: &Guarded| {
            mutex.acquire();
            guarded.bump();
            mutex.release();
        }
    })
}

/// flock(2) on a memory file.
pub fn flock(setup: &Setup) -> io::Result<Outcome> {
    let lock = Lock::create(&Place::Memory, false).map_err(io::Error::other)?;
    hold(setup, |_| {
        let flock = Flock::open(lock.descriptor().as_raw_fd()).expect("a memory file can be opened again");
        move |guarded: &Guarded| {
            flock.acquire();
            guarded.bump();
            flock.release();
        }
    })
}

/// A process that serves the lock over Unix sockets, as an engine would.
pub fn served(setup: &Setup) -> io::Result<Outcome> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..setup.processes {
        let (client, server) = UnixStream::pair()?;
        ours.push(client);
        theirs.push(server);
    }
    let server = Child::fork(|| {
        // Away from the first client, so that two cores are two.
        pin(setup.cores, 1);
        serve(&mut theirs).expect("clients do not go away");
    })?;
    let outcome = hold(setup, |number| {
        let mut client = &ours[number];
        move |guarded: &Guarded| {
            client.write_all(b"a").expect("the server lives");
            client.read_exact(&mut [0]).expect("the server lives");
            guarded.bump();
            client.write_all(b"r").expect("the server lives");
        }
    });
    server.kill();
    let (_, cpu) = server.reap(Duration::from_secs(1))?;
    let outcome = outcome?;
    Ok(Outcome {
        cpu: outcome.cpu + cpu,
        ..outcome
    })
}
