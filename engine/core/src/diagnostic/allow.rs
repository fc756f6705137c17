//! `# forkyard: allow FY270`: findings that a file itself silences.
//!
//! The comment holds for the line it stands on, or, on a line of its own, for the next line that is none, and where a block of
//! text begins on that line (`run: |`) for the whole block, in which no comment can stand; at the top of a file, before its
//! first key, it holds for the whole file.

use std::collections::BTreeMap;

use super::policy::is_allowable;
use super::{Code, Diagnostic, Findings, Rule, Severity, codes, meant, nearest};
use crate::source::{Files, Span, excerpt};

/// The words that may follow `# forkyard:`.
const ALLOW: &str = "allow";

/// Codes of which nothing is found in each workflow that has the mistake: what the machine lacks is looked for before a
/// run alone, and a search for deadlocks may end before it has found one. An `allow` of theirs is never without use.
const NOT_ALWAYS_FOUND: [std::ops::RangeInclusive<u16>; 2] = [280..=289, 300..=399];

/// What is silenced in the files of a workflow, and where.
#[derive(Debug, Default)]
pub(crate) struct Allows {
    list: Vec<Allow>,
    /// The lines for which one or more of `list` are: where a line begins, and its end.
    lines: BTreeMap<(u32, u32), (u32, Vec<usize>)>,
    /// Those for a whole file.
    files: BTreeMap<(u32, Code), usize>,
    /// What is wrong with the comments themselves.
    complaints: Findings,
}

/// One code in one comment.
#[derive(Debug)]
struct Allow {
    code: Code,
    place: Span,
    reason: Option<String>,
    used: bool,
}

/// What a comment says after its codes, and where the code stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Where it is silenced.
    pub place: Span,
    /// Why, if the comment says so.
    pub reason: Option<String>,
}

/// Whether a finding of this code may be silenced. With an error of the language in it a file cannot be understood, nothing
/// can be made of a name that stands for nothing, a key that is not built would be passed over in silence, and a process without its socket would not
/// be what it is said to be.
#[must_use]
pub fn can_be_allowed(rule: &Rule) -> bool {
    let is_language = rule.code.0 < 200 && rule.severity == Severity::Error;
    !is_language
        && !matches!(
            rule.code,
            codes::UNKNOWN_REFERENCE | codes::WRONG_KIND | codes::NOT_BUILT | codes::CANNOT_LISTEN
        )
}

impl Allows {
    /// Reads the comments of all files.
    pub fn of(files: &Files) -> Self {
        let mut allows = Self::default();
        let remarks = files.remarks();
        let mut head = (u32::MAX, 0);
        let mut below = None;
        // From the last to the first: many comments above one line find that line once.
        for &remark in remarks.iter().rev() {
            let text = &files.of(remark).text;
            if head.0 != remark.file {
                head = (remark.file, first_content(text));
                below = None;
            }
            let scope = Scope::of(remark, text, head.1, below);
            below = Some((remark, scope));
            allows.read(remark, scope, files);
        }
        allows
    }

    fn read(&mut self, remark: Span, scope: Scope, files: &Files) {
        let text = files.text(remark);
        let body = text.trim_start_matches('#').trim_start();
        let body = body.strip_prefix("forkyard:").unwrap_or(body);
        let offset = text.len() - body.len();
        let mut words = words(body).map(|(at, word)| {
            let start = remark.start as usize + offset + at;
            (Span::between(remark.file, start, start + word.len()), word)
        });
        let verb = words.next();
        let Some((_, ALLOW)) = verb else {
            let place = verb.map_or(remark, |(place, _)| place);
            let found = verb.map_or("nothing", |(_, word)| word);
            self.misunderstood(
                place,
                &format!("expected `allow` after `forkyard:`; found `{}`", excerpt(found)),
            );
            return;
        };
        let mut codes = Vec::new();
        let mut reason = None;
        for (place, word) in words {
            if !word.to_ascii_uppercase().starts_with("FY") {
                let start = (place.start - remark.start) as usize;
                reason = Some(text[start..].trim_start_matches(['-', '–', '—', ':', ' ']).trim_end());
                break;
            }
            codes.push((place, word));
        }
        if codes.is_empty() {
            self.misunderstood(remark, "a code is missing after `allow`");
        }
        for (place, word) in codes {
            self.add(place, word, reason, scope);
        }
    }

