//! Values of expressions to and from nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr, ValueKind};

use super::TEXT_BYTES_MAX;
use crate::source::{Entry, Kind, Node, Plain, Span, Style};

/// How many values an expression may give.
pub(super) const VALUES_MAX: usize = 100_000;
/// How deeply its lists and maps may be nested.
const DEPTH_MAX: usize = 16;

/// A number as it was written, where that says more than its value: `1.10` is a version. It cannot be reckoned with,
/// and only becomes text again.
#[derive(Debug)]
struct Written(String);

impl Object for Written {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number, which keeps how it was written where that would be lost.
fn float(value: f64, written: &str) -> Value {
    let number = Value::from(value);
    if number.to_string() == written {
        number
    } else {
        Value::from_object(Written(written.to_owned()))
    }
}

/// What a node means in an expression.
pub(crate) fn from_node(node: &Node) -> Value {
    match &node.kind {
        Kind::Sequence(items) => items.iter().map(|item| from_node(item)).collect(),
        Kind::Mapping(entries) => {
            let entries = entries.iter();
            let pairs = entries.map(|entry| (entry.key.text().to_owned(), from_node(&entry.value)));
            Value::from(pairs.collect::<BTreeMap<_, _>>())
        }
        Kind::Scalar(scalar) => match scalar.meaning() {
            Plain::Null => Value::from(()),
            Plain::Bool(value) => Value::from(value),
            Plain::Whole(value) => Value::from(value),
            Plain::Float(value) => float(value, &scalar.text),
            Plain::Text(text) => Value::from(text),
        },
    }
}

/// What a JSON value, as `-p` gives lists and maps, means in an expression.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, value) => Value::from(value.unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(from_json).collect(),
        serde_json::Value::Object(entries) => {
            let pairs = entries.iter().map(|(key, value)| (key.clone(), from_json(value)));
            Value::from(pairs.collect::<BTreeMap<_, _>>())
        }
    }
}

/// A value as a node at the place of its expression: text stays text, whatever it looks like.
pub(crate) fn to_node(value: &Value, place: Span) -> Result<Node, String> {
    let mut budget = VALUES_MAX;
    convert(value, place, &mut budget, DEPTH_MAX)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "minijinja may have kinds of values in future that YAML does not have either"
)]
fn convert(value: &Value, place: Span, budget: &mut usize, depth: usize) -> Result<Node, String> {
    *budget = budget
        .checked_sub(1)
        .ok_or_else(|| format!("the expression gives more than {VALUES_MAX} values"))?;
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("the expression gives lists more than {DEPTH_MAX} levels deep"))?;
    match value.kind() {
        ValueKind::None => Ok(Node::scalar(place, "null".to_owned(), Style::Plain)),
        ValueKind::Bool => Ok(Node::scalar(place, value.is_true().to_string(), Style::Plain)),
        ValueKind::Number => Ok(Node::scalar(place, value.to_string(), Style::Plain)),
        ValueKind::Plain if value.downcast_object_ref::<Written>().is_some() => {
            Ok(Node::scalar(place, value.to_string(), Style::Plain))
        }
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if text.len() > TEXT_BYTES_MAX {
                return Err(format!(
                    "the expression gives a text longer than {TEXT_BYTES_MAX} bytes"
                ));
            }
            Ok(Node::scalar(place, text.to_owned(), Style::Text))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|error| error.to_string())?;
            let items = items.map(|item| convert(&item, place, budget, depth).map(Rc::new));
            Ok(Node::sequence(place, items.collect::<Result<_, _>>()?))
        }
        ValueKind::Map => {
            let keys = value.try_iter().map_err(|error| error.to_string())?;
            let entries = keys.map(|key| {
                let item = value.get_item(&key).unwrap_or_default();
                let key = Rc::new(Node::scalar(place, key.to_string(), Style::Text));
                convert(&item, place, budget, depth).map(|value| Entry {
                    key,
                    value: Rc::new(value),
                })
            });
            Ok(Node::mapping(place, entries.collect::<Result<_, _>>()?))
        }
        kind => Err(format!("the expression gives a value that YAML does not have: {kind}")),
    }
}
