//! Which scripts take in text from outside the file without quoting it for the shell.
//!
//! Seen is the file as it stands: an expression among the text of a script that names a param of the workflow whose
//! default is no number and no truth value, a variable of `env`, or an `item` or a template's param that is made of
//! one. An expression that is the whole script is a command on purpose. One that quotes, counts or compares is left
//! alone: what it gives is not what came from outside. One that quotes in the midst of quotes does not quote.

mod given;
mod shell;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use minijinja::value::ValueKind;

use super::expression::{Piece, among_text, pieces};
use super::mention::Mentions;
use crate::source::{Files, Kind, Node, Span};
use given::{given, is_harmless, is_quoted};

/// Where a body may have text for a shell.
const SCRIPTS: [&[&str]; 4] = [&["run"], &["ready", "exec"], &["live", "exec"], &["stop", "command"]];

/// An expression that puts text from outside the file into a script, where a shell could take it for more than one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unquoted {
    /// The expression.
    pub source: String,
    /// The part of it that gives the text: a branch of it, or all of it.
    pub part: String,
    /// Whether it quotes, but stands in quotes of the script, which its own then end.
    pub in_quotes: bool,
    /// Where it stands.
    pub place: Span,
}

/// What comes from outside, as far as one body sees it.
#[derive(Clone, Default)]
struct Outside<'a> {
    params: BTreeSet<&'a str>,
    /// Whether `item` does.
    item: bool,
    /// Scripts are read by something else than a shell, unless a body says otherwise.
    no_shell: bool,
}

/// The expressions of `root` that put text from outside into a script, in the order of the file.
pub(crate) fn unquoted(root: &Node, params: &BTreeMap<String, Value>, files: &Files) -> Vec<Unquoted> {
    let texts = params.iter().filter(|(_, value)| is_textual(value));
    let outside = Outside {
        params: texts.map(|(name, _)| name.as_str()).collect(),
        item: false,
        no_shell: root.get("defaults").is_some_and(|defaults| !has_shell(defaults)),
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
                Kind::Scalar(scalar) => pieces(&scalar.text)
                    .unwrap_or_default()
                    .iter()
                    .any(|piece| match piece {
                        Piece::Expression(source) => given(source)
                            .iter()
                            .any(|part| !is_harmless(part) && self.is_named_by(part)),
                        Piece::Text(_) => false,
                    }),
                Kind::Sequence(items) => items.iter().any(|item| self.is_in(item)),
                Kind::Mapping(entries) => entries.iter().any(|entry| self.is_in(&entry.value)),
            }
    }

    /// Whether an expression names something from outside.
    fn is_named_by(&self, source: &str) -> bool {
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
    fn note(&self, body: &Node, files: &Files, found: &mut Vec<Unquoted>) {
        for path in SCRIPTS {
            let mut command = Some(body);
            for key in path {
                command = command.and_then(|node| node.get(key)).map(|node| &**node);
            }
            let Some(command) = command.filter(|node| node.expressions) else {
                continue;
            };
            match &command.kind {
                Kind::Scalar(_) => {
                    // `shell` is for `run` alone.
                    let is_for_shell = path != SCRIPTS[0] || self.leaves_to_shell(body);
                    self.note_script(command, is_for_shell, files, found);
                }
                Kind::Sequence(words) => {
                    if let Some(script) = shell::script(words) {
                        self.note_script(script, true, files, found);
                    }
                }
                Kind::Mapping(_) => {}
            }
        }
    }

    /// Whether it is a shell that reads the text of a body's `run`, as far as that can be told.
    fn leaves_to_shell(&self, body: &Node) -> bool {
        let is_open = body.get("shell").is_none() && (self.no_shell || body.get("use").is_some());
        !is_open && has_shell(body)
    }

    fn note_script(&self, script: &Node, is_for_shell: bool, files: &Files, found: &mut Vec<Unquoted>) {
        let in_quotes = if is_for_shell {
            shell::in_quotes(script.text())
        } else {
            Vec::new()
        };
        for (number, (source, place)) in among_text(script, files).into_iter().enumerate() {
            let named: Vec<&str> = given(source)
                .into_iter()
                .filter(|part| self.is_named_by(part))
                .collect();
            let bare = named.iter().find(|part| !is_harmless(part));
            let in_quotes = bare.is_none() && in_quotes.get(number).copied().unwrap_or_default();
            let quoted = named.iter().find(|part| in_quotes && is_quoted(part));
            if let Some(part) = bare.or(quoted) {
                found.push(Unquoted {
                    source: source.trim().to_owned(),
                    part: (*part).to_owned(),
                    in_quotes,
                    place,
                });
            }
        }
    }
}

/// Whether the text of a body's `run` is read by a shell, which it is unless `shell` says something else.
fn has_shell(body: &Node) -> bool {
    body.get("shell").is_none_or(|shell| match &shell.kind {
        Kind::Scalar(scalar) => shell::is_shell(&scalar.text),
        Kind::Sequence(words) => words.iter().any(|word| shell::is_shell(word.text())),
        Kind::Mapping(_) => false,
    })
}
