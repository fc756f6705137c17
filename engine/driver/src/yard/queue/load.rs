//! What waits to be put into a queue.

use forkyard_ipc::channel::Slot as Proxy;
use forkyard_ipc::queue::Sheaf;
use forkyard_ipc::{Error, Patience, Queue};

/// An item, or what is left of a sheaf.
#[derive(Debug)]
pub(in crate::yard) enum Load {
    Item(Vec<u8>),
    Sheaf(Rest),
}

/// What of a sheaf has not been put: its last `items` items, which stand in `bytes` from `from` on.
#[derive(Debug)]
pub(in crate::yard) struct Rest {
    bytes: Vec<u8>,
    from: usize,
    delimiter: u8,
    items: u32,
}

impl Load {
    pub(in crate::yard) fn of_sheaf(sheaf: &Sheaf<'_>) -> Self {
        Self::Sheaf(Rest {
            bytes: sheaf.bytes().to_vec(),
            from: 0,
            delimiter: sheaf.delimiter(),
            items: sheaf.len(),
        })
    }

    /// Puts as much as there is room for.
    pub(super) fn put(&mut self, queue: &Queue, proxy: Proxy) -> Result<Put, Error> {
        match self {
            Self::Item(item) => {
                let is_put = queue.put_as(proxy, item, Patience::Try)?;
                Ok(if is_put { Put::All } else { Put::Nothing })
            }
            Self::Sheaf(rest) => rest.put(queue),
        }
    }

    /// How many items nobody else counts when they are not put: of single ones, their senders know.
    pub(super) fn lost(&self) -> u64 {
        match self {
            Self::Item(_) => 0,
            Self::Sheaf(rest) => rest.items.into(),
        }
    }
}

/// How much of a load was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    All,
    /// Some of a sheaf, until the queue was full.
    Some,
    Nothing,
}

impl Rest {
    fn put(&mut self, queue: &Queue) -> Result<Put, Error> {
        let sheaf = Sheaf::counted(&self.bytes[self.from..], self.delimiter, self.items);
        let left = queue.put_sheaf(&sheaf)?;
        let before = std::mem::replace(&mut self.items, left.len());
        self.from = self.bytes.len() - left.bytes().len();
        Ok(match left.len() {
            0 => Put::All,
            left if left == before => Put::Nothing,
            _ => Put::Some,
        })
    }
}
