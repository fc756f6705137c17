//! What the explorer has found, in the words of the file.

use super::related;
use crate::diagnostic::{Code, Diagnostic, Related, Severity, codes};
use crate::explore::{Blocked, Deadlock, Does, Happening, Obstacle, explore};
use crate::graph::{Touch, condition_word, touches, touches_of_process};
use crate::id::{EventId, PoolId, ProcessId};
use crate::plan::{self, Channel, Dependency, Hold, Party, Plan, Resource, Side, Wait};
use crate::source::Span;
use crate::spec::target::Role;
use crate::spec::{Body, Wish, Workflow};

/// So many places of a way are shown; of a longer one the middle is left out.
const STEPS_MAX: usize = 20;

/// What is known about the deadlocks of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlocks {
    /// Which of the three it is.
    pub verdict: DeadlockVerdict,
    /// Each deadlock with the way into it: an error where it follows from the file alone, a warning where it takes something
    /// for granted of what a process does by itself.
    pub findings: Vec<Diagnostic>,
}

/// What can be said about the deadlocks of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlockVerdict {
    /// There is none. `states`: so many situations were looked at; 0 when the structure of the graph was enough.
    Proved {
        /// How many situations.
        states: usize,
    },
    /// There is one at least.
    Deadlock {
        /// Whether no way into it is shorter than the one that is told.
        is_shortest: bool,
    },
    /// None was found among so many situations, and there are more.
    NotExhaustive {
        /// How many situations.
        states: usize,
    },
}

impl std::fmt::Display for DeadlockVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proved { .. } => write!(f, "proved free of deadlock"),
            Self::Deadlock { is_shortest: true } => write!(f, "deadlock: the shortest way into it is shown above"),
            Self::Deadlock { is_shortest: false } => write!(f, "deadlock: a way into it is shown above"),
            Self::NotExhaustive { states } => {
                let noun = if *states == 1 { "state" } else { "states" };
                write!(
                    f,
                    "not exhaustive: {states} {noun} within the budget, no deadlock found"
                )
            }
        }
    }
}

/// Looks for deadlocks of a workflow in which the rules have found no error, only what is `known`: what these have said of a
/// place is not said again. `budget` is asked every few states whether the search may go on. `None`: it cannot be planned.
pub fn deadlocks(workflow: &Workflow, known: &[Diagnostic], budget: &mut dyn FnMut() -> bool) -> Option<Deadlocks> {
    if !has_meetings(workflow) {
        return Some(Deadlocks {
            verdict: DeadlockVerdict::Proved { states: 0 },
            findings: Vec::new(),
        });
    }
    let plan = plan::build(workflow).ok()?;
    let report = explore(&plan, budget);
    let teller = Teller { workflow, plan: &plan };
    let mut findings: Vec<Diagnostic> = report
        .deadlocks
        .iter()
        .map(|deadlock| teller.finding(deadlock))
        .collect();
    let verdict = if !findings.is_empty() {
        DeadlockVerdict::Deadlock {
            is_shortest: report.deadlocks.iter().all(|deadlock| deadlock.is_shortest),
        }
    } else if report.is_exhaustive {
        DeadlockVerdict::Proved { states: report.states }
    } else {
        DeadlockVerdict::NotExhaustive { states: report.states }
    };
    findings.retain(|finding| finding.severity == Severity::Error || !is_known(finding, known));
    Some(Deadlocks {
        verdict,
        findings: crate::diagnostic::in_order(findings),
    })
}

/// Whether anything but `after` can keep anybody: that alone cannot, since the rules refuse its cycles. Then no plan of
/// perhaps a million processes needs to be made.
fn has_meetings(workflow: &Workflow) -> bool {
    let w = workflow;
    let meets = w.queues.len() + w.pipes.len() + w.events.len() > 0;
    keeps_slots(workflow) || meets || w.locks.len() + w.semaphores.len() > 0
}

/// Whether a slot may be kept for ever, or never be lent. Who has one waits for nobody any more, and gives it back when he ends: only
/// those that have no end of their own keep it, and only a pool that waits itself may lend none.
fn keeps_slots(workflow: &Workflow) -> bool {
    let mut pools = workflow.pools.iter();
    let waits = pools.any(|pool| pool.body.run.is_none() && !pool.body.after.is_empty());
    let is_endless = |body: &Body| body.daemon || matches!(body.restart, Wish::When(_));
    let mut processes = workflow.processes.iter();
    waits || processes.any(|process| process.pool.is_some() && is_endless(&process.body))
}

