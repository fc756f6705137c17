//! What a process or a pool touches, in the order of the language.

use crate::spec::target::{Role, Target};
use crate::spec::{Body, Condition, Descriptor, Process, Reference, Stream};

/// One reference of a body to something else.
#[derive(Clone, Copy, Debug)]
pub struct Touch<'a> {
    /// The key it is written under.
    pub role: Role,
    /// What it names.
    pub on: &'a Reference,
    /// The condition of `after`, where one is written.
    pub is: Option<Condition>,
    /// The permits of a hold; else 1.
    pub permits: u32,
}

impl Touch<'_> {
    /// The condition of `after`, the default filled in; `None` for every other touch.
    pub(super) fn condition(&self, target: &Target) -> Option<Condition> {
        if self.role == Role::After {
            self.is.or_else(|| target.default_condition())
        } else {
            None
        }
    }

    /// How the edge is labelled: `stdout`, `after: succeeded`, `holds 2`, `connects .left`.
    pub(super) fn label(&self, target: &Target) -> String {
        let part = self.on.name.split_once('.').map(|(_, part)| format!(" .{part}"));
        let part = part.unwrap_or_default();
        match self.role {
            Role::After => {
                let is = self.condition(target).map_or("", condition_word);
                format!("after{part}: {is}")
            }
            Role::Holds | Role::Acquires if self.permits > 1 => format!("{} {}", self.role, self.permits),
            Role::InPool => "slot".to_owned(),
            Role::Stdin
            | Role::TaskSource
            | Role::Stdout
            | Role::Stderr
            | Role::Send(_)
            | Role::Receive(_)
            | Role::End(_)
            | Role::Sends
            | Role::Receives
            | Role::Connects
            | Role::Holds
            | Role::Acquires
            | Role::Sets
            | Role::Waits
            | Role::Members => format!("{}{part}", self.role),
        }
    }
}

/// The condition as it is written in `after`.
#[must_use]
pub const fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Succeeded => "succeeded",
        Condition::Failed => "failed",
        Condition::Finished => "finished",
        Condition::Set => "set",
        Condition::Drained => "drained",
    }
}

/// All touches of a process, its pool among them.
#[must_use]
pub fn touches_of_process(process: &Process) -> Vec<Touch<'_>> {
    let mut found = touches(&process.body, Role::Stdin);
    found.extend(process.pool.iter().map(|pool| plain(Role::InPool, pool)));
    found
}

/// All touches of a body; `stdin` says as what its `stdin` counts, which differs for a pool.
#[must_use]
pub fn touches(body: &Body, stdin: Role) -> Vec<Touch<'_>> {
    let mut found = Vec::new();
    found.extend(body.after.iter().map(|after| Touch {
        is: after.is,
        ..plain(Role::After, &after.on)
    }));
    for (role, stream) in [
        (stdin, &body.stdin),
        (Role::Stdout, &body.stdout),
        (Role::Stderr, &body.stderr),
    ] {
        found.extend(channel(role, stream));
    }
    found.extend(body.fds.iter().filter_map(|(number, fd)| descriptor(*number, fd)));
    for (role, references) in [
        (Role::Sends, &body.sends),
        (Role::Receives, &body.receives),
        (Role::Connects, &body.connects),
        (Role::Sets, &body.sets),
        (Role::Waits, &body.waits),
    ] {
        found.extend(references.iter().map(|reference| plain(role, reference)));
    }
    for (role, holds) in [(Role::Holds, &body.holds), (Role::Acquires, &body.acquires)] {
        found.extend(holds.iter().map(|hold| Touch {
            permits: hold.permits,
            ..plain(role, &hold.on)
        }));
    }
    found
}

const fn plain(role: Role, on: &Reference) -> Touch<'_> {
    Touch {
        role,
        on,
        is: None,
        permits: 1,
    }
}

fn channel(role: Role, stream: &Stream) -> Option<Touch<'_>> {
    if let Stream::Channel(on) = stream {
        Some(plain(role, on))
    } else {
        None
    }
}

fn descriptor(number: i32, descriptor: &Descriptor) -> Option<Touch<'_>> {
    match descriptor {
        Descriptor::Send(on) => Some(plain(Role::Send(number), on)),
        Descriptor::Receive(on) => Some(plain(Role::Receive(number), on)),
        Descriptor::End(on) => Some(plain(Role::End(number), on)),
        Descriptor::Stream(stream) => channel(Role::Send(number), stream),
    }
}
