//! An answer in sentences, one for each of whom it tells.

use forkyard_core::machine::{Outcome, Why};
use forkyard_core::time::Time;
use forkyard_driver::why::{Answer, Cause, Kind, Node, State, Wait};

use crate::duration;
use crate::report::{exited, list};

/// So many are told of one by one, then their number.
const TOLD_MAX: usize = 20;

/// One sentence for each, the one who was asked about first.
pub(super) fn sentences(answer: &Answer) -> Vec<String> {
    let teller = Teller { answer };
    let nodes = answer.nodes.iter().take(TOLD_MAX);
    let mut sentences: Vec<String> = nodes.map(|node| teller.sentence(node)).collect();
    if answer.nodes.len() > TOLD_MAX {
        sentences.push(format!(
            "… and {} more; --format json has them",
            answer.nodes.len() - TOLD_MAX
        ));
    }
    sentences
}

struct Teller<'a> {
    answer: &'a Answer,
}

impl Teller<'_> {
    fn sentence(&self, node: &Node) -> String {
        let name = format!("`{}`", node.name);
        match node.kind {
            Kind::Process | Kind::Worker | Kind::Pool => format!("{name} {}", self.party(node)),
            Kind::Lock => self.lock(node, &format!("the lock {name}")),
            Kind::Semaphore => self.semaphore(node, &format!("the semaphore {name}")),
            Kind::Event => event(node, &format!("the event {name}")),
            Kind::Queue => queue(node, &format!("the queue {name}")),
        }
    }

    fn party(&self, node: &Node) -> String {
        match node.state {
            State::Pending | State::Queued | State::Acquiring => self.waits(node),
            State::Idle => "has no task".to_owned(),
            State::Starting => "is being started".to_owned(),
            State::Running if node.kind == Kind::Pool => self.pool(node),
            State::Running => {
                let runs = self.runs(node);
                if node.waits.is_empty() {
                    runs
                } else {
                    format!("{runs}, and {}", self.waits(node))
                }
            }
            State::Stopping => format!("is being stopped{}", stopped(node)),
            State::Leaving => "has ended; others of its processes, or some of its output, are left".to_owned(),
            State::Settling => {
                "has ended, since who read its output had; whether that is a success depends on them".to_owned()
            }
            State::Ended => self.ended(node),
            State::NotStarted => format!(
                "could not be started: {}",
                node.reason.as_deref().unwrap_or("for no known reason")
            ),
            State::Skipped => skipped(node),
            State::Free | State::Held | State::Set | State::Clear | State::Open | State::Unknown => self.unknown(node),
        }
    }

    fn runs(&self, node: &Node) -> String {
        let pid = node.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let since = self
            .since(node.since)
            .map_or_else(String::new, |time| format!(", for {time} now"));
        format!("runs{pid}{since}")
    }

    fn since(&self, since: Option<Time>) -> Option<String> {
        Some(duration::human(self.answer.at?.since(since?)))
    }

    fn pool(&self, node: &Node) -> String {
        let busy = if node.holders.is_empty() {
            "none of its processes runs".to_owned()
        } else {
            format!(
                "of its processes, {} {}",
                quoted(&node.holders, "and"),
                verb(&node.holders, "runs", "run")
            )
        };
        let waits: Vec<&Wait> = node.waits.iter().filter(|wait| wait.r#for != "worker").collect();
        if waits.is_empty() {
            format!("goes on: {busy}")
        } else {
            format!("goes on, and {}: {busy}", self.waits_for(&waits))
        }
    }

    fn waits(&self, node: &Node) -> String {
        self.waits_for(&node.waits.iter().collect::<Vec<_>>())
    }

    fn waits_for(&self, waits: &[&Wait]) -> String {
        let waits: Vec<String> = waits.iter().map(|wait| self.wait(wait)).collect();
        if waits.is_empty() {
            "is about to go on".to_owned()
        } else {
            format!("waits for {}", waits.join(", and for "))
        }
    }

    fn wait(&self, wait: &Wait) -> String {
        let name = format!("`{}`", wait.name);
        let have = |one, many| verb(&wait.from, one, many);
        let from = || self.with_pids(&wait.from, "and");
        let what = match wait.r#for.as_str() {
            "condition" => condition(wait, &name),
            "slot" if wait.from.is_empty() => format!("a slot of {name}"),
            "slot" => format!("a slot of {name}, after {}", from()),
            kind @ ("lock" | "semaphore") => {
                let what = if kind == "lock" {
                    "the lock"
                } else {
                    "permits of the semaphore"
                };
                if wait.from.is_empty() {
                    format!("{what} {name}")
                } else {
                    format!("{what} {name}, held by {}", from())
                }
            }
            "room" => format!(
                "room in the queue {name}, from which {} {}",
                from(),
                have("gets", "get")
            ),
            "item" => format!(
                "an item of the queue {name}, into which {} {}",
                from(),
                have("puts", "put")
            ),
            "event" if wait.from.is_empty() => format!("the event {name}, which nobody is left to set"),
            "event" => format!("the event {name}, which {} may set", self.with_pids(&wait.from, "or")),
            "pipe" => format!("{} at the pipe {name}", from()),
            "task" => format!("a task of the pool {name}"),
            other => format!("{other} {name}"),
        };
        let ahead = match wait.ahead {
            Some(0) | None => String::new(),
            Some(1) => ", and one stands in line before it".to_owned(),
            Some(ahead) => format!(", and {ahead} stand in line before it"),
        };
        let timeout = wait.timeout.map_or_else(String::new, |time| {
            format!(" (until {} after the start of the run)", duration::human(time))
        });
        format!("{what}{ahead}{timeout}")
    }

    /// Names, each with its pid where that is known.
    fn with_pids(&self, names: &[String], conjunction: &str) -> String {
        let with_pid = |name: &String| {
            let node = self.answer.nodes.iter().find(|node| node.name == *name);
            match node.and_then(|node| node.pid) {
                Some(pid) => format!("`{name}` (pid {pid})"),
                None => format!("`{name}`"),
            }
        };
        list(names.iter().map(with_pid).collect(), conjunction)
    }

    fn ended(&self, node: &Node) -> String {
        let Some(end) = node.end else {
            return match (node.kind, &node.because) {
                (Kind::Pool, _) => with_reason("has ended", node),
                (_, Some(_)) => skipped(node),
                (_, None) => "has ended".to_owned(),
            };
        };
        let how = exited(end.exit, end.lasted, end.outcome);
        let told = match end.outcome {
            Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored => format!("succeeded: {how}"),
            Outcome::Failed => with_reason(&format!("failed: {how}"), node),
            Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive => with_reason(&how, node),
            Outcome::Restarts => format!("is to be started again: {how}"),
            Outcome::Stopped => format!("{how}{}", stopped(node)),
        };
        if node.waits.is_empty() {
            told
        } else {
            format!(
                "{told}; before that it was part of a deadlock: it waited for {}",
                self.waits(node).trim_start_matches("waits for ")
            )
        }
    }

    /// Of a run that is over.
    fn unknown(&self, node: &Node) -> String {
        match (node.waits.is_empty(), node.pid) {
            (false, _) => format!("{} when the run ended", self.waits(node)),
            (true, Some(pid)) => format!("ran (pid {pid}) when the records ended"),
            (true, None) => "has left no word of how it ended".to_owned(),
        }
    }

    fn lock(&self, node: &Node, name: &str) -> String {
        let holder = if node.holders.is_empty() {
            format!("{name} is free")
        } else {
            format!("{name} is held by {}", self.with_pids(&node.holders, "and"))
        };
        format!("{holder}{}", waited_for(node))
    }

    fn semaphore(&self, node: &Node, name: &str) -> String {
        let free = node.left.unwrap_or_default();
        let holders = if node.holders.is_empty() {
            String::new()
        } else {
            format!("; permits are held by {}", self.with_pids(&node.holders, "and"))
        };
        let is = if free == 1 { "permit is" } else { "permits are" };
        format!("of {name}, {free} {is} free{holders}{}", waited_for(node))
    }
}

