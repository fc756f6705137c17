//! The pumps of one process: they work in the task that watches over it, since a task of its own for each would take as
//! much memory as a pump does, and thousands of processes may live.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What moves bytes between a process and the engine, until there are no more.
pub type Pump = Pin<Box<dyn Future<Output = ()>>>;

/// All of one process.
#[derive(Default)]
pub struct Pumps {
    pumps: Vec<Pump>,
}

impl fmt::Debug for Pumps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pumps", self.pumps.len())
    }
}

impl FromIterator<Pump> for Pumps {
    fn from_iter<T: IntoIterator<Item = Pump>>(pumps: T) -> Self {
        let mut pumps: Vec<Pump> = pumps.into_iter().map(begun).collect();
        // It may have been made in the room of what the pumps were made of, which is larger.
        pumps.shrink_to_fit();
        Self { pumps }
    }
}

/// In tests, one of them fails where it begins.
#[cfg(test)]
fn begun(pump: Pump) -> Pump {
    Box::pin(async move {
        crate::alarm::faults::strike();
        pump.await;
    })
}

#[cfg(not(test))]
const fn begun(pump: Pump) -> Pump {
    pump
}

impl Pumps {
    /// They work while something else is waited for.
    pub(super) async fn beside<T>(&mut self, mut other: Pin<&mut dyn Future<Output = T>>) -> T {
        poll_fn(|context| {
            let other = other.as_mut().poll(context);
            if other.is_pending() {
                // Those that are left are polled again when they have something to do.
                let _ = self.work(context);
            }
            other
        })
        .await
    }

    /// Resolves when each has come to its end.
    pub(super) async fn finish(&mut self) {
        poll_fn(|context| self.work(context)).await;
    }

    /// They end where they are.
    pub(super) fn stop(&mut self) {
        self.pumps.clear();
    }

    fn work(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // A task may do so much at a time and no more: another pump is the first each time, lest one that always has
        // something to do leave nothing to the others.
        if self.pumps.len() > 1 {
            self.pumps.rotate_left(1);
        }
        self.pumps.retain_mut(|pump| pump.as_mut().poll(context).is_pending());
        if self.pumps.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;

    use super::*;

    /// A pump that works so many times, each in a poll of its own, and counts them.
    fn pump(times: u32, done: &Rc<Cell<u32>>) -> Pump {
        let done = Rc::clone(done);
        Box::pin(async move {
            for _ in 0..times {
                tokio::task::yield_now().await;
                done.set(done.get() + 1);
            }
        })
    }

    #[tokio::test]
    async fn they_work_while_something_else_is_waited_for() {
        let (few, many) = (Rc::default(), Rc::default());
        let mut pumps: Pumps = [pump(3, &few), pump(1000, &many)].into_iter().collect();
        let wait = async {
            while few.get() < 3 {
                tokio::task::yield_now().await;
            }
        };
        pumps.beside(pin!(wait)).await;
        assert!(many.get() < 1000);
        pumps.finish().await;
        assert_eq!((few.get(), many.get()), (3, 1000));
    }

    #[tokio::test]
    async fn one_that_always_has_something_to_do_leaves_the_others_their_share() {
        let busy: Pump = Box::pin(async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            loop {
                sender.send(()).expect("it is received here");
                receiver.recv().await;
            }
        });
        let other: Pump = Box::pin(async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for _ in 0..1000 {
                sender.send(()).expect("it is received here");
                receiver.recv().await;
            }
        });
        let ended = Rc::new(Cell::new(false));
        let told = Rc::clone(&ended);
        let other: Pump = Box::pin(async move {
            other.await;
            told.set(true);
        });
        let mut pumps: Pumps = [busy, other].into_iter().collect();
        let wait = async {
            while !ended.get() {
                tokio::task::yield_now().await;
            }
        };
        pumps.beside(pin!(wait)).await;
        assert!(ended.get());
        pumps.stop();
        pumps.finish().await;
    }
}
