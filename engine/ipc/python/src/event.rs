//! `Event`.

use forkyard_ipc::Patience;
use forkyard_ipc::channel::Place;
use forkyard_ipc::wire::Touch;
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::origin::{self, Origin};
use crate::patience::{seconds, wait_detached};
use crate::run::{self, Below, Handed};

/// Set or not set, and who waits goes on when it is set.
///
/// ``Event()`` is a new one, not set, for this process and its ``multiprocessing`` children; ``Event("name")`` is the one that
/// the workflow declares under that name.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Event {
    below: forkyard_ipc::Event,
    handed: Option<Handed>,
}

impl Event {
    #[inline]
    fn check(&self, py: Python<'_>, touch: Touch) -> PyResult<()> {
        self.handed.as_ref().map_or(Ok(()), |handed| handed.check(py, touch))
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (name=None, *, ctx=None))]
    fn new(py: Python<'_>, name: Option<&Bound<'_, PyAny>>, ctx: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let _ = ctx;
        let (event, handed) = match Origin::of(name)? {
            Origin::New => (forkyard_ipc::Event::create(&Place::Memory, false), None),
            Origin::Passed(fd) => (forkyard_ipc::Event::from_fd(fd), None),
            Origin::Named(name) => {
                let open = |attachment| forkyard_ipc::Event::attach(attachment).map(Below::Event);
                let handed = run::channel(py, &name, &[Touch::Wait, Touch::Set], open)?;
                let Below::Event(event) = &handed.channel else {
                    return Err(handed.is_no("event"));
                };
                (Ok(event.clone()), Some(handed))
            }
        };
        let event = event.map_err(|error| to_python(&error))?;
        event.channel().tell_of_signals();
        Ok(Self { below: event, handed })
    }

    /// Whether it is set.
    fn is_set(&self) -> bool {
        self.below.is_set()
    }

    /// Sets it; all who wait go on.
    fn set(&self, py: Python<'_>) -> PyResult<()> {
        self.check(py, Touch::Set)?;
        self.below.set();
        Ok(())
    }

    /// Clears it. Who waited while it was set goes on nevertheless.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.check(py, Touch::Set)?;
        self.below.clear();
        Ok(())
    }

    /// Waits until it is set. ``False``: it has not been set for ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.check(py, Touch::Wait)?;
        let patience = seconds(timeout)?.map_or(Patience::Block, Patience::For);
        if self.below.is_set() {
            return Ok(true);
        }
        // Counted from here, so that no setting is missed between two looks.
        let since = self.below.settings();
        let set = wait_detached(py, patience, |patience| {
            Ok(self.below.wait_since(since, patience)?.then_some(()))
        })?;
        Ok(set.is_some())
    }

    /// The pids of the processes that wait for it.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.below.clients())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        let state = if slf.get().below.is_set() { "set" } else { "unset" };
        Ok(format!("<{class} at {:#x} {state}>", slf.as_ptr().addr()))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        origin::travel(
            slf.as_any(),
            this.handed.as_ref().map(|handed| handed.name.as_str()),
            this.below.descriptor(),
        )
    }
}
