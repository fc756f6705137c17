//! That nobody of a process's tree is left: told once, to all who wait for it. A thousand processes that live have a thousand
//! of these, so it is small.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct State {
    is_over: Cell<bool>,
    /// Of the tasks that wait, each once: of one process there are one or two.
    waiting: RefCell<Vec<Waker>>,
}

/// In the hand of the one who knows: it is over when that is told, and when nobody watches any more who could tell.
#[derive(Debug)]
pub struct Ending(Rc<State>);

/// In the hands of those who wait.
#[derive(Clone, Debug)]
pub struct Over(Rc<State>);

impl Ending {
    /// It is not over yet.
    #[must_use]
    pub fn new() -> (Self, Over) {
        let state = Rc::<State>::default();
        (Self(Rc::clone(&state)), Over(state))
    }

    /// It is over.
    pub fn tell(&self) {
        self.0.is_over.set(true);
        let waiting = self.0.waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Over {
    /// Whether it is over.
    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.is_over.get()
    }

    /// Resolves when it is.
    pub async fn come(&self) {
        poll_fn(|context| self.poll_come(context)).await;
    }

    /// The same for those who wait for something else at the same time and have no room for a future of this.
    pub fn poll_come(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_so() {
            return Poll::Ready(());
        }
        let mut waiting = self.0.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_told_and_who_comes_later_knows() {
        let (ending, over) = Ending::new();
        assert!(!over.is_so());
        let (first, second) = (over.clone(), over.clone());
        tokio::join!(first.come(), second.come(), async { ending.tell() });
        over.come().await;
        assert!(over.is_so());
    }

    #[tokio::test]
    async fn when_nobody_watches_it_is_over() {
        let (ending, over) = Ending::new();
        tokio::join!(over.come(), async { drop(ending) });
        assert!(over.is_so());
    }
}
