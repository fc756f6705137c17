//! `Event`.

use forkyard_ipc::Patience;
use forkyard_ipc::channel::Place;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::origin::{self, Origin};
use crate::patience::{seconds, wait_detached};

/// Set or not set, and who waits goes on when it is set.
///
/// ``Event()`` is a new one, not set, for this process and its ``multiprocessing`` children; ``Event("name")`` is the one that
/// the workflow declares under that name.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Event {
    event: forkyard_ipc::Event,
    name: Option<String>,
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (name=None, *, ctx=None))]
    fn new(name: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        let (event, name) = match Origin::of(name)? {
            Origin::New => (forkyard_ipc::Event::create(&Place::Memory, false), None),
            Origin::Passed(fd) => (forkyard_ipc::Event::from_fd(fd), None),
            Origin::Named(name) => return Err(PyValueError::new_err(format!("no run has an event {name}"))),
        };
        let event = event.map_err(|error| to_python(&error))?;
        event.channel().tell_of_signals();
        Ok(Self { event, name })
    }

    /// Whether it is set.
    fn is_set(&self) -> bool {
        self.event.is_set()
    }

    /// Sets it; all who wait go on.
    fn set(&self) {
        self.event.set();
    }

    /// Clears it. Who waited while it was set goes on nevertheless.
    fn clear(&self) {
        self.event.clear();
    }

    /// Waits until it is set. ``False``: it has not been set for ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let patience = seconds(timeout)?.map_or(Patience::Block, Patience::For);
        if self.event.is_set() {
            return Ok(true);
        }
        // Counted from here, so that no setting is missed between two looks.
        let since = self.event.settings();
        let set = wait_detached(py, patience, |patience| {
            Ok(self.event.wait_since(since, patience)?.then_some(()))
        })?;
        Ok(set.is_some())
    }

    /// The pids of the processes that wait for it.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.event.clients())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        let state = if slf.get().event.is_set() { "set" } else { "unset" };
        Ok(format!("<{class} at {:#x} {state}>", slf.as_ptr().addr()))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        origin::travel(slf.as_any(), this.name.as_deref(), this.event.descriptor())
    }
}
