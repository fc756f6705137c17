//! Environments: `env` and the files of `env_file`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::{Keyed, Many, Spanned, TextOr};
use super::load::folder_of;
use super::values::Text;
use super::{EnvValue, Loader};
use crate::diagnostic::{Findings, codes};
use crate::source::{Files, Span, excerpt};

/// `env`: text, or a value that is to be masked.
pub(crate) type EnvFields = Keyed<TextOr<ValueFields>>;

/// A value of `env` that is more than text.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ValueFields {
    /// Its value.
    value: Option<Text>,
    /// Whether it is shown as `***` wherever a process prints it.
    #[serde(default)]
    secret: bool,
}

/// `env_file`: paths, or files whose values are to be masked.
pub(crate) type EnvFiles = Many<Spanned<TextOr<FileFields>>>;

/// An `env_file` that is more than a path.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FileFields {
    /// Where the file is.
    path: Option<Text>,
    /// Whether all its values are shown as `***` wherever a process prints one.
    #[serde(default)]
    secret: bool,
}

/// Reads environments into maps.
pub(crate) struct Environments<'a> {
    pub loader: &'a mut dyn Loader,
    pub files: &'a Files,
    /// What was read of each `env_file`, by its path: replicas share it.
    pub read: BTreeMap<String, Option<String>>,
}

impl Environments<'_> {
    /// Adds the files, then `env`; what comes later wins.
    pub fn add(
        &mut self,
        env_file: Option<&EnvFiles>,
        env: Option<&EnvFields>,
        into: &mut BTreeMap<String, EnvValue>,
        findings: &mut Findings,
    ) {
        for Spanned { value: file, place } in env_file.map_or(&[][..], |files| &files.0) {
            match file {
                TextOr::Text(path) => self.add_file(path, *place, false, into, findings),
                TextOr::Other(FileFields {
                    path: Some(path),
                    secret,
                }) => {
                    self.add_file(&path.0, *place, *secret, into, findings);
                }
                TextOr::Other(FileFields { path: None, .. }) => {
                    findings.error(codes::MISSING_KEY, *place, "this `env_file` has no `path`");
                }
            }
        }
        for (name, value) in env.map_or(&[][..], |env| &env.0) {
            add_value(name, value, into, findings);
        }
    }

    fn add_file(
        &mut self,
        written: &str,
        place: Span,
        secret: bool,
        into: &mut BTreeMap<String, EnvValue>,
        findings: &mut Findings,
    ) {
        let path = if written.starts_with('/') {
            written.to_owned()
        } else {
            format!("{}{written}", folder_of(&self.files.of(place).path))
        };
        if !self.read.contains_key(&path) {
            let text = self.load(&path, place, findings);
            self.read.insert(path.clone(), text);
        }
        let Some(Some(text)) = self.read.get(&path) else {
            return;
        };
        for (number, line) in text.lines().enumerate() {
            match assignment(line) {
                Ok(None) => {}
                Ok(Some((name, value))) => {
                    into.insert(name, EnvValue { value, secret });
                }
                Err(reason) => {
                    let message = format!("line {} of `{}`: {reason}", number + 1, excerpt(&path));
                    findings
                        .error(codes::ENV_FILE, place, message)
                        .help("each line is `NAME=value`, or empty, or a comment after `#`");
                }
            }
        }
    }

    fn load(&mut self, path: &str, place: Span, findings: &mut Findings) -> Option<String> {
        let reason = match self.loader.load(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => "it is not UTF-8".to_owned(),
            },
            Err(reason) => reason,
        };
        let message = format!("`{}` cannot be read: {reason}", excerpt(path));
        findings.error(codes::ENV_FILE, place, message);
        None
    }
}

fn add_value(
    name: &Spanned<String>,
    value: &TextOr<ValueFields>,
    into: &mut BTreeMap<String, EnvValue>,
    findings: &mut Findings,
) {
    if !is_variable(&name.value) {
        let message = format!("`{}` cannot be the name of a variable", excerpt(&name.value));
        findings
            .error(codes::BAD_NAME, name.place, message)
            .help("a variable's name is not empty and has no `=` and no control characters");
    }
    let (value, secret) = match value {
        TextOr::Text(text) => (Some(text), false),
        TextOr::Other(fields) => (fields.value.as_ref().map(|value| &value.0), fields.secret),
    };
    let Some(value) = value else {
        let message = format!("the variable `{}` has no `value`", excerpt(&name.value));
        findings.error(codes::MISSING_KEY, name.place, message);
        return;
    };
    if value.contains('\0') {
        let message = format!("the variable `{}` contains a NUL character", excerpt(&name.value));
        findings.error(codes::BAD_VALUE, name.place, message);
    }
    into.insert(
        name.value.clone(),
        EnvValue {
            value: value.clone(),
            secret,
        },
    );
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c == '=' || c.is_control())
}

/// What a line of an `env_file` says: `NAME=value`, with or without `export` and quotes; nothing for a comment.
fn assignment(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=').ok_or("there is no `=`")?;
    let name = name.trim_end();
    if !is_variable(name) || name.contains(char::is_whitespace) {
        return Err("what stands before the `=` is no name");
    }
    let value = unquoted(value.trim_start())?;
    if value.contains('\0') {
        return Err("the value contains a NUL character");
    }
    Ok(Some((name.to_owned(), value)))
}

/// The value without its quotes; after an unquoted value, ` #` begins a comment.
fn unquoted(value: &str) -> Result<String, &'static str> {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = value.find(" #").unwrap_or(value.len());
        return Ok(value[..end].trim_end().to_owned());
    };
    let mut text = String::new();
    let mut rest = value[1..].chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' if quote == '"' => text.extend(match rest.next() {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                other => other,
            }),
            character if character == quote => {
                let after = rest.as_str().trim_start();
                let ended = after.is_empty() || after.starts_with('#');
                return if ended {
                    Ok(text)
                } else {
                    Err("something follows the closing quote")
                };
            }
            character => text.push(character),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<(&str, &str)>, &'static str>) {
        let expected = expected.map(|found| found.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(assignment(line), expected);
    }

    #[test]
    fn a_line_assigns_one_value() {
        check("A=b", Ok(Some(("A", "b"))));
        check("  export A = b c # d ", Ok(Some(("A", "b c"))));
        check("A='b # c' # d", Ok(Some(("A", "b # c"))));
        check(r#"A="b\n\"c\"""#, Ok(Some(("A", "b\n\"c\""))));
        check("A=", Ok(Some(("A", ""))));
        check("# A=b", Ok(None));
    }

    #[test]
    fn a_line_that_assigns_nothing_is_refused() {
        check("A", Err("there is no `=`"));
        check("=b", Err("what stands before the `=` is no name"));
        check("A B=c", Err("what stands before the `=` is no name"));
        check("A='b", Err("a quote is not closed"));
        check("A='b'c", Err("something follows the closing quote"));
    }
}
