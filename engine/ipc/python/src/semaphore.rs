//! `Semaphore` and `BoundedSemaphore`.

use std::sync::atomic::{AtomicBool, Ordering};

use forkyard_ipc::channel::Place;
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::{PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};

use crate::errors::to_python;
use crate::origin::{self, Origin};
use crate::patience::{Truth, patience, wait};
use crate::run::{self, Below};

/// As many permits as `multiprocessing` allows.
const PERMITS_MAX: u32 = 0x7fff_ffff;

/// So many permits, shared by processes. Those of a process that dies are free again.
///
/// ``Semaphore(value)`` is a new one, for this process and its ``multiprocessing`` children; ``Semaphore("name")`` is the one
/// that the workflow declares under that name. ``release()`` without ``acquire()`` adds a permit.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Semaphore {
    below: forkyard_ipc::Semaphore,
    name: Option<String>,
    orphaned: AtomicBool,
}

impl Semaphore {
    fn open(py: Python<'_>, first: Option<&Bound<'_, PyAny>>, bounded: bool) -> PyResult<Self> {
        let permits = match first.map(|first| first.cast::<PyInt>()) {
            None => Some(1),
            Some(Ok(permits)) => Some(permits_of(permits)?),
            Some(Err(_)) => None,
        };
        let (semaphore, name) = match permits.map_or_else(|| Origin::of(first), |_| Ok(Origin::New))? {
            Origin::New => {
                let permits = permits.unwrap_or(1);
                let made = forkyard_ipc::Semaphore::create(&Place::Memory, permits, bounded);
                (made, None)
            }
            Origin::Passed(fd) => (forkyard_ipc::Semaphore::from_fd(fd), None),
            Origin::Named(name) => {
                let open = |attachment| forkyard_ipc::Semaphore::attach(attachment).map(Below::Semaphore);
                let handed = run::channel(py, &name, &[Touch::Hold], open)?;
                let Below::Semaphore(semaphore) = &handed.channel else {
                    return Err(handed.is_no("semaphore"));
                };
                (Ok(semaphore.clone()), Some(name))
            }
        };
        let semaphore = semaphore.map_err(|error| to_python(&error))?;
        semaphore.channel().tell_of_signals();
        Ok(Self {
            below: semaphore,
            name,
            orphaned: AtomicBool::new(false),
        })
    }

    #[inline]
    /// Acquires it; false: in vain.
    pub fn acquire_with(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let granted = wait(py, patience, |patience| self.below.acquire_raw(1, patience))?;
        if let Some(granted) = granted {
            self.orphaned.store(granted.orphaned, Ordering::Relaxed);
        }
        Ok(granted.is_some())
    }
}

/// With `multiprocessing`'s exceptions for numbers that make no sense.
fn permits_of(number: &Bound<'_, PyInt>) -> PyResult<u32> {
    if number.lt(0)? {
        return Err(PyOSError::new_err((
            EINVAL,
            "a semaphore cannot have fewer than 0 permits",
        )));
    }
    let permits = number.extract::<u32>().ok().filter(|permits| *permits <= PERMITS_MAX);
    permits.ok_or_else(|| PyOverflowError::new_err(format!("a semaphore has {PERMITS_MAX} permits at most")))
}

const EINVAL: i32 = 22;

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (value=None, *, ctx=None), text_signature = "(value=1, *, ctx=None)")]
    fn new(py: Python<'_>, value: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        Self::open(py, value, false)
    }

    /// Acquires a permit. ``False``: none is free, and ``timeout`` seconds have passed, or ``block`` is false.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Truth, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.acquire_with(py, patience(block.0, timeout)?)
    }

    /// Releases a permit, whoever has it. ``ValueError``: all are free, and the semaphore is bounded.
    pub fn release(&self) -> PyResult<()> {
        self.below.release_any(1).map_err(|error| match error {
            Error::NotHeld => PyValueError::new_err("semaphore or lock released too many times"),
            error => to_python(&error),
        })
    }

    /// How many permits are free.
    fn get_value(&self) -> u32 {
        self.below.free()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_with(py, Patience::Block)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    /// Whether a holder had died with its permits when one was acquired last through this object: what they guard may be
    /// half done.
    #[getter]
    fn orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Relaxed)
    }

    /// The pids of the processes that wait for a permit.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.below.clients())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?;
        Ok(format!("<{class}(value={})>", slf.get().below.free()))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        origin::travel(slf.as_any(), this.name.as_deref(), this.below.descriptor())
    }
}

/// A semaphore that never has more permits than at first.
#[pyclass(module = "forkyard", extends = Semaphore, frozen, subclass)]
pub struct BoundedSemaphore;

#[pymethods]
impl BoundedSemaphore {
    #[new]
    #[pyo3(signature = (value=None, *, ctx=None), text_signature = "(value=1, *, ctx=None)")]
    fn new(
        py: Python<'_>,
        value: Option<&Bound<'_, PyAny>>,
        ctx: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let _ = ctx;
        let semaphore = Semaphore::open(py, value, true)?;
        Ok(PyClassInitializer::from(semaphore).add_subclass(Self))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?;
        let semaphore = &slf.as_super().get().below;
        let (free, permits) = (semaphore.free(), semaphore.permits());
        Ok(format!("<{class}(value={free}, maxvalue={permits})>"))
    }
}
