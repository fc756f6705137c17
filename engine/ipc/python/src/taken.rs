//! `Taken`: an object that was taken from a queue, and is gone when it is acknowledged.

use std::sync::{Mutex, PoisonError};

use forkyard_ipc::queue::ItemId;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::to_python;

/// An object taken from a queue. Acknowledged, it is gone; given back, or forgotten, it is in the queue again, at its old
/// place.
#[pyclass(module = "forkyard", frozen)]
pub struct Taken {
    queue: forkyard_ipc::Queue,
    /// `None` once it is decided.
    held: Mutex<Option<ItemId>>,
    deliveries: u32,
    object: Option<Py<PyAny>>,
}

impl Taken {
    /// Of this queue; what the item is follows.
    pub fn new(queue: forkyard_ipc::Queue, item: ItemId, deliveries: u32) -> Self {
        Self {
            queue,
            held: Mutex::new(Some(item)),
            deliveries,
            object: None,
        }
    }

    /// With the object of the item.
    pub fn holding(mut self, object: Py<PyAny>) -> Self {
        self.object = Some(object);
        self
    }

    fn decide(&self) -> Option<ItemId> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn decide_once(&self) -> PyResult<ItemId> {
        self.decide()
            .ok_or_else(|| PyValueError::new_err("the item has been acknowledged or given back already"))
    }
}

#[pymethods]
impl Taken {
    /// The object.
    #[getter]
    fn item(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.object.as_ref().map(|object| object.clone_ref(py))
    }

    /// How often it has been taken, this time included: above 1 somebody had it before, and has died or given it back.
    #[getter]
    fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// It is done with.
    fn ack(&self) -> PyResult<()> {
        self.queue.ack(self.decide_once()?).map_err(|error| to_python(&error))
    }

    /// It goes back to its old place in the queue.
    fn nack(&self) -> PyResult<()> {
        self.queue.nack(self.decide_once()?).map_err(|error| to_python(&error))
    }

    fn __enter__(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.item(py)
    }

    #[pyo3(signature = (kind, *_exception))]
    fn __exit__(&self, kind: &Bound<'_, PyAny>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let Some(item) = self.decide() else { return Ok(()) };
        let decided = if kind.is_none() {
            self.queue.ack(item)
        } else {
            self.queue.nack(item)
        };
        decided.map_err(|error| to_python(&error))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(item) = self.decide() {
            // In a forked child it is its parent's, and stays there.
            let _ = self.queue.nack(item);
        }
    }
}
