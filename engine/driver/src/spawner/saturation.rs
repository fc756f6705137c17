//! Whether the engine is saturated: whether it is what the processes wait for.
//!
//! An engine that waits for its processes starts the next one soonest itself. One that finds the next thing to do whenever it
//! has done the last is what keeps the run from being faster: it hands the starts to the spawner's thread, which can have
//! another core, and goes on meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many turns in which something is to start an average is taken over: processes that were started together end together,
/// so that of two such turns one often finds that the engine has not rested at all.
const TURNS: u32 = 16;

/// Of a quick start so much is forgotten at each that takes longer: a 64th.
const FORGOTTEN: u32 = 64;

/// No rest and no start counts for more: a pause of a run says nothing of its pace.
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

    pub(super) fn take(&self) -> Duration {
        Duration::from_nanos(self.rested.swap(0, Ordering::Relaxed))
    }

    /// After 584 years it would stand still.
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How busy the engine is, measured at its starts.
#[derive(Debug)]
pub(super) struct Saturation {
    /// How long it has rested from one turn in which something was to start to the next, on average.
    rest: Duration,
    /// How long a start in its own thread takes when nobody else wants the cores.
    start: Duration,
    is_saturated: bool,
}

impl Default for Saturation {
    fn default() -> Self {
        Self {
            rest: MOST,
            start: MOST,
            is_saturated: false,
        }
    }
}

impl Saturation {
    /// A turn has something to start, and the engine has rested so long since the last that had: whether it is saturated. One
    /// that is not has time for its starts; one that is will have, once it rests for longer than they would take. Between
    /// the two it stays as it was.
    pub(super) fn rested(&mut self, rest: Duration) -> bool {
        self.rest = (self.rest * (TURNS - 1) + rest.min(MOST)) / TURNS;
        let enough = if self.is_saturated {
            // More than the average can be must not be asked of it.
            (self.start * 2).min(MOST / 2)
        } else {
            self.start / 8
        };
        self.is_saturated = self.rest < enough;
        self.is_saturated
    }

    /// A start in the engine's thread has taken so long.
    pub(super) fn started(&mut self, took: Duration) {
        self.start = took.min(self.start + self.start / FORGOTTEN).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_micros(200);

    /// After many turns, each with one start, before each of which the engine has rested so long.
    fn after(engine: &mut Saturation, start: Duration, micros: u64) -> bool {
        let mut is_saturated = engine.is_saturated;
        for _ in 0..10 * TURNS {
            engine.started(start);
            is_saturated = engine.rested(Duration::from_micros(micros));
        }
        is_saturated
    }

    #[test]
    fn an_engine_that_never_rests_is_saturated_until_it_could_make_the_starts_too() {
        let mut engine = Saturation::default();
        assert!(!after(&mut engine, START, 100));
        assert!(after(&mut engine, START, 10));
        assert!(after(&mut engine, START, 350), "it rests since others make its starts");
        assert!(!after(&mut engine, START, 450));
        assert!(!after(&mut engine, START, 100));
    }

    #[test]
    fn one_turn_says_nothing() {
        let mut engine = Saturation::default();
        engine.started(START);
        assert!(!engine.rested(Duration::ZERO), "it has just begun");
        assert!(after(&mut engine, START, 0));
        assert!(engine.rested(Duration::MAX), "it has rested for an age, once");
    }

    #[test]
    fn an_engine_that_rests_every_other_turn_is_not_saturated() {
        let mut engine = Saturation::default();
        for turn in 0..100 * TURNS {
            engine.started(START * (1 + turn % 5));
            let rest = if turn % 2 == 0 { Duration::ZERO } else { START };
            assert!(!engine.rested(rest), "{turn}");
        }
    }

    #[test]
    fn however_long_starts_take_an_engine_that_rests_is_not_saturated() {
        for millis in [1, 10, 1000] {
            let mut engine = Saturation::default();
            assert!(after(&mut engine, Duration::from_millis(millis), 0));
            assert!(!after(&mut engine, Duration::from_millis(millis), 1000));
        }
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
