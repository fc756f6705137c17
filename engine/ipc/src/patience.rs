//! How long to wait.

use std::time::{Duration, Instant};

/// How long to wait for what is not possible at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// For ever.
    Block,
    /// Not at all.
    Try,
    /// So long; `0s` is not at all, and a time beyond what the clock can count is for ever.
    For(Duration),
}

impl Patience {
    /// Whether there is any.
    pub(crate) const fn blocks(self) -> bool {
        match self {
            Self::Block => true,
            Self::Try => false,
            Self::For(time) => !time.is_zero(),
        }
    }
}

/// Until when to wait, once the waiting has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    #[inline]
    pub(crate) fn of(patience: Patience) -> Self {
        match patience {
            Patience::Block => Self::Never,
            Patience::Try => Self::Now,
            Patience::For(time) => Instant::now().checked_add(time).map_or(Self::Never, Self::At),
        }
    }

    /// The patience that is left.
    pub(crate) fn left(self) -> Patience {
        match self {
            Self::Now => Patience::Try,
            Self::Never => Patience::Block,
            Self::At(instant) => match instant.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Patience::Try,
                left => Patience::For(left),
            },
        }
    }

    /// How long is left of `slice` until the deadline; `None` when it has passed.
    pub(crate) fn cut(self, slice: Duration) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::Never => Some(slice),
            Self::At(instant) => {
                let left = instant.saturating_duration_since(Instant::now());
                (!left.is_zero()).then_some(left.min(slice))
            }
        }
    }
}

/// Whether so much time has passed; where processes are simulated, chance decides.
pub(crate) fn has_passed(since: Instant, time: Duration) -> bool {
    #[cfg(test)]
    if let Some(passed) = crate::simulation::has_passed() {
        return passed;
    }
    since.elapsed() >= time
}

/// What the clock that nobody sets shows, in nanoseconds: the same in all processes, but for those in another time
/// namespace.
pub(crate) fn clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to `now`, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_with_the_deadline() {
        let second = Duration::from_secs(1);
        assert_eq!(Deadline::of(Patience::Try).cut(second), None);
        assert_eq!(Deadline::of(Patience::Block).cut(second), Some(second));
        assert_eq!(Deadline::of(Patience::For(Duration::MAX)), Deadline::Never);
        assert_eq!(Deadline::of(Patience::For(Duration::ZERO)).cut(second), None);
        let hour = Deadline::of(Patience::For(Duration::from_hours(1)));
        assert_eq!(hour.cut(second), Some(second));
    }
}
