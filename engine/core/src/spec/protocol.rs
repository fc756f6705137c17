//! `protocol`: what a process does by itself, step by step.

use super::Reference;
use super::edge::reference;
use crate::diagnostic::{Findings, codes, nearest};
use crate::source::{Kind, Node, Span, excerpt};

/// So many steps at most; a program with more of them is not told step by step.
const STEPS_MAX: usize = 1000;

/// What a process says that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Where it stands.
    pub place: Span,
    /// In this order, and nothing else.
    pub steps: Vec<ProtocolStep>,
}

/// One step of a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolStep {
    /// `get jobs`, `acquire seats 2`, `try wait ready`.
    Do {
        /// What it does.
        verb: ProtocolVerb,
        /// With what.
        on: Reference,
        /// How many permits; else 1.
        permits: u32,
        /// `try`: it goes on when it would have to wait, or would have to wait for too long.
        is_try: bool,
    },
    /// `repeat`: any number of times; with a `get`, until the first one's queue has ended.
    Repeat(Vec<Self>),
}

/// The verbs of a protocol: those of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProtocolVerb {
    /// A lock, or permits.
    Acquire,
    /// The same, let go.
    Release,
    /// An item into a queue, or bytes into a pipe.
    Put,
    /// An item of a queue, or bytes of a pipe.
    Get,
    /// For an event.
    Wait,
    /// An event.
    Set,
}

/// The verbs by their words.
const VERBS: [(&str, ProtocolVerb); 6] = [
    ("acquire", ProtocolVerb::Acquire),
    ("release", ProtocolVerb::Release),
    ("put", ProtocolVerb::Put),
    ("get", ProtocolVerb::Get),
    ("wait", ProtocolVerb::Wait),
    ("set", ProtocolVerb::Set),
];

impl ProtocolVerb {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        VERBS
            .iter()
            .find(|(_, verb)| *verb == self)
            .map_or("", |(word, _)| word)
    }
}

/// Reads `protocol`; what cannot be understood is noted.
pub(crate) fn protocol(node: Option<&std::rc::Rc<Node>>, findings: &mut Findings) -> Option<Protocol> {
    let node = node.filter(|node| !node.is_null())?;
    let met = findings.met();
    let mut left = STEPS_MAX;
    let steps = steps(node, &mut left, findings);
    if left == 0 {
        let message = format!("a `protocol` has at most {STEPS_MAX} steps");
        findings.error(codes::PROTOCOL_STEP, node.span, message);
    }
    (findings.met() == met).then_some(Protocol {
        place: node.span,
        steps,
    })
}

fn steps(node: &Node, left: &mut usize, findings: &mut Findings) -> Vec<ProtocolStep> {
    match &node.kind {
        Kind::Sequence(items) => items.iter().filter_map(|item| step(item, left, findings)).collect(),
        Kind::Scalar(_) | Kind::Mapping(_) => step(node, left, findings).into_iter().collect(),
    }
}

fn step(node: &Node, left: &mut usize, findings: &mut Findings) -> Option<ProtocolStep> {
    *left = left.checked_sub(1)?;
    match &node.kind {
        Kind::Scalar(_) => words(node, findings),
        Kind::Mapping(entries) => match entries.as_slice() {
            [entry] if entry.key.text() == "repeat" => Some(ProtocolStep::Repeat(steps(&entry.value, left, findings))),
            _ => {
                let finding = findings.error(codes::PROTOCOL_STEP, node.span, "no step of a `protocol`");
                finding.help("a step is a text such as `get jobs`, or `{repeat: [get jobs, put done]}`");
                None
            }
        },
        Kind::Sequence(_) => {
            let finding = findings.error(codes::PROTOCOL_STEP, node.span, "a list in the list of steps");
            finding.help("to do several steps again and again, write `{repeat: [get jobs, put done]}`");
            None
        }
    }
}

fn words(node: &Node, findings: &mut Findings) -> Option<ProtocolStep> {
    let mut words = node.text().split_whitespace().peekable();
    let is_try = words.next_if_eq(&"try").is_some();
    let word = words.next().unwrap_or_default();
    let Some((_, verb)) = VERBS.iter().find(|(known, _)| *known == word) else {
        let known = VERBS.map(|(word, _)| word);
        let message = format!("`{}` is no step of a `protocol`", excerpt(node.text()));
        let help = match nearest(word, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a step is `acquire`, `release`, `put`, `get`, `wait` or `set` and a name, or `{repeat: […]}`"
                .to_owned(),
        };
        findings.error(codes::PROTOCOL_STEP, node.span, message).help(help);
        return None;
    };
    let (name, permits) = (words.next(), words.next());
    let count = permits.map_or(Some(1), |count| count.parse().ok().filter(|count| *count > 0));
    let counts = matches!(verb, ProtocolVerb::Acquire | ProtocolVerb::Release);
    let may_try = matches!(verb, ProtocolVerb::Put | ProtocolVerb::Get | ProtocolVerb::Wait);
    let (Some(name), Some(permits), None) = (name, count.filter(|_| counts || permits.is_none()), words.next()) else {
        let message = format!("`{}` is no whole step", excerpt(node.text()));
        let finding = findings.error(codes::PROTOCOL_STEP, node.span, message);
        finding.help(format!(
            "write `{word} name`{}",
            if counts { ", or `acquire name 2`" } else { "" }
        ));
        return None;
    };
    if is_try && !may_try {
        let message = format!("`try {word}` cannot be said in a `protocol`");
        let finding = findings.error(codes::PROTOCOL_STEP, node.span, message);
        finding.help("only `put`, `get` and `wait` can be tried");
        return None;
    }
    Some(ProtocolStep::Do {
        verb: *verb,
        on: reference(name, node.span),
        permits,
        is_try,
    })
}
