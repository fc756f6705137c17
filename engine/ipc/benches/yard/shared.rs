//! Memory that a process shares with the processes it forks.

use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A value in memory that is shared with children; it is never given back, since the process does not live long.
#[derive(Debug)]
pub struct Shared<T> {
    at: NonNull<T>,
}

impl<T: Sync> Shared<T> {
    /// Moves a value there.
    pub fn new(value: T) -> io::Result<Self> {
        let at = map(size_of::<T>())?.cast::<T>();
        // SAFETY: the mapping is new, large enough, and aligned to a page.
        unsafe { at.write(value) };
        Ok(Self { at })
    }
}

impl<T: Sync> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value was written when the mapping was made, which is never unmapped; `Sync` types change
        // only by means that several processes can use as several threads can.
        unsafe { self.at.as_ref() }
    }
}

/// So many bytes, all 0.
pub fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping touches no memory that is there already.
    let at = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel mapped nothing"))
}
