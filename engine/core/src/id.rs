//! Dense ids: past the plan nothing has a name any more, only its place in a table.

macro_rules! define_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The place in the table of its kind.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of the entry at `index`; the language's limits keep every table below `u32::MAX`.
            ///
            /// # Panics
            /// When `index` does not fit in 32 bits.
            #[must_use]
            pub fn at(index: usize) -> Self {
                Self(u32::try_from(index).expect("tables hold fewer than 2^32 entries"))
            }
        }
    )*};
}

define_ids!(
    /// One instance of a process, or one worker of a pool.
    ProcessId,
    /// A pool.
    PoolId,
    /// A queue.
    QueueId,
    /// A pipe.
    PipeId,
    /// A lock.
    LockId,
    /// A semaphore.
    SemaphoreId,
    /// An event.
    EventId,
    /// A group of processes that are restarted together.
    GroupId,
);

/// A task of a pool, counted from 0 in the order in which it was taken from the pool's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u64);
