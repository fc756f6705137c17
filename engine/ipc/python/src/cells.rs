//! `Cells`: shared bytes for `Value` and `Array`, which are put together in Python.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use forkyard_ipc::channel::Place;
use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::origin::{self, Passed};
use crate::reentrant::RLock;

/// `PyBUF_WRITE`, which the limited API of 3.9 has no name for.
const WRITABLE: std::ffi::c_int = 0x200;

/// Bytes that processes share, with a lock. For `forkyard._values` alone.
#[pyclass(module = "forkyard._native", frozen)]
pub struct Cells {
    below: forkyard_ipc::Cells,
    mapping: Mapping,
}

/// The bytes, mapped for `ctypes` to work on. The descriptor stays with the channel.
struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the value; its bytes are only touched from Python.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn of(file: BorrowedFd<'_>, from: u64, length: u64) -> PyResult<Self> {
        let (Ok(length), Ok(from)) = (usize::try_from(length), libc::off_t::try_from(from)) else {
            return Err(PyMemoryError::new_err("the values are larger than can be mapped"));
        };
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                rights,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                from,
            )
        };
        match NonNull::new(address.cast::<u8>()) {
            Some(address) if address.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { address, length }),
            Some(_) | None => Err(PyOSError::new_err(std::io::Error::last_os_error().to_string())),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping made above, and nothing of Python's is left that points there: all that does
        // keeps the `Cells` alive.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
    }
}

#[pymethods]
impl Cells {
    #[new]
    #[pyo3(signature = (size, *, passed=None))]
    fn new(size: u64, passed: Option<&Bound<'_, Passed>>) -> PyResult<Self> {
        let cells = match passed {
            None => forkyard_ipc::Cells::create(&Place::Memory, size),
            Some(passed) => forkyard_ipc::Cells::from_fd(passed.get().own()),
        };
        let cells = cells.map_err(|error| to_python(&error))?;
        cells.channel().tell_of_signals();
        let mapping = Mapping::of(cells.descriptor(), cells.body_offset(), cells.len())?;
        Ok(Self { below: cells, mapping })
    }

    /// A view of the bytes, to be held no longer than the object: what `multiprocessing.sharedctypes` asks of a wrapper.
    fn create_memoryview<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let length = ffi::Py_ssize_t::try_from(self.mapping.length).unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: the bytes are mapped, for reading and writing, as long as the object lives, and `sharedctypes` keeps it
        // beside the view.
        unsafe {
            let view = ffi::PyMemoryView_FromMemory(self.mapping.address.as_ptr().cast(), length, WRITABLE);
            Bound::from_owned_ptr_or_err(py, view)
        }
    }

    /// The lock beside the bytes.
    fn lock(slf: &Bound<'_, Self>) -> RLock {
        RLock::beside(slf.get().below.lock().clone(), slf.clone().unbind())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let cells = &slf.get().below;
        let arguments = (cells.len(),).into_pyobject(slf.py())?;
        origin::travel_behind(slf.as_any(), cells.descriptor(), &arguments, None)
    }
}
