//! That nobody of a process's tree is left: told once, to all who wait for it. A thousand processes that live have a thousand
//! of these, so it is small.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    is_over: Cell<bool>,
    told: Notify,
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
        self.0.told.notify_waiters();
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
        // From before the look: what is told in between is not missed.
        let told = self.0.told.notified();
        if !self.is_so() {
            told.await;
        }
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