    fn misunderstood(&mut self, place: Span, message: &str) {
        self.warn(codes::BAD_REMARK, place, message)
            .help("write it as `# forkyard: allow FY270`, with as many codes as you like, and then the reason");
    }

    fn warn(&mut self, code: Code, place: Span, message: &str) -> &mut Diagnostic {
        let finding = self.complaints.error(code, place, message);
        finding.severity = Severity::Warning;
        finding
    }

    fn add(&mut self, place: Span, word: &str, reason: Option<&str>, scope: Scope) {
        let Some(rule) = rule_of(word) else {
            let known = super::catalogue().iter().map(|rule| rule.code.to_string());
            let known: Vec<String> = known.collect();
            let near = nearest(&word.to_ascii_uppercase(), known.iter().map(String::as_str)).map(str::to_owned);
            let finding = self.warn(
                codes::UNKNOWN_ALLOWED,
                place,
                &format!("there is no code `{}`", excerpt(word)),
            );
            if let Some(near) = near {
                finding.help(meant(word, &near));
            }
            return;
        };
        if !can_be_allowed(rule) {
            let message = format!("{} cannot be allowed: {}", rule.code, rule.title);
            self.warn(codes::ALLOW_OF_ERROR, place, &message)
                .help("with this error there is no workflow that could run: mend it, and remove the code here");
            return;
        }
        let index = self.list.len();
        self.list.push(Allow {
            code: rule.code,
            place,
            reason: reason.filter(|reason| !reason.is_empty()).map(str::to_owned),
            used: false,
        });
        match scope {
            Scope::File(file) => {
                self.files.entry((file, rule.code)).or_insert(index);
            }
            Scope::Line { file, start, end } => {
                self.lines
                    .entry((file, start))
                    .or_insert((end, Vec::new()))
                    .1
                    .push(index);
            }
        }
    }

    /// The comment that silences this finding, if any does.
    pub fn permission(&mut self, found: &Diagnostic) -> Option<Permission> {
        if !is_allowable(found) {
            return None;
        }
        let place = found.place.unwrap_or_default();
        let of_line = self.of_line(found.code, place).filter(|_| found.place.is_some());
        let index = of_line.or_else(|| self.files.get(&(place.file, found.code)).copied())?;
        let allow = &mut self.list[index];
        allow.used = true;
        Some(Permission {
            place: allow.place,
            reason: allow.reason.clone(),
        })
    }

    fn of_line(&self, code: Code, place: Span) -> Option<usize> {
        let (&(file, _), (end, allows)) = self.lines.range(..=(place.file, place.start)).next_back()?;
        let is_on_it = file == place.file && place.start < *end;
        let mut allows = allows.iter().copied().filter(|_| is_on_it);
        allows.find(|&index| self.list[index].code == code)
    }

    /// What is wrong with the comments: all of it, and of a workflow that is `whole` also which of them silence nothing.
    pub fn complaints(&mut self, whole: bool) -> Vec<Diagnostic> {
        let unused = self
            .list
            .iter()
            .filter(|allow| whole && !allow.used && is_always_found(allow.code));
        let unused: Vec<(Span, Code)> = unused.map(|allow| (allow.place, allow.code)).collect();
        for (place, code) in unused {
            self.warn(codes::UNUSED_ALLOW, place, &format!("nothing of {code} is found here"))
                .help("remove it; it holds for its own line, or for the line below when it has a line to itself, and for a block that begins there");
        }
        std::mem::take(&mut self.complaints).sorted()
    }
}

/// Whether each workflow with the mistake is told of it. A complaint about a comment is found after the comments are read.
fn is_always_found(code: Code) -> bool {
    let of_comments = codes::UNKNOWN_ALLOWED..=codes::BAD_REMARK;
    !of_comments.contains(&code) && !NOT_ALWAYS_FOUND.iter().any(|range| range.contains(&code.0))
}