fn event(node: &Node, name: &str) -> String {
    let state = match (node.state == State::Set, node.holders.is_empty()) {
        (true, _) => format!("{name} is set"),
        (false, true) => format!("{name} is not set, and nobody is left to set it"),
        (false, false) => format!("{name} is not set; {} may set it", quoted(&node.holders, "or")),
    };
    format!("{state}{}", waited_for(node))
}

fn queue(node: &Node, name: &str) -> String {
    let items = match node.left.unwrap_or_default() {
        0 => "is empty".to_owned(),
        1 => "has 1 item".to_owned(),
        many => format!("has {many} items"),
    };
    let senders = match (node.state == State::Ended, node.holders.is_empty()) {
        (true, _) => " and has ended".to_owned(),
        (false, true) => "; all that put into it have ended".to_owned(),
        (false, false) => format!("; {} may still put", quoted(&node.holders, "and")),
    };
    format!("{name} {items}{senders}{}", waited_for(node))
}

fn waited_for(node: &Node) -> String {
    if node.waiting.is_empty() {
        String::new()
    } else {
        format!(
            "; {} {} for it",
            quoted(&node.waiting, "and"),
            verb(&node.waiting, "waits", "wait")
        )
    }
}

fn condition(wait: &Wait, name: &str) -> String {
    match wait.is.as_deref() {
        Some("started") => format!("{name} to start"),
        Some("ready") => format!("{name} to become ready"),
        Some("succeeded") => format!("{name} to succeed"),
        Some("failed") => format!("{name} to fail"),
        Some("finished") => format!("{name} to end"),
        Some("drained") => format!("the queue {name} to be drained"),
        Some("set") => format!("the event {name}"),
        Some(_) | None => name.to_owned(),
    }
}

