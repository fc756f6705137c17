//! Params: names with defaults, whose types say what may be given instead.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::diagnostic::{Findings, codes, nearest};
use crate::source::{Entry, Node, Plain, Style, excerpt};

use super::expression::{from_json, from_node};

/// What `params` of a workflow or a template declares, expressions evaluated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    declared: Vec<Entry>,
}

impl Params {
    /// Reads a `params` map.
    pub fn of(node: Option<&Rc<Node>>, findings: &mut Findings) -> Self {
        let Some(node) = node else {
            return Self::default();
        };
        if node.entries().is_empty() && node.describe() != "a map" {
            let message = format!(
                "expected a map of params with their defaults; found {}",
                node.describe()
            );
            findings.error(codes::BAD_VALUE, node.span, message);
        }
        let declared = node.entries().to_vec();
        Self { declared }
    }

    /// The names.
    pub fn names(&self) -> Vec<&str> {
        self.declared.iter().map(|entry| entry.key.text()).collect()
    }

    /// The values in force, when `-p` gives these on the command line.
    pub fn given(&self, given: &[(String, String)], findings: &mut Findings) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        for entry in &self.declared {
            if entry.value.is_null() {
                let message = format!("the param `{}` has no default", excerpt(entry.key.text()));
                findings
                    .error(codes::MISSING_VALUE, entry.value.span, message)
                    .help("give it one: its type says what `-p` may give");
            }
            values.insert(entry.key.text().to_owned(), from_node(&entry.value));
        }
        for (name, text) in given {
            match self.declared.iter().find(|entry| entry.key.text() == name) {
                None => self.note_unknown(name, findings),
                Some(entry) => {
                    if let Some(value) = read(entry, text, findings) {
                        values.insert(name.clone(), value);
                    }
                }
            }
        }
        values
    }

    /// The values in force, when `with` gives these to a template; what is given has been evaluated.
    pub fn filled(&self, with: Option<&Entry>, user: &Node, findings: &mut Findings) -> BTreeMap<String, Value> {
        let given: &[Entry] = with.map_or(&[], |with| with.value.entries());
        for entry in given {
            if !self.names().contains(&entry.key.text()) {
                let message = format!("the template has no param `{}`", excerpt(entry.key.text()));
                let help = self.suggestion(entry.key.text());
                findings.error(codes::UNKNOWN_PARAM, entry.key.span, message).help(help);
            }
        }
        let mut values = BTreeMap::new();
        for entry in &self.declared {
            let name = entry.key.text();
            let own = given.iter().find(|own| own.key.text() == name);
            let (default, value) = (from_node(&entry.value), own.map(|own| from_node(&own.value)));
            if let (Some(own), Some(value)) = (own, &value)
                && !entry.value.is_null()
                && !fits(default.kind(), value)
            {
                let message = wrong_type(name, &default, &own.value.describe());
                findings
                    .error(codes::PARAM_TYPE, own.value.span, message)
                    .related(entry.value.span, "its default");
            }
            if own.is_none() && entry.value.is_null() {
                let message = format!("the template needs the param `{name}`");
                findings
                    .error(
                        codes::TEMPLATE_PARAM,
                        with.map_or(user.span, |with| with.key.span),
                        message,
                    )
                    .related(entry.key.span, "declared here, without a default")
                    .help(format!("add it under `with`, as in `with: {{{name}: …}}`"));
            }
            values.insert(name.to_owned(), value.unwrap_or(default));
        }
        values
    }

    fn note_unknown(&self, name: &str, findings: &mut Findings) {
        let message = format!("`-p {}`: the workflow has no such param", excerpt(name));
        findings
            .error(codes::UNKNOWN_PARAM, None, message)
            .help(self.suggestion(name));
    }

    fn suggestion(&self, name: &str) -> String {
        match nearest(name, self.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.declared.is_empty() => "no params are declared".to_owned(),
            None => format!("the params are {}", super::decode::listed(&self.names())),
        }
    }
}

/// Reads what `-p` gives as a value of the default's type.
fn read(entry: &Entry, text: &str, findings: &mut Findings) -> Option<Value> {
    let default = from_node(&entry.value);
    let typed = Node::scalar(entry.value.span, text.to_owned(), Style::Plain);
    let value = match (default.kind(), typed.plain()) {
        (ValueKind::String, _) => Some(Value::from(text)),
        (ValueKind::Bool, Some(Plain::Bool(value))) => Some(Value::from(value)),
        (ValueKind::Number, Some(Plain::Whole(value))) => Some(Value::from(value)),
        (ValueKind::Number, Some(Plain::Float(value))) if !default.is_integer() => Some(Value::from(value)),
        (ValueKind::Seq | ValueKind::Map, _) => {
            let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
            let parsed = parsed.map(|value| from_json(&value));
            parsed.filter(|value| fits(default.kind(), value))
        }
        _ => None,
    };
    if value.is_none() {
        let name = excerpt(entry.key.text());
        let message = wrong_type(&name, &default, &format!("`{}`", excerpt(text)));
        findings
            .error(codes::PARAM_TYPE, entry.value.span, message)
            .help(match default.kind() {
                ValueKind::Seq => format!("lists and maps are given as JSON: -p '{name}=[1, 2]'"),
                ValueKind::Map => format!("lists and maps are given as JSON: -p '{name}={{\"a\": 1}}'"),
                _ => format!("its type is that of its default, `{}`", excerpt(entry.value.text())),
            });
    }
    value
}

fn wrong_type(name: &str, default: &Value, found: &str) -> String {
    format!("the param `{name}` is {}; found {found}", type_name(default))
}

fn fits(kind: ValueKind, value: &Value) -> bool {
    kind == value.kind()
}

fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Bool => "true or false",
        ValueKind::Number if value.is_integer() => "a whole number",
        ValueKind::Number => "a number",
        ValueKind::Seq => "a list",
        ValueKind::Map => "a map",
        _ => "text",
    }
}
