//! `Barrier`.

use std::time::{Duration, Instant};

use forkyard_ipc::barrier::Arrival;
use forkyard_ipc::channel::Place;
use forkyard_ipc::{Error, Patience};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{BrokenBarrierError, to_python};
use crate::origin::{self, Passed};
use crate::patience::{seconds, wait};
use crate::reentrant::RLock;

/// So many parties wait for each other, and then all go on.
///
/// ``action`` is called by one of them, when all have arrived and before any goes on; ``timeout`` is for each ``wait()`` that
/// has none of its own. When a party dies while it waits, the barrier breaks.
#[pyclass(module = "forkyard", frozen, subclass, weakref)]
pub struct Barrier {
    /// With an action, it waits for one party more: whoever calls the action arrives once more when it has been called. So that
    /// party's death in between breaks the barrier as any other does.
    below: forkyard_ipc::Barrier,
    action: Option<Action>,
    timeout: Option<Py<PyAny>>,
}

struct Action {
    call: Py<PyAny>,
    /// Nobody arrives while it is being called.
    turn: Py<RLock>,
}

impl Action {
    fn new(py: Python<'_>, call: Py<PyAny>, passed: Option<&Bound<'_, Passed>>) -> PyResult<Self> {
        let turn = match passed.and_then(|passed| passed.get().beside(py)) {
            Some(turn) => turn,
            None => py.get_type::<RLock>().call0()?,
        };
        let turn = turn.cast_into()?.unbind();
        Ok(Self { call, turn })
    }
}

impl Barrier {
    fn parties_below(parties: u32, has_action: bool) -> PyResult<u32> {
        let below = parties.checked_add(u32::from(has_action)).filter(|_| parties > 0);
        below.ok_or_else(|| PyValueError::new_err("a barrier has 1 to 1048576 parties"))
    }

    fn arrive(&self) -> PyResult<Arrival> {
        self.below.arrive().map_err(|error| to_python(&error))
    }

    fn meet(&self, py: Python<'_>, arrival: Arrival, time: Option<Duration>) -> PyResult<()> {
        let patience = time.map_or(Patience::Block, Patience::For);
        let met = wait(py, patience, |patience| {
            Ok(self.below.meet(arrival, patience)?.then_some(()))
        });
        match met {
            Ok(Some(())) => Ok(()),
            Ok(None) => {
                self.give_up(arrival)?;
                // It may have come about in the last moment.
                match self.below.meet(arrival, Patience::Try) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(BrokenBarrierError::new_err(())),
                    Err(error) => Err(to_python(&error)),
                }
            }
            Err(error) => {
                self.give_up(arrival)?;
                Err(error)
            }
        }
    }

    fn give_up(&self, arrival: Arrival) -> PyResult<()> {
        self.below.give_up(arrival).map_err(|error| to_python(&error))
    }

    /// Arrives, in turn; who is last calls the action.
    fn arrive_in_turn(&self, py: Python<'_>, action: &Action, time: Option<Duration>) -> PyResult<Arrival> {
        let turn = action.turn.bind(py);
        let patience = time.map_or(Patience::Block, Patience::For);
        let (barrier, lock) = (&self.below, turn.get().inner());
        let granted = wait(py, patience, |patience| {
            if barrier.is_broken() {
                return Err(Error::BrokenBarrier);
            }
            lock.acquire_raw(patience)
        })?;
        if granted.is_none() {
            self.below.abort().map_err(|error| to_python(&error))?;
            return Err(BrokenBarrierError::new_err(()));
        }
        let arrived = self.arrive_and_call(py, action);
        lock.release().map_err(|error| to_python(&error))?;
        arrived
    }

    fn arrive_and_call(&self, py: Python<'_>, action: &Action) -> PyResult<Arrival> {
        let arrival = self.arrive()?;
        if arrival.index + 2 == self.below.parties() as usize {
            if let Err(error) = action.call.bind(py).call0() {
                self.give_up(arrival)?;
                return Err(error);
            }
            self.arrive()?;
        }
        Ok(arrival)
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (parties, action=None, timeout=None, *, ctx=None, passed=None), text_signature = "(parties, action=None, timeout=None, *, ctx=None)")]
    fn new(
        py: Python<'_>,
        parties: u32,
        action: Option<Py<PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
        ctx: Option<&Bound<'_, PyAny>>,
        passed: Option<&Bound<'_, Passed>>,
    ) -> PyResult<Self> {
        let _ = ctx;
        let below = Self::parties_below(parties, action.is_some())?;
        seconds(timeout.as_ref())?;
        let barrier = match passed {
            None => forkyard_ipc::Barrier::create(&Place::Memory, below),
            Some(passed) => forkyard_ipc::Barrier::from_fd(passed.get().own()),
        };
        let barrier = barrier.map_err(|error| to_python(&error))?;
        barrier.channel().tell_of_signals();
        let action = action.map(|call| Action::new(py, call, passed)).transpose()?;
        Ok(Self {
            below: barrier,
            action,
            timeout: timeout.map(Bound::unbind),
        })
    }

    /// Waits until all parties have arrived: which one of them this was, from 0, in the order of their arrival.
    /// ``threading.BrokenBarrierError``: it was broken, or ``timeout`` seconds have passed, which breaks it.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
        let timeout = timeout.or_else(|| self.timeout.as_ref().map(|timeout| timeout.bind(py).clone()));
        let time = seconds(timeout.as_ref())?;
        let began = Instant::now();
        let arrival = match &self.action {
            None => self.arrive()?,
            Some(action) => self.arrive_in_turn(py, action, time)?,
        };
        let left = time.map(|time| time.saturating_sub(began.elapsed()));
        self.meet(py, arrival, left)?;
        Ok(arrival.index)
    }

    /// Breaks it: who waits, or comes to wait, is told by ``threading.BrokenBarrierError``, until it is reset.
    fn abort(&self) -> PyResult<()> {
        self.below.abort().map_err(|error| to_python(&error))
    }

    /// Makes it as new; who waits is told that it was broken.
    fn reset(&self) -> PyResult<()> {
        self.below.reset().map_err(|error| to_python(&error))
    }

    /// How many parties wait for each other.
    #[getter]
    fn parties(&self) -> u32 {
        self.below.parties() - u32::from(self.action.is_some())
    }

    /// How many have arrived and wait.
    #[getter]
    fn n_waiting(&self) -> u32 {
        self.below.waiting()
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> bool {
        self.below.is_broken()
    }

    /// The pids of the processes that wait at it.
    fn waiters(&self) -> Vec<u32> {
        origin::waiters(&self.below.clients())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (this, py) = (slf.get(), slf.py());
        let call = this.action.as_ref().map(|action| action.call.clone_ref(py));
        let turn = this.action.as_ref().map(|action| action.turn.clone_ref(py).into_any());
        let timeout = this.timeout.as_ref().map(|timeout| timeout.clone_ref(py));
        let arguments = (this.parties(), call, timeout).into_pyobject(py)?;
        origin::travel_behind(slf.as_any(), this.below.descriptor(), &arguments, turn)
    }
}
