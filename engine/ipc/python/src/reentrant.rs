//! `RLock`: its owner is a thread of a process, and may acquire it again.

use std::sync::atomic::{AtomicBool, Ordering};

use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::cells::Cells;
use crate::errors::to_python;
use crate::lock::open;
use crate::origin::{self, Origin};
use crate::patience::{Truth, patience, wait};

/// A lock between processes that its owner, a thread, may acquire again. It is free when its owner's process dies.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct RLock {
    below: forkyard_ipc::Lock,
    name: Option<String>,
    orphaned: AtomicBool,
    /// What it stands beside, if it has no channel of its own.
    home: Option<Py<Cells>>,
}

impl RLock {
    /// The lock below, for those who wait with it.
    pub fn inner(&self) -> &forkyard_ipc::Lock {
        &self.below
    }

    /// The lock that stands beside shared bytes.
    pub fn beside(lock: forkyard_ipc::Lock, home: Py<Cells>) -> Self {
        Self {
            below: lock,
            name: None,
            orphaned: AtomicBool::new(false),
            home: Some(home),
        }
    }

    /// Acquires it; false: in vain.
    pub fn acquire_with(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let granted = wait(py, patience, |patience| self.below.acquire_raw(patience))?;
        if let Some(granted) = granted {
            self.orphaned.store(granted.orphaned, Ordering::Relaxed);
        }
        Ok(granted.is_some())
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (name=None, *, ctx=None))]
    fn new(py: Python<'_>, name: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        let (lock, name) = open(py, Origin::of(name)?, true)?;
        Ok(Self {
            below: lock,
            name,
            orphaned: AtomicBool::new(false),
            home: None,
        })
    }

    /// Acquires the lock. ``False``: another has it, and ``timeout`` seconds have passed, or ``block`` is false.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Truth, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.acquire_with(py, patience(block.0, timeout)?)
    }

    /// Releases the lock once. ``AssertionError``: this thread does not have it.
    pub fn release(&self) -> PyResult<()> {
        self.below.release().map_err(|error| match error {
            Error::NotHeld => PyAssertionError::new_err("attempt to release recursive lock not owned by thread"),
            error => to_python(&error),
        })
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_with(py, Patience::Block)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    /// Whether the holder before died with the lock when it was acquired last through this object: what it guards may
    /// be half done.
    #[getter]
    fn orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Relaxed)
    }

    /// The pid of the process that has it; ``None``: it is free.
    fn holder(&self) -> Option<u32> {
        origin::holder(&self.below)
    }

    /// The pids of the processes that wait for it.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.below.clients())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let depth = this.below.depth().map_err(|error| to_python(&error))?;
        Ok(match this.below.owner() {
            None => format!("<{class}(None, 0)>"),
            Some(_) if depth > 0 => format!("<{class}(ThisThread, {depth})>"),
            Some(owner) if Some(owner) == this.below.channel().me().ok() => {
                format!("<{class}(SomeOtherThread, nonzero)>")
            }
            Some(_) => format!("<{class}(SomeOtherProcess, nonzero)>"),
        })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if let Some(home) = &this.home {
            let lock_of = slf.py().import("forkyard._travel")?.getattr("lock_of")?;
            return Ok((lock_of, (home.clone_ref(slf.py()),))
                .into_pyobject(slf.py())?
                .into_any());
        }
        origin::travel(slf.as_any(), this.name.as_deref(), this.below.descriptor())
    }
}
