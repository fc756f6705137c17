//! Groups: processes that are restarted together.

use serde::Deserialize;

use super::decode::{Many, Spanned};
use super::resolve::Named;
use super::values::{Period, Text, Whole};
use super::{Group, Intensity, Strategy, edge};

/// A group's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct GroupFields {
    description: Option<String>,
    members: Option<Many<Spanned<Text>>>,
    strategy: Option<Strategy>,
    max_restarts: Option<Whole<0, 1_000_000>>,
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
