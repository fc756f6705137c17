//! Killing at a step: in tests every access to a word of shared memory is counted, and the process may be made to
//! kill itself at the one of a given number.

use std::cell::Cell;

thread_local! {
    /// How many steps this thread may still take; `None` is any number.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Before an access.
pub fn pass() {
    crate::simulation::pass();
    match LEFT.get() {
        None => {}
        Some(0) => die(),
        Some(left) => LEFT.set(Some(left - 1)),
    }
}

/// From now on this thread takes so many steps; before the next one its process is killed.
pub fn kill_after(steps: u64) {
    LEFT.set(Some(steps));
}

/// It is done: this thread may take as many steps as it likes.
pub fn live() {
    LEFT.set(None);
}

fn die() -> ! {
    // SAFETY: it is our own process, and nothing comes after it.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    unreachable!("a killed process has gone on")
}
