//! `RLock`: its owner is a thread of a process, and may acquire it again.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use forkyard_ipc::Patience;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::to_python;
use crate::lock::open;
use crate::origin::{self, Origin};
use crate::patience::{patience, wait};

/// A lock between processes that its owner, a thread, may acquire again. It is free when its owner's process dies.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct RLock {
    lock: forkyard_ipc::Lock,
    name: Option<String>,
    orphaned: AtomicBool,
    /// The thread of this process that has it; only true while this process has it.
    thread: AtomicUsize,
    /// How often that thread must release it.
    depth: AtomicU32,
}

/// A number that no other living thread of this process has.
fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

impl RLock {
    /// The lock below, for those who wait with it.
    pub fn inner(&self) -> &forkyard_ipc::Lock {
        &self.lock
    }

    /// Whether this thread has it.
    pub fn is_mine(&self) -> bool {
        // A forked child has the words of its parent, but another slot.
        self.thread.load(Ordering::Relaxed) == this_thread() && self.lock.owner() == self.lock.channel().me().ok()
    }

    fn acquire_with(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        if self.is_mine() {
            self.depth.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        let granted = wait(py, patience, |patience| self.lock.acquire_raw(patience))?;
        if let Some(granted) = granted {
            self.orphaned.store(granted.orphaned, Ordering::Relaxed);
            self.own(1);
        }
        Ok(granted.is_some())
    }

    /// This thread has acquired the lock below, so often.
    pub fn own(&self, depth: u32) {
        self.depth.store(depth, Ordering::Relaxed);
        self.thread.store(this_thread(), Ordering::Relaxed);
    }

    /// This thread is about to release the lock below; how often it had acquired it.
    pub fn disown(&self) -> u32 {
        self.thread.store(0, Ordering::Relaxed);
        self.depth.load(Ordering::Relaxed)
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (name=None, *, ctx=None))]
    fn new(name: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        let (lock, name) = open(Origin::of(name)?)?;
        Ok(Self {
            lock,
            name,
            orphaned: AtomicBool::new(false),
            thread: AtomicUsize::new(0),
            depth: AtomicU32::new(0),
        })
    }

    /// Acquires the lock. ``False``: another has it, and ``timeout`` seconds have passed, or ``block`` is false.
    #[pyo3(signature = (block=None, timeout=None))]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.acquire_with(py, patience(block, timeout)?)
    }

    /// Releases the lock once. ``AssertionError``: this thread does not have it.
    fn release(&self) -> PyResult<()> {
        if !self.is_mine() {
            return Err(PyAssertionError::new_err(
                "attempt to release recursive lock not owned by thread",
            ));
        }
        if self.depth.load(Ordering::Relaxed) > 1 {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        self.disown();
        self.lock.release().map_err(|error| to_python(&error))
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
        let owner = self.lock.owner()?;
        self.lock
            .clients()
            .iter()
            .find(|client| client.slot == owner)
            .map(|client| client.pid)
    }

    /// The pids of the processes that wait for it.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.lock.clients())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let depth = this.depth.load(Ordering::Relaxed);
        Ok(match this.lock.owner() {
            None => format!("<{class}(None, 0)>"),
            Some(_) if this.is_mine() => format!("<{class}(ThisThread, {depth})>"),
            Some(owner) if Some(owner) == this.lock.channel().me().ok() => {
                format!("<{class}(SomeOtherThread, nonzero)>")
            }
            Some(_) => format!("<{class}(SomeOtherProcess, nonzero)>"),
        })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        origin::travel(slf.as_any(), this.name.as_deref(), this.lock.descriptor())
    }
}
