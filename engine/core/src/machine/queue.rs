//! A queue as the machine sees it: who is left on either side. Items are the yard's affair.
//!
//! ```text
//!            senders end            empty
//!   Open ───────────────▶ Closed ──────────▶ Drained
//!     │  receivers end       │ receivers end    ▲ empty
//!     └──────────▶ Broken ◀──┘ ─────────────────┘
//!                    └─────────▶ Left: items nobody will get
//! ```

use super::{Action, Machine, Record};
use crate::id::QueueId;
use crate::plan::Dependency;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub state: QueueState,
    pub senders_left: usize,
    pub receivers_left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueState {
    /// It has senders and receivers.
    Open,
    /// No senders are left; its items may still be got.
    Closed,
    /// No receivers are left.
    Broken,
    /// Nothing is in it and nothing can come.
    Drained,
    /// Items are left that nobody will get.
    Left,
}

impl Queue {
    pub(super) fn new(plan: &crate::plan::Queue) -> Self {
        Self {
            state: QueueState::Open,
            senders_left: plan.senders.len(),
            receivers_left: plan.receivers.len(),
        }
    }
}

impl Queue {
    /// Whether nothing more is put or got.
    pub(super) fn has_ended(&self) -> bool {
        match self.state {
            QueueState::Open | QueueState::Closed | QueueState::Broken => false,
            QueueState::Drained | QueueState::Left => true,
        }
    }
}

impl Machine {
    /// At the start: a queue whose senders or receivers are all absent ends at once.
    pub(super) fn end_lonely_queues(&mut self) {
        for index in 0..self.queues.len() {
            let queue = QueueId::at(index);
            if self.queues[index].senders_left == 0 {
                self.close(queue);
            }
            if self.queues[index].receivers_left == 0 {
                self.break_off(queue);
            }
        }
    }

    pub(super) fn sender_left(&mut self, queue: QueueId) {
        let state = &mut self.queues[queue.index()];
        state.senders_left -= 1;
        if state.senders_left == 0 {
            self.close(queue);
        }
    }

    pub(super) fn receiver_left(&mut self, queue: QueueId) {
        let state = &mut self.queues[queue.index()];
        state.receivers_left -= 1;
        if state.receivers_left == 0 {
            self.break_off(queue);
        }
    }

    fn close(&mut self, queue: QueueId) {
        if self.queues[queue.index()].state == QueueState::Open {
            self.queues[queue.index()].state = QueueState::Closed;
            self.act(Action::CloseQueue { queue });
            self.tell(Record::QueueClosed { queue });
        }
    }

    fn break_off(&mut self, queue: QueueId) {
        if matches!(self.queues[queue.index()].state, QueueState::Open | QueueState::Closed) {
            self.queues[queue.index()].state = QueueState::Broken;
            self.act(Action::BreakQueue { queue });
            self.tell(Record::QueueBroken { queue });
        }
    }

    pub(super) fn queue_drained(&mut self, queue: QueueId) {
        if matches!(
            self.queues[queue.index()].state,
            QueueState::Closed | QueueState::Broken
        ) {
            self.queues[queue.index()].state = QueueState::Drained;
            self.progress.push_back(Dependency::Queue(queue));
        }
    }

    pub(super) fn queue_left(&mut self, queue: QueueId) {
        if self.queues[queue.index()].state == QueueState::Broken {
            self.queues[queue.index()].state = QueueState::Left;
            self.progress.push_back(Dependency::Queue(queue));
        }
    }
}
