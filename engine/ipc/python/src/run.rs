//! The channels of the run that this process belongs to, by name.
//!
//! A process is handed a channel once; all its objects of one name are one user of it. So a lock stays held though the
//! object that acquired it is gone, as in `multiprocessing` it would.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use forkyard_ipc::channel::Attachment;
use forkyard_ipc::client::{Client, ClientError};
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Error, Event, Lock, Queue, Semaphore};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::errors::{Broken, Closed, NoSuchName, NotDeclared, OutsideRun, RunEnded, TooLarge, WrongKind, to_python};

/// A channel of the run, and what this process may do with it.
#[derive(Clone)]
pub struct Handed {
    /// The channel.
    pub channel: Below,
    /// By which name.
    pub name: String,
    may: Arc<AtomicU8>,
}

/// A channel of one of the kinds that a workflow declares.
#[derive(Clone)]
pub enum Below {
    /// A queue.
    Queue(Queue),
    /// A lock.
    Lock(Lock),
    /// A semaphore.
    Semaphore(Semaphore),
    /// An event.
    Event(Event),
}

static HANDED: Mutex<Option<HashMap<String, Handed>>> = Mutex::new(None);

/// The channel of that name, for one of these touches at least.
pub fn channel(
    py: Python<'_>,
    name: &str,
    touches: &[Touch],
    open: fn(Attachment) -> Result<Below, Error>,
) -> PyResult<Handed> {
    if let Some(handed) = known(name) {
        return Ok(handed);
    }
    let mut refusals = Vec::new();
    for touch in touches {
        match ask(py, name, *touch) {
            Ok(attachment) => {
                let channel = open(attachment).map_err(|error| to_python(&error))?;
                return Ok(remember(name, channel, *touch));
            }
            Err(ClientError::NotDeclared(refusal)) => refusals.push(refusal),
            Err(error) => return Err(of_client(&error)),
        }
    }
    Err(NotDeclared::new_err(refusals.join("; or, for the other direction, ")))
}

fn ask(py: Python<'_>, name: &str, touch: Touch) -> Result<Attachment, ClientError> {
    py.detach(|| Client::from_environment()?.attach(name, touch))
}

/// The map is only locked while the interpreter is held, so that no child is forked with it locked.
fn known(name: &str) -> Option<Handed> {
    let handed = HANDED.lock().unwrap_or_else(PoisonError::into_inner);
    handed.as_ref()?.get(name).cloned()
}

/// Another thread may have been quicker: then its channel is the one.
fn remember(name: &str, channel: Below, touch: Touch) -> Handed {
    let mut all = HANDED.lock().unwrap_or_else(PoisonError::into_inner);
    let handed = all
        .get_or_insert_default()
        .entry(name.to_owned())
        .or_insert_with(|| Handed {
            channel,
            name: name.to_owned(),
            may: Arc::new(AtomicU8::new(0)),
        });
    handed.may.fetch_or(bit(touch), Ordering::Relaxed);
    handed.clone()
}

const fn bit(touch: Touch) -> u8 {
    1 << touch as u8
}

impl Handed {
    /// Makes sure that the process has declared that it does this.
    #[inline]
    pub fn check(&self, py: Python<'_>, touch: Touch) -> PyResult<()> {
        if self.may.load(Ordering::Relaxed) & bit(touch) != 0 {
            return Ok(());
        }
        self.ask_too(py, touch)
    }

    #[cold]
    fn ask_too(&self, py: Python<'_>, touch: Touch) -> PyResult<()> {
        ask(py, &self.name, touch).map_err(|error| of_client(&error))?;
        self.may.fetch_or(bit(touch), Ordering::Relaxed);
        Ok(())
    }

    /// What is told when the name is that of something else than is asked for.
    pub fn is_no(&self, kind: &str) -> PyErr {
        let is = match self.channel {
            Below::Queue(_) => "queue",
            Below::Lock(_) => "lock",
            Below::Semaphore(_) => "semaphore",
            Below::Event(_) => "event",
        };
        WrongKind::new_err(format!("{:?} is a {is} of the workflow, not a {kind}", self.name))
    }
}

#[cold]
fn of_client(error: &ClientError) -> PyErr {
    let text = error.to_string();
    match error {
        ClientError::OutsideRun | ClientError::UnknownToken(_) => OutsideRun::new_err(text),
        ClientError::RunEnded => RunEnded::new_err(text),
        ClientError::NotDeclared(_) => NotDeclared::new_err(text),
        ClientError::NoSuchName(_) => NoSuchName::new_err(text),
        ClientError::WrongKind(_) => WrongKind::new_err(text),
        ClientError::TooLarge(_) => TooLarge::new_err(text),
        ClientError::Closed => Closed::new_err(text),
        ClientError::Broken => Broken::new_err(text),
        ClientError::NotHeld(_)
        | ClientError::TooMany(_)
        | ClientError::Unable(_)
        | ClientError::Protocol(_)
        | ClientError::Io(_) => PyOSError::new_err(text),
    }
}
