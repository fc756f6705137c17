//! `restart`: when a process that has ended is started again, after which pause, and how often at most.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::decode::{Many, Spanned, TextOr, listed};
use super::fields::Fields;
use super::values::{Factor, Period, Whole, signal};
use crate::diagnostic::{Findings, codes, nearest};
use crate::source::{Span, excerpt};

/// Ways to end: exit codes, and signals that killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// Exit codes.
    pub codes: Vec<i32>,
    /// Signals, by their numbers.
    pub signals: Vec<i32>,
}

impl Endings {
    /// These exit codes, and no signal.
    #[must_use]
    pub fn of_codes(codes: &[i32]) -> Self {
        Self {
            codes: codes.to_vec(),
            signals: Vec::new(),
        }
    }
}

/// `restart`, where it is not `never`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Whether a success is followed by another life, too.
    pub policy: Policy,
    /// `max` and `within`.
    pub intensity: Intensity,
    /// `backoff`.
    pub backoff: Backoff,
    /// `never_on`: it has failed for good when it ends so.
    pub never_on: Endings,
}

/// The policies under which there is a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `on-failure`
    OnFailure,
    /// `always`
    Always,
}

/// How many restarts there may be in how long a time: after one more, it has failed for good (Erlang/OTP's intensity and period).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// How many; 5 by default.
    pub max: u32,
    /// In how long a time; a minute by default.
    pub within: Duration,
}

/// How long a process stays ended before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause; 100 ms by default.
    pub initial: Duration,
    /// By how many thousandths a pause is longer than the one before; 2000, which doubles it, by default.
    pub factor: u32,
    /// The longest pause; 30 s by default.
    pub max: Duration,
    /// Whether a pause is shortened at random, by up to one half; so by default.
    pub jitter: bool,
    /// After a life of this length pauses begin with the first again; 10 s by default.
    pub reset: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self {
            max: 5,
            within: Duration::from_mins(1),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2000,
            max: Duration::from_secs(30),
            jitter: true,
            reset: Duration::from_secs(10),
        }
    }
}

impl Restart {
    /// This policy, with the defaults for all else.
    #[must_use]
    pub fn under(policy: Policy) -> Self {
        Self {
            policy,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            never_on: Endings::default(),
        }
    }
}

/// `restart: {…}`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RestartFields {
    /// When it is started again; after a failure by default.
    policy: Option<PolicyWord>,
    /// How often at most; 5 by default.
    max: Option<Whole<0, 1_000_000>>,
    /// In how long a time; 1m by default.
    within: Option<Period>,
    /// How long to wait before.
    backoff: Option<BackoffFields>,
    /// Exit codes and signals after which it is not started again.
    never_on: Option<Many<Ending>>,
}

/// `backoff` of `restart`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
struct BackoffFields {
    /// The first pause; 100ms by default.
    initial: Option<Period>,
    /// By how much each pause is longer than the one before; 2 by default.
    factor: Option<Factor>,
    /// The longest pause; 30s by default.
    max: Option<Spanned<Period>>,
    /// Whether a pause is shortened at random; true by default.
    jitter: Option<bool>,
    /// After how long a life pauses begin anew; 10s by default.
    reset: Option<Period>,
}

/// `restart`, or its `policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicyWord {
    /// It ends once.
    Never,
    /// It is started again after a failure.
    OnFailure,
    /// It is started again whenever it ends.
    Always,
}

impl PolicyWord {
    const ALL: [(&str, Self); 3] = [
        ("never", Self::Never),
        ("on-failure", Self::OnFailure),
        ("always", Self::Always),
    ];

    const fn policy(self) -> Option<Policy> {
        match self {
            Self::Never => None,
            Self::OnFailure => Some(Policy::OnFailure),
            Self::Always => Some(Policy::Always),
        }
    }
}

