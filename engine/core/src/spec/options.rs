//! `options` of the whole run.

use serde::Deserialize;

use super::decode::Spanned;
use super::values::Period;
use super::{Isolation, OnDeadlock, OnFailure, Options};

/// The options, word for word.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct OptionFields {
    /// How long the whole run may take.
    timeout: Option<Spanned<Period>>,
    /// What the failure of a process does, where the process does not say so itself.
    on_failure: OnFailure,
    /// What is done when processes wait for each other for ever.
    on_deadlock: OnDeadlock,
    /// What sees to it that nothing of the run outlives it.
    isolation: Isolation,
    /// Whether a sender fails that dies when its receivers have ended.
    pipefail: bool,
}

/// The options as they are asked for.
pub(crate) fn options(fields: &OptionFields) -> Options {
    Options {
        timeout: fields.timeout.as_ref().map(|timeout| (timeout.value.0, timeout.place)),
        on_failure: fields.on_failure,
        on_deadlock: fields.on_deadlock,
        pipefail: fields.pipefail,
        isolation: fields.isolation,
    }
}
