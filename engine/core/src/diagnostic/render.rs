//! Diagnostics for people: what is wrong, the line, what to do.

use std::fmt::Write as _;

use annotate_snippets::renderer::{DecorStyle, Renderer};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Snippet};

use super::harmless::harmless;
use super::report::{Kept, PLACES_MAX, SHOWN_OF_CODE};
use super::{Diagnostic, Rule, Severity, codes};
use crate::source::{Files, Span};

/// How many bytes of a line are looked at to each side of a place.
const WINDOW_BYTES: usize = 512;

/// How diagnostics look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours may be used.
    pub color: bool,
    /// How many columns there are.
    pub width: usize,
}

/// Many diagnostics, an empty line after each; of each code only the first twenty, and how many more there are.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], files: &Files, style: Style) -> String {
    let kept = Kept::of(diagnostics, SHOWN_OF_CODE);
    let mut text = String::new();
    for diagnostic in kept.first {
        text.push_str(&render(diagnostic, files, style));
        text.push_str("\n\n");
    }
    for (code, more) in kept.more {
        let title = Rule::of(code).map_or("", |rule| rule.title);
        // Writing to a string cannot fail.
        let _ = write!(text, "… and {more} more of {code}: {title}\n\n");
    }
    text
}

/// One diagnostic, without a newline at its end. Nothing that could disturb a terminal is taken over from a file.
#[must_use]
pub fn render(diagnostic: &Diagnostic, files: &Files, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(harmless(&diagnostic.message))
        .id(diagnostic.code.to_string());
    let mut group = Group::with_title(title);
    if let Some(place) = diagnostic.place {
        let mut excerpt = Excerpt::of(files, place);
        if diagnostic.code == codes::SECRET_IN_CLEAR {
            excerpt.hide_the_rest();
        }
        group = shown_place(group, &excerpt, AnnotationKind::Primary, None);
    }
    for related in diagnostic.related.iter().take(PLACES_MAX) {
        let excerpt = Excerpt::of(files, related.place);
        group = shown_place(
            group,
            &excerpt,
            AnnotationKind::Context,
            Some(harmless(&related.message)),
        );
    }
    if let Some(more) = diagnostic
        .related
        .len()
        .checked_sub(PLACES_MAX)
        .filter(|&more| more > 0)
    {
        group = group.element(Level::NOTE.message(format!("and {more} more places")));
    }
    let has_place = diagnostic.place.is_some() || !diagnostic.related.is_empty();
    if let Some(help) = diagnostic.help.as_ref().filter(|_| has_place) {
        group = group.element(Level::HELP.message(harmless(help)));
    }
    let renderer = if style.color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(style.width);
    let mut text = renderer.render(&[group]);
    // The renderer would draw the margin of a line, though there is none to show.
    if let Some(help) = diagnostic.help.as_ref().filter(|_| !has_place) {
        let _ = write!(text, "\n  = help: {}", harmless(help));
    }
    text
}

fn shown_place<'a>(group: Group<'a>, excerpt: &Excerpt, kind: AnnotationKind, label: Option<String>) -> Group<'a> {
    let annotation = kind.span(excerpt.start..excerpt.end).label(label);
    let path = harmless(&excerpt.path);
    let snippet = Snippet::source(excerpt.text.clone())
        .line_start(excerpt.line)
        .fold(false)
        .annotation(annotation);
    if excerpt.text[..excerpt.start].chars().count() + 1 == excerpt.column {
        return group.element(snippet.path(path));
    }
    // Of a very long line the start is left out; the renderer would count the column from where the text begins.
    let origin = Origin::path(path).line(excerpt.line).char_column(excerpt.column);
    group.element(origin).element(snippet)
}

/// The part of a line that is shown for a place.
struct Excerpt {
    path: String,
    line: usize,
    column: usize,
    text: String,
    /// Where the place begins and ends in `text`.
    start: usize,
    end: usize,
}

impl Excerpt {
    fn of(files: &Files, place: Span) -> Self {
        let file = files.of(place);
        let (line, column) = files.line_column(place);
        let source: &str = &file.text;
        let start = boundary(source, place.start as usize);
        let before = &source[boundary(source, start.saturating_sub(WINDOW_BYTES))..start];
        let before = &before[before.rfind('\n').map_or(0, |newline| newline + 1)..];
        let rest = &source[start..boundary(source, start + WINDOW_BYTES)];
        let rest = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let length = boundary(rest, (place.end.saturating_sub(place.start)) as usize);
        // A byte order mark is not seen, and a place after it would seem to be shifted.
        let before = harmless(before.trim_start_matches('\u{FEFF}'));
        let inside = harmless(&rest[..length]);
        let after = harmless(&rest[length..]);
        Self {
            path: file.path.clone(),
            line,
            column,
            start: before.len(),
            end: before.len() + inside.len(),
            text: format!("{before}{inside}{after}"),
        }
    }
}

