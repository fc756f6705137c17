//! What the records have said last of each process and pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use forkyard_core::machine::Record;
use forkyard_core::plan::Party;

/// The last word on everybody of whom there is one.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    last: BTreeMap<Party, (Record, Option<Arc<str>>)>,
}

impl Ledger {
    /// Takes in a record, and the words that go with it.
    pub fn note(&mut self, record: &Record, reason: Option<&Arc<str>>) {
        let party = match *record {
            Record::Started { process, .. } => {
                self.last.remove(&Party::Process(process));
                return;
            }
            Record::Exited { process, .. }
            | Record::NotStarted { process, .. }
            | Record::Skipped { process, .. }
            | Record::Stopping { process, .. } => Party::Process(process),
            Record::PoolSkipped { pool, .. } | Record::PoolEnded { pool, .. } => Party::Pool(pool),
            Record::RunStarted
            | Record::Ready { .. }
            | Record::Restarting { .. }
            | Record::NotRestarted { .. }
            | Record::GaveUp { .. }
            | Record::Killing { .. }
            | Record::LeftBehind { .. }
            | Record::TaskDone { .. }
            | Record::TaskRetried { .. }
            | Record::TaskFailed { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunStopping { .. }
            | Record::RunEnded { .. } => return,
        };
        self.last.insert(party, (*record, reason.cloned()));
    }

    /// The last word on somebody.
    #[must_use]
    pub fn of(&self, party: Party) -> Option<(Record, Option<&str>)> {
        let (record, reason) = self.last.get(&party)?;
        Some((*record, reason.as_deref()))
    }
}
