//! Collects what is wrong while a workflow is read: all of it, each thing once.

use std::collections::BTreeMap;

use super::{Code, Diagnostic, Related, Severity};
use crate::source::Span;

/// So many are kept; a file with more of them is not read more closely for it.
const KEPT_MAX: usize = 1_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    /// Which place of `list` has it. The same mistake is met once for every alias and every replica.
    known: BTreeMap<(Code, Option<Span>, String), usize>,
}

impl Findings {
    /// Notes an error and hands it out for its help and related places to be filled in.
    pub fn error(&mut self, code: Code, place: impl Into<Option<Span>>, message: impl Into<String>) -> &mut Diagnostic {
        let (place, message) = (place.into(), message.into());
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

    /// All of them, in the order of the files.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.truncate(KEPT_MAX);
        self.list.sort_by_key(|diagnostic| diagnostic.place);
        self.list
    }

    /// An entry as it was before its help and related places, which the caller gives again.
    fn fresh(&mut self, index: usize) -> &mut Diagnostic {
        let diagnostic = &mut self.list[index];
        diagnostic.related.clear();
        diagnostic
    }
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
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
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
    }

    #[test]
    fn the_same_finding_is_kept_once() {
        let mut findings = Findings::default();
        findings.error(Code(1), None, "a").help("b");
        findings.error(Code(1), None, "a").help("b");
        assert_eq!(findings.count(), 1);
    }
}
