//! Objects as bytes: pickles, of which those of plain values are written and read here, for speed.
//!
//! Whatever is written is a pickle that any Python reads, of protocol 4.

mod opcode;
mod plain;
mod reader;

use std::cell::Cell;

use crate::errors::NotAPickle;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// A larger item is not copied to a buffer first.
pub const SMALL_BYTES_MAX: usize = 4096;

/// An object, ready to be put.
pub enum Pickled<'py> {
    /// It is in the buffer that was given.
    Buffered,
    /// These bytes, between a head that is in the buffer and `tail`.
    Framed {
        /// The bytes of an object `bytes`.
        body: Bound<'py, PyBytes>,
        /// What stands behind them.
        tail: &'static [u8],
    },
}

/// Writes an object to the buffer, which is empty.
#[inline]
pub fn write<'py>(object: &Bound<'py, PyAny>, buffer: &mut Vec<u8>) -> PyResult<Pickled<'py>> {
    buffer.extend_from_slice(&opcode::HEAD);
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(write_bytes(bytes, buffer));
    }
    if plain::write(object, buffer) && buffer.len() <= SMALL_BYTES_MAX {
        buffer.push(opcode::STOP);
        return Ok(Pickled::Buffered);
    }
    buffer.clear();
    let mut budget = 256;
    let body = if is_plain(object, 8, &mut budget) {
        dumps(object)?
    } else {
        forking_dumps(object)?
    };
    Ok(Pickled::Framed { body, tail: &[] })
}

/// Writes an object that must be bytes, or something that can be made bytes of.
pub fn write_raw<'py>(object: &Bound<'py, PyAny>, buffer: &mut Vec<u8>) -> PyResult<Pickled<'py>> {
    let body = match object.cast::<PyBytes>() {
        Ok(bytes) => bytes.clone(),
        // `bytes(7)` would be seven zeros.
        Err(_) if object.is_instance_of::<PyInt>() || object.is_instance_of::<PyString>() => {
            let kind = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "an item of a raw queue is bytes, not {kind}"
            )));
        }
        Err(_) => object.py().get_type::<PyBytes>().call1((object,))?.cast_into()?,
    };
    if body.as_bytes().len() <= SMALL_BYTES_MAX {
        buffer.extend_from_slice(body.as_bytes());
        return Ok(Pickled::Buffered);
    }
    Ok(Pickled::Framed { body, tail: &[] })
}

fn write_bytes<'py>(bytes: &Bound<'py, PyBytes>, buffer: &mut Vec<u8>) -> Pickled<'py> {
    let body = bytes.as_bytes();
    match (u8::try_from(body.len()), u32::try_from(body.len())) {
        (Ok(length), _) => buffer.extend_from_slice(&[opcode::BYTES1, length]),
        (_, Ok(length)) => {
            buffer.push(opcode::BYTES4);
            buffer.extend_from_slice(&length.to_le_bytes());
        }
        (Err(_), Err(_)) => {
            buffer.push(opcode::BYTES8);
            buffer.extend_from_slice(&(body.len() as u64).to_le_bytes());
        }
    }
    if body.len() <= SMALL_BYTES_MAX {
        buffer.extend_from_slice(body);
        buffer.push(opcode::STOP);
        return Pickled::Buffered;
    }
    Pickled::Framed {
        body: bytes.clone(),
        tail: &[opcode::STOP],
    }
}

/// Whether an object consists of nothing but Python's own values, so that no reducer of `multiprocessing` has anything
/// to do with it. False also where it would take long to know.
fn is_plain(object: &Bound<'_, PyAny>, depth: u32, budget: &mut u32) -> bool {
    if depth == 0 || *budget == 0 {
        return false;
    }
    *budget -= 1;
    if object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
    {
        return true;
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return tuple.iter_borrowed().all(|item| is_plain(&item, depth - 1, budget));
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        return list.iter().all(|item| is_plain(&item, depth - 1, budget));
    }
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        let mut pairs = dict.iter();
        return pairs.all(|(key, value)| is_plain(&key, depth - 1, budget) && is_plain(&value, depth - 1, budget));
    }
    false
}

fn dumps<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let dumps = DUMPS.import(object.py(), "pickle", "dumps")?;
    Ok(dumps.call1((object,))?.cast_into()?)
}

/// With the reducers of `multiprocessing`: connections, sockets and the like.
fn forking_dumps<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let dumps = DUMPS.get_or_try_init(object.py(), || {
        let reduction = object.py().import("multiprocessing.reduction")?;
        let dumps = reduction.getattr("ForkingPickler")?.getattr("dumps")?;
        Ok::<_, PyErr>(dumps.unbind())
    })?;
    let view = dumps.bind(object.py()).call1((object,))?;
    Ok(view.call_method0("tobytes")?.cast_into()?)
}

/// Reads a pickle.
#[inline]
pub fn read<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = reader::read(py, bytes) {
        return Ok(value);
    }
    loads(&PyBytes::new(py, bytes))
}

/// Reads a pickle that is an object already.
pub fn loads<'py>(bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if bytes.as_bytes().first() != Some(&opcode::PROTO) {
        return Err(NotAPickle::new_err(
            "the item is no pickle, so it was not put by Python: open the queue with raw=True to get its bytes",
        ));
    }
    LOADS.import(bytes.py(), "pickle", "loads")?.call1((bytes,))
}

/// The bytes of an opcode for bytes, if it is all there is.
fn body_of_bytes(inner: &[u8]) -> Option<&[u8]> {
    let (code, rest) = inner.split_first()?;
    let (length, body) = match *code {
        opcode::BYTES1 => {
            let (length, body) = rest.split_first()?;
            (u64::from(*length), body)
        }
        opcode::BYTES4 => {
            let (length, body) = rest.split_first_chunk()?;
            (u64::from(u32::from_le_bytes(*length)), body)
        }
        opcode::BYTES8 => {
            let (length, body) = rest.split_first_chunk()?;
            (u64::from_le_bytes(*length), body)
        }
        _ => return None,
    };
    (length == body.len() as u64).then_some(body)
}

/// The bytes of a large pickle that is nothing but bytes.
pub fn large_bytes(pickle: &[u8]) -> Option<&[u8]> {
    body_of_bytes(pickle.strip_prefix(&opcode::HEAD)?.strip_suffix(&[opcode::STOP])?)
}

/// A buffer that is used again and again by one thread.
pub fn with_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    // Taken out, so that whoever comes here from within `work` finds another.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = work(&mut buffer);
    BUFFER.set(buffer);
    result
}
