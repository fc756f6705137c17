//! When it is looked for deadlocks: now and then, as long as anybody waits where there could be one.

use std::sync::Arc;

use forkyard_core::machine::Input;
use tokio::time::Instant;

use super::turn::Run;
use crate::deadlock::{LOOK, Scene};
use crate::news::News;
use crate::stdio::output::time_since;

impl Run {
    /// When to look next. `None`: there is nothing to look for.
    pub(super) fn next_look(&mut self) -> Option<Instant> {
        let may_be_stuck = !self.plan.pipes.is_empty() || self.yard.with(|yard| yard.may_have_waits());
        if !may_be_stuck || self.lives.is_stopping() {
            self.look_at = None;
            return None;
        }
        Some(*self.look_at.get_or_insert_with(|| Instant::now() + LOOK))
    }

    /// Looks for deadlocks, and tells of those that have been there at the last look.
    pub(super) fn look_for_deadlocks(&mut self) {
        self.look_at = None;
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
