//! Another life for a process that has ended: whether, after which pause, and when it has had enough of them.
//!
//! ```text
//!  Settling ─▶ Backoff ─(pause)─▶ Pending ─▶ … as the first time
//!     └─▶ Regrouping ─▲  a member of a group waits until the others have gone, too
//! ```
//! Who waits for it sees none of this: it has neither succeeded nor failed before its last life is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::process::{Process, State};
use super::timer::Timer;
use super::{Exit, Machine, Record, Run};
use crate::id::{GroupId, ProcessId};
use crate::plan::{Backoff, Endings, Intensity, Party, Policy};
use crate::time::Time;

/// Who has been up for longer is started again at once, as by s6-supervise: it did work, so that trying again soon is no use of
/// the machine for nothing.
const UP: Duration = Duration::from_secs(1);

/// What is remembered of lives that are over.
#[derive(Clone, Debug)]
pub(super) struct Restarts {
    of: BTreeMap<ProcessId, History>,
    /// By group: the moments of its latest restarts.
    pub groups: Vec<VecDeque<Time>>,
    /// By group: the end of its pause.
    pub group_due: Vec<Time>,
    jitter: Jitter,
}

/// The lives of one process.
#[derive(Clone, Debug, Default)]
struct History {
    /// The moments of its latest restarts.
    recent: VecDeque<Time>,
    /// How many there were in all.
    count: u32,
    /// How many pauses there were since the last healthy life.
    step: u32,
    /// For how long the last life was up: ready, or, where nobody looks for that, running.
    up: Duration,
}

/// What follows a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    End,
    /// Another life.
    Again,
    /// Nothing, since there were too many.
    GiveUp,
    /// Nothing for the whole group, since there were too many.
    Escalate(GroupId),
}

impl Restarts {
    pub(super) fn new(groups: usize) -> Self {
        Self {
            of: BTreeMap::new(),
            groups: vec![VecDeque::new(); groups],
            group_due: vec![Time::START; groups],
            jitter: Jitter(0),
        }
    }

    pub(super) fn seed(&mut self, seed: u64) {
        self.jitter = Jitter(seed);
    }

    fn of(&mut self, id: ProcessId) -> &mut History {
        self.of.entry(id).or_default()
    }

    /// The pause before the next life.
    fn pause(&mut self, id: ProcessId, backoff: &Backoff) -> Duration {
        let history = self.of.entry(id).or_default();
        if history.up >= backoff.reset {
            history.step = 0;
        }
        if history.up > UP {
            return Duration::ZERO;
        }
        let pause = nth_pause(backoff, history.step);
        history.step = history.step.saturating_add(1);
        if backoff.jitter {
            self.jitter.shorten(pause)
        } else {
            pause
        }
    }
}

/// The pause after `step` others, before jitter.
fn nth_pause(backoff: &Backoff, step: u32) -> Duration {
    let max = backoff.max.as_nanos();
    let mut pause = backoff.initial.as_nanos();
    for _ in 0..step {
        if pause >= max || pause == 0 || backoff.factor == 1000 {
            break;
        }
        pause = pause * u128::from(backoff.factor) / 1000;
    }
    Duration::from_nanos(u64::try_from(pause.min(max)).unwrap_or(u64::MAX))
}

/// Whether there may be one more restart at `now`, which is noted then.
pub(super) fn admit(recent: &mut VecDeque<Time>, now: Time, intensity: Intensity) -> bool {
    while recent.front().is_some_and(|first| now.since(*first) > intensity.within) {
        recent.pop_front();
    }
    let admitted = recent.len() < intensity.max as usize;
    if admitted {
        recent.push_back(now);
    }
    admitted
}

/// Numbers at random from a seed, the same in every replay: `SplitMix64`, after Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators" (2014).
#[derive(Clone, Copy, Debug)]
struct Jitter(u64);

impl Jitter {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between one half of the pause and all of it, so that those who failed together do not come back together.
    fn shorten(&mut self, pause: Duration) -> Duration {
        let half = pause / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_nanos(self.next() % span)
    }
}

impl Exit {
    /// Whether it is among these.
    #[must_use]
    pub fn is_among(self, endings: &Endings) -> bool {
        match self {
            Self::Code(code) => endings.codes.contains(&code),
            Self::Signal(signal) => endings.signals.contains(&signal),
            Self::Unknown => false,
        }
    }
}

impl Machine {
    /// Whether it may have another life: its ends of channels are kept for that.
    pub(super) fn is_restartable(&self, id: ProcessId) -> bool {
        self.plan.processes[id.index()].restart.is_some()
    }

    /// It leaves the state in which it is up: remembers for how long it was.
    pub(super) fn note_up(&mut self, id: ProcessId) {
        if !self.is_restartable(id) {
            return;
        }
        let Process { state, since, .. } = *self.process(id);
        let up = match state {
            State::Ready { since } => self.now.since(since),
            State::Running if self.plan.processes[id.index()].ready.is_none() => self.now.since(since),
            State::Running | State::Starting { .. } => Duration::ZERO,
            State::Pending
            | State::Queued
            | State::Acquiring { .. }
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => return,
        };
        self.restarts.of(id).up = up;
    }

