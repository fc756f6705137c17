//! What the machine decides is carried out here.

use crate::yard::{Held, Reply, Request, Slot, Ticket};
use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Action, Input};
use forkyard_core::plan::{Hold, Resource};

use super::asks::Ask;
use super::lives::{Fate, Tries};
use super::turn::Run;
use crate::broker::TICKET_BIT;

impl Run {
    /// Carries out one action.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Acquire { process, attempt, hold } => self.acquire(process, attempt, hold),
            Action::LetGo { process } => self.let_go(process),
            Action::Spawn { process, attempt, task } => self.spawn(process, attempt, task, Tries::default()),
            Action::Terminate { process, attempt } => self.terminate(process, attempt),
            Action::Kill { process, attempt } => self.kill(process, attempt),
            Action::Forsake { process } => self.forsake(process),
            Action::CloseQueue { queue } => self.yard.with(|yard| yard.close(queue.0)),
            Action::BreakQueue { queue } => self.break_queue(queue),
            Action::Take { pool, count } => self.take(pool, count),
            Action::StopTaking { pool } => self.stop_taking(pool),
            Action::Assign { process, attempt, task } => self.assign(process, attempt, task),
            Action::CloseStdin { process, attempt } => self.close_stdin(process, attempt),
            Action::Complete { pool, task } => self.acknowledge_task(pool, task),
            Action::Discard { pool, task } => self.discard(pool, task),
            Action::Retry { pool, task } => self.forget_result(pool, task),
            Action::Deliver { pool, task } => self.deliver(pool, task),
            Action::WakeAt { at } => self.wake = Some(at),
            Action::End { verdict } => self.verdict = Some(verdict),
        }
    }

    fn acquire(&mut self, process: ProcessId, attempt: u32, hold: Hold) {
        let ticket = self.asks.draw();
        let request = Request::Acquire {
            held: held(hold.resource),
            permits: hold.permits,
        };
        match self.yard.with(|yard| yard.ask(Slot(process.0), ticket, request, true)) {
            Some(reply) => self.hold_answered(process, attempt, &reply),
            None => self.asks.park(ticket, Ask::Hold { process, attempt }),
        }
    }

    fn hold_answered(&mut self, process: ProcessId, attempt: u32, reply: &Reply) {
        if matches!(reply, Reply::Granted { .. }) {
            self.inputs.push_back(Input::Acquired { process, attempt });
        } else {
            let name = &self.plan.processes[process.index()].name;
            self.fault(format!("what `{name}` holds can never be granted: it asks for more than there is").into());
        }
    }

    /// Whoever gets what a process held that was killed, or failed, is told so: its work may be half done.
    fn let_go(&mut self, process: ProcessId) {
        let slot = Slot(process.0);
        let in_order = match self.exits.remove(&process) {
            Some(exit) => exit.is_among(&self.plan.processes[process.index()].success),
            None => true,
        };
        let broker = &mut self.broker;
        self.yard.with(|yard| {
            // What has reached a client of the process before it ended does not go back.
            broker.look(yard);
            if in_order {
                yard.let_go(slot);
            } else {
                yard.died(slot);
            }
            broker.hang_up(yard, slot);
        });
    }

    /// It will not be started any more: what was kept for it is let go.
    pub(super) fn forsake(&mut self, process: ProcessId) {
        self.pipes.let_go(process);
        self.sockets.let_go(process);
    }

    fn terminate(&mut self, process: ProcessId, attempt: u32) {
        let Some(body) = self.lives.body(process, attempt) else {
            return;
        };
        body.fate.set(Fate::Stop);
        // That the run is to be killed has been asked for meanwhile: nobody needs to be asked before.
        if self.lives.is_stopping() && matches!(self.inputs.front(), Some(Input::Interrupt { .. })) {
            return;
        }
        let launch = &self.plan.launches[process.index()];
        let failed = match &launch.stop_command {
            Some(command) => self.stop_command(process, attempt, command).err(),
            None => return body.terminate(launch.stop_signal),
        };
        if let Some(reason) = failed {
            let name = &self.plan.processes[process.index()].name;
            tracing::warn!("the stop command of `{name}` cannot be run: {reason}; the signal is sent instead");
            body.terminate(launch.stop_signal);
        }
    }

    pub(super) fn kill(&mut self, process: ProcessId, attempt: u32) {
        let Some(body) = self.lives.body(process, attempt) else {
            return;
        };
        body.fate.set(Fate::Die);
        // The watch over the life goes on with it until nobody is left.
        let _ = body.tree.kill();
        self.child_ended.notify_waiters();
    }

    fn close_stdin(&mut self, process: ProcessId, attempt: u32) {
        if let Some(life) = self.lives.get_mut(process).filter(|life| life.attempt == attempt) {
            life.feed = None;
        }
    }

    /// A reply of the yard to a request that had to wait.
    pub(super) fn replied(&mut self, ticket: Ticket, reply: Reply) {
        if ticket.0 & TICKET_BIT != 0 {
            let broker = &mut self.broker;
            self.yard.with(|yard| broker.answered(yard, ticket, reply));
            return;
        }
        match self.asks.remove(ticket) {
            Some(Ask::Hold { process, attempt }) => self.hold_answered(process, attempt, &reply),
            Some(Ask::Task { pool, queue }) => self.task_arrived(pool, queue, reply),
            Some(Ask::Result { pool, task }) => self.result_put(pool, task, &reply),
            None => tracing::error!("the yard answered a request that nobody has made"),
        }
    }

    /// The slot of the pumps that put: what they have read is put though its process has ended.
    pub(super) fn engine_slot(&self) -> Slot {
        Slot(ProcessId::at(self.plan.processes.len() + self.plan.pools.len()).0)
    }
}

const fn held(resource: Resource) -> Held {
    match resource {
        Resource::Lock(lock) => Held::Lock(lock.0),
        Resource::Semaphore(semaphore) => Held::Semaphore(semaphore.0),
    }
}
