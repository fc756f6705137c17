//! A protocol does what its process has declared, and lets go only of what it has.

use std::collections::BTreeMap;

use super::{Findings, Subject, codes, related};
use crate::diagnostic::nearest;
use crate::graph::{Touch, touches};
use crate::source::Span;
use crate::spec::target::Role;
use crate::spec::{Body, Protocol, ProtocolStep, ProtocolVerb};

pub(super) fn fits_its_process(subject: &Subject, findings: &mut Findings) {
    for (declared, body) in subject.bodies() {
        let Some(protocol) = &body.protocol else { continue };
        let mut walk = Walk {
            name: &declared.name,
            touches: touches(body, Role::Stdin),
            reentrant: reentrant(subject, body),
            used: Vec::new(),
            findings,
        };
        let mut held = BTreeMap::new();
        walk.steps(&protocol.steps, &mut held);
        walk.unused(protocol);
    }
}

/// The locks of `acquires` that may be acquired again.
fn reentrant<'a>(subject: &Subject, body: &'a Body) -> Vec<&'a str> {
    let acquires = body.acquires.iter().map(|hold| hold.on.name.as_str());
    let is_reentrant = |name: &&str| {
        let mut locks = subject.workflow.locks.iter();
        locks.any(|lock| lock.declared.name == **name && lock.reentrant)
    };
    acquires.filter(is_reentrant).collect()
}

/// What is held of each, with where it was acquired.
type Held<'a> = BTreeMap<&'a str, Vec<(u32, Span)>>;

struct Walk<'a, 'f> {
    name: &'a str,
    touches: Vec<Touch<'a>>,
    reentrant: Vec<&'a str>,
    used: Vec<(ProtocolVerb, &'a str)>,
    findings: &'f mut Findings,
}

impl<'a> Walk<'a, '_> {
    fn steps(&mut self, steps: &'a [ProtocolStep], held: &mut Held<'a>) {
        for step in steps {
            match step {
                ProtocolStep::Repeat(inner) => {
                    let before = held.clone();
                    self.steps(inner, held);
                    self.round(&before, held);
                }
                ProtocolStep::Do { verb, on, permits, .. } => {
                    let name = base(&on.name);
                    self.used.push((*verb, name));
                    if self.is_declared(*verb, name, on.place) {
                        self.step(*verb, name, (*permits, on.place), held);
                    }
                }
            }
        }
    }

    fn is_declared(&mut self, verb: ProtocolVerb, name: &str, place: Span) -> bool {
        let fitting = self.touches.iter().filter(|touch| fits(verb, touch.role));
        let names: Vec<&str> = fitting.map(|touch| base(&touch.on.name)).collect();
        if names.contains(&name) {
            return true;
        }
        let message = format!(
            "the `protocol` of `{}` has `{} {name}`, which it does not declare",
            self.name,
            verb.word()
        );
        let help = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `{}: {name}`", key(verb)),
        };
        self.findings.error(codes::PROTOCOL_UNDECLARED, place, message).help = Some(help);
        false
    }

    fn step(&mut self, verb: ProtocolVerb, name: &'a str, taken: (u32, Span), held: &mut Held<'a>) {
        let entry = held.entry(name).or_default();
        match verb {
            ProtocolVerb::Acquire => entry.push(taken),
            ProtocolVerb::Release => {
                if let Some(place) = entry.iter().rposition(|(permits, _)| *permits == taken.0) {
                    entry.remove(place);
                } else {
                    let message = format!(
                        "the `protocol` of `{}` releases `{name}`, which it does not hold",
                        self.name
                    );
                    let finding = self.findings.error(codes::PROTOCOL_NOT_HELD, taken.1, message);
                    finding.help = Some(format!(
                        "acquire it before: `acquire {name}`, as many permits as are released"
                    ));
                }
            }
            ProtocolVerb::Put | ProtocolVerb::Get | ProtocolVerb::Wait | ProtocolVerb::Set => {}
        }
    }

    /// After a round it holds what it held before, or the next one could not be the same.
    fn round(&mut self, before: &Held, after: &mut Held) {
        for (name, held) in after.iter_mut() {
            let kept = before.get(name).map_or(0, Vec::len);
            if held.len() > kept && !self.reentrant.contains(name) {
                let (_, place) = held[kept];
                let message = format!("a round of `repeat` acquires `{name}` and does not release it");
                let finding = self.findings.error(codes::PROTOCOL_NOT_HELD, place, message);
                finding.help = Some(format!("release it in the same round: `release {name}`"));
            }
            held.truncate(kept);
        }
    }

    /// What is declared and never done hides what the process really does.
    fn unused(&mut self, protocol: &Protocol) {
        for touch in std::mem::take(&mut self.touches) {
            let Some(verb) = verb_of(touch.role) else { continue };
            let name = base(&touch.on.name);
            if !self.used.contains(&(verb, name)) {
                let message = format!(
                    "the `protocol` of `{}` never does `{} {name}`, which it declares",
                    self.name,
                    verb.word()
                );
                let finding = self
                    .findings
                    .warning(codes::PROTOCOL_INCOMPLETE, touch.on.place, message);
                finding.help =
                    Some("a `protocol` tells all that the process does; leave this out, or add the step".to_owned());
                finding.related.push(related(protocol.place, "the protocol"));
            }
        }
    }
}

/// Of an end, `talk.left`, the pipe.
fn base(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn fits(verb: ProtocolVerb, role: Role) -> bool {
    match role {
        Role::Acquires => matches!(verb, ProtocolVerb::Acquire | ProtocolVerb::Release),
        Role::Sends | Role::Stdout | Role::Stderr | Role::Send(_) => verb == ProtocolVerb::Put,
        Role::Receives | Role::Stdin | Role::Receive(_) => verb == ProtocolVerb::Get,
        Role::End(_) | Role::Connects => matches!(verb, ProtocolVerb::Put | ProtocolVerb::Get),
        Role::Waits => verb == ProtocolVerb::Wait,
        Role::Sets => verb == ProtocolVerb::Set,
        Role::After | Role::Holds | Role::InPool | Role::Members | Role::TaskSource => false,
    }
}

/// The step that a declaration leads one to expect.
fn verb_of(role: Role) -> Option<ProtocolVerb> {
    match role {
        Role::Acquires => Some(ProtocolVerb::Acquire),
        Role::Sends | Role::Stdout | Role::Stderr | Role::Send(_) => Some(ProtocolVerb::Put),
        Role::Receives | Role::Stdin | Role::Receive(_) => Some(ProtocolVerb::Get),
        Role::Waits => Some(ProtocolVerb::Wait),
        Role::Sets => Some(ProtocolVerb::Set),
        Role::End(_) | Role::Connects | Role::After | Role::Holds | Role::InPool | Role::Members | Role::TaskSource => {
            None
        }
    }
}

fn key(verb: ProtocolVerb) -> &'static str {
    match verb {
        ProtocolVerb::Acquire | ProtocolVerb::Release => "acquires",
        ProtocolVerb::Put => "sends",
        ProtocolVerb::Get => "receives",
        ProtocolVerb::Wait => "waits",
        ProtocolVerb::Set => "sets",
    }
}
