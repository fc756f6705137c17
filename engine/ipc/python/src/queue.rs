//! `Queue`, `JoinableQueue` and `SimpleQueue`.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use forkyard_ipc::channel::Place;
use forkyard_ipc::queue::{Got, ItemId};
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::{PyAssertionError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyType};

use crate::errors::{Empty, Full, to_python};
use crate::origin::{self, Origin};
use crate::patience::{Truth, patience, wait, wait_detached};
use crate::pickle::{self, Pickled};
use crate::run::{self, Below, Handed};
use crate::taken::Taken;

/// No item of a new queue is larger, in bytes: 1 TiB, which is to say that memory is the limit.
const ITEM_BYTES_MAX: u64 = 1 << 40;

/// A queue with more places than that has no limit that anybody would meet, and is made without one.
const CAPACITY_MAX: i64 = 1 << 24;

/// What all queues have below.
pub struct Line {
    below: forkyard_ipc::Queue,
    handed: Option<Handed>,
    raw: bool,
    closed: AtomicBool,
}

impl Line {
    fn open(py: Python<'_>, origin: Origin, capacity: i64, raw: bool) -> PyResult<Self> {
        let (queue, handed) = match origin {
            Origin::New => {
                let capacity = if capacity > CAPACITY_MAX { 0 } else { capacity };
                let capacity = u64::try_from(capacity).unwrap_or(0);
                let made = forkyard_ipc::Queue::create(&Place::Memory, capacity, ITEM_BYTES_MAX);
                (made, None)
            }
            Origin::Passed(fd) => (forkyard_ipc::Queue::from_fd(fd), None),
            Origin::Named(name) => {
                let open = |attachment| forkyard_ipc::Queue::attach(attachment).map(Below::Queue);
                let handed = run::channel(py, &name, &[Touch::Get, Touch::Put], open)?;
                let Below::Queue(queue) = &handed.channel else {
                    return Err(handed.is_no("queue"));
                };
                (Ok(queue.clone()), Some(handed))
            }
        };
        let queue = queue.map_err(|error| to_python(&error))?;
        queue.channel().tell_of_signals();
        Ok(Self {
            below: queue,
            handed,
            raw,
            closed: AtomicBool::new(false),
        })
    }

    #[inline]
    fn check(&self, py: Python<'_>, touch: Touch) -> PyResult<()> {
        self.handed.as_ref().map_or(Ok(()), |handed| handed.check(py, touch))
    }

    fn name(&self) -> Option<&str> {
        self.handed.as_ref().map(|handed| handed.name.as_str())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// False: it is full.
    #[inline]
    fn put(&self, object: &Bound<'_, PyAny>, patience: Patience) -> PyResult<bool> {
        self.check(object.py(), Touch::Put)?;
        pickle::with_buffer(|buffer| {
            let pickled = if self.raw {
                pickle::write_raw(object, buffer)?
            } else {
                pickle::write(object, buffer)?
            };
            let py = object.py();
            let put = match &pickled {
                Pickled::Buffered => wait(py, patience, |patience| done(self.below.put_with(buffer, patience))),
                Pickled::Framed { body, tail } if buffer.is_empty() && tail.is_empty() => {
                    let body = body.as_bytes();
                    wait(py, patience, |patience| done(self.below.put_with(body, patience)))
                }
                Pickled::Framed { body, tail } => self.put_framed(py, [buffer, body.as_bytes(), tail], patience),
            };
            Ok(put?.is_some())
        })
    }

    /// A large item of several parts, without putting them together before.
    fn put_framed(&self, py: Python<'_>, parts: [&[u8]; 3], patience: Patience) -> PyResult<Option<()>> {
        let length = parts.iter().map(|part| part.len()).sum();
        wait(py, patience, |patience| {
            let Some(mut place) = self.below.reserve_with(length, patience)? else {
                return Ok(None);
            };
            let mut at = 0;
            for part in parts {
                place.write_at(at, part);
                at += part.len();
            }
            place.commit().map(Some)
        })
    }

    /// `None`: it is empty.
    #[inline]
    fn get<'py>(&self, py: Python<'py>, patience: Patience) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.check(py, Touch::Get)?;
        pickle::with_buffer(|buffer| match self.below.get_or_take(buffer, Patience::Try) {
            Ok(None) if patience != Patience::Try => self.get_late(py, patience),
            Ok(None) => Ok(None),
            Ok(Some(Got::Copied)) => self.read(py, buffer).map(Some),
            Ok(Some(Got::Taken(taken))) => self.read_large(py, taken).map(Some),
            Err(error) => Err(to_python(&error)),
        })
    }

    #[cold]
    fn get_late<'py>(&self, py: Python<'py>, patience: Patience) -> PyResult<Option<Bound<'py, PyAny>>> {
        let got = wait_detached(py, patience, |patience| {
            let mut buffer = Vec::new();
            let got = self.below.get_or_take(&mut buffer, patience)?;
            Ok(got.map(|got| (got, buffer)))
        })?;
        match got {
            None => Ok(None),
            Some((Got::Copied, buffer)) => self.read(py, &buffer).map(Some),
            Some((Got::Taken(taken), _)) => self.read_large(py, taken).map(Some),
        }
    }

    fn read_large<'py>(&self, py: Python<'py>, taken: forkyard_ipc::queue::Taken<'_>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: nobody who uses the library writes to an item that is taken; should somebody else, the copy, which
        // is all that is looked at, has other bytes.
        let bytes = unsafe { taken.bytes() };
        let body = if self.raw {
            Some(bytes)
        } else {
            pickle::large_bytes(bytes)
        };
        let copy = PyBytes::new(py, body.unwrap_or(bytes));
        let is_read = body.is_some();
        taken.ack().map_err(|error| to_python(&error))?;
        if is_read {
            Ok(copy.into_any())
        } else {
            pickle::loads(&copy)
        }
    }

    fn read<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if self.raw {
            Ok(PyBytes::new(py, bytes).into_any())
        } else {
            pickle::read(py, bytes)
        }
    }

    /// Takes an item, which is gone when it is acknowledged.
    fn take<'py>(&self, py: Python<'py>, patience: Patience) -> PyResult<Option<TakenObject<'py>>> {
        self.check(py, Touch::Get)?;
        let taken = wait(py, patience, |patience| {
            let taken = self.below.take_with(patience)?;
            Ok(taken.map(|taken| {
                let (deliveries, bytes) = (taken.deliveries(), taken.to_vec());
                (taken.into_item(), deliveries, bytes)
            }))
        })?;
        Ok(taken.map(|(item, deliveries, bytes)| TakenObject {
            item,
            deliveries,
            object: self.read(py, &bytes),
        }))
    }
}

