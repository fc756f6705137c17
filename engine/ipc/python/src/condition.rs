//! `Condition`.

use std::time::{Duration, Instant};

use forkyard_ipc::channel::Place;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::{PyAssertionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::to_python;
use crate::lock::Lock;
use crate::origin::{self, Passed};
use crate::patience::{Truth, seconds};
use crate::reentrant::RLock;

/// A waiting room beside a lock: who has the lock may wait there to be notified, and has it again then.
///
/// ``Condition(lock)`` is a new one with this ``Lock`` or ``RLock``, or with an ``RLock`` of its own.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Condition {
    below: forkyard_ipc::Condition,
    inner: forkyard_ipc::Lock,
    lock: Py<PyAny>,
}

impl Condition {
    fn check_held(&self, told: &'static str) -> PyResult<()> {
        match self.inner.depth() {
            Ok(0) => Err(PyAssertionError::new_err(told)),
            Ok(_) => Ok(()),
            Err(error) => Err(to_python(&error)),
        }
    }

    /// False: nobody has notified us in this time.
    fn wait_for_time(&self, py: Python<'_>, time: Option<Duration>) -> PyResult<bool> {
        self.check_held("must acquire() condition before using wait()")?;
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            let left = deadline.map_or(Patience::Block, |deadline| {
                Patience::For(deadline.saturating_duration_since(Instant::now()))
            });
            match py.detach(|| self.below.wait_with(&self.inner, left)) {
                Ok(notified) => return Ok(notified),
                // With the lock, so that nothing is missed before waiting again.
                Err(Error::Interrupted) => py.check_signals()?,
                Err(error) => return Err(to_python(&error)),
            }
        }
    }

    fn notify_so_many(&self, count: u32) -> PyResult<()> {
        self.check_held("lock is not owned")?;
        self.below.notify(count).map(drop).map_err(|error| to_python(&error))
    }
}

/// The lock below one of the two classes.
fn inner(lock: &Bound<'_, PyAny>) -> PyResult<forkyard_ipc::Lock> {
    if let Ok(lock) = lock.cast::<Lock>() {
        return Ok(lock.get().inner().clone());
    }
    if let Ok(lock) = lock.cast::<RLock>() {
        return Ok(lock.get().inner().clone());
    }
    let kind = lock.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "the lock of a condition is a forkyard.Lock or forkyard.RLock, not {kind}"
    )))
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (lock=None, *, ctx=None, passed=None), text_signature = "(lock=None, *, ctx=None)")]
    fn new(
        py: Python<'_>,
        lock: Option<Bound<'_, PyAny>>,
        ctx: Option<&Bound<'_, PyAny>>,
        passed: Option<&Bound<'_, Passed>>,
    ) -> PyResult<Self> {
        let _ = ctx;
        let lock = match lock.filter(|lock| !lock.is_none()) {
            Some(lock) => lock,
            None => py.get_type::<RLock>().call0()?,
        };
        let inner = inner(&lock)?;
        let condition = match passed {
            None => forkyard_ipc::Condition::create(&Place::Memory),
            Some(passed) => forkyard_ipc::Condition::from_fd(passed.get().own()),
        };
        let condition = condition.map_err(|error| to_python(&error))?;
        condition.channel().tell_of_signals();
        let lock = lock.unbind();
        Ok(Self {
            below: condition,
            inner,
            lock,
        })
    }

    /// Acquires the lock, as its own ``acquire`` does.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire<'py>(
        &self,
        py: Python<'py>,
        block: Truth,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.lock.bind(py).call_method1("acquire", (block.0, timeout))
    }

    /// Releases the lock, as its own ``release`` does.
    fn release<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock.bind(py).call_method0("release")
    }

    /// Gives the lock up, waits to be notified, and has the lock again. ``False``: ``timeout`` seconds have passed.
    /// ``AssertionError``: this thread does not have the lock.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.wait_for_time(py, seconds(timeout)?)
    }

    /// Waits until ``predicate()`` is true: what it was at last, be it false when ``timeout`` seconds have passed.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        &self,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let time = seconds(timeout)?;
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            let result = predicate.call0()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if result.is_truthy()? || left.is_some_and(|left| left.is_zero()) {
                return Ok(result);
            }
            self.wait_for_time(predicate.py(), left)?;
        }
    }

    /// Lets ``n`` of those who wait go on. ``AssertionError``: this thread does not have the lock.
    #[pyo3(signature = (n=None), text_signature = "($self, n=1)")]
    fn notify(&self, n: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let count: i64 = n.map_or(Ok(1), PyAnyMethods::extract)?;
        let count = u32::try_from(count.max(0)).unwrap_or(u32::MAX);
        self.notify_so_many(count)
    }

    /// Lets all who wait go on. ``AssertionError``: this thread does not have the lock.
    fn notify_all(&self) -> PyResult<()> {
        self.notify_so_many(u32::MAX)
    }

    /// The pids of the processes that wait to be notified.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.below.clients())
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock.bind(py).call_method0("__enter__")
    }

    #[pyo3(signature = (*exception))]
    fn __exit__<'py>(&self, exception: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.lock.bind(exception.py()).call_method1("__exit__", exception)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (class, lock) = (slf.get_type().name()?, this.lock.bind(slf.py()).repr()?);
        Ok(format!("<{class}({lock}, {})>", this.below.waiting()))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        let arguments = (this.lock.clone_ref(slf.py()),).into_pyobject(slf.py())?;
        origin::travel_behind(slf.as_any(), this.below.descriptor(), &arguments, None)
    }
}
