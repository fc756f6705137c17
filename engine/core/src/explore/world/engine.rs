//! What the machine asks for, done at once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::model::Model;
use super::{Life, Phase, STEP_NS, World, exit_inputs, source_queue};
use crate::id::{PoolId, ProcessId};
use crate::machine::{Action, Because, Exit, Input, Outbox, Outcome, Record};
use crate::plan::Dependency;
use crate::time::Time;

impl World {
    /// Steps the machine, and does what it asks for until it asks for nothing more.
    pub(super) fn tell(&mut self, model: &Model, inputs: impl IntoIterator<Item = Input>) {
        let mut inbox: VecDeque<Input> = inputs.into_iter().collect();
        while let Some(input) = inbox.pop_front() {
            let mut out = Outbox::default();
            let now = Time(self.steps * STEP_NS);
            Arc::make_mut(&mut self.engine).machine.step(now, input, &mut out);
            self.note(model, &out);
            for action in out.actions {
                self.do_action(model, action, &mut inbox);
            }
        }
        self.settle(model);
    }

    pub(super) fn carry_out(&mut self, model: &Model, out: Outbox) {
        self.note(model, &out);
        let mut inbox = VecDeque::new();
        for action in out.actions {
            self.do_action(model, action, &mut inbox);
        }
        self.tell(model, inbox);
    }

    /// After the machine has been stepped: what follows outside of it, and new prints.
    fn settle(&mut self, model: &Model) {
        let pipes = model.plan.queues.len();
        for (way, content) in model.ways.iter().zip(&mut self.contents).skip(pipes) {
            content.is_closed = way.senders.iter().all(|sender| self.gone[*sender]);
            content.is_broken = way.receivers.iter().all(|receiver| self.gone[*receiver]);
        }
        for (event, setters) in model.setters.iter().enumerate() {
            let left = setters.iter().any(|setter| !self.gone[*setter]);
            if !left && !self.set[event] && setters.iter().any(|setter| self.irregular[*setter]) {
                self.forgiven[event] = true;
            }
        }
        let engine = Arc::make_mut(&mut self.engine);
        engine.machine.forget_timers();
        let machine = &engine.machine;
        let processes = 0..self.lives.len();
        engine.processes = processes.map(|at| machine.print_process(ProcessId::at(at))).collect();
        engine.rest = machine.print_rest();
    }

    /// Who failed, and whom that keeps from running.
    fn note(&mut self, model: &Model, out: &Outbox) {
        for record in &out.records {
            match record {
                Record::Exited { process, outcome, .. } => {
                    self.irregular[process.index()] |= *outcome != Outcome::Succeeded;
                }
                Record::Skipped { process, because } => {
                    self.irregular[process.index()] |= self.is_irregular(model, *because);
                }
                Record::PoolSkipped { pool, because } => {
                    let irregular = self.is_irregular(model, *because);
                    for actor in model.members(Dependency::Pool(*pool)) {
                        self.irregular[actor] |= irregular;
                    }
                }
                Record::TaskFailed { pool, .. } => self.irregular[model.pool_actor(*pool)] = true,
                Record::NotStarted { .. }
                | Record::Ready { .. }
                | Record::Restarting { .. }
                | Record::NotRestarted { .. }
                | Record::GaveUp { .. }
                | Record::RunStarted
                | Record::Started { .. }
                | Record::Stopping { .. }
                | Record::Killing { .. }
                | Record::LeftBehind { .. }
                | Record::TaskDone { .. }
                | Record::TaskRetried { .. }
                | Record::PoolEnded { .. }
                | Record::QueueClosed { .. }
                | Record::QueueBroken { .. }
                | Record::RunStopping { .. }
                | Record::RunEnded { .. } => {}
            }
        }
    }

    fn is_irregular(&self, model: &Model, because: Because) -> bool {
        match because {
            Because::Of(on) => model.members(on).into_iter().any(|actor| self.irregular[actor]),
            Because::WaitedTooLong { .. } | Because::RunStops => true,
            Because::NotNeeded => false,
        }
    }

    fn do_action(&mut self, model: &Model, action: Action, inbox: &mut VecDeque<Input>) {
        match action {
            Action::Acquire { process, .. } => self.lives[process.index()].phase = Phase::Asking,
            Action::LetGo { process } => {
                self.release_own(model, process.index());
                self.release_holds(model, process.index());
                self.lives[process.index()] = Life::default();
            }
            Action::Spawn { process, attempt, .. } => {
                self.lives[process.index()].phase = Phase::Inside;
                self.begin_program(model, process.index());
                inbox.push_back(Input::Spawned { process, attempt });
            }
            Action::Terminate { process, attempt } => inbox.extend(exit_inputs(process, attempt, Exit::Signal(15))),
            Action::Forsake { process } => self.gone[process.index()] = true,
            Action::CloseQueue { queue } => {
                self.contents[queue.index()].is_closed = true;
                if self.contents[queue.index()].items == 0 {
                    inbox.push_back(Input::QueueDrained { queue });
                }
            }
            Action::BreakQueue { queue } => {
                let content = &mut self.contents[queue.index()];
                content.is_broken = true;
                let left = std::mem::take(&mut content.items) > 0;
                inbox.push_back(if left {
                    Input::QueueLeft { queue }
                } else {
                    Input::QueueDrained { queue }
                });
            }
            Action::Take { pool, count } => self.wants(model, pool, count, inbox),
            Action::StopTaking { pool } => {
                self.stores[pool.index()].credit = 0;
                self.stores[pool.index()].is_ended = true;
            }
            Action::Assign { process, .. } => self.lives[process.index()].tasks += 1,
            Action::CloseStdin { process, attempt } => {
                let life = &mut self.lives[process.index()];
                life.is_dismissed = true;
                if life.tasks == 0 {
                    inbox.extend(exit_inputs(process, attempt, Exit::Code(0)));
                }
            }
            Action::Deliver { pool, task } => {
                let work = model.plan.pools[pool.index()].work.as_ref();
                if work.is_some_and(|work| work.results.is_some()) {
                    self.stores[pool.index()].results.push_back(task);
                } else {
                    inbox.push_back(Input::Delivered { pool, task });
                }
            }
            Action::End { .. } => self.is_over = true,
            // The tree has had its signal, and went at once. Items are not told apart, and time does not pass.
            Action::Kill { .. }
            | Action::Complete { .. }
            | Action::Discard { .. }
            | Action::Retry { .. }
            | Action::WakeAt { .. } => {}
        }
    }

    fn wants(&mut self, model: &Model, pool: PoolId, count: u32, inbox: &mut VecDeque<Input>) {
        let store = &mut self.stores[pool.index()];
        store.credit += count;
        let from_queue = source_queue(model, model.pool_actor(pool)).is_some();
        if from_queue || store.is_ended {
            return;
        }
        let given = store.credit.min(store.left);
        store.left -= given;
        store.credit -= given;
        if given > 0 {
            inbox.push_back(Input::Taken { pool, count: given });
        }
        if store.left == 0 {
            store.is_ended = true;
            store.credit = 0;
            inbox.push_back(Input::SourceEnded { pool });
        }
    }
}
