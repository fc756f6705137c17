//! Who puts large items does not run far ahead of those who get them.
//!
//! Where both have one core between them, a process that puts goes on until the queue is full or its turn is over, though somebody
//! has long been waiting for the first item. By then the first items have gone from the caches to the memory, and each byte is
//! fetched from there again. A pipe keeps its writer from that by being short. A queue is as long as it was made; so here the one who puts
//! lets others have the core once for so many bytes, unless something has been got meanwhile. Where nobody waits for the core that
//! is a system call that does nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::layout::{NEXT_NUMBER, READY, Table};

/// As many bytes as the caches near a core hold on most machines. Measured on one core, with items of 64 KiB: with 2 MiB they take as long;
/// with half a MiB a tenth longer and with a quarter nearly twice as long, since each time the process is changed twice.
const AHEAD_BYTES: u64 = 1 << 20;

/// How far this process is ahead. Threads that mix up each other's numbers here do no harm.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How many items had left the line when it was looked last, and how many bytes this process has put since.
    gone: AtomicU64,
    bytes: AtomicU64,
}

impl Pace {
    /// So many bytes more were put; whether to let others have the core.
    pub fn is_ahead(&self, table: Table<'_>, length: u64) -> bool {
        let bytes = self.bytes.load(Relaxed).saturating_add(length);
        if bytes < AHEAD_BYTES {
            self.bytes.store(bytes, Relaxed);
            return false;
        }
        let (ready, put) = (u64::from(table.get(READY)), table.u64(NEXT_NUMBER).load(Relaxed));
        let gone = put.wrapping_sub(ready);
        self.bytes.store(0, Relaxed);
        self.gone.swap(gone, Relaxed) == gone
    }
}
