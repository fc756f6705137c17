//! How far ahead of its answers a persistent worker is given tasks.
//!
//! To wake a worker for each task, and the engine for each answer, costs more than a short task itself: 5 to 70 µs. So a worker that
//! answers quickly finds its next tasks on its stdin already. One that answers slowly does not: a task that lies behind a long one
//! could be done by somebody else meanwhile.

use std::time::Duration;

use crate::time::Time;

/// So much work, as far as can be foreseen, may lie before a worker.
const AHEAD: Duration = Duration::from_millis(1);

/// A persistent worker never has more tasks than this besides the one it works on, however short they are.
pub const AHEAD_MAX: usize = 64;

/// A new answer counts for one part in so many of the mean.
const WEIGHT: u32 = 8;

/// What is known of how fast a worker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// When it began the task it works on, as far as can be seen from here.
    since: Time,
    /// How long a task takes.
    mean: Duration,
}

impl Pace {
    /// Of a worker of which nothing is known: it is taken for one that is just too slow.
    pub(super) const UNKNOWN: Self = Self {
        since: Time::START,
        mean: Duration::from_micros(1100),
    };

    /// It begins a task.
    pub(super) fn begin(&mut self, now: Time) {
        self.since = now;
    }

    /// It has answered a task. Answers that are read together share their time: the first of them seems to have taken long and
    /// the others none, which the mean evens out.
    pub(super) fn answered(&mut self, now: Time) {
        let took = now.since(self.since);
        self.mean = (self.mean * (WEIGHT - 1) + took) / WEIGHT;
        self.since = now;
    }

    /// How many tasks it may have besides the one it works on.
    pub(super) fn window(self) -> usize {
        let count = AHEAD.as_nanos() / self.mean.as_nanos().max(1);
        usize::try_from(count).unwrap_or(AHEAD_MAX).min(AHEAD_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(took: &[Duration]) -> Pace {
        let mut now = Time::START;
        let mut pace = Pace::UNKNOWN;
        pace.begin(now);
        for took in took {
            now = now.after(*took);
            pace.answered(now);
        }
        pace
    }

    #[test]
    fn who_is_slow_or_unknown_has_one_task_at_a_time() {
        assert_eq!(pace(&[]).window(), 0);
        assert_eq!(pace(&[Duration::from_millis(2); 100]).window(), 0);
    }

    #[test]
    fn who_is_fast_is_given_about_a_millisecond_of_work() {
        let quick = pace(&[Duration::from_micros(100); 100]).window();
        assert!((9..=10).contains(&quick), "{quick}");
        assert_eq!(pace(&[Duration::from_micros(1); 200]).window(), AHEAD_MAX);
    }

    #[test]
    fn one_long_task_makes_it_careful_again() {
        let mut pace = pace(&[Duration::from_micros(1); 200]);
        pace.answered(pace.since.after(Duration::from_secs(1)));
        assert_eq!(pace.window(), 0);
    }
}
