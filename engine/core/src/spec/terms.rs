//! What a process and a pool's worker have in common.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::{
    After, Descriptor, Endings, EnvValue, Hold, Limits, Log, OnEngineLoss, OnFailure, Probe, Program, Protocol,
    Reference, Socket, Stop, Stream, Wish,
};
use crate::source::Span;

/// What a process and a pool's worker have in common. There may be a million of them, of which most say no more than what
/// is executed and for whom they wait; the rest is shared. What is shared is read as if it were its own, and is copied
/// when it is changed.
#[derive(Clone, Debug)]
pub struct Body {
    /// `run` and `shell`; `None` only for a pool that has just slots.
    pub run: Option<Program>,
    /// `after`.
    pub after: Vec<After>,
    /// All else.
    pub terms: Arc<Terms>,
}

impl Deref for Body {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.terms
    }
}

impl DerefMut for Body {
    fn deref_mut(&mut self) -> &mut Terms {
        Arc::make_mut(&mut self.terms)
    }
}

/// On what terms a process or a worker runs, and how it touches others.
#[derive(Clone, Debug)]
pub struct Terms {
    /// `cwd`; relative to the folder of the workflow's first file.
    pub cwd: Option<Box<(String, Span)>>,
    /// The environment: the workflow's and its own, files read, the later entries winning.
    pub env: BTreeMap<String, EnvValue>,
    /// `clear_env`: start from nothing instead of from the engine's environment.
    pub clear_env: bool,
    /// `user`, by name or number.
    pub user: Option<Box<(String, Span)>>,
    /// `group`, by name or number.
    pub group: Option<Box<(String, Span)>>,
    /// `limits`.
    pub limits: Option<Box<(Limits, Span)>>,
    /// `cpus`: the numbers of those it may use; empty: all.
    pub cpus: Vec<u32>,
    /// `tty: true`, with where it stands: those of its standard streams that lead nowhere else are a terminal.
    pub tty: Option<Span>,
    /// `umask`.
    pub umask: Option<u32>,
    /// `nice`.
    pub nice: Option<i32>,
    /// `stdin`; the default is [`Stream::Null`].
    pub stdin: Stream,
    /// `stdout`; the default is [`Stream::Log`].
    pub stdout: Stream,
    /// `stderr`; the default is [`Stream::Log`].
    pub stderr: Stream,
    /// `fds`: descriptors from 3 on.
    pub fds: BTreeMap<i32, Descriptor>,
    /// `sends`.
    pub sends: Vec<Reference>,
    /// `receives`.
    pub receives: Vec<Reference>,
    /// `connects`: ends of duplex pipes.
    pub connects: Vec<Reference>,
    /// `holds`, as written.
    pub holds: Vec<Hold>,
    /// `acquires`, in the order of nesting.
    pub acquires: Vec<Hold>,
    /// `sets`.
    pub sets: Vec<Reference>,
    /// `waits`.
    pub waits: Vec<Reference>,
    /// `protocol`.
    pub protocol: Option<Box<Protocol>>,
    /// `daemon`.
    pub daemon: bool,
    /// `restart`.
    pub restart: Wish,
    /// `ready`
    pub ready: Option<Box<Probe>>,
    /// `live`
    pub live: Option<Box<Probe>>,
    /// `sockets`: what it finds open, in the order of their descriptors.
    pub sockets: Vec<Socket>,
    /// `timeout`; of a pool: of each task.
    pub timeout: Option<(Duration, Span)>,
    /// `stop`.
    pub stop: Stop,
    /// `success`: the ends that mean success; `None`: the exit code 0.
    pub success: Option<Box<Endings>>,
    /// `on_failure`; `None` follows the run's `options`.
    pub on_failure: Option<OnFailure>,
    /// `on_engine_loss`, and where it is said.
    pub on_engine_loss: (OnEngineLoss, Span),
    /// `log`.
    pub log: Option<Box<Log>>,
}
