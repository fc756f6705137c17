//! Simulated processes, whose steps (see [`crate::steps`]) follow each other in an order that a scheduler chooses, many thousand orders
//! by chance. The scheduler is that of shuttle; each process is one of its threads, with a
//! mapping and a slot of its own.
//!
//! - Sleeping on a word is simulated without any waking that has no cause, and without time-outs: a lost waking is a deadlock,
//!   which the scheduler reports.
//! - A process may *die*: it stops for ever before a step, or asleep. From then on those who sleep in a channel whose dead
//!   are not buried wake up by time, as they do in the world, to look who has died; where a host watches, only those at the latch do.
//! - Time does not pass. Whether somebody has waited for long is for chance to say.
//! - Memory is sequentially consistent here: what another ordering would let happen is not found.

mod holding;
mod meeting;
mod queueing;
mod run;

use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use crate::futex::Slept;
use crate::memory::Word32;
use run::current;
use run::{Notes, Run, Scenario, Setting, explore_by_chance};

/// Before an access to shared memory: others may take their steps now, and who has died goes no further.
pub fn pass() {
    if let Some(run) = current() {
        run.pass();
    }
}

/// Whether this thread is a simulated process.
pub fn is_running() -> bool {
    current().is_some()
}

/// What stands for the pid of the calling process.
pub fn own() -> Option<u32> {
    current().map(|_| Run::pid())
}

/// Whether the process of that pid lives.
pub fn lives(pid: u32) -> Option<bool> {
    current().map(|run| run.lives(pid))
}

/// A channel has been mapped there.
pub fn mapped(file: &OwnedFd, at: NonNull<u8>, bytes: u64) {
    if let Some(run) = current() {
        run.note_mapping(file, at.as_ptr() as u64, bytes);
    }
}

/// Sleeps.
pub fn wait(word: Word32<'_>, expected: u32) -> Option<Slept> {
    current().map(|run| run.wait(word, expected))
}

/// Wakes those who have slept longest; false where nothing is simulated.
pub fn wake(word: Word32<'_>, count: i32) -> bool {
    let run = current();
    if let Some(run) = &run {
        run.wake(word, usize::try_from(count).unwrap_or_default());
    }
    run.is_some()
}

/// Which of the processes has died, counted from 1.
fn victim() -> Option<usize> {
    current().and_then(|run| run.victim())
}

/// Runs a scenario in all settings: nobody dies; somebody does, with a host and without; each of these with patience and without.
fn explore_everything<T: Send + 'static>(deadly: u32, scenario: fn() -> Scenario<T>) {
    for fair in [false, true] {
        explore_by_chance(Setting { fair, ..Setting::CALM }, scenario);
        for hosted in [true, false] {
            let setting = Setting { hosted, deadly, fair };
            explore_by_chance(setting, scenario);
        }
    }
}

/// Whether somebody has waited for long.
pub fn has_passed() -> Option<bool> {
    current().map(|run| run.has_passed())
}
