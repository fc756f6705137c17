//! Tasks whose panic is not lost: the turn loop hears of it and ends the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Starts the tasks of a run, and rings when one of them panics.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    notify: Notify,
}

/// Lives as long as a task; dropped while that unwinds, it rings.
#[derive(Debug)]
pub struct Cord(Arc<Bell>);

impl Cord {
    /// The task begins. In tests, one of them fails here.
    pub fn begin(&self) {
        tracing::trace!(rung = self.0.rung.load(Ordering::Relaxed), "a task begins");
        #[cfg(test)]
        faults::strike();
    }
}

impl Drop for Cord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.rung.store(true, Ordering::Relaxed);
            self.0.notify.notify_one();
        }
    }
}

impl Alarm {
    /// Starts a task. Within a local set.
    pub fn start(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        let cord = self.cord();
        // A future that awaits another has room for it twice; this has room for a pointer.
        let task = Box::pin(task);
        tokio::task::spawn_local(async move {
            cord.begin();
            task.await;
        })
    }

    /// For a task that is started otherwise: it holds the cord until its end.
    #[must_use]
    pub fn cord(&self) -> Cord {
        Cord(Arc::clone(&self.bell))
    }

    /// Resolves when a task has panicked.
    pub async fn rung(&self) {
        while !self.bell.rung.load(Ordering::Relaxed) {
            self.bell.notify.notified().await;
        }
    }
}

/// For tests: a task that panics as soon as it begins.
#[cfg(test)]
pub(crate) mod faults {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// How many tasks are still to begin until one panics, itself included; 0: none does.
    static TASKS: AtomicUsize = AtomicUsize::new(0);

    /// From now on the N-th task that begins, counted from 1, panics.
    pub(crate) fn aim(task: usize) {
        TASKS.store(task, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn have_struck() -> bool {
        TASKS.load(Ordering::Relaxed) == 0
    }

    pub(super) fn strike() {
        let count = |left: usize| left.checked_sub(1);
        let left = TASKS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        assert!(left != Ok(1), "a fault on purpose");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_heard() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let alarm = Alarm::default();
                assert!(alarm.start(async {}).await.is_ok());
                assert!(!alarm.bell.rung.load(Ordering::Relaxed));
                assert!(alarm.start(async { panic!("a fault on purpose") }).await.is_err());
                alarm.rung().await;
            })
            .await;
    }

    #[tokio::test]
    async fn so_is_one_of_a_task_that_only_holds_the_cord() {
        let alarm = Alarm::default();
        let cord = alarm.cord();
        let task = tokio::spawn(async move {
            let _cord = cord;
            panic!("a fault on purpose");
        });
        alarm.rung().await;
        assert!(task.await.is_err());
    }
}