impl Excerpt {
    /// Leaves nothing of the line but the place: what stands around it is not for every log.
    fn hide_the_rest(&mut self) {
        let before: String = self.text[..self.start].chars().map(|_| ' ').collect();
        let place = &self.text[self.start..self.end];
        self.text = format!("{before}{place}");
        self.start = before.len();
        self.end = self.text.len();
    }
}

/// The nearest boundary of a character at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Findings};
    use crate::source::{File, is_reordering};

    const PLAIN: Style = Style {
        color: false,
        width: 100,
    };

    fn files(text: &str) -> Files {
        let mut files = Files::default();
        files.add(File {
            path: "flow.yaml".to_owned(),
            text: text.into(),
        });
        files
    }

    fn found(files: &Files, at: &str, related: Option<&str>) -> Diagnostic {
        let text = &files.all()[0].text;
        let span = |word: &str| {
            let start = text.find(word).unwrap();
            Span::between(0, start, start + word.len())
        };
        let mut findings = Findings::default();
        let finding = findings.error(Code(102), span(at), "unknown key");
        finding.help("did you mean `capacity`?");
        if let Some(related) = related {
            finding.related(span(related), "it is here");
        }
        findings.sorted().remove(0)
    }

    #[test]
    fn a_diagnostic_shows_the_line_and_what_to_do() {
        let files = files("queues:\n  lines: {capcity: 3}\n  other: {}\n");
        let diagnostic = found(&files, "capcity", Some("other"));
        let expected = "\
error[FY102]: unknown key
 --> flow.yaml:2:11
  |
2 |   lines: {capcity: 3}
  |           ^^^^^^^
  |
 ::: flow.yaml:3:3
  |
3 |   other: {}
  |   ----- it is here
  |
  = help: did you mean `capacity`?";
        assert_eq!(render(&diagnostic, &files, PLAIN), expected);
    }

    #[test]
    fn a_diagnostic_without_a_place_has_no_margin() {
        let files = files("capcity\n");
        let diagnostic = Diagnostic {
            place: None,
            ..found(&files, "capcity", None)
        };
        let expected = "error[FY102]: unknown key\n  = help: did you mean `capacity`?";
        assert_eq!(render(&diagnostic, &files, PLAIN), expected);
    }

    #[test]
    fn nothing_of_a_file_reaches_the_terminal_raw() {
        let files = files("a: \u{1b}[31m\u{202e}\tcapcity\r\n");
        let shown = render(&found(&files, "capcity", None), &files, PLAIN);
        assert!(shown.contains("capcity"));
        assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || is_reordering(c)));
    }

    #[test]
    fn a_line_without_end_is_shown_only_around_the_place() {
        let long = "x".repeat(1_000_000);
        let files = files(&format!("{long}capcity{long}"));
        let shown = render(&found(&files, "capcity", None), &files, PLAIN);
        assert!(shown.contains("flow.yaml:1:1000001"));
        assert!(shown.contains("capcity"));
        assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    }

    #[test]
    fn colours_are_used_only_when_wanted() {
        let files = files("capcity\n");
        let diagnostic = found(&files, "capcity", None);
        let coloured = Style { color: true, ..PLAIN };
        assert!(render(&diagnostic, &files, coloured).contains('\u{1b}'));
        assert!(!render(&diagnostic, &files, PLAIN).contains('\u{1b}'));
    }

    #[test]
    fn of_very_many_only_the_first_are_shown() {
        let files = files("capcity\n");
        let mut many = vec![found(&files, "capcity", None); 103];
        many.push(Diagnostic {
            code: Code(103),
            ..many[0].clone()
        });
        let shown = render_all(&many, &files, PLAIN);
        assert_eq!(shown.matches("error[FY102]").count(), 20);
        assert_eq!(shown.matches("error[FY103]").count(), 1);
        assert!(shown.ends_with("… and 83 more of FY102: an unknown key\n\n"));
    }
}
