//! Collects what is wrong while a workflow is read: all of it, each thing once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Code, Diagnostic, Related, Severity, seeming};
use crate::source::Span;

/// So many are kept; a file with more of them is not read more closely for it.
const KEPT_MAX: usize = 1_000;

/// Of so many findings the places are kept apart; a workflow with more is beyond being told of every consequence.
const PLACES_MAX: u64 = 100_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    /// Which place of `list` has it. The same mistake is met once for every alias and every replica.
    known: BTreeMap<(Code, Option<Span>, String), usize>,
    /// How often something was found, the same thing again counted too.
    met: u64,
    /// Where something was found.
    places: BTreeSet<Span>,
}

impl Findings {
    /// Notes an error and hands it out for its help and related places to be filled in.
    pub fn error(&mut self, code: Code, place: impl Into<Option<Span>>, message: impl Into<String>) -> &mut Diagnostic {
        let (place, message) = (place.into(), message.into());
        self.met += 1;
        if self.met <= PLACES_MAX {
            self.places.extend(place);
        }
        let key = (code, place, message.clone());
        if let Some(&index) = self.known.get(&key) {
            return self.fresh(index);
        }
        // Past the limit each finding takes the place of the one before it, which `sorted` leaves out.
        self.list.truncate(KEPT_MAX);
        if self.list.len() < KEPT_MAX {
            self.known.insert(key, self.list.len());
        }
        self.list.push(Diagnostic {
            code,
            severity: Severity::Error,
            place,
            message,
            help: None,
            related: Vec::new(),
        });
        self.fresh(self.list.len() - 1)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Counts a mistake that merely follows from another, and is not told.
    pub const fn overlook(&mut self) {
        self.met += 1;
    }

    /// How often something was found, the same thing again counted too: when it has risen over the reading of a
    /// value, that value has a mistake, be it one of its template's that is known already.
    pub const fn met(&self) -> u64 {
        self.met
    }

    /// Whether anything was found within `span`.
    pub fn any_within(&self, span: Span) -> bool {
        let from = Span {
            end: span.start,
            ..span
        };
        let mut places = self.places.range(from..);
        places
            .next()
            .is_some_and(|place| place.file == span.file && place.start < span.end)
    }

    /// What was found so far, in the order in which it was.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// All of them, in the order of the files.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.truncate(KEPT_MAX);
        in_order(self.list)
    }

    /// An entry as it was before its help and related places, which the caller gives again.
    fn fresh(&mut self, index: usize) -> &mut Diagnostic {
        let diagnostic = &mut self.list[index];
        diagnostic.related.clear();
        diagnostic
    }
}

/// Findings by their places, each once; one that is about no place comes first.
#[must_use]
pub fn in_order(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    findings.sort_by(|a, b| (a.place, a.code, &a.message).cmp(&(b.place, b.code, &b.message)));
    findings.dedup_by(|a, b| (a.place, a.code, &a.message) == (b.place, b.code, &b.message));
    findings
}

impl Diagnostic {
    /// Says what to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a place that explains it.
    pub(crate) fn related(&mut self, place: Span, message: impl Into<String>) -> &mut Self {
        self.related.push(Related {
            place,
            message: message.into(),
        });
        self
    }
}

/// The known word that is nearest to a mistyped one; a longer word may have more mistakes.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS_COMPARED_MAX: usize = 200;
    if word.len() > LETTERS_COMPARED_MAX {
        return None;
    }
    let allowed = 1 + word.chars().count() / 4;
    // With enough letters of another alphabet a word is far from the one that it seems to be.
    let seeming = seeming(word);
    let word = seeming.as_deref().unwrap_or(word);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        // Of a word with nothing in common nobody has meant it.
        .filter(|&(distance, _)| distance <= allowed && distance < word.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_within_reason() {
        assert_eq!(nearest("capcity", ["capacity", "framing"]), Some("capacity"));
        assert_eq!(nearest("colour", ["capacity", "framing"]), None);
        assert_eq!(nearest("H", ["_", "HOME"]), None);
    }

    #[test]
    fn the_same_finding_is_kept_once() {
        let mut findings = Findings::default();
        findings.error(Code(1), None, "a").help("b");
        findings.error(Code(1), None, "a").help("b");
        assert_eq!(findings.count(), 1);
    }
}
