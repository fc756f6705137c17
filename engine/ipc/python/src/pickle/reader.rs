//! Small plain values, read: a machine with a stack, of which Python's own knows more words.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyList, PyString, PyTuple};

use super::opcode;

/// The value of a pickle; `None` when there is anything in it that Python's own unpickler is to read.
pub fn read<'py>(py: Python<'py>, pickle: &[u8]) -> Option<Bound<'py, PyAny>> {
    let mut reader = Reader {
        py,
        rest: pickle.strip_prefix(&opcode::HEAD)?,
        stack: Vec::new(),
        marks: Vec::new(),
    };
    loop {
        let code = reader.bytes::<1>()?[0];
        if code == opcode::STOP {
            let value = reader.stack.pop()?;
            return (reader.stack.is_empty() && reader.rest.is_empty()).then_some(value);
        }
        if code == opcode::MARK {
            reader.marks.push(reader.stack.len());
        } else {
            let value = reader.value(code)?;
            reader.stack.push(value);
        }
    }
}

struct Reader<'a, 'py> {
    py: Python<'py>,
    rest: &'a [u8],
    stack: Vec<Bound<'py, PyAny>>,
    marks: Vec<usize>,
}

impl<'a, 'py> Reader<'a, 'py> {
    /// What is on top of the stack after an opcode.
    fn value(&mut self, code: u8) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        Some(match code {
            opcode::NONE => py.None().into_bound(py),
            opcode::TRUE => PyBool::new(py, true).to_owned().into_any(),
            opcode::FALSE => PyBool::new(py, false).to_owned().into_any(),
            opcode::INT1 | opcode::INT2 | opcode::INT4 | opcode::LONG1 => self.int(code)?,
            opcode::FLOAT => PyFloat::new(py, f64::from_be_bytes(self.bytes()?)).into_any(),
            opcode::BYTES1 | opcode::BYTES4 => PyBytes::new(py, self.sized(code == opcode::BYTES1)?).into_any(),
            opcode::TEXT1 | opcode::TEXT4 => {
                let text = std::str::from_utf8(self.sized(code == opcode::TEXT1)?).ok()?;
                PyString::new(py, text).into_any()
            }
            opcode::EMPTY_TUPLE => PyTuple::empty(py).into_any(),
            opcode::TUPLE1 => self.tuple(self.stack.len().checked_sub(1)?)?,
            opcode::TUPLE2 => self.tuple(self.stack.len().checked_sub(2)?)?,
            opcode::TUPLE3 => self.tuple(self.stack.len().checked_sub(3)?)?,
            opcode::TUPLE => {
                let mark = self.marks.pop()?;
                self.tuple(mark)?
            }
            opcode::EMPTY_LIST => PyList::empty(py).into_any(),
            opcode::EMPTY_DICT => PyDict::new(py).into_any(),
            opcode::APPENDS => self.append()?,
            opcode::SETITEMS => self.set_items()?,
            _ => return None,
        })
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// Bytes behind their length, which is in one byte or in four.
    fn sized(&mut self, short: bool) -> Option<&'a [u8]> {
        let length = if short {
            usize::from(self.bytes::<1>()?[0])
        } else {
            usize::try_from(u32::from_le_bytes(self.bytes()?)).ok()?
        };
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn int(&mut self, code: u8) -> Option<Bound<'py, PyAny>> {
        let number = match code {
            opcode::INT1 => i64::from(self.bytes::<1>()?[0]),
            opcode::INT2 => i64::from(u16::from_le_bytes(self.bytes()?)),
            opcode::INT4 => i64::from(i32::from_le_bytes(self.bytes()?)),
            _ if self.bytes()? == [8] => i64::from_le_bytes(self.bytes()?),
            _ => return None,
        };
        Some(number.into_pyobject(self.py).ok()?.into_any())
    }

    fn tuple(&mut self, mark: usize) -> Option<Bound<'py, PyAny>> {
        if mark > self.stack.len() {
            return None;
        }
        let items = self.stack.drain(mark..);
        Some(PyTuple::new(self.py, items).ok()?.into_any())
    }

    fn append(&mut self) -> Option<Bound<'py, PyAny>> {
        let mark = self.marks.pop()?;
        let (before, items) = self.stack.split_at_checked(mark)?;
        let list = before.last()?.cast_exact::<PyList>().ok()?;
        for item in items {
            list.append(item).ok()?;
        }
        self.stack.truncate(mark);
        self.stack.pop()
    }

    fn set_items(&mut self) -> Option<Bound<'py, PyAny>> {
        let mark = self.marks.pop()?;
        let (before, items) = self.stack.split_at_checked(mark)?;
        let dict = before.last()?.cast_exact::<PyDict>().ok()?;
        let pairs = items.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return None;
        }
        for pair in pairs {
            dict.set_item(&pair[0], &pair[1]).ok()?;
        }
        self.stack.truncate(mark);
        self.stack.pop()
    }
}
