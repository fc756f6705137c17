//! `on_engine_loss`: who outlives an engine.

/// `on_engine_loss`: what becomes of a process when its engine is killed, or panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnEngineLoss {
    /// It is killed with all it has started.
    #[default]
    Kill,
    /// It lives on, and the next run of the workflow takes it over.
    Keep,
}
