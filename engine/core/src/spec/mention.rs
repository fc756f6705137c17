//! What the files say as they stand, before an expression is evaluated: which params are mentioned, and which secrets
//! are written out.

use std::collections::BTreeSet;

use super::Declared;
use super::expression::whole_words;
use crate::source::{Entry, Kind, Node};

/// Ends of names of variables that hold a secret.
const SECRET_ENDS: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "SECRET",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "SECRET_KEY",
    "PRIVATE_KEY",
    "SIGNING_KEY",
    "ENCRYPTION_KEY",
];

/// Values that are a switch rather than a secret.
const SWITCHES: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "0", "1"];

/// The params under `params` that nothing in `user` mentions, in their order.
pub(crate) fn unmentioned(params: &[Entry], user: &Node) -> Vec<Declared> {
    if params.is_empty() {
        return Vec::new();
    }
    let mut mentions = Mentions::of("params");
    mentions.collect(user);
    let unmentioned = params.iter().filter(|entry| !mentions.has(entry.key.text()));
    unmentioned.map(|entry| declared(&entry.key)).collect()
}

/// Which members of `params`, `env` or `item` the expressions of a tree mention.
pub(crate) struct Mentions {
    /// `params`, `env` or `item`.
    root: &'static str,
    /// The members.
    pub names: BTreeSet<String>,
    /// One mentions it as a whole, and so perhaps each of its members.
    pub all: bool,
}

impl Mentions {
    /// Nothing yet.
    pub const fn of(root: &'static str) -> Self {
        Self {
            root,
            names: BTreeSet::new(),
            all: false,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }

    fn collect(&mut self, node: &Node) {
        if !node.expressions || self.all {
            return;
        }
        match &node.kind {
            Kind::Scalar(scalar) => self.collect_text(&scalar.text),
            Kind::Sequence(items) => items.iter().for_each(|item| self.collect(item)),
            Kind::Mapping(entries) => {
                for Entry { key, value } in entries {
                    self.collect(key);
                    self.collect(value);
                }
            }
        }
    }

    /// Wherever the word stands, the name of a member follows, or nobody knows which.
    pub fn collect_text(&mut self, text: &str) {
        let is_of_word = |character: char| character.is_alphanumeric() || character == '_';
        for at in whole_words(text, self.root) {
            let rest = text[at + self.root.len()..].trim_start();
            let name = if let Some(rest) = rest.strip_prefix('.') {
                rest.trim_start().split(|it| !is_of_word(it)).next()
            } else if let Some(rest) = rest.strip_prefix('[').map(str::trim_start) {
                let quote = rest.chars().next().filter(|it| matches!(it, '"' | '\''));
                quote.and_then(|quote| rest[1..].split(quote).next())
            } else {
                None
            };
            match name {
                Some(name) => {
                    self.names.insert(name.to_owned());
                }
                None => self.all = true,
            }
        }
    }
}

/// The variables of `env`, of the workflow and of each thing in it, that hold a secret in plain sight, in the order of
/// the file.
pub(crate) fn secrets_in_clear(root: &Node) -> Vec<Declared> {
    let sections = ["templates", "processes", "pools"];
    let things = sections.iter().filter_map(|section| root.get(section));
    let things = things.flat_map(|section| section.entries().iter().map(|entry| &*entry.value));
    let bodies = [root]
        .into_iter()
        .chain(root.get("defaults").map(|it| &**it))
        .chain(things);
    bodies.flat_map(secrets_in).collect()
}

/// The same of one thing's `env`.
pub(crate) fn secrets_in(body: &Node) -> impl Iterator<Item = Declared> {
    let variables = body.get("env").into_iter().flat_map(|env| env.entries());
    let in_clear = variables.filter(|entry| is_secret(entry.key.text()) && is_in_clear(&entry.value));
    in_clear.map(|entry| declared(&entry.key))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a value is written out: no expression, no path to where it is, no variable of a shell, no switch.
fn is_in_clear(value: &Node) -> bool {
    let is_masked = value.get("secret").is_some_and(|secret| secret.text() != "false");
    let text = value.get("value").map_or(value, |text| text);
    if is_masked || !matches!(text.kind, Kind::Scalar(_)) {
        return false;
    }
    let written = text.text();
    !text.expressions
        && !text.is_null()
        && !written.is_empty()
        && !written.starts_with(['/', '$'])
        && !SWITCHES.contains(&written.to_ascii_lowercase().as_str())
}

fn declared(key: &Node) -> Declared {
    Declared {
        name: key.text().to_owned(),
        place: key.span,
        description: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn mentions(text: &str, names: &[&str], all: bool) {
        let mut mentions = Mentions::of("params");
        mentions.collect_text(text);
        let found: Vec<_> = mentions.names.iter().map(String::as_str).collect();
        assert_eq!((found.as_slice(), mentions.all), (names, all), "{text}");
    }

    #[test]
    fn params_are_mentioned_by_name_or_as_a_whole() {
        mentions("${{ params.a + params . b }}", &["a", "b"], false);
        mentions("${{ params['a-b'] }} ${{ params[\"c\"] }}", &["a-b", "c"], false);
        mentions("${{ params | length }}", &[], true);
        mentions("${{ params[name] }}", &[], true);
        mentions("${{ myparams.a }} ${{ paramset.b }}", &[], false);
    }

    #[test]
    fn names_of_secrets_end_so() {
        for name in ["PGPASSWORD", "GITHUB_TOKEN", "client_secret", "AWS_SECRET_ACCESS_KEY"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PASSWORD_FILE", "TOKEN_URL", "MAX_TOKENS", "PUBLIC_KEY", "CACHE_KEY"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
