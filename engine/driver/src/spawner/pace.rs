//! Who is waited for: the engine, or what it has started.
//!
//! An engine that waits for its processes starts the next one soonest itself. One that finds the next end whenever it has
//! carried out the last one is what keeps the run from being faster: it hands the starts to the spawner's thread, on another
//! core, and goes on meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many starts an average is taken over: processes that were started together end together, so that of two starts one
/// often finds that the engine has not waited at all.
const STARTS: u32 = 8;

/// No wait and no start counts for more: a pause of a run says nothing of its pace.
const MOST: Duration = Duration::from_millis(1);

/// How long the engine's thread has rested since that was asked last. Its runtime tells when a rest begins and ends.
#[derive(Debug)]
pub struct Rest {
    /// What the others count from.
    origin: Instant,
    /// When the present rest has begun, in nanoseconds.
    begun: AtomicU64,
    /// The sum, in nanoseconds.
    rested: AtomicU64,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            begun: AtomicU64::new(0),
            rested: AtomicU64::new(0),
        }
    }
}

impl Rest {
    /// Nothing is left to do.
    pub fn begin(&self) {
        self.begun.store(self.now(), Ordering::Relaxed);
    }

    /// Something has happened.
    pub fn end(&self) {
        let rested = self.now().saturating_sub(self.begun.load(Ordering::Relaxed));
        self.rested.fetch_add(rested, Ordering::Relaxed);
    }

    fn take(&self) -> Duration {
        Duration::from_nanos(self.rested.swap(0, Ordering::Relaxed))
    }

    /// After 584 years it would stand still.
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How fast the engine is, measured at its starts.
#[derive(Debug)]
pub(super) struct Pace {
    /// How long it has rested from start to start, on average.
    rest: Duration,
    /// How long a start in its own thread takes, on average.
    start: Duration,
    is_behind: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rest: MOST,
            start: Duration::ZERO,
            is_behind: false,
        }
    }
}

impl Pace {
    /// There is something to start: whether the engine is what is waited for. One that is not has time for its starts; one
    /// that is will have, once it rests for longer than they would take. Between the two it stays as it was.
    pub(super) fn is_behind(&mut self, rest: &Rest) -> bool {
        self.rest = average(self.rest, rest.take());
        let enough = if self.is_behind {
            self.start * 3 / 2
        } else {
            self.start / 4
        };
        self.is_behind = self.rest < enough;
        self.is_behind
    }

    /// A start in the engine's thread has taken so long.
    pub(super) fn took(&mut self, start: Duration) {
        self.start = average(self.start, start);
    }
}

fn average(before: Duration, next: Duration) -> Duration {
    (before * (STARTS - 1) + next.min(MOST)) / STARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_micros(200);

    /// After many starts from each to the next of which the engine has rested so long.
    fn after(pace: &mut Pace, micros: u64) -> bool {
        let rest = Rest::default();
        let mut is_behind = pace.is_behind;
        for _ in 0..10 * STARTS {
            rest.rested.store(1000 * micros, Ordering::Relaxed);
            pace.took(START);
            is_behind = pace.is_behind(&rest);
        }
        is_behind
    }

    #[test]
    fn an_engine_that_never_rests_is_behind_until_it_could_have_done_the_starts_too() {
        let mut pace = Pace::default();
        assert!(!after(&mut pace, 100));
        assert!(after(&mut pace, 10));
        assert!(after(&mut pace, 250), "it rests since others make its starts");
        assert!(!after(&mut pace, 350));
        assert!(!after(&mut pace, 100));
    }

    #[test]
    fn one_start_says_nothing() {
        let (mut pace, rest) = (Pace::default(), Rest::default());
        pace.took(START);
        assert!(!pace.is_behind(&rest), "it has just begun");
        assert!(after(&mut pace, 0));
        rest.rested.store(u64::MAX / 2, Ordering::Relaxed);
        assert!(pace.is_behind(&rest), "it has rested for an age, once");
    }

    #[test]
    fn a_rest_is_from_its_beginning_to_its_end_and_is_taken_once() {
        let rest = Rest::default();
        let before = Instant::now();
        rest.begin();
        std::thread::sleep(Duration::from_millis(3));
        rest.end();
        let most = before.elapsed();
        let taken = rest.take();
        assert!(
            Duration::from_millis(3) <= taken && taken <= most,
            "{taken:?} of {most:?}"
        );
        assert_eq!(rest.take(), Duration::ZERO);
    }
}
