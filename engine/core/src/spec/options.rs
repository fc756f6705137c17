//! `options` of the whole run.

use serde::Deserialize;

use super::decode::Spanned;
use super::values::Period;
use super::{OnDeadlock, OnFailure, Options, Unbuilt};

/// The options, word for word.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OptionFields {
    timeout: Option<Period>,
    on_failure: OnFailure,
    on_deadlock: OnDeadlock,
    isolation: Option<Spanned<Isolation>>,
    pipefail: bool,
}

/// `isolation`: by what the engine makes sure that nothing outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Isolation {
    Auto,
    Guardian,
    Pidns,
    Cgroup,
}

/// The options; what they ask for that is not built is noted.
pub(crate) fn options(fields: &OptionFields, unbuilt: &mut Vec<Unbuilt>) -> Options {
    if let Some(isolation) = &fields.isolation
        && matches!(isolation.value, Isolation::Pidns | Isolation::Cgroup)
    {
        unbuilt.push(Unbuilt {
            what: "`isolation` of `options`".to_owned(),
            place: isolation.place,
        });
    }
    Options {
        timeout: fields.timeout.as_ref().map(|timeout| timeout.0),
        on_failure: fields.on_failure,
        on_deadlock: fields.on_deadlock,
        pipefail: fields.pipefail,
    }
}
