//! Tasks whose panic is not lost: the turn loop hears of it and ends the run.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Starts the tasks of a run, and rings when one of them panics.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    bell: Rc<Bell>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: Cell<bool>,
    notify: Notify,
}

/// Lives as long as a task; dropped while that unwinds, it rings.
struct Cord(Rc<Bell>);

impl Drop for Cord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.rung.set(true);
            self.0.notify.notify_one();
        }
    }
}

impl Alarm {
    /// Starts a task. Within a local set.
    pub(super) fn start(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        let cord = Cord(Rc::clone(&self.bell));
        tokio::task::spawn_local(async move {
            let _cord = cord;
            task.await;
        })
    }

    /// Resolves when a task has panicked.
    pub(super) async fn rung(&self) {
        while !self.bell.rung.get() {
            self.bell.notify.notified().await;
        }
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
                assert!(!alarm.bell.rung.get());
                assert!(alarm.start(async { panic!("a fault on purpose") }).await.is_err());
                alarm.rung().await;
            })
            .await;
    }
}
