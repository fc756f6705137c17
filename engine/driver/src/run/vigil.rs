//! When it is looked for deadlocks: now and then, as long as anybody waits where there could be one; and what is told to whoever asks.

use std::sync::Arc;

use forkyard_core::machine::Input;
use tokio::time::Instant;

use super::turn::Run;
use crate::broker::TableWanted;
use crate::deadlock::{LOOK, Scene};
use crate::news::News;
use crate::stdio::output::time_since;
use crate::why::{self, Unknown};

impl Run {
    /// When to look next. `None`: there is nothing to look for.
    pub(super) fn next_look(&mut self) -> Option<Instant> {
        if self.look_at.is_none() && self.may_be_stuck() {
            self.look_at = Some(Instant::now() + LOOK);
        }
        self.yard.watch(self.look_at.is_some());
        self.look_at
    }

    fn may_be_stuck(&self) -> bool {
        let may_wait = !self.plan.pipes.is_empty() || self.yard.with(|yard| yard.may_have_waits());
        may_wait && !self.lives.is_stopping()
    }

    /// Answers somebody who asks why a process does not run.
    pub(super) fn say_why(&mut self, wanted: &TableWanted) {
        let name = wanted.why.clone().unwrap_or_default();
        let (at, run) = (time_since(self.start), self.options.directory.id());
        let clients = self.broker.waits();
        let (plan, machine, pids, ledger) = (&self.plan, &self.machine, &self.pids, &self.ledger);
        let broker = &mut self.broker;
        self.yard.with(|yard| {
            let told = why::answer(&Scene::new(plan, machine, yard, clients, pids), ledger, run, at, &name);
            let json = told.map(|answer| serde_json::to_vec(&answer).expect("names and numbers always become JSON"));
            match json {
                Ok(json) => broker.reply_table(yard, wanted, json),
                Err(Unknown(message)) => broker.refuse_table(yard, wanted, message),
            }
        });
    }

    /// Looks for deadlocks, and tells of those that have been there at the last look.
    pub(super) fn look_for_deadlocks(&mut self) {
        self.look_at = None;
        if self.lives.is_stopping() {
            return;
        }
        let clients = self.broker.waits();
        let (plan, machine, pids) = (&self.plan, &self.machine, &self.pids);
        let (vigil, lives) = (&mut self.vigil, &self.lives);
        let deadlocks = self
            .yard
            .with(|yard| vigil.look(&Scene::new(plan, machine, yard, clients, pids), lives));
        for deadlock in deadlocks {
            let at = time_since(self.start);
            self.herald.tell(News::Deadlock {
                at,
                deadlock: Arc::new(deadlock),
            });
            self.inputs.push_back(Input::Deadlocked);
        }
    }
}
