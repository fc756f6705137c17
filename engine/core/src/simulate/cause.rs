//! What made something happen: the link by which the critical path goes back.

use std::num::NonZeroU32;

use crate::id::{EventId, PipeId, PoolId, QueueId};
use crate::plan::Resource;

/// A life, or a task of a persistent worker, by its place in the chronicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanId(NonZeroU32);

impl SpanId {
    /// The one at `index`.
    pub(super) fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("a chronicle has fewer than 2^32 spans"))
    }

    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What made something happen, and who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub how: How,
    /// `None`: nobody, as at the start of the run.
    pub by: Option<SpanId>,
}

impl Cause {
    /// The start of the run.
    pub(super) const START: Self = Self {
        how: How::Began,
        by: None,
    };

    pub(super) const fn of(how: How, by: Option<SpanId>) -> Self {
        Self { how, by }
    }
}

/// What let a process start, or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The run began.
    Began,
    /// Another one, for which it waited, has started.
    Started,
    /// Another one is ready.
    Ready,
    /// Another one has ended.
    Ended,
    /// Another one has left a slot of this pool.
    Slot(PoolId),
    /// Another one has let go of this.
    Held(Resource),
    /// Another one has set this event.
    Set(EventId),
    /// Another one has put the item that is its task.
    Item(QueueId),
    /// The same worker, or another one of its pool, has done a task.
    Worker,
    /// The last sender of this queue has ended.
    Queue(QueueId),
    /// The sender of this pipe has ended.
    Pipe(PipeId),
    /// The pause before it was started again, or its patience, was over.
    Clock,
}