fn skipped(node: &Node) -> String {
    let why = match &node.because {
        None => return "was skipped".to_owned(),
        Some(Cause::RunStops) => "the run was stopped".to_owned(),
        Some(Cause::NotNeeded) => "nobody needed it any more".to_owned(),
        Some(Cause::WaitedTooLong { name }) => format!("it waited too long for `{name}`"),
        Some(Cause::Of { name, is }) => match is.as_deref() {
            None => return format!("was skipped because of `{name}`"),
            Some("started") => format!("`{name}` was not started"),
            Some("ready") => format!("`{name}` did not become ready"),
            Some("failed") => format!("`{name}` did not fail"),
            Some("finished") => format!("`{name}` did not run"),
            Some("set") => format!("nobody is left to set `{name}`"),
            Some("drained") => format!("`{name}` was not drained"),
            Some(_) => format!("`{name}` did not succeed"),
        },
    };
    format!("was skipped, since {why}")
}

fn stopped(node: &Node) -> String {
    match node.stopped {
        Some(Why::Timeout) => ", since its timeout is over".to_owned(),
        Some(Why::RunStops) => ", since the run stops".to_owned(),
        Some(Why::NotNeeded) => ", since nobody needs it any more".to_owned(),
        Some(Why::NotReady) => ", since it is not ready in time".to_owned(),
        Some(Why::NotLive) => ", since it is not alive".to_owned(),
        Some(Why::Group) => ", since its group is started again".to_owned(),
        None => String::new(),
    }
}

fn with_reason(told: &str, node: &Node) -> String {
    match &node.reason {
        Some(reason) => format!("{told}: {reason}"),
        None => told.to_owned(),
    }
}

fn quoted(names: &[String], conjunction: &str) -> String {
    list(names.iter().map(|name| format!("`{name}`")).collect(), conjunction)
}

fn verb<'a>(names: &[String], one: &'a str, many: &'a str) -> &'a str {
    if names.len() == 1 { one } else { many }
}
