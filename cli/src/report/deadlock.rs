//! A deadlock, in words.

use forkyard_core::plan::{Condition, Dependency, Hold, Party, Plan, Resource, Wait};
use forkyard_driver::deadlock::{Awaited, Deadlock, Stuck, What};
use forkyard_driver::records::{dependency_name, party_name, resource_name};

/// So many are told one by one, then their number.
const TOLD_MAX: usize = 12;

/// So many names stand in one list, then their number.
const NAMES_MAX: usize = 5;

/// `deadlock: a holds left and waits for right, which b holds; b …`, with the names in backticks.
pub fn in_words(deadlock: &Deadlock, plan: &Plan) -> String {
    let parties = &deadlock.parties;
    let mut clauses: Vec<String> = parties.iter().take(TOLD_MAX).map(|stuck| clause(stuck, plan)).collect();
    if parties.len() > TOLD_MAX {
        clauses.push(format!("and so on, {} in all", parties.len()));
    }
    format!("deadlock: {}", clauses.join("; "))
}

fn clause(stuck: &Stuck, plan: &Plan) -> String {
    let who = quoted(party_name(plan, stuck.who));
    let mut holds: Vec<String> = stuck.holds.iter().map(|hold| held(*hold, plan)).collect();
    holds.extend(
        stuck
            .slot
            .map(|pool| format!("a slot of {}", quoted(&plan.pools[pool.index()].name))),
    );
    let mut waits: Vec<String> = Vec::new();
    for awaited in &stuck.waits {
        let wait = wait(awaited, plan);
        if !waits.contains(&wait) {
            waits.push(wait);
        }
    }
    let waits = format!("waits for {}", waits.join(", and for "));
    if holds.is_empty() {
        format!("{who} {waits}")
    } else {
        format!("{who} holds {} and {waits}", list(holds, "and"))
    }
}

fn held(Hold { resource, permits }: Hold, plan: &Plan) -> String {
    let name = quoted(resource_name(plan, resource));
    match (resource, permits) {
        (Resource::Lock(_), _) => name,
        (Resource::Semaphore(_), 1) => format!("a permit of {name}"),
        (Resource::Semaphore(_), permits) => format!("{permits} permits of {name}"),
    }
}

/// What follows `waits for`.
fn wait(Awaited { what, from }: &Awaited, plan: &Plan) -> String {
    let (one, many) = (from.len() == 1, from.len() > 1);
    let who = |conjunction| names(from, plan, conjunction);
    match *what {
        What::Condition(wait) => condition(wait, plan),
        What::Slot(pool) => {
            let verb = if one { "has" } else { "have" };
            format!(
                "a slot of {}, which {} {verb}",
                quoted(&plan.pools[pool.index()].name),
                who("and")
            )
        }
        What::Held(resource) => {
            let verb = if one { "holds" } else { "hold" };
            let name = quoted(resource_name(plan, resource));
            match resource {
                Resource::Lock(_) => format!("{name}, which {} {verb}", who("and")),
                Resource::Semaphore(_) => format!("a permit of {name}, which {} {verb}", who("and")),
            }
        }
        What::Room(queue) => {
            let name = quoted(&plan.queues[queue.index()].name);
            format!(
                "room in {name}, from which only {} {}",
                who("and"),
                if many { "get" } else { "gets" }
            )
        }
        What::Item(queue) => {
            let name = quoted(&plan.queues[queue.index()].name);
            format!("an item of {name}, which only {} could bring", who("or"))
        }
        What::Event(event) => {
            let name = quoted(&plan.events[event.index()].name);
            match from[..] {
                [] => format!("the event {name}, which nobody is left to set"),
                _ => format!("the event {name}, which only {} could set", who("or")),
            }
        }
        What::Pipe(pipe) => format!("{} at the pipe {}", who("or"), quoted(&plan.pipes[pipe.index()].name)),
        What::Task(pool) => format!("a task of {}", quoted(&plan.pools[pool.index()].name)),
        What::Worker(_) => format!("{} to get on", who("and")),
    }
}

/// `build` to succeed.
pub fn condition(wait: Wait, plan: &Plan) -> String {
    let name = quoted(dependency_name(plan, wait.on));
    let whom = match wait.on {
        Dependency::Process(_) => name,
        Dependency::Pool(_) => format!("the pool {name}"),
        Dependency::Event(_) => format!("the event {name}"),
        Dependency::Queue(_) => format!("the queue {name}"),
    };
    match wait.is {
        Condition::Started => format!("{whom} to start"),
        Condition::Ready => format!("{whom} to become ready"),
        Condition::Succeeded => format!("{whom} to succeed"),
        Condition::Failed => format!("{whom} to fail"),
        Condition::Finished => format!("{whom} to end"),
        Condition::Set => whom,
        Condition::Drained => format!("{whom} to be drained"),
    }
}

fn names(parties: &[Party], plan: &Plan, conjunction: &str) -> String {
    let names = parties.iter().map(|party| quoted(party_name(plan, *party)));
    list(names.collect(), conjunction)
}

/// `a`, `a and b`, `a, b and c`, and no more than there is room for.
pub fn list(mut words: Vec<String>, conjunction: &str) -> String {
    if words.len() > NAMES_MAX + 1 {
        let more = words.len() - NAMES_MAX;
        words.truncate(NAMES_MAX);
        words.push(format!("{more} more"));
    }
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_longer_than_anybody_reads() {
        let words = |count: usize| (0..count).map(|number| number.to_string()).collect();
        assert_eq!(list(words(1), "and"), "0");
        assert_eq!(list(words(3), "or"), "0, 1 or 2");
        assert_eq!(list(words(6), "and"), "0, 1, 2, 3, 4 and 5");
        assert_eq!(list(words(9), "and"), "0, 1, 2, 3, 4 and 4 more");
    }
}
