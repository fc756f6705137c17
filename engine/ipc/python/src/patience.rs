//! Waiting as Python does: with the interpreter let go of, and signals respected.

use std::time::{Duration, Instant};

use forkyard_ipc::channel::endlessly;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::to_python;

/// How often to look whether a signal has come just before a sleep, which it then did not end.
const LOOK: Duration = Duration::from_millis(250);

/// An argument of which only matters whether it is true.
#[derive(Clone, Copy)]
pub struct Truth(pub bool);

impl FromPyObject<'_, '_> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

/// What `block` and `timeout` say together. A negative time-out is none at all; without `block`, the time-out counts for nothing.
pub fn patience(block: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    let time = seconds(timeout)?;
    Ok(if block {
        time.map_or(Patience::Block, Patience::For)
    } else {
        Patience::Try
    })
}

/// A time-out in seconds; `None` is for ever, and so is more than can be counted.
pub fn seconds(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout else { return Ok(None) };
    let seconds: f64 = timeout.extract()?;
    if seconds.is_nan() {
        return Err(PyValueError::new_err("a timeout is a number of seconds, not NaN"));
    }
    Ok(Some(
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX),
    ))
}

/// Tries with the interpreter held, since to let go of it costs more than what is free costs; if in vain, waits with
/// the interpreter let go of. `None`: the patience is at its end.
///
/// A signal ends the waiting when its Python handler raises something; else it goes on for the time that is left.
pub fn wait<T: Send>(
    py: Python<'_>,
    patience: Patience,
    attempt: impl Fn(Patience) -> Result<Option<T>, Error> + Send + Sync,
) -> PyResult<Option<T>> {
    match attempt(Patience::Try) {
        Ok(None) if patience != Patience::Try => wait_detached(py, patience, attempt),
        Ok(done) => Ok(done),
        Err(error) => Err(to_python(&error)),
    }
}

/// The same without trying before.
#[cold]
pub fn wait_detached<T: Send>(
    py: Python<'_>,
    patience: Patience,
    attempt: impl Fn(Patience) -> Result<Option<T>, Error> + Send + Sync,
) -> PyResult<Option<T>> {
    let deadline = match patience {
        Patience::Block => None,
        Patience::Try => Some(Instant::now()),
        Patience::For(time) => Instant::now().checked_add(time),
    };
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.map_or(LOOK, |left| left.min(LOOK));
        let attempt = || attempt(Patience::For(slice));
        // Who waits for ever only looks around in between.
        let done = py.detach(|| if left.is_none() { endlessly(attempt) } else { attempt() });
        match done {
            Ok(None) if left != Some(slice) => py.check_signals()?,
            Ok(done) => return Ok(done),
            Err(Error::Interrupted) => py.check_signals()?,
            Err(error) => return Err(to_python(&error)),
        }
    }
}
