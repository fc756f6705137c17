//! Numbers with a unit.

use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration that is taken: ten years. A longer one is a mistake.
const DURATION_MAX: Duration = Duration::from_hours(10 * 366 * 24);

/// The largest size that is taken: 1 EiB, beyond any file system.
const SIZE_MAX: u128 = 1 << 60;

/// Units of time with their length in nanoseconds, from long to short: the order in which parts must stand.
const TIMES: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size; a `K` alone could mean either and is refused.
const SIZES: [(&str, u128); 12] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
];

/// A duration: numbers with units, from the longest to the shortest, such as `1h30m` or `1.5s`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut units = TIMES.iter();
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = decimal(rest)?;
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(number.times(*scale)?)?;
        rest = tail;
    }
    let duration = Duration::from_nanos(u64::try_from(nanos).ok()?);
    (!text.is_empty() && duration <= DURATION_MAX).then_some(duration)
}

/// The duration as it is written in a workflow: `1h30m`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    let mut text = String::new();
    for (unit, scale) in TIMES {
        let count = left / scale;
        left %= scale;
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size: one number with or without a unit, such as `64KiB` or `512`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = decimal(text)?;
    let (_, scale) = SIZES.iter().find(|(name, _)| *name == unit.trim_start_matches(' '))?;
    let bytes = number.times(*scale)?;
    (bytes <= SIZE_MAX).then(|| u64::try_from(bytes).ok()).flatten()
}

/// A decimal number without a sign: `digits / 10^decimals`.
struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// The number times `scale`, rounded down; `None` when it is out of range, or a fraction of the smallest unit.
    fn times(&self, scale: u128) -> Option<u128> {
        if scale == 1 && self.decimals > 0 {
            return None;
        }
        Some(self.digits.checked_mul(scale)? / 10_u128.pow(self.decimals))
    }
}

/// The decimal number at the start of a text, and what follows it.
fn decimal(text: &str) -> Option<(Decimal, &str)> {
    const DIGITS_MAX: usize = 18;
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    let pointed = text[whole.len()..].starts_with('.');
    if whole.is_empty() || (pointed && fraction.is_empty()) || whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let number = Decimal {
        digits: format!("{whole}{fraction}").parse().ok()?,
        decimals: u32::try_from(fraction.len()).ok()?,
    };
    Some((number, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1.5s"), Some(1_500));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1d"), Some(86_400_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in [
            "",
            "5",
            "-1s",
            "1",
            "s",
            "1x",
            "1m1h",
            "1s1s",
            "NaN",
            "inf",
            "1e3s",
            "300000d",
            "1.s",
            ".5s",
            "1 s",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_may_have_units() {
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(size("1.5GiB"), Some(1_610_612_736));
        for wrong in [
            "",
            "-1",
            "1.5",
            "K",
            "1K",
            "1XB",
            "NaN",
            "2000PiB",
            "99999999999999999999",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
