//! Edges: `after`, holds and lists of names become references with their places.

use super::decode::{Many, Spanned, TextOr, listed};
use super::fields::{AfterField, HoldsField, Names, WaitFields};
use super::{After, Condition, Hold, Otherwise, Reference};
use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Span, excerpt};

/// The conditions of `after` by their words.
const CONDITIONS: [(&str, Condition); 7] = [
    ("started", Condition::Started),
    ("ready", Condition::Ready),
    ("succeeded", Condition::Succeeded),
    ("failed", Condition::Failed),
    ("finished", Condition::Finished),
    ("set", Condition::Set),
    ("drained", Condition::Drained),
];

/// A list of names as references.
pub(crate) fn references(names: Option<&Names>) -> Vec<Reference> {
    let names = names.map_or(&[][..], |names| &names.0);
    names.iter().map(|name| reference(&name.value.0, name.place)).collect()
}

/// A reference to a name at its place.
pub(crate) fn reference(name: &str, place: Span) -> Reference {
    Reference {
        name: name.to_owned(),
        place,
    }
}

/// A wait for a name alone.
pub(crate) fn wait(name: String, place: Span) -> After {
    After {
        on: Reference { name, place },
        is: None,
        timeout: None,
        otherwise: Otherwise::Fail,
    }
}

/// The waits of `after`.
pub(crate) fn afters(after: Option<AfterField>, findings: &mut Findings) -> Vec<After> {
    let items = after.map_or_else(Vec::new, |Many(items)| items);
    // Most items are one wait, and of a million lists none has room to spare.
    let mut waits = Vec::with_capacity(items.len());
    for item in items {
        let place = item.place;
        match item.value {
            TextOr::Text(name) => waits.push(wait(name, place)),
            TextOr::Other(keyed) => {
                // A wait with a mistake is left out: when it would end is not known.
                let keyed = keyed.0.iter().filter(|(_, wait)| !findings.any_within(wait.place));
                let keyed: Vec<_> = keyed.collect();
                waits.extend(
                    keyed
                        .into_iter()
                        .filter_map(|(name, wait)| conditional(name, &wait.value, findings)),
                );
            }
        }
    }
    waits
}

fn conditional(name: &Spanned<String>, wait: &TextOr<WaitFields>, findings: &mut Findings) -> Option<After> {
    let on = reference(&name.value, name.place);
    Some(match wait {
        TextOr::Text(word) => After {
            is: Some(condition(word, name, findings)?),
            on,
            timeout: None,
            otherwise: Otherwise::Fail,
        },
        TextOr::Other(fields) => {
            if let (Some(otherwise), None) = (&fields.otherwise, &fields.timeout) {
                findings
                    .error(codes::MISSING_KEY, otherwise.place, "`else` without `timeout`")
                    .help("say after how long: `timeout: 2s`");
            }
            After {
                on,
                is: fields.is,
                timeout: fields.timeout.as_ref().map(|timeout| timeout.value.0),
                otherwise: fields
                    .otherwise
                    .as_ref()
                    .map_or(Otherwise::Fail, |otherwise| otherwise.value),
            }
        }
    })
}

fn condition(word: &str, name: &Spanned<String>, findings: &mut Findings) -> Option<Condition> {
    let known = CONDITIONS.iter().find(|(known, _)| *known == word);
    if known.is_none() {
        let words = CONDITIONS.map(|(word, _)| word);
        let message = format!("`{}` is no condition of `after`", excerpt(word));
        let help = match nearest(word, words) {
            Some(near) => meant(word, near),
            None => format!("the conditions are {}", listed(&words)),
        };
        findings.error(codes::BAD_VALUE, name.place, message).help(help);
    }
    known.map(|&(_, condition)| condition)
}

/// The locks and permits of `holds` or `acquires`.
pub(crate) fn holds(field: Option<&HoldsField>) -> Vec<Hold> {
    let mut holds = Vec::new();
    for item in field.map_or(&[][..], |Many(items)| items) {
        match &item.value {
            TextOr::Text(name) => holds.push(Hold {
                on: reference(name, item.place),
                permits: 1,
            }),
            TextOr::Other(keyed) => holds.extend(keyed.0.iter().map(|(name, permits)| Hold {
                on: reference(&name.value, name.place),
                permits: permits.get(),
            })),
        }
    }
    holds
}
