//! Expressions: `${{ … }}` in a scalar, evaluated by minijinja with nothing in reach but the values of a scope.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::partial::Written;
use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Entry, Files, Kind, Node, Span, Style, excerpt};

mod piece;
mod repeat;
mod value;

use piece::expression_place;
pub(crate) use piece::{Piece, among_text, parts, pieces, whole_words};
pub(crate) use value::{from_json, from_node, to_node};

/// How many steps one expression may take.
const FUEL: u64 = 100_000;
/// How long the text may be that an expression gives: 1 MiB.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// How many words, numbers, texts and signs an expression may have: they nest, and minijinja takes them apart by
/// recursion.
pub(crate) const PARTS_MAX: usize = 256;

/// Filters that can make much of little before their result could be looked at.
const FILTERS_REFUSED: [&str; 5] = ["indent", "format", "batch", "slice", "pprint"];

/// Evaluates expressions.
pub(crate) struct Evaluator {
    environment: Environment<'static>,
    /// Names that may be declared where they could not be read; that one of them is undefined is no mistake of its own.
    written: Written,
}

/// The names that an expression may use, with their values.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    values: Rc<BTreeMap<String, Value>>,
    root: Value,
}

impl Scope {
    /// A scope with these names.
    pub fn of(values: BTreeMap<String, Value>) -> Self {
        let root = Value::from(values.clone());
        let values = Rc::new(values);
        Self { values, root }
    }

    /// The same scope with one more name, or another value for it.
    pub fn with(&self, name: &str, value: Value) -> Self {
        let mut values = BTreeMap::clone(&self.values);
        values.insert(name.to_owned(), value);
        Self::of(values)
    }

    /// What is undefined about a dotted path: the part that is, and the name that is nearest to it.
    fn undefined(&self, path: &str) -> Option<(String, Option<String>)> {
        let mut value = self.root.clone();
        for part in path.split('.') {
            let next = value.get_attr(part).unwrap_or_default();
            if next.is_undefined() {
                let keys: Vec<_> = value
                    .try_iter()
                    .into_iter()
                    .flatten()
                    .map(|key| key.to_string())
                    .collect();
                let near = nearest(part, keys.iter().map(String::as_str)).map(str::to_owned);
                return Some((part.to_owned(), near));
            }
            value = next;
        }
        None
    }
}

/// Where an expression stands: for its errors.
#[derive(Clone, Copy)]
struct Site<'n> {
    node: &'n Node,
    /// The how-manieth expression of its scalar it is.
    number: usize,
    files: &'n Files,
}

impl Site<'_> {
    /// The place of the expression, or of `word` in it.
    fn place(self, word: Option<&str>) -> Span {
        expression_place(self.files, self.node.span, self.number, word)
    }
}

impl Evaluator {
    pub fn new(written: Written) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.remove_global("debug");
        for filter in FILTERS_REFUSED {
            environment.remove_filter(filter);
        }
        environment.add_filter("sh", |text: String| shell_quoted(&text));
        Self { environment, written }
    }

    /// The tree with all its expressions replaced by their values. What cannot be evaluated is noted and left out;
    /// `None`: that is all of it.
    pub fn evaluate(&self, node: &Rc<Node>, scope: &Scope, files: &Files, findings: &mut Findings) -> Option<Rc<Node>> {
        if !node.expressions {
            return Some(Rc::clone(node));
        }
        let evaluated = match &node.kind {
            Kind::Scalar(_) => return self.scalar(node, scope, files, findings).map(Rc::new),
            Kind::Sequence(items) => {
                let items = items.iter();
                let items: Vec<_> = items.map(|item| self.evaluate(item, scope, files, findings)).collect();
                // A list with an item missing would mean something else, and lead to errors that are none.
                Node::sequence(node.span, items.into_iter().collect::<Option<_>>()?)
            }
            Kind::Mapping(entries) => {
                let entries = entries.iter();
                let entries = entries.filter_map(|entry| self.entry(entry, scope, files, findings));
                Node::mapping(node.span, entries.collect())
            }
        };
        Some(Rc::new(evaluated))
    }

    fn entry(&self, entry: &Entry, scope: &Scope, files: &Files, findings: &mut Findings) -> Option<Entry> {
        if entry.key.expressions {
            findings
                .error(
                    codes::EXPRESSION_SYNTAX,
                    entry.key.span,
                    "a key cannot contain an expression",
                )
                .help("keys are the names of the graph: write them out");
            return None;
        }
        let value = self.evaluate(&entry.value, scope, files, findings)?;
        let key = Rc::clone(&entry.key);
        Some(Entry { key, value })
    }

    fn scalar(&self, node: &Node, scope: &Scope, files: &Files, findings: &mut Findings) -> Option<Node> {
        let site = |number| Site { node, number, files };
        let pieces = match pieces(node.text()) {
            Ok(pieces) => pieces,
            Err(number) => {
                findings
                    .error(
                        codes::EXPRESSION_SYNTAX,
                        site(number).place(None),
                        "`${{` without its `}}`",
                    )
                    .help("close the expression with `}}`");
                return None;
            }
        };
        if let [Piece::Expression(source)] = pieces.as_slice() {
            let value = self.value(source, scope, site(0), findings)?;
            return match to_node(&value, node.span) {
                Ok(result) => Some(result),
                Err(reason) => {
                    findings.error(codes::EXPRESSION_FAILED, site(0).place(None), reason);
                    None
                }
            };
        }
        let mut text = String::new();
        let mut number = 0;
        for piece in pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Expression(source) => {
                    let value = self.value(source, scope, site(number), findings)?;
                    append(&mut text, &value, site(number), findings)?;
                    number += 1;
                }
            }
        }
        Some(Node::scalar(node.span, text, Style::Text))
    }

    fn value(&self, source: &str, scope: &Scope, site: Site<'_>, findings: &mut Findings) -> Option<Value> {
        if parts(source) > PARTS_MAX {
            let message = format!("an expression has more than {PARTS_MAX} parts");
            findings.error(codes::EXPRESSION_SYNTAX, site.place(None), message);
            return None;
        }
        if repeat::is_excessive(source, &self.environment, &scope.root) {
            let message = format!(
                "a text is repeated to more than {TEXT_BYTES_MAX} bytes, or a list to more than {} items",
                value::VALUES_MAX
            );
            findings.error(codes::EXPRESSION_FAILED, site.place(None), message);
            return None;
        }
        let expression = match self.environment.compile_expression_owned(source.trim().to_owned()) {
            Ok(expression) => expression,
            Err(error) => {
                fail(&error, site, findings);
                return None;
            }
        };
        let result = expression.eval(scope.root.clone());
        let undefined = match &result {
            Ok(value) => value.is_undefined(),
            Err(error) => error.kind() == ErrorKind::UndefinedError,
        };
        if undefined {
            let paths = expression.undeclared_variables(true).into_iter();
            let missing = paths.filter_map(|path| scope.undefined(&path)).min();
            match missing {
                Some((name, _)) if self.written.may_have(&name) => findings.overlook(),
                missing => note_undefined(missing, scope, site, findings),
            }
            return None;
        }
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                fail(&error, site, findings);
                None
            }
        }
    }
}

