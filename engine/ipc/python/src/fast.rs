//! The methods that are called most, by the shortest way.
//!
//! PyO3's own way to a method costs about as much as a free lock does: with the limited API of Python 3.9 it passes arguments in
//! a tuple. Python calls a method faster whose arguments it passes as they are (`METH_FASTCALL`). That way of calling is
//! part of the stable API since 3.10 but has been there, the same, since 3.7. So these few methods are put into their classes
//! over those of PyO3, to which they leave every call but the plainest.

use std::ffi::{CString, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use forkyard_ipc::Patience;
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::lock::Lock;
use crate::queue::Queue;
use crate::reentrant::RLock;
use crate::semaphore::Semaphore;

/// `METH_FASTCALL | METH_KEYWORDS`, of which the limited API of 3.9 only names the second.
const FASTCALL_KEYWORDS: c_int = 0x80 | ffi::METH_KEYWORDS;

/// What Python passes to such a method.
#[derive(Clone, Copy)]
struct Arguments {
    first: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    names: *mut PyObject,
}

type Fast = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, ffi::Py_ssize_t, *mut PyObject) -> *mut PyObject;

/// The method of PyO3 that one of these stands over.
type Full = PyOnceLock<Py<PyAny>>;

/// Makes of a result what Python expects of a method.
fn guard(py: Python<'_>, work: impl FnOnce() -> PyResult<*mut PyObject>) -> *mut PyObject {
    let error = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(object)) => return object,
        Ok(Err(error)) => error,
        // Its message has been printed.
        Err(_) => PyRuntimeError::new_err("forkyard has a fault: it panicked"),
    };
    error.restore(py);
    std::ptr::null_mut()
}

/// Calls the method that stands below, with whatever was passed.
#[cold]
fn call_full(full: &Full, this: &Bound<'_, PyAny>, arguments: Arguments) -> PyResult<*mut PyObject> {
    let py = this.py();
    let full = full
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("forkyard is not there yet"))?;
    // SAFETY: Python passes `count` arguments by position, and behind them one for each of the names.
    let at = |index: usize| unsafe { Borrowed::from_ptr(py, *arguments.first.add(index)).to_owned() };
    let by_position = usize::try_from(arguments.count).unwrap_or(0);
    let positional = std::iter::once(this.clone()).chain((0..by_position).map(at));
    let positional: Vec<Bound<'_, PyAny>> = positional.collect();
    let keywords = PyDict::new(py);
    if !arguments.names.is_null() {
        // SAFETY: it is a tuple, alive during the call.
        let names = unsafe { Borrowed::from_ptr(py, arguments.names) };
        for (index, name) in names.cast::<PyTuple>()?.iter().enumerate() {
            keywords.set_item(name, at(by_position + index))?;
        }
    }
    let result = full.bind(py).call(PyTuple::new(py, positional)?, Some(&keywords))?;
    Ok(result.into_ptr())
}

/// A method without arguments in the plainest call, or with one. What can be done `at_once`, without any error or panic, is not guarded
/// against these.
macro_rules! fast {
    ($method:ident, $full:ident, $class:ty, $count:literal, at_once: |$own:ident| $at_once:expr, |$this:ident, $arguments:ident| $work:expr) => {
        static $full: Full = PyOnceLock::new();

        unsafe extern "C" fn $method(
            this: *mut PyObject,
            first: *const *mut PyObject,
            count: ffi::Py_ssize_t,
            names: *mut PyObject,
        ) -> *mut PyObject {
            // SAFETY: Python calls a method with the interpreter held, and has looked that `this` is of the class.
            let (py, object) = unsafe {
                let py = Python::assume_attached();
                (py, Borrowed::from_ptr(py, this))
            };
            let is_plain = count == $count && names.is_null();
            if is_plain {
                // SAFETY: as above.
                let $own = unsafe { object.cast_unchecked::<$class>() };
                if let Some(done) = $at_once {
                    return done;
                }
            }
            let $arguments = Arguments { first, count, names };
            guard(py, || {
                if !is_plain {
                    return call_full(&$full, &object, $arguments);
                }
                // SAFETY: as above.
                let $this = unsafe { object.cast_unchecked::<$class>() };
                $work
            })
        }
    };
    ($method:ident, $full:ident, $class:ty, $count:literal, |$this:ident, $arguments:ident| $work:expr) => {
        fast!($method, $full, $class, $count, at_once: |_own| None, |$this, $arguments| $work);
    };
}

