//! Secrets are masked in what a process writes, before it reaches a log or a screen, also when one comes in pieces.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use forkyard_core::plan::{EnvValue, Plan};

/// What stands for a secret.
const MASK: &[u8] = b"***";

/// A shorter value would mask half of what is written, and hide nothing.
const SECRET_BYTES_MIN: usize = 3;

/// The secrets of a run; a value of several lines is looked for as a whole and line by line.
#[derive(Clone, Debug)]
pub struct Secrets {
    values: Rc<[Box<[u8]>]>,
    search: AhoCorasick,
}

impl Secrets {
    /// Those of the plan; `None` when it has none.
    ///
    /// # Errors
    /// When they are too large to be searched for.
    pub fn of(plan: &Plan) -> Result<Option<Self>, BuildError> {
        let values = plan.launches.iter().flat_map(|launch| launch.env.values());
        let secret = values.filter(|value| value.secret);
        Self::new(secret.flat_map(EnvValue::lines))
    }

    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Option<Self>, BuildError> {
        let values: BTreeSet<&[u8]> = texts
            .map(str::as_bytes)
            .filter(|text| text.len() >= SECRET_BYTES_MIN)
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&values)?;
        Ok(Some(Self {
            values: values.into_iter().map(Into::into).collect(),
            search,
        }))
    }

    /// A text that is whole.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.search.is_match(text) {
            let masked = self
                .search
                .replace_all_bytes(text.as_bytes(), &vec![MASK; self.values.len()]);
            Cow::Owned(String::from_utf8_lossy(&masked).into_owned())
        } else {
            Cow::Borrowed(text)
        }
    }

    /// How many of the last bytes may be the beginning of a secret whose rest is still to come.
    fn begun(&self, bytes: &[u8]) -> usize {
        let may_begin = |tail: &[u8]| {
            self.values
                .iter()
                .any(|value| value.len() > tail.len() && value.starts_with(tail))
        };
        let longest = self.values.iter().map(|value| value.len() - 1).max().unwrap_or(0);
        let first = bytes.len().saturating_sub(longest);
        (first..bytes.len())
            .find(|&from| may_begin(&bytes[from..]))
            .map_or(0, |from| bytes.len() - from)
    }
}

/// The mask over one stream.
#[derive(Debug)]
pub struct Mask {
    secrets: Secrets,
    /// Written, and maybe the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    /// A mask over a stream that begins.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Vec::new(),
        }
    }

    /// What may be shown now that these bytes have been written.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let certain = self.held.len() - self.secrets.begun(&self.held);
        self.show(certain)
    }

    /// What is left at the end of the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        self.show(self.held.len())
    }

    /// Shows what begins before `certain`; a secret that begins there is shown whole, as its mask.
    fn show(&mut self, certain: usize) -> Vec<u8> {
        let mut shown = Vec::with_capacity(certain);
        let mut at = 0;
        for found in self.secrets.search.find_iter(&self.held) {
            if found.start() >= certain {
                break;
            }
            shown.extend_from_slice(&self.held[at..found.start()]);
            shown.extend_from_slice(MASK);
            at = found.end();
        }
        shown.extend_from_slice(&self.held[at..certain.max(at)]);
        self.held.drain(..certain.max(at));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let secrets = Secrets::new(values.iter().copied()).expect("few and short");
        secrets.expect("there are some")
    }

    fn masked(values: &[&str], pieces: &[&[u8]]) -> String {
        let mut mask = Mask::new(secrets(values));
        let mut shown: Vec<u8> = pieces.iter().flat_map(|piece| mask.take(piece)).collect();
        shown.extend(mask.finish());
        String::from_utf8(shown).expect("the pieces are text")
    }

    #[test]
    fn a_secret_is_masked_however_it_comes() {
        let text = b"a tokentoken b toke token";
        let expected = "a ****** b toke ***";
        assert_eq!(masked(&["token"], &[text]), expected);
        for cut in 1..text.len() {
            assert_eq!(
                masked(&["token"], &[&text[..cut], &text[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(masked(&["token"], &single), expected);
    }

    #[test]
    fn the_longer_of_two_secrets_is_masked_whole() {
        for cut in 1..6 {
            let (first, second) = b"abcdef".split_at(cut);
            assert_eq!(masked(&["abc", "abcdef"], &[first, second]), "***");
        }
        assert_eq!(masked(&["abc", "abcdef"], &[b"abcd", b"x"]), "***dx");
        assert_eq!(masked(&["abc", "bcd"], &[b"xabcdx"]), "x***dx");
    }

    #[test]
    fn what_is_no_beginning_of_a_secret_is_shown_at_once() {
        let mut mask = Mask::new(secrets(&["token"]));
        assert_eq!(mask.take(b"ready\n"), b"ready\n");
        assert_eq!(mask.take(b"to"), b"");
        assert_eq!(mask.take(b"p"), b"top");
        assert_eq!(mask.finish(), b"");
    }

    #[test]
    fn very_short_values_are_no_secrets() {
        assert!(Secrets::new(["", "a", "12"].into_iter()).expect("few").is_none());
    }
}
