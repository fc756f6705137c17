//! The native half of the Python package `forkyard`: one class for each kind of channel, with `multiprocessing`'s
//! methods. What needs no speed is written in Python, under `python/forkyard`.

mod barrier;
mod cells;
mod condition;
mod errors;
mod event;
mod fast;
mod lock;
mod origin;
mod patience;
mod pickle;
mod queue;
mod reentrant;
mod run;
mod semaphore;
mod taken;

/// The classes that the package `forkyard` shows.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::barrier::Barrier;
    #[pymodule_export]
    use crate::cells::Cells;
    #[pymodule_export]
    use crate::condition::Condition;
    #[pymodule_export]
    use crate::event::Event;
    #[pymodule_export]
    use crate::lock::Lock;
    #[pymodule_export]
    use crate::origin::Passed;
    #[pymodule_export]
    use crate::queue::{JoinableQueue, Queue, SimpleQueue};
    #[pymodule_export]
    use crate::reentrant::RLock;
    #[pymodule_export]
    use crate::semaphore::{BoundedSemaphore, Semaphore};
    #[pymodule_export]
    use crate::taken::Taken;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::fast::install(module.py())
    }
}
