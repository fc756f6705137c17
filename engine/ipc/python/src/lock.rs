//! `Lock`: not reentrant, and anybody may release it.

use std::sync::atomic::{AtomicBool, Ordering};

use forkyard_ipc::channel::Place;
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{WrongKind, to_python};
use crate::origin::{self, Origin};
use crate::patience::{Truth, patience, wait};
use crate::run::{self, Below};

/// A lock between processes. It is free again when its holder dies.
///
/// ``Lock()`` is a new one, for this process and its ``multiprocessing`` children; ``Lock("name")`` is the one that the
/// workflow declares under that name.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Lock {
    below: forkyard_ipc::Lock,
    name: Option<String>,
    orphaned: AtomicBool,
}

impl Lock {
    /// The lock below, for those who wait with it.
    pub fn inner(&self) -> &forkyard_ipc::Lock {
        &self.below
    }

    /// Acquires it if nobody has it, and nobody has died with it; false when another way must be gone.
    #[inline]
    pub fn acquire_at_once(&self) -> bool {
        let acquired = self.below.acquire_at_once();
        if acquired {
            self.orphaned.store(false, Ordering::Relaxed);
        }
        acquired
    }

    #[inline]
    /// Acquires it; false: in vain.
    pub fn acquire_with(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let granted = wait(py, patience, |patience| self.below.acquire_raw(patience))?;
        if let Some(granted) = granted {
            self.orphaned.store(granted.orphaned, Ordering::Relaxed);
        }
        Ok(granted.is_some())
    }
}

/// The lock of an origin, and by what name it was handed over.
pub fn open(py: Python<'_>, origin: Origin, reentrant: bool) -> PyResult<(forkyard_ipc::Lock, Option<String>)> {
    let (lock, name) = match origin {
        Origin::New => (forkyard_ipc::Lock::create(&Place::Memory, reentrant), None),
        Origin::Passed(fd) => (forkyard_ipc::Lock::from_fd(fd), None),
        Origin::Named(name) => {
            let open = |attachment| forkyard_ipc::Lock::attach(attachment).map(Below::Lock);
            let handed = run::channel(py, &name, &[Touch::Hold], open)?;
            let Below::Lock(lock) = &handed.channel else {
                return Err(handed.is_no("lock"));
            };
            if reentrant && !lock.is_reentrant() {
                let told = format!("the lock {name:?} is not reentrant; add `reentrant: true` to locks.{name}");
                return Err(WrongKind::new_err(told));
            }
            (Ok(lock.clone()), Some(name))
        }
    };
    let lock = lock.map_err(|error| to_python(&error))?;
    lock.channel().tell_of_signals();
    Ok((lock, name))
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (name=None, *, ctx=None))]
    fn new(py: Python<'_>, name: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        let (lock, name) = open(py, Origin::of(name)?, false)?;
        Ok(Self {
            below: lock,
            name,
            orphaned: AtomicBool::new(false),
        })
    }

    /// Acquires the lock. ``False``: another has it, and ``timeout`` seconds have passed, or ``block`` is false.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Truth, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.acquire_with(py, patience(block.0, timeout)?)
    }

    /// Releases the lock, whoever has it. ``ValueError``: nobody has it.
    pub fn release(&self) -> PyResult<()> {
        match self.below.release() {
            Ok(()) => Ok(()),
            Err(Error::NotHeld) => self.below.release_any().map_err(|error| match error {
                Error::NotHeld => PyValueError::new_err("semaphore or lock released too many times"),
                error => to_python(&error),
            }),
            Err(error) => Err(to_python(&error)),
        }
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
        let owner = match this.below.owner() {
            None => "None",
            Some(owner) if Some(owner) == this.below.channel().me().ok() => "ThisProcess",
            Some(_) => "SomeOtherProcess",
        };
        Ok(format!("<{class}(owner={owner})>"))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        origin::travel(slf.as_any(), this.name.as_deref(), this.below.descriptor())
    }
}
