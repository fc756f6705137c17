//! `NAME=VALUE` on the command line, and whom it means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forkyard_core::simulate::SPANS_MAX;
use forkyard_core::spec;
use glob::Pattern;

/// More slots than there may be processes are of no use.
const SIZE_MAX: u32 = 1_000_000;

/// More items are more tasks than a simulated run may have.
const COUNT_MAX: u64 = SPANS_MAX as u64;

/// `--duration build=2m`
pub(super) fn duration(text: &str) -> Result<(String, Duration), String> {
    let (name, value) = pair(text, "build=2m")?;
    let duration = spec::duration(value).ok_or("a duration is written as 250ms, 3s, 2m or 1h30m")?;
    Ok((name, duration))
}

/// `--slots workers=8`, or `--slots 8`
pub(super) fn size(text: &str) -> Result<(Option<String>, u32), String> {
    let (name, value) = match text.split_once('=') {
        Some(("", _)) => return Err("write it as name=value, for instance workers=8".to_owned()),
        Some((name, value)) => (Some(name.to_owned()), value),
        None => (None, text),
    };
    match value.parse() {
        Ok(size @ 1..=SIZE_MAX) => Ok((name, size)),
        Ok(_) | Err(_) => Err(format!("a number from 1 to {SIZE_MAX} is wanted, as in workers=8 or 8")),
    }
}

/// `--fail build`, or `--fail build=1`
pub(super) fn failures(text: &str) -> Result<(String, u32), String> {
    if !text.is_empty() && !text.contains('=') {
        return Ok((text.to_owned(), u32::MAX));
    }
    let (name, value) = pair(text, "build=1")?;
    let times = value
        .parse()
        .map_err(|_| "how often is a whole number, as in build=1")?;
    Ok((name, times))
}

/// `--items jobs=500`
pub(super) fn count(text: &str) -> Result<(String, u64), String> {
    let (name, value) = pair(text, "jobs=500")?;
    match value.parse() {
        Ok(count @ 0..=COUNT_MAX) => Ok((name, count)),
        Ok(_) | Err(_) => Err(format!("how many is a whole number up to {COUNT_MAX}, as in jobs=500")),
    }
}

fn pair<'a>(text: &'a str, example: &str) -> Result<(String, &'a str), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value)),
        Some(_) | None => Err(format!("write it as name=value, for instance {example}")),
    }
}

/// Values for names and patterns; of several for the same one the last counts.
pub(super) struct Rules<T> {
    exact: BTreeMap<String, (usize, T)>,
    patterns: Vec<(Pattern, usize, T)>,
    names: Vec<String>,
    used: BTreeSet<usize>,
}

impl<T: Copy> Rules<T> {
    /// The error is a name that is no pattern, though it looks like one.
    pub(super) fn new(given: &[(String, T)]) -> Result<Self, String> {
        let mut rules = Self {
            exact: BTreeMap::new(),
            patterns: Vec::new(),
            names: given.iter().map(|(name, _)| name.clone()).collect(),
            used: BTreeSet::new(),
        };
        for (place, (name, value)) in given.iter().enumerate() {
            if name.contains(['*', '?', '[']) {
                let shown = name.escape_debug();
                let pattern = Pattern::new(name).map_err(|error| format!("`{shown}` is no pattern: {}", error.msg))?;
                rules.patterns.push((pattern, place, *value));
            } else if let Some((before, _)) = rules.exact.insert(name.clone(), (place, *value)) {
                // The one before is not forgotten by mistake, it is replaced.
                rules.used.insert(before);
            }
        }
        Ok(rules)
    }

    /// What counts for an instance, `count.2`, of a declaration, `count`.
    pub(super) fn of(&mut self, instance: &str, declared: &str) -> Option<T> {
        if self.names.is_empty() {
            return None;
        }
        let exact = [self.exact.get(instance), self.exact.get(declared)];
        let exact = exact.into_iter().flatten().copied();
        let fits = |pattern: &Pattern| pattern.matches(instance) || pattern.matches(declared);
        let patterns = self.patterns.iter().filter(|(pattern, ..)| fits(pattern));
        let all = exact.chain(patterns.map(|(_, place, value)| (*place, *value)));
        let mut last = None;
        for (place, value) in all {
            self.used.insert(place);
            if last.is_none_or(|(before, _)| before < place) {
                last = Some((place, value));
            }
        }
        last.map(|(_, value)| value)
    }

    /// The first name that meant nobody.
    pub(super) fn unused(&self) -> Option<&str> {
        let mut names = self.names.iter().enumerate();
        names
            .find(|(place, _)| !self.used.contains(place))
            .map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read() {
        assert_eq!(duration("a=1m30s"), Ok(("a".to_owned(), Duration::from_secs(90))));
        assert_eq!(size("8"), Ok((None, 8)));
        assert_eq!(size("w=8"), Ok((Some("w".to_owned()), 8)));
        assert_eq!(failures("w"), Ok(("w".to_owned(), u32::MAX)));
        assert_eq!(failures("w=2"), Ok(("w".to_owned(), 2)));
        assert_eq!(count("q=0"), Ok(("q".to_owned(), 0)));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for wrong in ["", "a", "=1s", "a=", "a=5", "a=-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "w=0", "=1", "w=", "-1", "w=99999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(failures("").is_err() && failures("=1").is_err() && failures("w=x").is_err());
        assert!(count("q").is_err() && count("q=x").is_err() && count("q=-1").is_err());
    }

    #[test]
    fn the_last_one_that_fits_counts() {
        let given = [("test-*", 1), ("test-a", 2), ("b", 3), ("b.1", 4), ("none", 5)];
        let given: Vec<_> = given.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let mut rules = Rules::new(&given).expect("all are patterns or names");
        assert_eq!(rules.of("test-a", "test-a"), Some(2));
        assert_eq!(rules.of("test-b.0", "test-b"), Some(1));
        assert_eq!((rules.of("b.0", "b"), rules.of("b.1", "b")), (Some(3), Some(4)));
        assert_eq!(rules.of("c", "c"), None);
        assert_eq!(rules.unused(), Some("none"));
        assert!(Rules::new(&[("a[*".to_owned(), 1)]).is_err());
    }
}
