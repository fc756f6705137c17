//! Groups: read and checked for their form; their behaviour is not built.

use serde::Deserialize;

use super::decode::{Many, Spanned};
use super::resolve::Named;
use super::values::{Period, Text, Whole};
use super::{Group, edge};

/// A group's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct GroupFields {
    /// What it is for, for people.
    description: Option<String>,
    /// The processes that belong to it.
    members: Option<Many<Spanned<Text>>>,
    /// Who is restarted with a member that failed.
    #[serde(rename = "strategy")]
    _strategy: Option<Strategy>,
    /// How often at most.
    #[serde(rename = "max_restarts")]
    _max_restarts: Option<Whole<0, 1_000_000>>,
    /// In how long a time.
    #[serde(rename = "within")]
    _within: Option<Period>,
}

/// `strategy`: who is restarted with a member that failed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Strategy {
    /// Nobody else.
    OneForOne,
    /// All members.
    OneForAll,
    /// The members after it.
    RestForOne,
}

/// A group.
pub(crate) fn group(named: Named, fields: GroupFields) -> Group {
    let members = edge::references(fields.members.as_ref());
    Group {
        declared: named.declared(fields.description),
        members,
    }
}
