//! The fingerprint of a pool with work.

use super::super::print::Print;
use super::{Crew, Phase};
use crate::id::{ProcessId, TaskId};
use crate::plan::{Order, Work};

impl Crew {
    /// What is known of one worker, without its number.
    pub(in crate::machine) fn print_worker(&self, id: ProcessId, place: usize, work: &Work, print: &mut Print) {
        let (worker, order) = (&self.workers[place], work.order);
        if let Some(most) = work.recycle {
            print.add(u64::from(worker.served.min(most)));
        }
        print.add(u64::from(self.idle.contains(&id)));
        print.add(worker.task.map_or(0, |task| 1 + self.rank(task, order)));
        for task in &worker.ahead {
            print.add(1 + self.rank(*task, order));
        }
    }

    /// Which task it is matters only where results keep the order of tasks.
    fn rank(&self, task: TaskId, order: Order) -> u64 {
        match order {
            Order::Completed => 0,
            Order::Submitted => self.tasks.range(..task).count() as u64,
        }
    }

    /// All that is about no single worker.
    pub(in crate::machine) fn print(&self, order: Order, print: &mut Print) {
        print.add(match self.phase {
            Phase::Waiting => 0,
            Phase::Working => 1,
            Phase::Closing => 2,
            Phase::Ceasing(outcome) => 3 + outcome as u64,
            Phase::Ended(outcome) => 10 + outcome as u64,
        });
        print.add(u64::from(self.started) << 2 | u64::from(self.source_ended) << 1 | u64::from(self.failed > 0));
        print.add(u64::from(self.asked));
        print.add(self.ready.len() as u64);
        print.add(self.kept as u64);
        // With no more lives to come, nobody asks how many were barren.
        print.add(if self.phase == Phase::Working {
            self.barren as u64
        } else {
            0
        });
        let mut tasks: Vec<u64> = self.tasks.values().map(super::task::Task::word).collect();
        match order {
            Order::Completed => tasks.sort_unstable(),
            Order::Submitted => {}
        }
        print.add(tasks.len() as u64);
        for task in tasks {
            print.add(task);
        }
    }
}