    /// What follows a life that ended so; `None`: it could not even be started.
    pub(super) fn next_life(&mut self, id: ProcessId, exit: Option<Exit>, failed: bool) -> Next {
        let plan = &self.plan.processes[id.index()];
        let Some(restart) = &plan.restart else {
            return Next::End;
        };
        let wanted = match restart.policy {
            Policy::Always => true,
            Policy::OnFailure => failed,
        };
        if !wanted || self.run != Run::Going || exit.is_some_and(|exit| exit.is_among(&restart.never_on)) {
            return Next::End;
        }
        let (intensity, group) = (restart.intensity, plan.group);
        if let Some(group) = group
            && !self.admit_by_group(group)
        {
            return Next::Escalate(group);
        }
        if admit(&mut self.restarts.of(id).recent, self.now, intensity) {
            Next::Again
        } else {
            Next::GiveUp
        }
    }

    /// Its life is over, and another one follows.
    pub(super) fn again(&mut self, id: ProcessId) {
        let Some(restart) = &self.plan.processes[id.index()].restart else {
            return;
        };
        let pause = self.restarts.pause(id, &restart.backoff);
        match self.shared_group(id) {
            Some(group) => self.restart_group(group, id, pause),
            None => self.back_off(id, pause),
        }
    }

    /// It is started again after the pause.
    pub(super) fn back_off(&mut self, id: ProcessId, pause: Duration) {
        let attempt = self.process(id).attempt;
        self.set_state(id, State::Backoff);
        let history = self.restarts.of(id);
        history.count += 1;
        let count = history.count;
        self.tell(Record::Restarting {
            process: id,
            attempt,
            pause,
            count,
        });
        self.timers
            .set(self.now.after(pause), Timer::Restart { process: id, attempt });
    }

    /// The pause is over.
    pub(super) fn restart_due(&mut self, id: ProcessId, attempt: u32) {
        if self.process(id).state != State::Backoff || self.process(id).attempt != attempt {
            return;
        }
        self.set_state(id, State::Pending);
        self.await_group_again(id);
        let party = Party::Process(id);
        if self.waits.open(&self.plan, party) == 0 {
            self.begin(party);
        } else {
            for place in self.waits.places(&self.plan, party) {
                self.judge_wait(place);
            }
        }
    }

    /// Whether it has had a life already, of those that have none now.
    pub(super) fn has_lived(&self, id: ProcessId) -> bool {
        let Process { state, attempt, .. } = *self.process(id);
        match state {
            State::Pending | State::Queued => attempt > 0,
            // The number of the life to come has been given already.
            State::Acquiring { .. } | State::Starting { .. } => attempt > 1,
            State::Running
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Leaving { .. }
            | State::Settling { .. }
            | State::Backoff
            | State::Regrouping
            | State::Ended(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(jitter: bool) -> Backoff {
        Backoff {
            jitter,
            ..Backoff::default()
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let millis: Vec<_> = (0..10)
            .map(|step| nth_pause(&backoff(false), step).as_millis())
            .collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!(nth_pause(&backoff(false), u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn jitter_shortens_by_a_half_at_most_and_is_the_same_from_the_same_seed() {
        let draw = |seed| {
            let mut restarts = Restarts::new(0);
            restarts.seed(seed);
            let pauses = (0..6).map(|_| restarts.pause(ProcessId(0), &backoff(true)));
            pauses.collect::<Vec<_>>()
        };
        for (pause, whole) in draw(7).iter().zip([100, 200, 400, 800, 1600, 3200]) {
            let whole = Duration::from_millis(whole);
            assert!(*pause >= whole / 2 && *pause <= whole, "{pause:?} of {whole:?}");
        }
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn who_was_up_for_a_second_is_back_at_once_and_a_healthy_while_forgets_the_pauses() {
        let mut restarts = Restarts::new(0);
        let id = ProcessId(0);
        let mut pause = |up| {
            restarts.of(id).up = Duration::from_millis(up);
            restarts.pause(id, &backoff(false)).as_millis()
        };
        assert_eq!([pause(0), pause(900), pause(1001), pause(0)], [100, 200, 0, 400]);
        assert_eq!([pause(10_000), pause(0)], [0, 100]);
    }

    #[test]
    fn more_restarts_than_there_may_be_in_the_window_are_not_admitted() {
        let (mut recent, second) = (VecDeque::new(), 1_000_000_000);
        let intensity = Intensity {
            max: 2,
            within: Duration::from_secs(10),
        };
        let admitted = [0, 1, 2, 11, 12].map(|at| admit(&mut recent, Time(at * second), intensity));
        assert_eq!(admitted, [true, true, false, true, true]);
    }
}