/// Rules that find the simplest deadlocks from the graph alone.
const RULES_OF_WAITS: [Code; 6] = [
    codes::PIPE_TO_ITSELF,
    codes::READS_ITS_OWN,
    codes::WAITS_FOR_PEER,
    codes::RECEIVER_COMES_LATE,
    codes::SENDER_COMES_LATE,
    codes::EVENT_SET_TOO_LATE,
];

fn is_known(finding: &Diagnostic, known: &[Diagnostic]) -> bool {
    let mut told = known.iter().filter(|known| RULES_OF_WAITS.contains(&known.code));
    told.any(|known| finding.related.iter().any(|related| Some(related.place) == known.place))
}

/// Turns ids back into names and places.
struct Teller<'a> {
    workflow: &'a Workflow,
    plan: &'a Plan,
}

impl Teller<'_> {
    fn finding(&self, deadlock: &Deadlock) -> Diagnostic {
        let code = classify(deadlock);
        let mut places: Vec<Related> = (deadlock.steps.iter().zip(1..))
            .map(|(step, number)| related(self.place_of_step(*step), format!("{number}. {}", self.step(*step))))
            .collect();
        if let Some(more) = places.len().checked_sub(STEPS_MAX).filter(|more| *more > 0) {
            places.truncate(STEPS_MAX);
            if let Some(last) = places.last_mut() {
                last.message = format!("{}; and {more} more steps", last.message);
            }
        }
        let rest = deadlock.blocked.iter().take(STEPS_MAX);
        let first = deadlock.blocked.first().map(|blocked| self.place_of_obstacle(blocked));
        places.extend(rest.map(|blocked| related(self.place_of_obstacle(blocked), self.obstacle(blocked))));
        if let Some(kept) = kept(deadlock) {
            let keepers = kept.keepers.iter().take(STEPS_MAX);
            places.extend(keepers.map(|keeper| self.keeps(*keeper, kept.by)));
        }
        Diagnostic {
            code,
            severity: if deadlock.is_certain {
                Severity::Error
            } else {
                Severity::Warning
            },
            place: first,
            message: self.message(deadlock),
            help: Some(self.help(code, deadlock)),
            related: places,
        }
    }

    fn message(&self, deadlock: &Deadlock) -> String {
        if let Some(kept) = kept(deadlock) {
            let (who, keeper, wanted) = (self.name(kept.who), self.name(kept.keepers[0]), self.wanted(kept.by));
            return format!("`{who}` might wait for ever for {wanted}: `{keeper}` has it, and is a daemon");
        }
        let mut names: Vec<String> = Vec::new();
        for blocked in &deadlock.blocked {
            let name = format!("`{}`", self.name(blocked.who));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let can = if deadlock.is_certain { "can" } else { "might" };
        match names.as_slice() {
            [] => "a deadlock".to_owned(),
            [only] => format!("a deadlock: {only} {can} wait for itself for ever"),
            [first, second] => format!("a deadlock: {first} and {second} {can} wait for each other for ever"),
            [first, second, third] => {
                format!("a deadlock: {first}, {second} and {third} {can} wait for each other for ever")
            }
            [first, second, others @ ..] => {
                let others = others.len();
                format!("a deadlock: {first}, {second} and {others} more {can} wait for each other for ever")
            }
        }
    }

    fn help(&self, code: Code, deadlock: &Deadlock) -> String {
        let advice = if code == codes::LOCK_ORDER {
            "let all of them acquire these in the same order, or by `holds`, whose order is always the same"
        } else if code == codes::HOLD_AND_WAIT {
            "let go of what is held before waiting, or give enough for all who hold and wait at once"
        } else if code == codes::QUEUE_CYCLE {
            "make one of these queues unbounded (`capacity: 0`), or let the items go one way"
        } else if code == codes::LATE_PEER {
            "let them run at the same time: wait for `started`; or give the queue room for all: `capacity: 0`"
        } else if code == codes::EVENT_RING {
            "let somebody set the event who does not wait for its waiter"
        } else if code == codes::KEPT_BY_DAEMON {
            "have enough for all, or let the daemon run in no pool, and take by `acquires` what it needs now and then; allow this where the daemon ends by itself"
        } else {
            "take one of these waits away"
        };
        if deadlock.is_certain || code == codes::KEPT_BY_DAEMON {
            return advice.to_owned();
        }
        match self.assumed(deadlock) {
            Some(assumed) => format!("{advice}; {assumed}"),
            None => advice.to_owned(),
        }
    }

    /// What is taken for granted of the first process that could do otherwise, and how to say that it does.
    fn assumed(&self, deadlock: &Deadlock) -> Option<String> {
        let is_own =
            |blocked: &&Blocked| matches!(blocked.by, Obstacle::Room(_) | Obstacle::Item(_) | Obstacle::Event(_));
        let blocked = deadlock.blocked.iter().find(is_own).or_else(|| {
            let runs = |blocked: &&Blocked| !blocked.has_not_started;
            deadlock.blocked.iter().find(runs)
        })?;
        let name = self.name(blocked.who);
        Some(format!(
            "it is assumed that `{name}` may do what it has declared at any time, in any order and number: if it does not, say so by `protocol`"
        ))
    }

    fn step(&self, step: Happening) -> String {
        let who = format!("`{}`", self.name(step.who));
        match step.does {
            Does::Holds(hold) => format!("{who} is given {}", self.hold(hold)),
            Does::Acquires(hold) => format!("{who} acquires {}", self.hold(hold)),
            Does::Puts { channel, fills: true } => format!("{who} fills `{}`", self.channel(channel)),
            Does::Puts { channel, fills: false } => format!("{who} puts into `{}`", self.channel(channel)),
            Does::Gets(channel) => format!("{who} gets from `{}`", self.channel(channel)),
            Does::SeesEnd(channel) => format!("{who} sees the end of `{}`", self.channel(channel)),
            Does::PassesWait(event) => format!("{who} has waited for `{}`", self.event(event)),
            Does::Sets(event) => format!("{who} sets `{}`", self.event(event)),
            Does::BeginsRound => format!("{who} begins a round of `repeat`"),
            Does::LeavesRound => format!("{who} leaves `repeat`"),
            Does::Answers => format!("{who} has done its task"),
            Does::Ends => format!("{who} ends well"),
            Does::Fails => format!("{who} fails"),
            Does::TakesTask(queue) => format!("{who} takes from `{}`", self.plan.queues[queue.index()].name),
            Does::PutsResult(queue) => format!("{who} puts a result into `{}`", self.plan.queues[queue.index()].name),
            Does::GivesUp(wait) => format!("{who} has waited for `{}` too long", self.dependency(wait.on)),
        }
    }

    fn obstacle(&self, blocked: &Blocked) -> String {
        let who = format!("`{}`", self.name(blocked.who));
        let helpers = self.helpers(blocked);
        let wanted = self.wanted(blocked.by);
        let keeper = blocked.keepers.first();
        match blocked.by {
            Obstacle::Hold { .. } | Obstacle::Slot(_) => {
                let holder = keeper.map_or(helpers, |keeper| format!("`{}`", self.name(*keeper)));
                format!("{who} waits for {wanted}, which {holder} has")
            }
            Obstacle::Room(_) => format!("{who} waits for {wanted}, from which only {helpers} can get"),
            Obstacle::Item(_) => format!("{who} waits for {wanted}, into which only {helpers} can put"),
            Obstacle::Event(_) => match helpers.as_str() {
                "" => format!("{who} waits for {wanted}, and nobody is left to set it"),
                helpers => format!("{who} waits for {wanted}, which only {helpers} can set"),
            },
            Obstacle::After(wait) => format!("{who} starts only when {wanted} is `{}`", condition_word(wait.is)),
            Obstacle::Work(_) => format!("{who} waits for {helpers}"),
        }
    }

    fn keeps(&self, keeper: Party, wanted: Obstacle) -> Related {
        let place = match wanted {
            Obstacle::Slot(_) => self.touch(keeper, &|role| role == Role::InPool, ""),
            Obstacle::Hold { hold, .. } => {
                self.touch(keeper, &|role| role == Role::Holds, self.resource(hold.resource))
            }
            Obstacle::Room(_) | Obstacle::Item(_) | Obstacle::Event(_) | Obstacle::After(_) | Obstacle::Work(_) => {
                self.declared(keeper)
            }
        };
        let message = format!("`{}`, a daemon, keeps it as long as it runs", self.name(keeper));
        related(place, message)
    }

    fn wanted(&self, by: Obstacle) -> String {
        match by {
            Obstacle::Hold { hold, .. } => self.hold(hold),
            Obstacle::Room(channel) => format!("room in `{}`", self.channel(channel)),
            Obstacle::Item(channel) => format!("an item of `{}`", self.channel(channel)),
            Obstacle::Event(event) => format!("`{}`", self.event(event)),
            Obstacle::After(wait) => format!("`{}`", self.dependency(wait.on)),
            Obstacle::Slot(pool) => format!("a slot of `{}`", self.name(Party::Pool(pool))),
            Obstacle::Work(pool) => format!("`{}`", self.name(Party::Pool(pool))),
        }
    }

    fn helpers(&self, blocked: &Blocked) -> String {
        let mut names: Vec<String> = blocked
            .helpers
            .iter()
            .map(|helper| format!("`{}`", self.name(*helper)))
            .collect();
        names.dedup();
        match names.split_last() {
            None => String::new(),
            Some((only, [])) => only.clone(),
            Some((last, others)) if others.len() < 3 => format!("{} or {last}", others.join(", ")),
            Some((_, others)) => format!("{} or one of {} more", others[0], others.len()),
        }
    }

    fn name(&self, party: Party) -> &str {
        match party {
            Party::Process(process) => &self.plan.processes[process.index()].name,
            Party::Pool(pool) => &self.plan.pools[pool.index()].name,
        }
    }

    fn resource(&self, resource: Resource) -> &str {
        match resource {
            Resource::Lock(lock) => &self.plan.locks[lock.index()].name,
            Resource::Semaphore(semaphore) => &self.plan.semaphores[semaphore.index()].name,
        }
    }

    fn hold(&self, hold: Hold) -> String {
        let name = self.resource(hold.resource);
        match (hold.resource, hold.permits) {
            (Resource::Lock(_), _) => format!("`{name}`"),
            (Resource::Semaphore(_), 1) => format!("a permit of `{name}`"),
            (Resource::Semaphore(_), permits) => format!("{permits} permits of `{name}`"),
        }
    }

    fn channel(&self, channel: Channel) -> &str {
        match channel {
            Channel::Queue(queue) => &self.plan.queues[queue.index()].name,
            Channel::Pipe(pipe, _) => &self.plan.pipes[pipe.index()].name,
        }
    }

    fn event(&self, event: EventId) -> &str {
        &self.plan.events[event.index()].name
    }

    fn dependency(&self, on: Dependency) -> &str {
        match on {
            Dependency::Process(process) => self.name(Party::Process(process)),
            Dependency::Pool(pool) => self.name(Party::Pool(pool)),
            Dependency::Event(event) => self.event(event),
            Dependency::Queue(queue) => &self.plan.queues[queue.index()].name,
        }
    }

    fn place_of_step(&self, step: Happening) -> Span {
        let find = |roles: &dyn Fn(Role) -> bool, name: &str| self.touch(step.who, roles, name);
        match step.does {
            Does::Holds(hold) => find(&|role| role == Role::Holds, self.resource(hold.resource)),
            Does::Acquires(hold) => find(&|role| role == Role::Acquires, self.resource(hold.resource)),
            Does::Puts { channel, .. } => self.place_of_channel(step.who, channel, true),
            Does::Gets(channel) | Does::SeesEnd(channel) => self.place_of_channel(step.who, channel, false),
            Does::PassesWait(event) => find(&|role| role == Role::Waits, self.event(event)),
            Does::Sets(event) => find(&|role| role == Role::Sets, self.event(event)),
            Does::TakesTask(queue) => self.place_of_channel(step.who, Channel::Queue(queue), false),
            Does::PutsResult(queue) => self.place_of_channel(step.who, Channel::Queue(queue), true),
            Does::GivesUp(wait) => find(&|role| role == Role::After, self.dependency(wait.on)),
            Does::BeginsRound | Does::LeavesRound | Does::Answers | Does::Ends | Does::Fails => self.declared(step.who),
        }
    }

    fn place_of_obstacle(&self, blocked: &Blocked) -> Span {
        let who = blocked.who;
        match blocked.by {
            Obstacle::Hold { hold, lent } => {
                let role = if lent { Role::Holds } else { Role::Acquires };
                self.touch(who, &|it| it == role, self.resource(hold.resource))
            }
            Obstacle::Room(channel) => self.place_of_channel(who, channel, true),
            Obstacle::Item(channel) => self.place_of_channel(who, channel, false),
            Obstacle::Event(event) => self.touch(who, &|role| role == Role::Waits, self.event(event)),
            Obstacle::After(wait) => self.place_of_wait(who, wait),
            Obstacle::Slot(_) => self.touch(who, &|role| role == Role::InPool, ""),
            Obstacle::Work(pool) => self.declared(Party::Pool(pool)),
        }
    }

    fn place_of_wait(&self, who: Party, wait: Wait) -> Span {
        self.touch(who, &|role| role == Role::After, self.dependency(wait.on))
    }

    fn place_of_channel(&self, who: Party, channel: Channel, puts: bool) -> Span {
        let name = match channel {
            Channel::Queue(_) | Channel::Pipe(_, Side::Left | Side::Right) => self.channel(channel),
        };
        let writes = |role: Role| matches!(role, Role::Stdout | Role::Stderr | Role::Send(_) | Role::Sends);
        let reads = |role: Role| matches!(role, Role::Stdin | Role::TaskSource | Role::Receive(_) | Role::Receives);
        let both = |role: Role| matches!(role, Role::End(_) | Role::Connects);
        self.touch(
            who,
            &|role| both(role) || if puts { writes(role) } else { reads(role) },
            name,
        )
    }

    /// Where `who` names this in one of these roles; an empty name is any.
    fn touch(&self, who: Party, roles: &dyn Fn(Role) -> bool, name: &str) -> Span {
        let named = |touch: &Touch| {
            let written = touch.on.name.as_str();
            let base = written.split('.').next().unwrap_or(written);
            name.is_empty() || written == name || base == name || Some(base) == name.split('.').next()
        };
        let found = self.touches(who);
        let mut fitting = found.iter().filter(|touch| roles(touch.role));
        fitting
            .find(|touch| named(touch))
            .map_or_else(|| self.declared(who), |touch| touch.on.place)
    }

    fn touches(&self, who: Party) -> Vec<Touch<'_>> {
        match self.spec_of(who) {
            Spec::Process(at) => touches_of_process(&self.workflow.processes[at]),
            Spec::Pool(at) => touches(&self.workflow.pools[at].body, Role::TaskSource),
        }
    }

    fn declared(&self, who: Party) -> Span {
        match self.spec_of(who) {
            Spec::Process(at) => self.workflow.processes[at].declared.place,
            Spec::Pool(at) => self.workflow.pools[at].declared.place,
        }
    }

    /// Workers are planned behind all processes of the file.
    fn spec_of(&self, who: Party) -> Spec {
        match who {
            Party::Pool(PoolId(pool)) => Spec::Pool(pool as usize),
            Party::Process(process @ ProcessId(_)) => match self.plan.processes[process.index()].worker_of {
                Some(pool) => Spec::Pool(pool.index()),
                None => Spec::Process(process.index()),
            },
        }
    }
}

