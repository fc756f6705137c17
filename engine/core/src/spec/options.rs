//! `options` of the whole run.

use serde::Deserialize;

use super::decode::Spanned;
use super::values::Period;
use super::{Isolation, OnFailure, Options, Unbuilt};

/// The options, word for word.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OptionFields {
    timeout: Option<Period>,
    on_failure: OnFailure,
    on_deadlock: Option<Spanned<OnDeadlock>>,
    isolation: Isolation,
    pipefail: bool,
}

/// `on_deadlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnDeadlock {
    Fail,
    Report,
}

/// The options; what they ask for that is not built is noted.
pub(crate) fn options(fields: &OptionFields, unbuilt: &mut Vec<Unbuilt>) -> Options {
    let mut note = |key: &str, place| {
        unbuilt.push(Unbuilt {
            what: format!("`{key}` of `options`"),
            place,
        });
    };
    if let Some(on_deadlock) = &fields.on_deadlock {
        note("on_deadlock", on_deadlock.place);
    }
    Options {
        timeout: fields.timeout.as_ref().map(|timeout| timeout.0),
        on_failure: fields.on_failure,
        pipefail: fields.pipefail,
        isolation: fields.isolation,
    }
}
