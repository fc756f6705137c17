//! Locks and semaphores: who asks first gets first.

use std::collections::VecDeque;

use super::cause::{Cause, How, SpanId};
use super::gauge::Gauge;
use crate::id::{LockId, ProcessId, SemaphoreId};
use crate::plan::{Hold, Plan, Resource};
use crate::time::Time;

/// All that can be held.
#[derive(Debug)]
pub(super) struct Yard {
    locks: Vec<Held>,
    semaphores: Vec<Held>,
}

/// A lock or semaphore.
#[derive(Debug)]
pub(super) struct Held {
    free: u32,
    line: VecDeque<Waiter>,
    pub gauge: Gauge,
}

/// Someone in line. Who has left it is found out by his attempt when it is his turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub process: ProcessId,
    pub attempt: u32,
    pub permits: u32,
    since: Time,
}

/// A wish that came true after a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub process: ProcessId,
    pub attempt: u32,
    pub since: Time,
    pub cause: Cause,
}

impl Yard {
    pub(super) fn new(plan: &Plan) -> Self {
        let held = |free| Held {
            free,
            line: VecDeque::new(),
            gauge: Gauge::default(),
        };
        Self {
            locks: plan.locks.iter().map(|_| held(1)).collect(),
            semaphores: plan
                .semaphores
                .iter()
                .map(|semaphore| held(semaphore.permits))
                .collect(),
        }
    }

    pub(super) fn of(&self, resource: Resource) -> &Held {
        match resource {
            Resource::Lock(LockId(lock)) => &self.locks[lock as usize],
            Resource::Semaphore(SemaphoreId(semaphore)) => &self.semaphores[semaphore as usize],
        }
    }

    fn of_mut(&mut self, resource: Resource) -> &mut Held {
        match resource {
            Resource::Lock(LockId(lock)) => &mut self.locks[lock as usize],
            Resource::Semaphore(SemaphoreId(semaphore)) => &mut self.semaphores[semaphore as usize],
        }
    }

    /// Whether it is granted at once; else the process stands in line.
    pub(super) fn ask(&mut self, now: Time, process: ProcessId, attempt: u32, hold: Hold) -> bool {
        let wanted = self.of_mut(hold.resource);
        if wanted.line.is_empty() && wanted.free >= hold.permits {
            wanted.free -= hold.permits;
            wanted.gauge.take(now, u64::from(hold.permits));
            return true;
        }
        wanted.line.push_back(Waiter {
            process,
            attempt,
            permits: hold.permits,
            since: now,
        });
        false
    }

    /// So much is free again.
    pub(super) fn give(&mut self, now: Time, hold: Hold) {
        let given = self.of_mut(hold.resource);
        given.free += hold.permits;
        given.gauge.give(now, u64::from(hold.permits));
    }

    /// The next one in line whose turn it is, of those who still stand there.
    pub(super) fn next(
        &mut self,
        now: Time,
        resource: Resource,
        by: Option<SpanId>,
        stands: impl Fn(&Waiter) -> bool,
    ) -> Option<Granted> {
        let held = self.of_mut(resource);
        while held.line.front().is_some_and(|waiter| !stands(waiter)) {
            held.line.pop_front();
        }
        let waiter = *held.line.front()?;
        if waiter.permits > held.free {
            return None;
        }
        held.line.pop_front();
        held.free -= waiter.permits;
        held.gauge.take(now, u64::from(waiter.permits));
        held.gauge.waited(now.since(waiter.since), waiter.process);
        Some(Granted {
            process: waiter.process,
            attempt: waiter.attempt,
            since: waiter.since,
            cause: Cause::of(How::Held(resource), by),
        })
    }
}
