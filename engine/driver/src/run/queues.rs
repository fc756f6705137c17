//! What is to be known of queues beside the yard.

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::machine::Input;

use super::Read;
use super::turn::Run;
use crate::news::News;
use crate::stdio::output::time_since;
use crate::yard::{ItemId, Slot};

/// What the driver knows of queues besides the yard.
#[derive(Debug)]
pub struct Queues {
    tallies: Vec<Tally>,
    /// Broken queues in which no item has been seen that nobody will get.
    broken: Vec<QueueId>,
}

/// What is counted of a queue besides the yard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Items too large to be taken in by a pump.
    pub refused: u64,
}

impl Queues {
    pub(super) fn new(count: usize) -> Self {
        Self {
            tallies: vec![Tally::default(); count],
            broken: Vec::new(),
        }
    }

    /// The counts of one queue.
    pub(super) fn tally(&mut self, queue: QueueId) -> &mut Tally {
        &mut self.tallies[queue.index()]
    }

    /// The counts of all queues.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (QueueId, Tally)> {
        self.tallies
            .iter()
            .enumerate()
            .map(|(index, tally)| (QueueId::at(index), *tally))
    }
}

impl Run {
    /// No receiver is left.
    pub(super) fn break_queue(&mut self, queue: QueueId) {
        self.yard.with(|yard| yard.break_queue(queue.0));
        self.queues.broken.push(queue);
    }

    /// Tells the machine of items that nobody will get, once a queue.
    pub(super) fn hear_of_leftovers(&mut self) {
        let mut broken = std::mem::take(&mut self.queues.broken);
        broken.retain(|&queue| {
            let has_left = self.yard.with(|yard| yard.counts(queue.0).left) > 0;
            if has_left {
                self.inputs.push_back(Input::QueueLeft { queue });
            }
            !has_left
        });
        self.queues.broken = broken;
    }

    /// What the process was to read cannot be had. It is killed, since it would take what it has for the whole.
    pub(super) fn cut(&mut self, process: ProcessId) {
        let Some(attempt) = self.lives.get_mut(process).map(|life| life.attempt) else {
            return;
        };
        self.kill(process, attempt);
    }

    /// Tells how far a process came with a queue, so that nobody has to guess where to go on when it has died.
    pub(super) fn has_read(&mut self, process: ProcessId, queue: QueueId, read: Read) {
        let at = time_since(self.start);
        let Read { items, bytes, returned } = read;
        self.herald.tell(News::StdinRead {
            at,
            process,
            queue,
            items,
            bytes,
            returned,
        });
    }

    pub(super) fn acknowledge(&mut self, slot: Slot, queue: QueueId, items: &[ItemId]) {
        if self.yard.with(|yard| yard.ack(slot, queue.0, items)).is_err() {
            tracing::error!("an item of a queue was acknowledged that was not taken");
        }
    }

    pub(super) fn give_back(&mut self, slot: Slot, queue: QueueId, items: &[ItemId]) {
        if self.yard.with(|yard| yard.give_back(slot, queue.0, items)).is_err() {
            tracing::error!("an item of a queue was given back that was not taken");
        }
    }
}
