//! What was found in one workflow, as every format shows it, and how much of it.

use std::collections::BTreeMap;

use super::{Allowed, Code, Diagnostic};
use crate::source::{Files, Span};

/// So many findings of one code are shown to people.
pub(super) const SHOWN_OF_CODE: usize = 20;

/// So many findings of one code in a workflow are handed to programs.
pub(super) const TOLD_OF_CODE: usize = 1_000;

/// So many further places of a finding are told.
pub(super) const PLACES_MAX: usize = 20;

/// What was found in one workflow.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The workflow, as it was named.
    pub path: &'a str,
    /// Its files.
    pub files: &'a Files,
    /// The findings that count, in the order of the files.
    pub findings: &'a [Diagnostic],
    /// Those that are allowed.
    pub allowed: &'a [Allowed],
    /// Whether every file could be read, and was YAML.
    pub readable: bool,
    /// What is known about deadlocks, where they were looked for.
    pub deadlocks: Option<Verdict<'a>>,
}

/// What a search for deadlocks came to.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// For programs: `proved`, `deadlock` or `not-exhaustive`.
    pub word: &'a str,
    /// For people, without a full stop.
    pub message: &'a str,
    /// How many situations were looked at.
    pub states: usize,
    /// Whether there may be deadlocks that were not found.
    pub open: bool,
}

/// The first findings of each code, and how many more of it there are: a workflow with a hundred thousand cycles is
/// told of a few of them.
#[derive(Clone, Debug, Default)]
pub struct Kept<'a> {
    /// The first of each code, in their order.
    pub first: Vec<&'a Diagnostic>,
    /// How many more there are, for each code that has more.
    pub more: BTreeMap<Code, usize>,
}

impl<'a> Kept<'a> {
    /// The first `of_code` findings of each code.
    pub fn of(findings: impl IntoIterator<Item = &'a Diagnostic>, of_code: usize) -> Self {
        let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
        let mut kept = Self::default();
        for finding in findings {
            let count = counts.entry(finding.code).or_default();
            *count += 1;
            if *count <= of_code {
                kept.first.push(finding);
            } else {
                *kept.more.entry(finding.code).or_default() += 1;
            }
        }
        kept
    }

    /// What a program is told.
    pub fn for_programs(findings: impl IntoIterator<Item = &'a Diagnostic>) -> Self {
        Self::of(findings, TOLD_OF_CODE)
    }
}

/// Where a place begins and ends: lines and columns from 1, columns in characters, the end past the last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

impl Region {
    pub fn of(place: Span, files: &Files) -> Self {
        let (line, column) = files.line_column(place);
        // A block of text ends with line breaks that nobody means.
        let length = files.text(place).trim_end().len();
        let end = place.start.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        let (end_line, end_column) = files.line_column(Span { start: end, ..place });
        Self {
            line,
            column,
            end_line,
            end_column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;
    use crate::diagnostic::tests_support::{found, workflow};

    #[test]
    fn of_each_code_the_first_are_kept() {
        let files = workflow("a: b\n");
        let mut findings = vec![found(&files, codes::UNUSED, "a"); 5];
        findings.extend(vec![found(&files, codes::CYCLE, "b"); 2]);
        let kept = Kept::of(&findings, 2);
        assert_eq!(kept.first.len(), 4);
        assert_eq!(kept.more, BTreeMap::from([(codes::UNUSED, 3)]));
    }

    #[test]
    fn a_region_ends_past_its_last_character() {
        let files = workflow("a: |\n  äöü\n\nb: c\n");
        let start = files.all()[0].text.find('ä').expect("it is there");
        let region = Region::of(Span::between(0, start, start + 8), &files);
        assert_eq!((region.line, region.column), (2, 3));
        assert_eq!((region.end_line, region.end_column), (2, 6));
    }
}
