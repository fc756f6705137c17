//! Which channels a yard has.

/// What there is in a yard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// How many slots there are, of processes, pools and the engine.
    pub slots: u32,
    /// The name and the limits of each queue.
    pub queues: Vec<(String, QueueLimits)>,
    /// The name and the kind of each lock.
    pub locks: Vec<(String, LockKind)>,
    /// The name of each semaphore, and how many permits it has.
    pub semaphores: Vec<(String, u32)>,
    /// The name of each event, and whether it is set from the start.
    pub events: Vec<(String, bool)>,
}

impl Layout {
    pub(super) const fn has_channels(&self) -> bool {
        let Self {
            slots: _,
            queues,
            locks,
            semaphores,
            events,
        } = self;
        !(queues.is_empty() && locks.is_empty() && semaphores.is_empty() && events.is_empty())
    }
}

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// In items; 0 is unbounded.
    pub capacity: u64,
    /// In bytes, of one item.
    pub max_item: u64,
}

/// Whether the owner of a lock may acquire it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// It may not: it would wait for itself.
    Plain,
    /// It may, and releases it as often as it has acquired it.
    Reentrant,
}