/// What was taken; that it cannot be read does not mean that it was not.
struct TakenObject<'py> {
    item: ItemId,
    deliveries: u32,
    object: PyResult<Bound<'py, PyAny>>,
}

fn done(put: Result<bool, Error>) -> Result<Option<()>, Error> {
    put.map(|put| put.then_some(()))
}

/// A queue between processes: what one puts, another gets, in the order of the puts.
///
/// ``Queue(maxsize)`` is a new one, for this process and its ``multiprocessing`` children; ``Queue("name")`` is the one that
/// the workflow declares under that name. Objects are pickled; ``raw=True``: items are bytes as they are.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Queue {
    line: Line,
    /// What is got is only gone when `task_done` says so.
    joined: bool,
}

impl Queue {
    fn open(py: Python<'_>, first: Option<&Bound<'_, PyAny>>, raw: bool, joined: bool) -> PyResult<Self> {
        let capacity = first.map(|first| first.cast::<PyInt>());
        let line = if let Some(Ok(capacity)) = capacity {
            let capacity = capacity.extract().unwrap_or(i64::MAX);
            Line::open(py, Origin::New, capacity, raw)?
        } else {
            Line::open(py, Origin::of(first)?, 0, raw)?
        };
        Ok(Self { line, joined })
    }

    fn check_open(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().line.is_closed() {
            return Err(PyValueError::new_err(format!("Queue {} is closed", slf.repr()?)));
        }
        Ok(())
    }

