//! Params: names with defaults, whose types say what may be given instead.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value;

use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Entry, Kind, Node, Plain, Span, Style, excerpt};

use super::expression::{from_json, from_node};
use super::{Declared, mention};

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

    /// Those that nothing in `user` mentions.
    pub fn unmentioned(&self, user: &Node) -> Vec<Declared> {
        mention::unmentioned(&self.declared, user)
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

    /// The values in force, when `with` gives these to a template; what is given has been evaluated. `None`: one is
    /// missing.
    pub fn filled(
        &self,
        with: Option<&Entry>,
        user: &Node,
        findings: &mut Findings,
    ) -> Option<BTreeMap<String, Value>> {
        let given: &[Entry] = with.map_or(&[], |with| with.value.entries());
        for entry in given {
            if !self.names().contains(&entry.key.text()) {
                let message = format!("the template has no param `{}`", excerpt(entry.key.text()));
                let help = self.suggestion(entry.key.text());
                findings.error(codes::UNKNOWN_PARAM, entry.key.span, message).help(help);
            }
        }
        let place = with.map_or(user.span, |with| with.key.span);
        let values = self.declared.iter().map(|entry| {
            let own = given.iter().find(|own| own.key.text() == entry.key.text());
            let value = fill(entry, own, place, findings)?;
            Some((entry.key.text().to_owned(), value))
        });
        let values: Vec<_> = values.collect();
        values.into_iter().collect()
    }

    fn note_unknown(&self, name: &str, findings: &mut Findings) {
        let message = format!("`-p {}`: the workflow has no such param", excerpt(name));
        findings
            .error(codes::UNKNOWN_PARAM, None, message)
            .help(self.suggestion(name));
    }

    fn suggestion(&self, name: &str) -> String {
        match nearest(name, self.names()) {
            Some(near) => meant(name, near),
            None if self.declared.is_empty() => "no params are declared".to_owned(),
            None => format!("the params are {}", super::decode::listed(&self.names())),
        }
    }
}

/// The value of one param of a template.
fn fill(entry: &Entry, own: Option<&Entry>, place: Span, findings: &mut Findings) -> Option<Value> {
    let name = excerpt(entry.key.text());
    let required = entry.value.is_null();
    let Some(own) = own else {
        if required {
            let message = format!("the template needs the param `{name}`");
            findings
                .error(codes::TEMPLATE_PARAM, place, message)
                .related(entry.key.span, "declared here, without a default")
                .help(format!("add it under `with`, as in `with: {{{name}: …}}`"));
            return None;
        }
        return Some(from_node(&entry.value));
    };
    let wanted = Type::of(&entry.value);
    if !required && !wanted.takes(Type::of(&own.value)) {
        let message = wanted.refusal(&name, &own.value.describe());
        findings
            .error(codes::PARAM_TYPE, own.value.span, message)
            .related(entry.value.span, "its default");
    }
    Some(from_node(&own.value))
}

/// Reads what `-p` gives as a value of the default's type.
fn read(entry: &Entry, text: &str, findings: &mut Findings) -> Option<Value> {
    let wanted = Type::of(&entry.value);
    let value = match wanted {
        Type::Text => Some(Value::from(text)),
        Type::Truth | Type::Whole | Type::Number => {
            let given = Node::scalar(entry.value.span, text.to_owned(), Style::Plain);
            wanted.takes(Type::of(&given)).then(|| from_node(&given))
        }
        Type::List | Type::Map => {
            let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
            let parsed = parsed.filter(|value| {
                if wanted == Type::List {
                    value.is_array()
                } else {
                    value.is_object()
                }
            });
            parsed.map(|value| from_json(&value))
        }
    };
    if value.is_none() {
        let name = excerpt(entry.key.text());
        let message = wanted.refusal(&name, &format!("`{}`", excerpt(text)));
        findings
            .error(codes::PARAM_TYPE, entry.value.span, message)
            .help(match wanted {
                Type::List => format!("a list is given as JSON: -p '{name}=[1, 2]'"),
                Type::Map => format!("a map is given as JSON: -p '{name}={{\"a\": 1}}'"),
                Type::Text | Type::Truth | Type::Whole | Type::Number => {
                    format!("its type is that of its default, `{}`", excerpt(entry.value.text()))
                }
            });
    }
    value
}

/// The type of a param: that of its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Truth,
    Whole,
    Number,
    Text,
    List,
    Map,
}

impl Type {
    fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Sequence(_) => Self::List,
            Kind::Mapping(_) => Self::Map,
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Bool(_) => Self::Truth,
                Plain::Whole(_) => Self::Whole,
                Plain::Float(_) => Self::Number,
                Plain::Null | Plain::Text(_) => Self::Text,
            },
        }
    }

    /// Whether a value of another type will do.
    fn takes(self, given: Self) -> bool {
        self == given || (self == Self::Number && given == Self::Whole)
    }

    fn refusal(self, name: &str, found: &str) -> String {
        let words = match self {
            Self::Truth => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Map => "a map",
        };
        format!("the param `{name}` is {words}; found {found}")
    }
}
