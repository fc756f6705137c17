//! How long it takes from the SIGKILL of a lock's holder until the next one has it.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use forkyard_ipc::Lock;
use forkyard_ipc::channel::Place;

use crate::crew::{Child, Setup, clock, pin};
use crate::outcome::Outcome;
use crate::peers::{Flock, Mutex};
use crate::shared::Shared;

/// Something else is wrong when a step takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ours, without an engine.
pub fn forkyard(setup: &Setup) -> io::Result<Outcome> {
    deaths(setup, || {
        let lock = Lock::create(&Place::Memory, false).map_err(io::Error::other)?;
        Ok(move || {
            let guard = lock.acquire().expect("a lock is waited for until it is there");
            std::mem::forget(guard);
        })
    })
}

/// A robust pthread mutex.
pub fn robust(setup: &Setup) -> io::Result<Outcome> {
    deaths(setup, || {
        let mutex = Mutex::shared(true)?;
        Ok(move || {
            mutex.acquire();
        })
    })
}

/// flock(2) on a memory file.
pub fn flock(setup: &Setup) -> io::Result<Outcome> {
    deaths(setup, || {
        let lock = Lock::create(&Place::Memory, false).map_err(io::Error::other)?;
        Ok(move || {
            let flock = Flock::open(lock.descriptor().as_raw_fd()).expect("a memory file can be opened again");
            flock.acquire();
            std::mem::forget(flock);
        })
    })
}

fn deaths<A: Fn()>(setup: &Setup, make: impl Fn() -> io::Result<A>) -> io::Result<Outcome> {
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || began.elapsed() < setup.time {
        times.push(death(setup, &make()?)?);
    }
    times.sort_unstable();
    Ok(Outcome {
        operations: times.len() as u64,
        wall: times.iter().sum(),
        cpu: Duration::ZERO,
        longest: times.last().copied(),
        median: Some(times[times.len() / 2]),
    })
}

/// One holder is killed while one waits.
fn death(setup: &Setup, acquire: &impl Fn()) -> io::Result<Duration> {
    let held = Shared::new(AtomicU64::new(0))?;
    let had = Shared::new(AtomicU64::new(0))?;
    let holder = Child::fork(|| {
        pin(setup.cores, 0);
        acquire();
        held.store(1, Ordering::Release);
        loop {
            thread::sleep(PATIENCE);
        }
    })?;
    until("the holder holds it", || held.load(Ordering::Acquire) == 1)?;
    let waiter = Child::fork(|| {
        pin(setup.cores, 1);
        held.store(2, Ordering::Release);
        acquire();
        had.store(clock(libc::CLOCK_MONOTONIC), Ordering::Release);
    })?;
    until("the waiter waits", || {
        held.load(Ordering::Acquire) == 2 && is_asleep(&waiter)
    })?;
    // Long enough asleep that it has settled into its way of waiting.
    thread::sleep(Duration::from_millis(10));
    let killed = clock(libc::CLOCK_MONOTONIC);
    holder.kill();
    let done = until("the waiter has it", || had.load(Ordering::Acquire) != 0);
    holder.reap(PATIENCE)?;
    waiter.reap(PATIENCE)?;
    done?;
    Ok(Duration::from_nanos(had.load(Ordering::Acquire).saturating_sub(killed)))
}

fn until(what: &str, holds: impl Fn() -> bool) -> io::Result<()> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("it is not so after 10 s that {what}")));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn is_asleep(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
}