/// What a process says of its restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: it is not started again, but as a member of a group, which is, after a failure.
    Unsaid,
    /// `never`
    Never,
    /// Under these conditions.
    When(Box<Restart>),
}

/// Reads `restart`.
pub(crate) fn restart(fields: &Fields, findings: &mut Findings) -> Wish {
    let Some(Spanned { value, place }) = fields.restart.as_deref() else {
        return Wish::Unsaid;
    };
    match value {
        TextOr::Text(word) => match policy(word, *place, findings) {
            None | Some(PolicyWord::Never) => Wish::Never,
            Some(word) => word
                .policy()
                .map_or(Wish::Never, |policy| Wish::When(Box::new(Restart::under(policy)))),
        },
        TextOr::Other(fields) => match fields.policy.unwrap_or(PolicyWord::OnFailure).policy() {
            None => Wish::Never,
            Some(policy) => Wish::When(Box::new(rules(policy, fields, findings))),
        },
    }
}

fn rules(policy: Policy, fields: &RestartFields, findings: &mut Findings) -> Restart {
    let usual = Intensity::default();
    Restart {
        policy,
        intensity: Intensity {
            max: fields.max.map_or(usual.max, Whole::get),
            within: fields.within.as_ref().map_or(usual.within, |within| within.0),
        },
        backoff: fields
            .backoff
            .as_ref()
            .map_or_else(Backoff::default, |fields| backoff(fields, findings)),
        never_on: fields.never_on.as_ref().map_or_else(Endings::default, endings),
    }
}

fn backoff(fields: &BackoffFields, findings: &mut Findings) -> Backoff {
    let usual = Backoff::default();
    let initial = fields.initial.as_ref().map_or(usual.initial, |initial| initial.0);
    if let Some(max) = &fields.max
        && max.value.0 < initial
    {
        findings
            .error(
                codes::CONFLICT,
                max.place,
                "the longest pause is shorter than the first one",
            )
            .help("make `max` at least as long as `initial`, which is 100ms unless it is written");
    }
    Backoff {
        initial,
        factor: fields.factor.map_or(usual.factor, |factor| factor.0),
        max: fields.max.as_ref().map_or(usual.max.max(initial), |max| max.value.0),
        jitter: fields.jitter.unwrap_or(usual.jitter),
        reset: fields.reset.as_ref().map_or(usual.reset, |reset| reset.0),
    }
}

/// The policy that a word means; a map would have had it checked by its form.
fn policy(word: &str, place: Span, findings: &mut Findings) -> Option<PolicyWord> {
    let words = PolicyWord::ALL.map(|(known, _)| known);
    if let Some((_, policy)) = PolicyWord::ALL.into_iter().find(|(known, _)| *known == word) {
        return Some(policy);
    }
    let message = format!("expected one of {}; found `{}`", listed(&words), excerpt(word));
    let finding = findings.error(codes::BAD_VALUE, place, message);
    if let Some(near) = nearest(word, words) {
        finding.help(format!("did you mean `{near}`?"));
    }
    None
}

/// An exit code, or a signal by its name: a number would be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Signal(i32),
}

/// Both kinds apart.
pub(crate) fn endings(list: &Many<Ending>) -> Endings {
    let mut endings = Endings::default();
    for ending in &list.0 {
        match *ending {
            Ending::Code(code) => endings.codes.push(code),
            Ending::Signal(signal) => endings.signals.push(signal),
        }
    }
    endings
}

impl<'de> Deserialize<'de> for Ending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(EndingVisitor)
    }
}

struct EndingVisitor;

impl Visitor<'_> for EndingVisitor {
    type Value = Ending;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an exit code from 0 to 255, or a signal such as SIGTERM")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Ending, E> {
        let code = u8::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))?;
        Ok(Ending::Code(code.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Ending, E> {
        let named = !text.starts_with(|first: char| first.is_ascii_digit());
        let signal = named.then(|| signal(text)).flatten();
        signal
            .map(Ending::Signal)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
