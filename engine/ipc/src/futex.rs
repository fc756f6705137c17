//! Sleeping on a word of shared memory, and waking who sleeps there: futex(2).

use std::io;
use std::ptr;
use std::time::Duration;

use crate::memory::Word32;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Somebody woke us, or the word was not (or is no longer) what was expected.
    Woken,
    /// The time is over.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// Sleeps while the word is `expected`, for `time` at most. May end early for no reason.
pub fn wait(word: Word32<'_>, expected: u32, time: Duration) -> Slept {
    #[cfg(test)]
    if let Some(slept) = crate::simulation::wait(word, expected) {
        return slept;
    }
    let timeout = libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the word is a live, aligned u32, and `timeout` outlives the call; the kernel writes to neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.address(),
            libc::FUTEX_WAIT,
            expected,
            &raw const timeout,
            ptr::null::<u32>(),
            0,
        )
    };
    if result == 0 {
        return Slept::Woken;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => Slept::TimedOut,
        Some(libc::EINTR) => Slept::Interrupted,
        _ => Slept::Woken,
    }
}

/// Wakes `count` sleepers at most.
pub fn wake(word: Word32<'_>, count: i32) {
    #[cfg(test)]
    if crate::simulation::wake(word, count) {
        return;
    }
    // SAFETY: the word is a live, aligned u32; the kernel only uses its address.
    unsafe {
        libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAKE, count);
    }
}