/// Who waits for what a daemon keeps.
fn kept(deadlock: &Deadlock) -> Option<&Blocked> {
    let mut blocked = deadlock.blocked.iter();
    blocked.find(|blocked| !blocked.keepers.is_empty())
}

/// Where a party stands in the workflow.
enum Spec {
    Process(usize),
    Pool(usize),
}

/// What kind of deadlock it is, by what those wait for who are in it.
fn classify(deadlock: &Deadlock) -> Code {
    if kept(deadlock).is_some() {
        return codes::KEPT_BY_DAEMON;
    }
    let blocked = &deadlock.blocked;
    let any = |is: &dyn Fn(&Obstacle) -> bool| blocked.iter().any(|blocked| is(&blocked.by));
    let lends = any(&|by| matches!(by, Obstacle::Hold { .. } | Obstacle::Slot(_)));
    let locks_alone = blocked.iter().all(
        |blocked| matches!(&blocked.by, Obstacle::Hold { hold, .. } if matches!(hold.resource, Resource::Lock(_))),
    );
    let moves = any(&|by| matches!(by, Obstacle::Room(_) | Obstacle::Item(_)));
    let starts = any(&|by| matches!(by, Obstacle::After(_)));
    let hears = any(&|by| matches!(by, Obstacle::Event(_)));
    if locks_alone {
        codes::LOCK_ORDER
    } else if lends {
        codes::HOLD_AND_WAIT
    } else if moves && starts {
        codes::LATE_PEER
    } else if moves && !hears {
        codes::QUEUE_CYCLE
    } else if hears && starts {
        codes::EVENT_RING
    } else {
        codes::OTHER_DEADLOCK
    }
}
