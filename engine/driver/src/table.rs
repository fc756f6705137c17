//! What `ps` shows: the state of each process, kept from the records alone.

use std::collections::BTreeMap;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Exit, Outcome, Record};
use forkyard_core::plan::{Plan, Process};
use forkyard_core::time::Time;
use serde::Serialize;

use crate::sockets::Sockets;

/// One process as `ps` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `count.2`
    pub name: String,
    /// While it runs.
    pub pid: Option<i32>,
    /// How far it has come.
    pub state: State,
    /// Since when, in nanoseconds since the start of the run.
    pub since: Time,
    /// How it ended last.
    pub exit: Option<Exit>,
    /// Whether it has been seen to be ready, in this life.
    pub ready: bool,
    /// How often it has been started again.
    pub restarts: u32,
    /// What it says it is doing: `STATUS=` of `sd_notify(3)`.
    pub status: Option<String>,
    /// Its sockets, and where they listen.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sockets: BTreeMap<String, String>,
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has not started yet, or, a worker, not again.
    Pending,
    /// It runs.
    Running,
    /// It has been asked to stop.
    Stopping,
    /// It will be started again after a pause.
    Restarting,
    /// It has ended well, or was stopped.
    Exited,
    /// It has ended badly, or could not be started.
    Failed,
    /// It will not run.
    Skipped,
}

/// All processes of a run, in the order of the plan.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Everything is still to come.
    #[must_use]
    pub fn new(plan: &Plan, sockets: &Sockets) -> Self {
        let owned = |(name, address): (&str, &str)| (name.to_owned(), address.to_owned());
        let row = |(index, process): (usize, &Process)| Row {
            name: process.name.clone(),
            pid: None,
            state: State::Pending,
            since: Time::START,
            exit: None,
            ready: false,
            restarts: 0,
            status: None,
            sockets: sockets.of(ProcessId::at(index)).map(owned).collect(),
        };
        Self {
            rows: plan.processes.iter().enumerate().map(row).collect(),
        }
    }

    /// Takes in what a record says; `pid` belongs to [`Record::Started`].
    pub fn note(&mut self, at: Time, record: &Record, pid: Option<i32>) {
        match *record {
            Record::Started { process, .. } => {
                let row = self.enter(process, State::Running, at);
                row.pid = pid;
                row.exit = None;
                row.status = None;
            }
            Record::Exited {
                process, exit, outcome, ..
            } => {
                let row = self.enter(process, after(outcome), at);
                row.pid = None;
                row.exit = Some(exit);
                row.ready = false;
            }
            Record::NotStarted { process, .. } => {
                self.enter(process, State::Failed, at);
            }
            Record::Skipped { process, .. } => {
                self.enter(process, State::Skipped, at);
            }
            Record::Stopping { process, .. } => {
                self.enter(process, State::Stopping, at).ready = false;
            }
            Record::Restarting { process, count, .. } => {
                self.enter(process, State::Restarting, at).restarts = count;
            }
            Record::Ready { process, .. } => self.rows[process.index()].ready = true,
            Record::NotRestarted { process, .. } => {
                self.enter(process, State::Exited, at);
            }
            Record::RunStarted
            | Record::GaveUp { .. }
            | Record::Killing { .. }
            | Record::LeftBehind { .. }
            | Record::TaskDone { .. }
            | Record::TaskRetried { .. }
            | Record::TaskFailed { .. }
            | Record::PoolSkipped { .. }
            | Record::PoolEnded { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunStopping { .. }
            | Record::RunEnded { .. } => {}
        }
    }

    /// The process says what it is doing.
    pub fn says(&mut self, process: ProcessId, status: String) {
        self.rows[process.index()].status = Some(status);
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows as a JSON array.
    ///
    /// # Panics
    /// Never: the rows are plain data.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.rows).expect("rows of text and numbers always become JSON")
    }

    fn enter(&mut self, process: ProcessId, state: State, at: Time) -> &mut Row {
        let row = &mut self.rows[process.index()];
        row.state = state;
        row.since = at;
        row
    }
}

/// The state that an outcome leads to.
const fn after(outcome: Outcome) -> State {
    match outcome {
        Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored | Outcome::Stopped => State::Exited,
        Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => State::Failed,
        Outcome::Restarts => State::Restarting,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forkyard_core::machine::{Because, Why};

    use super::*;

    /// The rows after these records about the process 0.
    fn after_records(records: &[Record]) -> Row {
        let row = Row {
            name: "one".to_owned(),
            pid: None,
            state: State::Pending,
            since: Time::START,
            exit: None,
            ready: false,
            restarts: 0,
            status: None,
            sockets: BTreeMap::new(),
        };
        let mut table = Table { rows: vec![row] };
        for (record, at) in records.iter().zip(1..) {
            table.note(Time(at), record, Some(42));
        }
        table.rows[0].clone()
    }

    const ONE: ProcessId = ProcessId(0);
    const STARTED: Record = Record::Started {
        process: ONE,
        attempt: 1,
        task: None,
    };

    fn exited(exit: Exit, outcome: Outcome) -> Record {
        Record::Exited {
            process: ONE,
            attempt: 1,
            exit,
            lasted: Duration::ZERO,
            outcome,
        }
    }

    #[test]
    fn a_process_is_followed_through_its_life() {
        assert_eq!(after_records(&[]).state, State::Pending);
        let row = after_records(&[Record::RunStarted, STARTED]);
        assert_eq!((row.state, row.pid, row.since), (State::Running, Some(42), Time(2)));
        let why = Why::Timeout;
        let row = after_records(&[STARTED, Record::Stopping { process: ONE, why }]);
        assert_eq!((row.state, row.pid), (State::Stopping, Some(42)));
        let row = after_records(&[STARTED, exited(Exit::Code(1), Outcome::Failed)]);
        assert_eq!(
            (row.state, row.pid, row.exit),
            (State::Failed, None, Some(Exit::Code(1)))
        );
        let row = after_records(&[STARTED, exited(Exit::Code(0), Outcome::Succeeded), STARTED]);
        assert_eq!((row.state, row.exit), (State::Running, None));
        let because = Because::RunStops;
        assert_eq!(
            after_records(&[Record::Skipped { process: ONE, because }]).state,
            State::Skipped
        );
    }

    #[test]
    fn the_table_is_a_json_array() {
        let table = Table {
            rows: vec![after_records(&[STARTED, exited(Exit::Signal(9), Outcome::Stopped)])],
        };
        assert_eq!(
            String::from_utf8_lossy(&table.to_json()),
            r#"[{"name":"one","pid":null,"state":"exited","since":2,"exit":{"signal":9},"ready":false,"restarts":0,"status":null}]"#
        );
    }
}
