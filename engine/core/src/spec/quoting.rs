//! Which scripts take in text from outside the file without quoting it for the shell.
//!
//! Seen is the file as it stands: an expression among the text of a script that names a param of the workflow whose
//! default is no number and no truth value, a variable of `env`, or an `item` or a template's param that is made of
//! one. An expression that is the whole script is a command on purpose. One that quotes, counts, compares or chooses is
//! left alone: what it gives is not what came from outside.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use minijinja::value::ValueKind;

use super::Declared;
use super::expression::{among_text, whole_words};
use super::mention::Mentions;
use crate::source::{Files, Kind, Node};

/// Where a body may have text for a shell.
const SCRIPTS: [&[&str]; 4] = [&["run"], &["ready", "exec"], &["live", "exec"], &["stop", "command"]];

/// Filters whose result has nothing of the text that they are given, or has it in quotes.
const HARMLESS_FILTERS: [&str; 9] = [
    "sh",
    "urlencode",
    "length",
    "count",
    "int",
    "float",
    "round",
    "abs",
    "bool",
];

/// Words that make an expression one which compares or chooses.
const CHOOSING_WORDS: [&str; 4] = ["if", "is", "in", "not"];

/// What comes from outside, as far as one body sees it.
#[derive(Clone, Default)]
struct Outside<'a> {
    params: BTreeSet<&'a str>,
    /// Whether `item` does.
    item: bool,
}

/// The expressions of `root` that put text from outside into a script, in the order of the file.
pub(crate) fn unquoted(root: &Node, params: &BTreeMap<String, Value>, files: &Files) -> Vec<Declared> {
    let texts = params.iter().filter(|(_, value)| is_textual(value));
    let outside = Outside {
        params: texts.map(|(name, _)| name.as_str()).collect(),
        item: false,
    };
    let mut found = Vec::new();
    if !root.expressions {
        return found;
    }
    if let Some(defaults) = root.get("defaults") {
        outside.note(defaults, files, &mut found);
    }
    let templates = root.get("templates").map_or(&[][..], |section| section.entries());
    let mut of_templates: BTreeMap<_, _> = templates
        .iter()
        .map(|entry| (entry.key.text(), outside.hidden_by(&entry.value)))
        .collect();
    for section in ["processes", "pools"] {
        for entry in root.get(section).map_or(&[][..], |section| section.entries()) {
            if !entry.value.expressions {
                continue;
            }
            let own = outside.with_item_of(&entry.value);
            own.note(&entry.value, files, &mut found);
            if let Some(template) = entry
                .value
                .get("use")
                .and_then(|name| of_templates.get_mut(name.text()))
            {
                own.hand_over(&entry.value, template);
            }
        }
    }
    for entry in templates {
        of_templates[entry.key.text()].note(&entry.value, files, &mut found);
    }
    found.sort_by_key(|expression| (expression.place.file, expression.place.start));
    found
}

/// Whether a value is text, or something of which text is made.
fn is_textual(value: &Value) -> bool {
    !matches!(
        value.kind(),
        ValueKind::Number | ValueKind::Bool | ValueKind::None | ValueKind::Undefined
    )
}

impl<'a> Outside<'a> {
    /// What a template sees before anybody has filled in its params.
    fn hidden_by(&self, template: &Node) -> Self {
        let params = template.get("params").map_or(&[][..], |params| params.entries());
        let mut left = self.clone();
        for param in params {
            left.params.remove(param.key.text());
        }
        left
    }

    fn with_item_of(&self, body: &Node) -> Self {
        let item = body.get("each").is_some_and(|each| self.is_in(each));
        Self { item, ..self.clone() }
    }

    /// What a process gives to its template, as the template sees it.
    fn hand_over(&self, user: &'a Node, template: &mut Self) {
        template.item |= self.item;
        for given in user.get("with").map_or(&[][..], |with| with.entries()) {
            if self.is_in(&given.value) {
                template.params.insert(given.key.text());
            }
        }
    }

    /// Whether something in `node` comes from outside.
    fn is_in(&self, node: &Node) -> bool {
        node.expressions
            && match &node.kind {
                Kind::Scalar(scalar) => self.is_named_by(&scalar.text),
                Kind::Sequence(items) => items.iter().any(|item| self.is_in(item)),
                Kind::Mapping(entries) => entries.iter().any(|entry| self.is_in(&entry.value)),
            }
    }

    /// Whether an expression gives text from outside as it came.
    fn is_named_by(&self, source: &str) -> bool {
        if is_harmless(source) {
            return false;
        }
        let named = |root| {
            let mut mentions = Mentions::of(root);
            mentions.collect_text(source);
            mentions
        };
        let (params, env, item) = (named("params"), named("env"), named("item"));
        params.names.iter().any(|name| self.params.contains(name.as_str()))
            || !env.names.is_empty()
            || (self.item && (item.all || !item.names.is_empty()))
    }

    /// Notes the expressions of a body's scripts that give text from outside.
    fn note(&self, body: &Node, files: &Files, found: &mut Vec<Declared>) {
        for path in SCRIPTS {
            let mut script = Some(body);
            for key in path {
                script = script.and_then(|node| node.get(key)).map(|node| &**node);
            }
            let Some(script) = script.filter(|node| node.expressions && matches!(node.kind, Kind::Scalar(_))) else {
                continue;
            };
            for (source, place) in among_text(script, files) {
                if self.is_named_by(source) {
                    found.push(Declared {
                        name: source.trim().to_owned(),
                        place,
                        description: None,
                    });
                }
            }
        }
    }
}

/// Whether an expression quotes, counts, compares or chooses.
fn is_harmless(source: &str) -> bool {
    let compares = ["==", "!=", "<", ">"].iter().any(|sign| source.contains(sign));
    let chooses = |word: &&str| whole_words(source, word).next().is_some();
    // A filter stands behind its bar, or in the quotes of `map`.
    let filters = |word: &&str| whole_words(source, word).any(|at| source[..at].trim_end().ends_with(['|', '"', '\'']));
    compares || CHOOSING_WORDS.iter().any(chooses) || HARMLESS_FILTERS.iter().any(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_quotes_counts_compares_or_chooses_is_harmless() {
        for source in [
            "params.file | sh",
            "params.file|sh ",
            "params.files | map('sh') | join(' ')",
            "params.files | length",
            "'-v' if params.loud else ''",
            "params.mode == 'fast'",
        ] {
            assert!(is_harmless(source), "{source}");
        }
        for source in [
            "params.sh",
            "params.a or 'b'",
            "params.file | upper",
            "sh",
            "env.HOME ~ '/x'",
            "params.iffy",
        ] {
            assert!(!is_harmless(source), "{source}");
        }
    }
}
