//! Small plain values, written.
//!
//! No value is written twice by reference, as Python's own pickler does it: so whatever could be seen to be the same object
//! in two places, a list or a dict, is left to that one.

use std::ffi::c_char;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::{SMALL_BYTES_MAX, opcode};

/// How deep values may be nested.
const DEPTH_MAX: u32 = 16;

/// How many lists and dicts there may be.
const SHAREABLE_MAX: usize = 16;

unsafe extern "C" {
    /// In the limited API since 3.10, and there, the same, since 3.3.
    fn PyUnicode_AsUTF8AndSize(text: *mut ffi::PyObject, length: *mut ffi::Py_ssize_t) -> *const c_char;
}

/// Writes a value; false when it is left to Python's pickler: then the buffer has something useless in it.
pub fn write(object: &Bound<'_, PyAny>, buffer: &mut Vec<u8>) -> bool {
    let mut writer = Writer {
        buffer,
        seen: [std::ptr::null_mut(); SHAREABLE_MAX],
        seen_count: 0,
    };
    writer.write(object, DEPTH_MAX)
}

struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
    /// The lists and dicts there have been.
    seen: [*mut ffi::PyObject; SHAREABLE_MAX],
    seen_count: usize,
}

impl Writer<'_> {
    fn write(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> bool {
        if depth == 0 || self.buffer.len() > SMALL_BYTES_MAX {
            return false;
        }
        if let Ok(text) = object.cast_exact::<PyString>() {
            self.write_text(text)
        } else if let Ok(number) = object.cast_exact::<PyInt>() {
            self.write_int(number)
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            self.write_sized(opcode::BYTES1, opcode::BYTES4, bytes.as_bytes())
        } else if let Ok(number) = object.cast_exact::<PyFloat>() {
            self.buffer.push(opcode::FLOAT);
            self.buffer.extend_from_slice(&number.value().to_be_bytes());
            true
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.write_tuple(tuple, depth - 1)
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.see(object) && self.write_dict(dict, depth - 1)
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            self.see(object) && self.write_list(list, depth - 1)
        } else {
            self.write_word(object)
        }
    }

    fn write_word(&mut self, object: &Bound<'_, PyAny>) -> bool {
        let code = if object.is_none() {
            opcode::NONE
        } else if let Ok(truth) = object.cast_exact::<PyBool>() {
            if truth.is_true() { opcode::TRUE } else { opcode::FALSE }
        } else {
            return false;
        };
        self.buffer.push(code);
        true
    }

    /// False when there has been this object already, or too many.
    fn see(&mut self, object: &Bound<'_, PyAny>) -> bool {
        let seen = &self.seen[..self.seen_count];
        if self.seen_count == SHAREABLE_MAX || seen.contains(&object.as_ptr()) {
            return false;
        }
        self.seen[self.seen_count] = object.as_ptr();
        self.seen_count += 1;
        true
    }

    fn write_text(&mut self, text: &Bound<'_, PyString>) -> bool {
        let mut length = 0;
        // SAFETY: the text lives and is one, and the length is written to a place of ours.
        let utf8 = unsafe { PyUnicode_AsUTF8AndSize(text.as_ptr(), &raw mut length) };
        if utf8.is_null() {
            // Half a surrogate pair, say, with which Python's pickler deals.
            drop(PyErr::take(text.py()));
            return false;
        }
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: the text has so many bytes of UTF-8, which do not change as long as it lives.
        let utf8 = unsafe { std::slice::from_raw_parts(utf8.cast::<u8>(), length) };
        self.write_sized(opcode::TEXT1, opcode::TEXT4, utf8)
    }

    fn write_sized(&mut self, short: u8, long: u8, bytes: &[u8]) -> bool {
        if bytes.len() > SMALL_BYTES_MAX {
            return false;
        }
        if let Ok(length) = u8::try_from(bytes.len()) {
            self.buffer.extend_from_slice(&[short, length]);
        } else {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.buffer.push(long);
            self.buffer.extend_from_slice(&length.to_le_bytes());
        }
        self.buffer.extend_from_slice(bytes);
        true
    }

    fn write_int(&mut self, number: &Bound<'_, PyInt>) -> bool {
        let Ok(number) = number.extract::<i64>() else {
            return false;
        };
        if let Ok(number) = u8::try_from(number) {
            self.buffer.extend_from_slice(&[opcode::INT1, number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.buffer.push(opcode::INT2);
            self.buffer.extend_from_slice(&number.to_le_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.buffer.push(opcode::INT4);
            self.buffer.extend_from_slice(&number.to_le_bytes());
        } else {
            self.buffer.extend_from_slice(&[opcode::LONG1, 8]);
            self.buffer.extend_from_slice(&number.to_le_bytes());
        }
        true
    }

    fn write_tuple(&mut self, tuple: &Bound<'_, PyTuple>, depth: u32) -> bool {
        let (before, after) = match tuple.len() {
            0 => (None, opcode::EMPTY_TUPLE),
            1 => (None, opcode::TUPLE1),
            2 => (None, opcode::TUPLE2),
            3 => (None, opcode::TUPLE3),
            _ => (Some(opcode::MARK), opcode::TUPLE),
        };
        self.buffer.extend(before);
        let written = tuple.iter_borrowed().all(|item| self.write(&item, depth));
        self.buffer.push(after);
        written
    }

    fn write_list(&mut self, list: &Bound<'_, PyList>, depth: u32) -> bool {
        self.buffer.extend_from_slice(&[opcode::EMPTY_LIST, opcode::MARK]);
        let written = list.iter().all(|item| self.write(&item, depth));
        self.buffer.push(opcode::APPENDS);
        written
    }

    fn write_dict(&mut self, dict: &Bound<'_, PyDict>, depth: u32) -> bool {
        self.buffer.extend_from_slice(&[opcode::EMPTY_DICT, opcode::MARK]);
        let mut pairs = dict.iter();
        let written = pairs.all(|(key, value)| self.write(&key, depth) && self.write(&value, depth));
        self.buffer.push(opcode::SETITEMS);
        written
    }
}
