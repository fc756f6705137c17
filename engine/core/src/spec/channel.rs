//! Queues and pipes, word for word.

use serde::Deserialize;

use super::resolve::Named;
use super::values::{Size, Whole};
use super::{Framing, Pipe, Queue, Unbuilt};

/// How many items a queue holds where it does not say so itself.
const CAPACITY: u64 = 1024;
/// How large an item may be where the queue does not say so itself: 16 MiB.
const ITEM_BYTES: u64 = 16 << 20;

/// A queue has room for 2²⁵ items, of which 2¹⁶ are for those that are taken and not acknowledged: the yard's limit.
const CAPACITY_MAX: i64 = (1 << 25) - (1 << 16);

/// A queue's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct QueueFields {
    /// What it is for, for people.
    description: Option<String>,
    /// How many items it holds, 1024 by default; a full queue makes its senders wait. 0 is without a limit.
    capacity: Option<Whole<0, CAPACITY_MAX>>,
    /// How items stand in the streams of processes.
    framing: Framing,
    /// The largest item, 16MiB by default; a larger one is refused, counted and reported.
    max_item: Option<Size>,
    /// Whether it outlives the run (not built yet).
    durable: bool,
}

/// A queue; that it asks for durability is noted.
pub(crate) fn queue(named: Named, fields: QueueFields, unbuilt: &mut Vec<Unbuilt>) -> Queue {
    if fields.durable {
        unbuilt.push(named.unbuilt("durable", "queue"));
    }
    Queue {
        declared: named.declared(fields.description),
        capacity: fields.capacity.map_or(CAPACITY, Whole::get),
        framing: fields.framing,
        max_item: fields.max_item.map_or(ITEM_BYTES, |size| size.0),
    }
}

/// A pipe's fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct PipeFields {
    /// What it is for, for people.
    description: Option<String>,
    /// Whether it is a socket pair, with the ends `.left` and `.right`.
    duplex: bool,
    /// How large a buffer the kernel is asked for.
    size: Option<Size>,
}

/// A pipe.
pub(crate) fn pipe(named: Named, fields: PipeFields) -> Pipe {
    Pipe {
        declared: named.declared(fields.description),
        duplex: fields.duplex,
        size: fields.size.map(|size| size.0),
    }
}
