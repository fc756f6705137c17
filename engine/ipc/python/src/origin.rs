//! Where the channel behind an object comes from.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use forkyard_ipc::channel::Client;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// What a constructor was told.
pub enum Origin {
    /// Nothing: a channel of its own, in a memory file.
    New,
    /// The name of a channel of the run.
    Named(String),
    /// A descriptor that a parent has passed.
    Passed(OwnedFd),
}

/// A descriptor on its way from a parent to the constructor in the child. For `forkyard._travel` alone.
#[pyclass(module = "forkyard._native", frozen)]
pub struct Passed {
    descriptor: i32,
    beside: Option<Py<PyAny>>,
}

#[pymethods]
impl Passed {
    #[new]
    #[pyo3(signature = (descriptor, beside=None))]
    fn new(descriptor: i32, beside: Option<Py<PyAny>>) -> Self {
        Self { descriptor, beside }
    }
}

impl Passed {
    /// The descriptor, which is the caller's from now on.
    pub fn own(&self) -> OwnedFd {
        // SAFETY: `forkyard._travel` has detached the descriptor from what it came in, so that it is nobody else's, and
        // makes one object of it.
        unsafe { OwnedFd::from_raw_fd(self.descriptor) }
    }

    /// What else the object needs.
    pub fn beside<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.beside.as_ref().map(|beside| beside.bind(py).clone())
    }
}

impl Origin {
    /// Reads the first argument of a constructor.
    pub fn of(name: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(name) = name else { return Ok(Self::New) };
        if let Ok(passed) = name.cast::<Passed>() {
            return Ok(Self::Passed(passed.get().own()));
        }
        if let Ok(name) = name.cast::<PyString>() {
            return Ok(Self::Named(name.extract()?));
        }
        let kind = name.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "the name of a channel is a str, not {kind}"
        )))
    }
}

/// How an object is pickled: by `forkyard._travel`, which alone knows of spawning.
pub fn travel<'py>(
    object: &Bound<'py, PyAny>,
    name: Option<&str>,
    descriptor: BorrowedFd<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    travel_with(object, name, descriptor, false)
}

/// The same for a queue, which may be raw.
pub fn travel_with<'py>(
    object: &Bound<'py, PyAny>,
    name: Option<&str>,
    descriptor: BorrowedFd<'_>,
    raw: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let travel = object.py().import("forkyard._travel")?;
    match name {
        Some(name) => travel.call_method1("by_name", (object, name, raw)),
        None => travel.call_method1("by_descriptor", (object, descriptor.as_raw_fd(), raw)),
    }
}

/// The same for what is made of these arguments, a descriptor, and something else.
pub fn travel_behind<'py>(
    object: &Bound<'py, PyAny>,
    descriptor: BorrowedFd<'_>,
    arguments: &Bound<'py, PyTuple>,
    beside: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let travel = object.py().import("forkyard._travel")?;
    travel.call_method1("with_arguments", (object, descriptor.as_raw_fd(), arguments, beside))
}

/// What `Class[item]` is.
pub fn generic<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let alias = class.py().import("types")?.getattr("GenericAlias")?;
    alias.call1((class, item))
}

/// The pid of the process that has the lock.
pub fn holder(lock: &forkyard_ipc::Lock) -> Option<u32> {
    let owner = lock.owner()?;
    let clients = lock.clients();
    let client = clients.iter().find(|client| client.slot == owner)?;
    Some(client.pid)
}

/// The pids of those who wait.
pub fn waiters(clients: &[Client]) -> Vec<u32> {
    let waiting = clients.iter().filter(|client| client.waiting.threads() > 0);
    waiting.map(|client| client.pid).collect()
}
