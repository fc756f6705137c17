//! What a measurement found, as one line of JSON.

use std::io;
use std::time::Duration;

use crate::crew::Race;

/// What a measurement found.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How many operations were done: pairs of acquire and release, items got, round trips.
    pub operations: u64,
    /// How long that took.
    pub wall: Duration,
    /// How much CPU time all processes used for it.
    pub cpu: Duration,
    /// The longest that anyone waited, where that is measured.
    pub longest: Option<Duration>,
    /// The median of the single times, where they are measured one by one.
    pub median: Option<Duration>,
}

impl Outcome {
    /// All operations of all processes.
    pub fn of(race: &Race) -> Self {
        Self {
            operations: race.tallies.iter().map(|tally| tally.operations).sum(),
            wall: race.wall,
            cpu: race.cpu,
            longest: None,
            median: None,
        }
    }

    /// Operations a second.
    #[expect(clippy::cast_precision_loss, reason = "a benchmark's numbers are not that precise")]
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64()
    }

    /// CPU time of an operation, in nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "a benchmark's numbers are not that precise")]
    pub fn cpu_nanos(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / self.operations.max(1) as f64
    }

    /// One line of JSON.
    pub fn json(&self, case: &str, subject: &str) -> String {
        let time = |name: &str, time: Option<Duration>| {
            time.map_or(String::new(), |it| format!(r#","{name}":{:.9}"#, it.as_secs_f64()))
        };
        format!(
            r#"{{"case":"{case}","subject":"{subject}","operations":{},"seconds":{:.9},"cpu_seconds":{:.9}{}{}}}"#,
            self.operations,
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            time("longest_seconds", self.longest),
            time("median_seconds", self.median),
        )
    }
}

/// An error if the two differ: a benchmark of something that is wrong is worth nothing.
pub fn must_equal(what: &str, found: u64, wanted: u64) -> io::Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("{what}: {found}, but it must be {wanted}")))
}
