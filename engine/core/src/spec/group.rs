//! Groups: processes that are restarted together.

use serde::Deserialize;

use super::decode::{Many, Spanned};
use super::resolve::Named;
use super::values::{Period, Text, Whole};
use super::{Group, Intensity, Strategy, edge};

/// A group's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct GroupFields {
    /// What it is for, for people.
    description: Option<String>,
    /// The processes that belong to it.
    members: Option<Many<Spanned<Text>>>,
    /// Who is restarted with a member that is.
    strategy: Option<Strategy>,
    /// How often at most.
    max_restarts: Option<Whole<0, 1_000_000>>,
    /// In how long a time.
    within: Option<Period>,
}

/// A group.
pub(crate) fn group(named: Named, fields: GroupFields) -> Group {
    let usual = Intensity::default();
    let members = edge::references(fields.members.as_ref());
    Group {
        declared: named.declared(fields.description),
        members,
        strategy: fields.strategy.unwrap_or_default(),
        intensity: Intensity {
            max: fields.max_restarts.map_or(usual.max, Whole::get),
            within: fields.within.map_or(usual.within, |within| within.0),
        },
    }
}
