//! A process as the simulated system has it.

use std::collections::VecDeque;

use super::cause::SpanId;
use crate::id::TaskId;
use crate::machine::Exit;
use crate::plan::Process;
use crate::time::Time;

/// A process, from its first life to its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub attempt: u32,
    pub phase: Phase,
    /// It has a slot of its pool.
    pub in_slot: bool,
    /// How many of its holds it has.
    pub granted: u32,
    /// It stands in line for the next one.
    pub in_line: bool,
    /// What it reads or waits for that has not ended.
    pub open: u32,
    /// Where its present life, or its last one, is written.
    pub span: Option<SpanId>,
}

/// How far a life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has none.
    Absent,
    /// It gets what it holds.
    Beginning,
    /// It is being started.
    Starting,
    /// Its time has not passed.
    Running,
    /// Its time has passed, but what it reads has not ended; of a service: it has come up.
    Due,
    /// It has ended, and the machine will be told, or has been.
    Leaving,
    /// It will have no other.
    Over,
}

impl Life {
    pub(super) const NONE: Self = Self {
        attempt: 0,
        phase: Phase::Absent,
        in_slot: false,
        granted: 0,
        in_line: false,
        open: 0,
        span: None,
    };

    /// Whether the life of that number runs.
    pub(super) const fn runs(&self, attempt: u32) -> bool {
        self.attempt == attempt && matches!(self.phase, Phase::Running | Phase::Due)
    }
}

/// What a persistent worker has before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Bench {
    pub tasks: VecDeque<TaskId>,
    /// The task that it works on.
    pub span: Option<SpanId>,
    pub stdin_closed: bool,
}

/// When something of a process came for the first time; a restart does not change what others have waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub started: Option<Time>,
    pub ready: Option<Time>,
    pub ended: Option<Time>,
}

/// An end that is a success, or one that is none.
pub(super) fn exit(process: &Process, fails: bool) -> Exit {
    let codes = &process.success.codes;
    if fails {
        return Exit::Code((1..=255).find(|code| !codes.contains(code)).unwrap_or(i32::MAX));
    }
    let signal = || process.success.signals.first().copied();
    match codes.first() {
        Some(code) => Exit::Code(*code),
        None => signal().map_or(Exit::Code(0), Exit::Signal),
    }
}
