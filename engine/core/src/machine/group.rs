//! Groups: a member that is restarted takes others with it. They are stopped, and when all have gone, they are started
//! again together, in the order of their `after`.
//!
//! Who takes part in that is seen from the states of the members alone, so that whoever ends meanwhile, for whatever
//! reason, just joins.

use std::time::Duration;

use super::process::State;
use super::restart::admit;
use super::touch::party_index;
use super::{Action, Machine, Run, Why};
use crate::id::{GroupId, ProcessId};
use crate::plan::{Condition, Dependency, Party, Strategy};

impl Machine {
    /// The group whose other members are restarted with this one, if it has such.
    pub(super) fn shared_group(&self, id: ProcessId) -> Option<GroupId> {
        let group = self.plan.processes[id.index()].group?;
        match self.plan.groups[group.index()].strategy {
            Strategy::OneForOne => None,
            Strategy::OneForAll | Strategy::RestForOne => Some(group),
        }
    }

    /// Whether the group may restart once more. Who joins a restart under way is part of that one.
    pub(super) fn admit_by_group(&mut self, group: GroupId) -> bool {
        if self.is_gathering(group) {
            return true;
        }
        let intensity = self.plan.groups[group.index()].intensity;
        admit(&mut self.restarts.groups[group.index()], self.now, intensity)
    }

    /// Whether members of the group are being stopped, or wait, for a common restart.
    fn is_gathering(&self, group: GroupId) -> bool {
        let members = &self.plan.groups[group.index()].members;
        members.iter().any(|member| match self.process(*member).state {
            State::Regrouping
            | State::Starting { stop: Some(Why::Group) }
            | State::Stopping { why: Why::Group }
            | State::Leaving {
                stopped: Some(Why::Group),
                ..
            } => true,
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Starting { .. }
            | State::Running
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Ended(_) => false,
        })
    }

    /// A member has ended and is to be started again: so are those that its group's strategy says.
    pub(super) fn restart_group(&mut self, group: GroupId, id: ProcessId, pause: Duration) {
        let plan = &self.plan.groups[group.index()];
        let first = match plan.strategy {
            Strategy::OneForOne | Strategy::OneForAll => 0,
            Strategy::RestForOne => plan.members.iter().position(|member| *member == id).unwrap_or(0),
        };
        let others: Vec<ProcessId> = plan.members[first..].to_vec();
        self.set_state(id, State::Regrouping);
        for member in others {
            if member != id && self.is_restartable(member) {
                self.recall(member);
            }
        }
        self.restart_if_gathered(group, pause);
    }

    /// Stops a member, or takes it back on its way to the start, for a common restart.
    fn recall(&mut self, id: ProcessId) {
        match self.process(id).state {
            State::Starting { .. } | State::Running | State::Ready { .. } => self.stop(id, Why::Group),
            State::Queued | State::Acquiring { .. } => {
                if matches!(self.process(id).state, State::Acquiring { .. }) {
                    self.act(Action::LetGo { process: id });
                }
                self.leave_line(id);
                self.free_slot_of(id);
                self.set_state(id, State::Regrouping);
            }
            State::Backoff => self.set_state(id, State::Regrouping),
            // It still waits for its conditions, or ends on its own account.
            State::Pending
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Regrouping
            | State::Ended(_) => {}
        }
    }

    /// A member that was stopped for a common restart has gone.
    pub(super) fn regroup(&mut self, id: ProcessId) {
        self.set_state(id, State::Regrouping);
        if let Some(group) = self.shared_group(id) {
            self.restart_if_gathered(group, Duration::ZERO);
        }
    }

    /// A member has come to its end: the others need not wait for it any longer.
    pub(super) fn member_left(&mut self, id: ProcessId) {
        if let Some(group) = self.shared_group(id) {
            self.restart_if_gathered(group, Duration::ZERO);
        }
    }

    /// Starts the pause of those who are gathered, once nobody of the group is on the way to them. The pause is that of the
    /// one that began it, as far as it is not over.
    fn restart_if_gathered(&mut self, group: GroupId, pause: Duration) {
        if self.run != Run::Going {
            return;
        }
        let due = &mut self.restarts.group_due[group.index()];
        *due = (*due).max(self.now.after(pause));
        let rest = due.since(self.now);
        let members = self.plan.groups[group.index()].members.clone();
        if members.iter().any(|member| self.is_on_its_way(*member)) {
            return;
        }
        for member in members {
            if self.process(member).state == State::Regrouping {
                self.back_off(member, rest);
            }
        }
    }

    /// Whether it will soon have ended, or be gathered.
    fn is_on_its_way(&self, id: ProcessId) -> bool {
        match self.process(id).state {
            State::Starting { stop: Some(_) }
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. } => true,
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Starting { stop: None }
            | State::Running
            | State::Ready { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => false,
        }
    }

    /// Its waits for the start of other members that are not over begin anew.
    pub(super) fn await_group_again(&mut self, id: ProcessId) {
        let Some(group) = self.shared_group(id) else {
            return;
        };
        let party = Party::Process(id);
        let waits: Vec<_> = self.waits.of(&self.plan, party).collect();
        for (place, wait) in self.waits.places(&self.plan, party).zip(waits) {
            let Dependency::Process(on) = wait.on else { continue };
            let is_member = self.plan.processes[on.index()].group == Some(group);
            let is_over = matches!(self.process(on).state, State::Ended(_));
            if is_member && !is_over && matches!(wait.is, Condition::Started | Condition::Ready) {
                self.waits.reopen(place, party_index(&self.plan, party));
            }
        }
    }

    /// A group whose members wait for one another has somebody on the way to them.
    pub(super) fn assert_gathering(&self, group: GroupId) {
        let members = &self.plan.groups[group.index()].members;
        let waits = |id: &ProcessId| self.process(*id).state == State::Regrouping;
        assert!(
            !members.iter().any(waits) || members.iter().any(|id| self.is_on_its_way(*id)),
            "a group waits for nobody"
        );
    }
}
