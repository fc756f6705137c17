//! The end of a queue: when it comes, and when nothing is left.

use forkyard_ipc::{Error, Patience, Queue};

use super::super::post::Post;

/// How a queue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::yard) enum Ended {
    /// Without senders.
    Closed,
    /// Without receivers.
    Broken,
}

/// How far a queue has come to its end.
#[derive(Debug, Default)]
pub(in crate::yard) struct Ending {
    /// What the run wants.
    pub wanted: Option<Ended>,
    /// What has been done about it.
    done: Option<Ended>,
    /// Nothing is left that anybody will get, and that has been told.
    told: bool,
}

impl Ending {
    /// A queue that has come to its end already stays as it is.
    pub(super) fn want(&mut self, ended: Ended) {
        if !self.told {
            self.wanted = self.wanted.max(Some(ended));
        }
    }

    /// Ends the queue, if it is time; whether it was ended now. What was parked to be put before is put before.
    pub(super) fn apply(&mut self, queue: &Queue, all_put: bool) -> Result<bool, Error> {
        if self.done == self.wanted {
            return Ok(false);
        }
        match self.wanted {
            Some(Ended::Closed) if all_put => queue.close()?,
            Some(Ended::Broken) => queue.break_off()?,
            Some(Ended::Closed) | None => return Ok(false),
        }
        self.done = self.wanted;
        Ok(true)
    }

    /// True once: when the queue has ended and its last item has gone. Until then the bell rings when that is so.
    pub(super) fn is_drained(&mut self, queue: &Queue, post: &mut Post) -> bool {
        if self.told || self.done.is_none() || self.done != self.wanted {
            return false;
        }
        match queue.join_with(Patience::Try) {
            Ok(nothing_is_left) => self.told = nothing_is_left,
            Err(error) => post.conclude(&Err(error)),
        }
        self.told
    }

    /// True once: when a queue that nobody can use any more would have ended.
    pub(super) fn is_over(&mut self) -> bool {
        let is_news = !self.told && self.wanted.is_some();
        self.told |= is_news;
        is_news
    }
}
