//! Names: one name space for all kinds, so that a bare name always says what it means.

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Findings, codes, meant, seeming};
use crate::source::{Entry, Node, Span, excerpt};

/// The sections of a workflow whose keys are names, with what one of their entries is called.
pub(crate) const SECTIONS: [(&str, &str); 9] = [
    ("processes", "process"),
    ("pools", "pool"),
    ("queues", "queue"),
    ("pipes", "pipe"),
    ("locks", "lock"),
    ("semaphores", "semaphore"),
    ("events", "event"),
    ("templates", "template"),
    ("groups", "group"),
];

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Words that a stream may lead to, so that no channel can have them as its name.
pub(crate) const STREAM_WORDS: [&str; 4] = ["null", "inherit", "log", "stdout"];

/// Checks all names of a workflow.
pub(crate) fn check_all(root: &Node, findings: &mut Findings) {
    for (section, kind) in SECTIONS {
        for entry in entries(root, section) {
            check(&entry.key, kind, findings);
        }
    }
    if any_twice(root) {
        are_told_apart(root, findings);
    }
}

fn entries<'n>(root: &'n Node, section: &str) -> &'n [Entry] {
    root.get(section).map_or(&[][..], |section| section.entries())
}

/// Whether two sections have the same name; in one section, which is a map, each is there once. The largest section, of
/// perhaps a million names, is only gone through.
fn any_twice(root: &Node) -> bool {
    let mut sections = SECTIONS.map(|(section, _)| entries(root, section));
    sections.sort_by_key(|entries| entries.len());
    let [others @ .., largest] = sections;
    let mut known: IndexSet<&str> = IndexSet::new();
    let mut others = others.into_iter().flatten();
    if others.any(|entry| !known.insert(entry.key.text())) {
        return true;
    }
    !known.is_empty() && largest.iter().any(|entry| known.contains(entry.key.text()))
}

fn are_told_apart(root: &Node, findings: &mut Findings) {
    let mut known: IndexMap<&str, (&str, Span)> = IndexMap::new();
    for (section, kind) in SECTIONS {
        for entry in entries(root, section) {
            let name = entry.key.text();
            if let Some((other, place)) = known.get(name) {
                let message = format!(
                    "the name `{}` is used for {} and {}",
                    excerpt(name),
                    article(other),
                    article(kind)
                );
                findings
                    .error(codes::NAME_TWICE, entry.key.span, message)
                    .related(*place, format!("the {other}"))
                    .help("all kinds share one name space: rename one of them");
            } else {
                known.insert(name, (kind, entry.key.span));
            }
        }
    }
}

/// Checks one name.
pub(crate) fn check(key: &Node, kind: &str, findings: &mut Findings) {
    let name = key.text();
    if !is_name(name) {
        let message = format!("`{}` cannot be the name of {}", excerpt(name), article(kind));
        let seeming = seeming(name).filter(|seeming| is_name(seeming));
        let confused = seeming.map_or_else(String::new, |seeming| format!("{}; ", meant(name, &seeming)));
        findings
            .error(codes::BAD_NAME, key.span, message)
            .help(format!("{confused}{}", rule()));
    } else if matches!(kind, "queue" | "pipe") && STREAM_WORDS.contains(&name) {
        let message = format!("`{name}` cannot be the name of a {kind}: as a stream it means something else");
        findings.error(codes::BAD_NAME, key.span, message);
    }
}

/// What a name is, in words.
pub(crate) fn rule() -> String {
    format!(
        "a name begins with a letter or `_`, goes on with letters, digits, `_` or `-`, and has at most {NAME_BYTES_MAX} of them"
    )
}

/// Whether a text is a name: `[A-Za-z_][A-Za-z0-9_-]*`, not too long.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `a process`, `an event`.
pub(crate) fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