/// The kind of finding that `FY270` stands for; only as it is written in a report.
#[must_use]
pub fn rule_of(word: &str) -> Option<&'static Rule> {
    let digits = word.strip_prefix("FY").filter(|digits| digits.len() == 3)?;
    let digits = digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)?;
    Rule::of(Code(digits.parse().ok()?))
}

/// The words of a comment, which spaces, commas and the like part, each with where it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split([' ', '\t', ',', ';', ':']).filter_map(move |word| {
        let begins = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some((begins, word))
    })
}

/// For what a comment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    File(u32),
    Line { file: u32, start: u32, end: u32 },
}

impl Scope {
    /// `head` is where the content of the file begins; `below` is the next such comment with its scope.
    fn of(remark: Span, text: &str, head: usize, below: Option<(Span, Self)>) -> Self {
        if (remark.start as usize) < head {
            return Self::File(remark.file);
        }
        let line = text[..remark.start as usize]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        if !is_blank(&text[line..remark.start as usize]) {
            return Self::line(remark.file, text, line);
        }
        let mut at = after_line(text, line);
        while at < text.len() {
            let end = after_line(text, at);
            let shared = below.filter(|(below, _)| (at..end).contains(&(below.start as usize)));
            if let Some((_, scope)) = shared {
                return scope;
            }
            if !is_comment(&text[at..end]) {
                break;
            }
            at = end;
        }
        Self::line(remark.file, text, at)
    }

    fn line(file: u32, text: &str, start: usize) -> Self {
        let line = Span::between(file, start, after_block(text, start));
        Self::Line {
            file,
            start: line.start,
            end: line.end,
        }
    }
}

fn after_line(text: &str, line: usize) -> usize {
    text[line..].find('\n').map_or(text.len(), |length| line + length + 1)
}

/// The end of a line, with the lines of the block of text that begins on it: those that are indented more than its key, and
/// empty ones between them.
fn after_block(text: &str, line: usize) -> usize {
    let mut end = after_line(text, line);
    let Some(key) = key_of_block(&text[line..end]) else {
        return end;
    };
    let mut at = end;
    while at < text.len() {
        let next = after_line(text, at);
        let content = text[at..next].trim_start_matches(' ');
        if !content.trim_end().is_empty() {
            if next - at - content.len() <= key {
                break;
            }
            end = next;
        }
        at = next;
    }
    end
}

/// How far the key, or the dash, is indented whose value is a block of text: `|` or `>`, perhaps behind an anchor, and before
/// nothing but signs of its own and a comment.
fn key_of_block(line: &str) -> Option<usize> {
    let head = line.find(" #").map_or(line, |comment| &line[..comment]).trim_end();
    let (before, header) = head.rsplit_once(' ')?;
    let signs = header.strip_prefix(['|', '>'])?;
    if !signs.chars().all(|sign| matches!(sign, '+' | '-' | '1'..='9')) {
        return None;
    }
    let mut before = before.trim_end();
    if let Some((key, anchor)) = before.rsplit_once(' ')
        && anchor.starts_with('&')
    {
        before = key.trim_end();
    }
    if !before.ends_with([':', '-']) {
        return None;
    }
    let mut at = line.len() - line.trim_start_matches(' ').len();
    while let Some(rest) = before.get(at..).and_then(|rest| rest.strip_prefix("- ")) {
        at += 2 + rest.len() - rest.trim_start_matches(' ').len();
    }
    Some(at)
}

/// Where the first line begins that is neither empty nor a comment, nor `%YAML 1.2` or `---`.
fn first_content(text: &str) -> usize {
    let mut at = 0;
    while at < text.len() {
        let end = after_line(text, at);
        let line = &text[at..end];
        if !is_comment(line) && !line.starts_with('%') && line.trim_end() != "---" {
            break;
        }
        at = end;
    }
    at
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|it| it.is_whitespace() || it == '\u{FEFF}')
}

fn is_comment(line: &str) -> bool {
    let text = line.trim_start_matches('\u{FEFF}').trim_start();
    text.is_empty() || text.starts_with('#')
}
