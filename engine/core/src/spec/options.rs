//! `options` of the whole run.

use serde::Deserialize;

use super::values::Period;
use super::{Isolation, OnDeadlock, OnFailure, Options};

/// The options, word for word.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OptionFields {
    timeout: Option<Period>,
    on_failure: OnFailure,
    on_deadlock: OnDeadlock,
    isolation: Isolation,
    pipefail: bool,
}

/// The options as they are asked for.
pub(crate) fn options(fields: &OptionFields) -> Options {
    Options {
        timeout: fields.timeout.as_ref().map(|timeout| timeout.0),
        on_failure: fields.on_failure,
        on_deadlock: fields.on_deadlock,
        pipefail: fields.pipefail,
        isolation: fields.isolation,
    }
}
