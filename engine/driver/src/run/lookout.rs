//! Looks out for the moment when everything has come up, for somebody who waits for that in the foreground.

use std::collections::BTreeSet;
use std::io;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Input, Record};
use forkyard_core::plan::Plan;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::Happening;
use super::turn::Run;
use crate::alarm::Alarm;
use crate::background::Teller;
use crate::table::{Row, State, Table};

/// Who looks out.
#[derive(Debug)]
pub struct Lookout {
    teller: Teller,
    /// Those that have been seen to be ready, in whatever life.
    been_ready: BTreeSet<ProcessId>,
    /// All before this one had come up when they were looked at.
    from: usize,
    /// Who has failed.
    failed: Option<ProcessId>,
    /// The run is being stopped: nobody comes up any more.
    is_over: bool,
}

/// How far one process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Up,
    Coming,
    Failed,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    AllUp,
    Failed(ProcessId),
}

impl Lookout {
    /// Begins to look out, if anybody waits; who stops waiting is noticed. Within a local set.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn begin(
        teller: Option<Teller>,
        inbox: &mpsc::Sender<Happening>,
        alarm: &Alarm,
    ) -> io::Result<Option<Self>> {
        let Some(teller) = teller else { return Ok(None) };
        let inbox = inbox.clone();
        let ear = teller.ear()?;
        ear.set_nonblocking(true)?;
        let mut ear = UnixStream::from_std(ear)?;
        alarm.start(async move {
            // Nothing is ever said on it; an error is an end as well.
            let _ = ear.read(&mut [0]).await;
            // Nobody listens when the run is over.
            let _ = inbox.send(Happening::Abandoned).await;
        });
        Ok(Some(Self {
            teller,
            been_ready: BTreeSet::new(),
            from: 0,
            failed: None,
            is_over: false,
        }))
    }

    /// Takes in what a record says, after the table has.
    pub(super) fn note(&mut self, record: &Record, plan: &Plan, table: &Table) {
        if let Record::Ready { process, .. } = record {
            self.been_ready.insert(*process);
        } else if let Record::Exited { process, .. } | Record::NotStarted { process, .. } = record
            // Who ends after that was stopped.
            && !self.is_over
            && self.stand(*process, plan, table) == Stand::Failed
        {
            self.failed.get_or_insert(*process);
        } else if let Record::RunStopping { .. } = record {
            self.is_over = true;
        }
    }

    fn stand(&self, process: ProcessId, plan: &Plan, table: &Table) -> Stand {
        let known = &plan.processes[process.index()];
        // Workers come and go with their tasks.
        if known.worker_of.is_some() {
            return Stand::Up;
        }
        let has_been_ready = self.been_ready.contains(&process);
        stand(&table.rows()[process.index()], known.ready.is_some(), has_been_ready)
    }

    /// Goes on from whoever has not come up yet; when nobody is left, all are looked at once more, since who was up may be
    /// restarting now.
    fn look(&mut self, plan: &Plan, table: &Table) -> Option<Sight> {
        if self.failed.is_some() || self.is_over {
            return self.failed.map(Sight::Failed);
        }
        for begin in [self.from, 0] {
            let mut further = (begin..plan.processes.len()).map(ProcessId::at);
            let coming = further.find(|process| self.stand(*process, plan, table) != Stand::Up);
            if let Some(coming) = coming {
                self.from = coming.index();
                return None;
            }
            self.from = plan.processes.len();
        }
        Some(Sight::AllUp)
    }
}

/// Who is skipped without anybody's failure is not needed.
fn stand(row: &Row, must_be_ready: bool, has_been_ready: bool) -> Stand {
    match row.state {
        State::Skipped => Stand::Up,
        State::Running if row.ready || !must_be_ready => Stand::Up,
        State::Exited if has_been_ready || !must_be_ready => Stand::Up,
        State::Exited | State::Failed => Stand::Failed,
        State::Pending | State::Running | State::Stopping | State::Restarting => Stand::Coming,
    }
}

impl Run {
    /// Tells whoever waits, once, as soon as there is something to tell.
    pub(super) fn look_out(&mut self) {
        let Some(lookout) = &mut self.lookout else { return };
        let Some(sight) = lookout.look(&self.plan, &self.table) else {
            return;
        };
        let Some(lookout) = self.lookout.take() else { return };
        let told = match sight {
            Sight::AllUp => lookout.teller.up(),
            Sight::Failed(process) => lookout.teller.failed(&self.plan.processes[process.index()].name),
        };
        if told.is_err() {
            self.stop_for_nobody();
        }
    }

    /// Who has started the run is gone before it has come up: nobody knows of it.
    pub(super) fn abandoned(&mut self) {
        if self.lookout.take().is_some_and(|lookout| !lookout.is_over) {
            self.stop_for_nobody();
        }
    }

    fn stop_for_nobody(&mut self) {
        self.inputs.push_back(Input::Interrupt { signal: libc::SIGHUP });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use forkyard_core::time::Time;

    use super::*;

    fn row(state: State, ready: bool) -> Row {
        Row {
            name: "a".to_owned(),
            pid: None,
            state,
            since: Time::START,
            exit: None,
            ready,
            restarts: 0,
            status: None,
            sockets: BTreeMap::new(),
        }
    }

    #[test]
    fn who_can_be_ready_has_to_be_and_others_have_to_be_started() {
        for (state, expected) in [
            (State::Pending, Stand::Coming),
            (State::Running, Stand::Up),
            (State::Restarting, Stand::Coming),
            (State::Exited, Stand::Up),
            (State::Failed, Stand::Failed),
            (State::Skipped, Stand::Up),
        ] {
            assert_eq!(stand(&row(state, false), false, false), expected, "{state:?}");
        }
        assert_eq!(stand(&row(State::Running, false), true, true), Stand::Coming);
        assert_eq!(stand(&row(State::Running, true), true, true), Stand::Up);
        assert_eq!(stand(&row(State::Exited, false), true, true), Stand::Up);
        assert_eq!(stand(&row(State::Exited, false), true, false), Stand::Failed);
    }
}
