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
    description: Option<String>,
    members: Option<Many<Spanned<Text>>>,
    #[serde(rename = "strategy")]
    _strategy: Option<Strategy>,
    #[serde(rename = "max_restarts")]
    _max_restarts: Option<Whole<0, 1_000_000>>,
    #[serde(rename = "within")]
    _within: Option<Period>,
}

/// `strategy`: who is restarted with a member that failed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Strategy {
    OneForOne,
    OneForAll,
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
