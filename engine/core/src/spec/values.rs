//! The kinds of single values: text, durations, sizes, bounded numbers, signals, masks.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

mod quantity;

use quantity::size;
pub use quantity::{duration, duration_text};

/// Defines a value that is made from the text of a scalar: its type, what is wanted in words, and how it is read.
macro_rules! define_texts {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $wanted:literal, $read:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;

                impl Visitor<'_> for Reader {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        let read: fn(&str) -> Option<$inner> = $read;
                        let value = read(text).map($name);
                        value.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
                    }
                }

                deserializer.deserialize_str(Reader)
            }
        }
    )*};
}

define_texts! {
    /// Text that is handed to the operating system, which ends text at a NUL.
    Text(String), "text without NUL characters", |text| (!text.contains('\0')).then(|| text.to_owned());

    /// Text that only has to be read or written.
    Bytes(String), "text", |text| Some(text.to_owned());

    /// A span of time: `250ms`, `3s`, `2m`, `1h30m`.
    Period(Duration), "a duration such as 250ms, 3s, 2m or 1h30m", duration;

    /// A number of bytes: `64KiB`, `10MB`, `512`.
    Size(u64), "a size such as 512, 64KiB or 10MB", size;

    /// A signal by its name or number.
    Signal(i32), "a signal such as TERM, SIGINT or 10", signal;

    /// Thousandths of a CPU: `0.5`, `2`, `50%`.
    Share(u32), "a number of CPUs such as 0.5 or 2, or a share of one such as 50%", share;

    /// Numbers of CPUs: `3`, `0-3`.
    Cpus(RangeInclusive<u32>), "the number of a CPU, or a range such as 0-3", cpus;

    /// A file mode mask, in octal with or without a leading zero.
    Umask(u32), "an octal mask from 000 to 777, such as 022", umask;

    /// The permissions of a file, in octal with or without a leading zero.
    Mode(u32), "the octal mode of a file from 000 to 777, such as 0660", umask;
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// The number; every bound in use lies within the type it is asked for in.
    pub fn get<T: TryFrom<i64>>(self) -> T {
        T::try_from(self.0)
            .ok()
            .expect("the bounds of the number are within its type")
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(WholeVisitor::<MIN, MAX>)
    }
}

struct WholeVisitor<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if MAX == i64::MAX {
            write!(f, "a whole number from {MIN} on")
        } else {
            write!(f, "a whole number from {MIN} to {MAX}")
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        if (MIN..=MAX).contains(&value) {
            Ok(Whole(value))
        } else {
            Err(E::invalid_value(Unexpected::Signed(value), &self))
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
        }
    }
}

/// A number of at least one, by which a pause grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor(
    /// In thousandths.
    pub u32,
);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(FactorVisitor)
    }
}

struct FactorVisitor;

impl Visitor<'_> for FactorVisitor {
    type Value = Factor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 1 to 1000")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Factor, E> {
        if (1.0..=1000.0).contains(&value) {
            // A duration of so many seconds has its thousandths as milliseconds.
            let thousandths = Duration::from_secs_f64(value).as_millis();
            Ok(Factor(u32::try_from(thousandths).unwrap_or(u32::MAX)))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Factor, E> {
        match u32::try_from(value) {
            Ok(factor @ 1..=1000) => Ok(Factor(1000 * factor)),
            Ok(_) | Err(_) => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
        }
    }
}

/// Signals by name, with Linux's numbers on all of its common architectures (signal(7)).
const SIGNALS: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// A signal's number, by its name or number.
pub(super) fn signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, number)| number)
}

/// The highest number of a CPU that the kernel's sets can hold.
const CPU_MAX: u32 = 1023;

fn cpus(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last <= CPU_MAX).then_some(first..=last)
}

/// No machine has more CPUs than this.
const SHARE_CPUS_MAX: f64 = 100_000.0;

fn share(text: &str) -> Option<u32> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1000.0), |number| (number, 10.0));
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let thousandths = (number.parse::<f64>().ok()? * scale).round();
    let fits = plain && (1.0..=SHARE_CPUS_MAX * 1000.0).contains(&thousandths);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it has just been seen to fit"
    )]
    fits.then_some(thousandths as u32)
}

fn umask(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mask = u32::from_str_radix(digits, 8).ok()?;
    (octal && mask <= 0o777).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal("TERM"), Some(15));
        assert_eq!(signal("sigint"), Some(2));
        assert_eq!(signal("64"), Some(64));
        for wrong in ["", "0", "65", "SIG", "SIGNOPE", "-1"] {
            assert_eq!(signal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn masks_are_octal() {
        assert_eq!(umask("022"), Some(0o22));
        assert_eq!(umask("0o77"), Some(0o77));
        for wrong in ["", "8", "1000", "-1", "+7"] {
            assert_eq!(umask(wrong), None, "{wrong}");
        }
    }
}