    /// The next object; `queue.Empty`.
    pub fn get_with<'py>(slf: &Bound<'py, Self>, patience: Patience) -> PyResult<Bound<'py, PyAny>> {
        Self::check_open(slf)?;
        let (this, py) = (slf.get(), slf.py());
        if this.joined {
            let taken = this.line.take(py, patience)?;
            return taken.map_or_else(|| Err(Empty::new_err(())), |taken| taken.object);
        }
        let got = this.line.get(py, patience)?;
        got.ok_or_else(|| Empty::new_err(()))
    }

    /// Puts an object; `queue.Full`.
    pub fn put_with(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>, patience: Patience) -> PyResult<()> {
        Self::check_open(slf)?;
        if slf.get().line.put(object, patience)? {
            Ok(())
        } else {
            Err(Full::new_err(()))
        }
    }
}

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (maxsize=None, *, raw=false, ctx=None), text_signature = "(maxsize=0, *, raw=False, ctx=None)")]
    fn new(
        py: Python<'_>,
        maxsize: Option<&Bound<'_, PyAny>>,
        raw: bool,
        ctx: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let _ = ctx;
        Self::open(py, maxsize, raw, false)
    }

    /// Puts an object. ``queue.Full``: there has been no room for ``timeout`` seconds, or, when ``block`` is false, is none now.
    #[pyo3(signature = (obj, block=Truth(true), timeout=None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: &Bound<'_, PyAny>,
        block: Truth,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::put_with(slf, obj, patience(block.0, timeout)?)
    }

    /// Puts an object; ``queue.Full`` when there is no room now.
    fn put_nowait(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::put_with(slf, obj, Patience::Try)
    }

    /// The next object. ``queue.Empty``: there has been none for ``timeout`` seconds, or, when ``block`` is false, is none now.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Truth,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::get_with(slf, patience(block.0, timeout)?)
    }

    /// The next object; ``queue.Empty`` when there is none now.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::get_with(slf, Patience::Try)
    }

    /// Takes the next object, which is only gone when it is acknowledged: ``with q.take() as item:`` acknowledges it at the
    /// end and gives it back when there is an exception. When this process dies it goes back, too.
    #[pyo3(signature = (block=Truth(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn take(slf: &Bound<'_, Self>, block: Truth, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Taken> {
        Self::check_open(slf)?;
        let taken = slf.get().line.take(slf.py(), patience(block.0, timeout)?)?;
        let taken = taken.ok_or_else(|| Empty::new_err(()))?;
        let queue = slf.get().line.below.clone();
        // Made first: should the object be unreadable, the item goes back.
        let held = Taken::new(queue, taken.item, taken.deliveries);
        Ok(held.holding(taken.object?.unbind()))
    }

    /// How many objects are in the queue.
    fn qsize(&self) -> u64 {
        self.line.below.len()
    }

    /// Whether there is no object in the queue.
    fn empty(&self) -> bool {
        self.line.below.is_empty()
    }

    /// Whether there is no room in the queue.
    fn full(&self) -> bool {
        self.line.below.is_full()
    }

    /// This process is done with the queue. Others are not affected, and nothing that was put is lost.
    fn close(&self) {
        self.line.closed.store(true, Ordering::Relaxed);
    }

    /// Returns at once: what was put is in the queue already. ``AssertionError`` when the queue is not closed.
    fn join_thread(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().line.is_closed() {
            return Ok(());
        }
        let told = format!("Queue {} not closed", slf.repr()?);
        Err(PyAssertionError::new_err(told))
    }

    /// Does nothing: there is no thread to be joined.
    #[expect(clippy::unused_self, reason = "it is a method in Python")]
    fn cancel_join_thread(&self) {}

    /// The descriptor of the queue's memory, to be handed to a program that does not come from ``multiprocessing``.
    fn fileno(&self) -> i32 {
        self.line.below.descriptor().as_raw_fd()
    }

    /// The pids of the processes that wait for an object, for room, or in ``join()``.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.line.below.clients())
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Objects, until the queue has no senders any more.
    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match Self::get_with(slf, Patience::Block) {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_instance_of::<crate::errors::Closed>(slf.py()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        origin::generic(class, item)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let line = &slf.get().line;
        origin::travel_with(slf.as_any(), line.name(), line.below.descriptor(), line.raw)
    }
}

/// A queue whose objects are only gone when ``task_done()`` says so, and which can be joined.
///
/// What a process has got, and not said to be done, goes back to its place in the queue when that process ends.
#[pyclass(module = "forkyard", extends = Queue, frozen, subclass)]
pub struct JoinableQueue;

#[pymethods]
impl JoinableQueue {
    #[new]
    #[pyo3(signature = (maxsize=None, *, raw=false, ctx=None), text_signature = "(maxsize=0, *, raw=False, ctx=None)")]
    fn new(
        py: Python<'_>,
        maxsize: Option<&Bound<'_, PyAny>>,
        raw: bool,
        ctx: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let _ = ctx;
        let queue = Queue::open(py, maxsize, raw, true)?;
        Ok(PyClassInitializer::from(queue).add_subclass(Self))
    }

    /// The oldest object that this process has got is done with; if it has none, the oldest that anybody has.
    /// ``ValueError``: nobody has any.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.as_super()
            .get()
            .line
            .below
            .task_done()
            .map_err(|error| match error {
                Error::NotHeld => PyValueError::new_err("task_done() called too many times"),
                error => to_python(&error),
            })
    }

    /// Waits until all that was put is done with.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let queue = &slf.as_super().get().line.below;
        wait(slf.py(), Patience::Block, |patience| done(queue.join_with(patience))).map(drop)
    }
}

/// A queue with no more than ``put``, ``get``, ``empty`` and ``close``.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct SimpleQueue {
    line: Line,
}

impl SimpleQueue {
    fn check_open(&self) -> PyResult<()> {
        if self.line.is_closed() {
            return Err(PyOSError::new_err("handle is closed"));
        }
        Ok(())
    }
}

#[pymethods]
impl SimpleQueue {
    #[new]
    #[pyo3(signature = (name=None, *, raw=false, ctx=None))]
    fn new(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        raw: bool,
        ctx: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let _ = ctx;
        let line = Line::open(py, Origin::of(name)?, 0, raw)?;
        Ok(Self { line })
    }

    /// Puts an object.
    fn put(&self, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        self.check_open()?;
        self.line.put(obj, Patience::Block).map(drop)
    }

    /// The next object.
    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.check_open()?;
        loop {
            if let Some(object) = self.line.get(py, Patience::Block)? {
                return Ok(object);
            }
        }
    }

    /// Whether there is no object in the queue.
    fn empty(&self) -> PyResult<bool> {
        self.check_open()?;
        Ok(self.line.below.is_empty())
    }

    /// This process is done with the queue.
    fn close(&self) {
        self.line.closed.store(true, Ordering::Relaxed);
    }

    /// The pids of the processes that wait for an object.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.line.below.clients())
    }

    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        origin::generic(class, item)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let line = &slf.get().line;
        origin::travel_with(slf.as_any(), line.name(), line.below.descriptor(), line.raw)
    }
}
