//! How much of something is in use over time, and who waits for it how long.

use std::time::Duration;

use crate::id::ProcessId;
use crate::time::Time;

/// So much is in use now, and was before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauge {
    now: u64,
    peak: u64,
    since: Time,
    /// Units times nanoseconds.
    area: u128,
    waits: Waits,
}

/// How much something was used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// How much of it there is; 0: as much as is wanted.
    pub size: u64,
    /// How much of it was in use on the average, of all of the time.
    pub mean: f64,
    /// How much was in use at most.
    pub peak: u64,
    /// Those who had to wait for it.
    pub waits: Waits,
}

/// Those who had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many did.
    pub count: u64,
    /// For how long in all.
    pub total: Duration,
    /// For how long at most.
    pub longest: Duration,
    /// Who waited so long.
    pub by: Option<ProcessId>,
}

impl Waits {
    pub(super) fn add(&mut self, waited: Duration, by: ProcessId) {
        self.count += 1;
        self.total = self.total.saturating_add(waited);
        if waited > self.longest {
            (self.longest, self.by) = (waited, Some(by));
        }
    }
}

impl Gauge {
    pub(super) fn take(&mut self, now: Time, count: u64) {
        self.pass(now);
        self.now += count;
        self.peak = self.peak.max(self.now);
    }

    pub(super) fn give(&mut self, now: Time, count: u64) {
        self.pass(now);
        self.now -= count;
    }

    pub(super) fn waited(&mut self, waited: Duration, by: ProcessId) {
        self.waits.add(waited, by);
    }

    fn pass(&mut self, now: Time) {
        self.area += u128::from(self.now) * now.since(self.since).as_nanos();
        self.since = now;
    }

    /// What it comes to at `end`, of so many.
    #[expect(clippy::cast_precision_loss, reason = "a mean is shown with two figures")]
    pub(super) fn sum(mut self, end: Time, size: u64) -> Use {
        self.pass(end);
        let nanos = end.since(Time::START).as_nanos().max(1);
        Use {
            size,
            mean: self.area as f64 / nanos as f64,
            peak: self.peak,
            waits: self.waits,
        }
    }

    /// Units times time.
    pub(super) fn area(mut self, end: Time) -> Duration {
        self.pass(end);
        let seconds = u64::try_from(self.area / 1_000_000_000).unwrap_or(u64::MAX);
        let nanos = u32::try_from(self.area % 1_000_000_000).unwrap_or(0);
        Duration::new(seconds, nanos)
    }
}
