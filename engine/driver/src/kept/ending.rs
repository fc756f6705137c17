//! How a process that was kept has ended, as its keeper writes it down.

use std::time::Duration;

use forkyard_core::machine::Exit;
use serde::{Deserialize, Serialize};

use crate::exit::Usage;

/// How it ended, and what it had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How its first process ended.
    pub exit: Exit,
    /// Its CPU time, in microseconds.
    pub cpu_us: u64,
    /// The most memory that one process of it had at once, in bytes.
    pub peak_bytes: u64,
}

impl Ending {
    /// What the kernel says of it.
    #[must_use]
    pub fn new(exit: Exit, usage: Usage) -> Self {
        Self {
            exit,
            cpu_us: u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX),
            peak_bytes: usage.peak,
        }
    }

    /// What it had used.
    #[must_use]
    pub fn usage(self) -> Usage {
        Usage {
            cpu: Duration::from_micros(self.cpu_us),
            peak: self.peak_bytes,
        }
    }
}
