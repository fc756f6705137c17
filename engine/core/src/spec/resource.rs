//! Locks, semaphores and events, word for word.

use serde::Deserialize;

use super::resolve::Named;
use super::values::Whole;
use super::{Event, Lock, Semaphore};
use crate::diagnostic::{Findings, codes};

/// A lock's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct LockFields {
    /// What it is for, for people.
    description: Option<String>,
    /// Whether its holder may acquire it again.
    reentrant: bool,
}

/// A lock.
pub(crate) fn lock(named: Named, fields: LockFields) -> Lock {
    Lock {
        declared: named.declared(fields.description),
        reentrant: fields.reentrant,
    }
}

/// A semaphore's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct SemaphoreFields {
    /// What it is for, for people.
    description: Option<String>,
    /// How many may hold it at once.
    permits: Option<Whole<1, 1_000_000>>,
}

/// Checks that a semaphore says how many permits it has.
pub(crate) fn check_permits(named: &Named, findings: &mut Findings) {
    if !named.node.entries().iter().any(|entry| entry.key.text() == "permits") {
        let message = format!("the semaphore `{}` has no `permits`", named.name);
        findings
            .error(codes::MISSING_KEY, named.place, message)
            .help("say how many may hold it at once: `permits: 2`");
    }
}

/// A semaphore.
pub(crate) fn semaphore(named: Named, fields: SemaphoreFields) -> Semaphore {
    Semaphore {
        permits: fields.permits.map_or(1, Whole::get),
        declared: named.declared(fields.description),
    }
}

/// An event's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct EventFields {
    /// What it is for, for people.
    description: Option<String>,
    /// Whether it is set from the start.
    set: bool,
}

/// An event.
pub(crate) fn event(named: Named, fields: EventFields) -> Event {
    Event {
        declared: named.declared(fields.description),
        set: fields.set,
    }
}