fn none(py: Python<'_>) -> *mut PyObject {
    py.None().into_ptr()
}

fn truth(py: Python<'_>, truth: bool) -> *mut PyObject {
    pyo3::types::PyBool::new(py, truth).to_owned().into_ptr()
}

fast!(
    lock_acquire,
    LOCK_ACQUIRE,
    Lock,
    0,
    at_once: |this| this.get().acquire_at_once().then(|| truth(this.py(), true)),
    |this, _arguments| {
        let acquired = this.get().acquire_with(this.py(), Patience::Block)?;
        Ok(truth(this.py(), acquired))
    }
);
fast!(
    lock_release,
    LOCK_RELEASE,
    Lock,
    0,
    at_once: |this| this.get().inner().release_at_once().then(|| none(this.py())),
    |this, _arguments| {
        this.get().release()?;
        Ok(none(this.py()))
    }
);
fast!(rlock_acquire, RLOCK_ACQUIRE, RLock, 0, |this, _arguments| {
    let acquired = this.get().acquire_with(this.py(), Patience::Block)?;
    Ok(truth(this.py(), acquired))
});
fast!(rlock_release, RLOCK_RELEASE, RLock, 0, |this, _arguments| {
    this.get().release()?;
    Ok(none(this.py()))
});
fast!(
    semaphore_acquire,
    SEMAPHORE_ACQUIRE,
    Semaphore,
    0,
    |this, _arguments| {
        let acquired = this.get().acquire_with(this.py(), Patience::Block)?;
        Ok(truth(this.py(), acquired))
    }
);
fast!(
    semaphore_release,
    SEMAPHORE_RELEASE,
    Semaphore,
    0,
    |this, _arguments| {
        this.get().release()?;
        Ok(none(this.py()))
    }
);
fast!(queue_get, QUEUE_GET, Queue, 0, |this, _arguments| {
    Queue::get_with(&this, Patience::Block).map(Bound::into_ptr)
});
fast!(queue_put, QUEUE_PUT, Queue, 1, |this, arguments| {
    // SAFETY: one argument was passed.
    let object = unsafe { Borrowed::from_ptr(this.py(), *arguments.first) };
    Queue::put_with(&this, &object, Patience::Block)?;
    Ok(none(this.py()))
});

/// Puts these methods into their classes.
pub fn install(py: Python<'_>) -> PyResult<()> {
    put::<Lock>(py, "acquire", lock_acquire, &LOCK_ACQUIRE)?;
    put::<RLock>(py, "acquire", rlock_acquire, &RLOCK_ACQUIRE)?;
    put::<Semaphore>(py, "acquire", semaphore_acquire, &SEMAPHORE_ACQUIRE)?;
    put::<Queue>(py, "get", queue_get, &QUEUE_GET)?;
    put::<Queue>(py, "put", queue_put, &QUEUE_PUT)?;
    put::<Lock>(py, "release", lock_release, &LOCK_RELEASE)?;
    put::<RLock>(py, "release", rlock_release, &RLOCK_RELEASE)?;
    put::<Semaphore>(py, "release", semaphore_release, &SEMAPHORE_RELEASE)
}

fn put<T: PyTypeInfo>(py: Python<'_>, name: &str, method: Fast, full: &Full) -> PyResult<()> {
    let class = py.get_type::<T>();
    let below = class.getattr(name)?;
    // A module is executed again when it has been removed from `sys.modules`: the first one stays.
    if full.set(py, below.clone().unbind()).is_err() {
        return Ok(());
    }
    // SAFETY: by its flags, Python calls it as what it is.
    let call = unsafe { std::mem::transmute::<Fast, ffi::PyCFunction>(method) };
    let (signature, told) = (below.getattr("__text_signature__")?, below.getattr("__doc__")?);
    let told = format!("{name}{signature}\n--\n\n{told}");
    // Python keeps these for ever, as it does the class.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: CString::new(name)?.into_raw(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: call },
        ml_flags: FASTCALL_KEYWORDS,
        ml_doc: CString::new(told)?.into_raw(),
    }));
    // SAFETY: the class is one, and the definition is whole and lives for ever.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr(name, method)
}