/// Appends a value to the text around its expression.
fn append(text: &mut String, value: &Value, site: Site<'_>, findings: &mut Findings) -> Option<()> {
    match to_node(value, site.node.span) {
        Err(reason) => {
            findings.error(codes::EXPRESSION_FAILED, site.place(None), reason);
            return None;
        }
        Ok(Node {
            kind: Kind::Scalar(scalar),
            ..
        }) => text.push_str(&scalar.text),
        Ok(_) => {
            findings
                .error(
                    codes::EXPRESSION_FAILED,
                    site.place(None),
                    "a list or a map cannot stand inside a text",
                )
                .help("say how it becomes text, for example by the filter `join(\" \")`");
            return None;
        }
    }
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the text becomes longer than {TEXT_BYTES_MAX} bytes");
        findings.error(codes::EXPRESSION_FAILED, site.place(None), message);
        return None;
    }
    Some(())
}

fn note_undefined(missing: Option<(String, Option<String>)>, scope: &Scope, site: Site<'_>, findings: &mut Findings) {
    let Some((name, near)) = missing else {
        findings.error(codes::UNDEFINED, site.place(None), "the expression has no value");
        return;
    };
    let help = if let Some(near) = near {
        meant(&name, &near)
    } else {
        let known: Vec<_> = scope.values.keys().collect();
        format!("an expression here may use {}", super::decode::listed(&known))
    };
    let message = format!("`{}` is not defined here", excerpt(&name));
    findings
        .error(codes::UNDEFINED, site.place(Some(&name)), message)
        .help(help);
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other kinds of minijinja's errors are the same to the user: it cannot be evaluated"
)]
fn fail(error: &minijinja::Error, site: Site<'_>, findings: &mut Findings) {
    let reason = error.detail().map_or_else(|| error.kind().to_string(), in_words);
    let (code, message) = match error.kind() {
        ErrorKind::SyntaxError => (
            codes::EXPRESSION_SYNTAX,
            format!("the expression is not well formed: {reason}"),
        ),
        ErrorKind::OutOfFuel => (codes::EXPRESSION_FAILED, "the expression takes too long".to_owned()),
        _ => (
            codes::EXPRESSION_FAILED,
            format!("the expression cannot be evaluated: {reason}"),
        ),
    };
    findings.error(code, site.place(None), message);
}

/// What minijinja says, in words for who does not write Rust.
fn in_words(reason: &str) -> String {
    match reason {
        "invalid float literal" | "cannot parse float from empty string" => "a text that is no number".to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "a text that is no whole number".to_owned()
        }
        reason => reason.to_owned(),
    }
}

/// The text as one word of a shell: in single quotes, each single quote outside of them.
fn shell_quoted(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '=' | '@' | '%' | '+' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
