//! Random histories: thousands of small worlds, each from one seed, every action late.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::plans;
use super::world::{Random, World};
use crate::machine::{Action, Input, Machine, Outbox};
use crate::plan::Plan;
use crate::time::Time;

/// How many histories one run of the tests drives; `FORKYARD_HISTORIES` asks for another number at build time.
const HISTORIES: u64 = match option_env!("FORKYARD_HISTORIES") {
    Some(text) => parse(text),
    None => 10_000,
};

/// More steps than any history here needs: one that takes so many will not end.
const STEPS_MAX: usize = 100_000;

/// What lives may choose to do nothing so often in a row; if nothing happens even so, nothing will.
const IDLE_MAX: usize = 500;

const fn parse(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut number, mut index) = (0, 0);
    while index < bytes.len() {
        assert!(bytes[index].is_ascii_digit(), "FORKYARD_HISTORIES must be a number");
        number = number * 10 + (bytes[index] - b'0') as u64;
        index += 1;
    }
    number
}

/// A state of a process and an input that arrived in it.
type Meetings = BTreeSet<(String, String)>;

/// For every input about a process, the states in which it can arrive. The rest is impossible, since the driver
/// answers each action once and in order; where a life is over before the answer to it has come, the answer is
/// late, and must fall.
const POSSIBLE: [(&str, &str); 11] = [
    // Late: its run stopped, or its pool closed, while the hold was being asked for.
    ("Acquired", "Acquiring Pending Ended Backoff"),
    ("Spawned", "Starting"),
    ("NotSpawned", "Starting"),
    ("Exited", "Running Ready Stopping"),
    ("Gone", "Leaving"),
    // Its output is taken in until its end, which may be after its exit.
    ("Answered", "Running Stopping Leaving"),
    // Late: the worker ended before it could be given the task.
    ("Unfit", "Running Stopping Leaving"),
    // Who looks at a process does so until it has gone.
    ("Ready", "Running Ready Stopping Leaving"),
    ("NotReady", "Running Ready Stopping Leaving"),
    ("Extend", "Running Ready Stopping Leaving"),
    ("NotLive", "Running Ready Stopping Leaving"),
];

/// The same for what is possible, but so rare that ten thousand histories need not have it: a hold is granted that was
/// asked for before the whole group was restarted, and tells of it only during the restart.
const RARE: [(&str, &str); 1] = [("Acquired", "Regrouping Queued Starting Running Ready Stopping Leaving")];

fn meetings(table: &[(&str, &str)]) -> Meetings {
    let pairs = table.iter().flat_map(|(input, states)| {
        let states = states.split_whitespace();
        states.map(|state| (state.to_owned(), (*input).to_owned()))
    });
    pairs.collect()
}

/// The state that the process which this input is about is in.
fn meeting(machine: &Machine, input: Input) -> Option<(String, String)> {
    let process = match input {
        Input::Acquired { process, .. }
        | Input::Spawned { process, .. }
        | Input::NotSpawned { process, .. }
        | Input::Exited { process, .. }
        | Input::Gone { process, .. }
        | Input::Answered { process, .. }
        | Input::Unfit { process, .. }
        | Input::Ready { process, .. }
        | Input::NotReady { process, .. }
        | Input::Extend { process, .. }
        | Input::NotLive { process, .. } => process,
        Input::Start
        | Input::Seed { .. }
        | Input::EventSet { .. }
        | Input::QueueDrained { .. }
        | Input::QueueLeft { .. }
        | Input::Taken { .. }
        | Input::SourceEnded { .. }
        | Input::SourceFailed { .. }
        | Input::Delivered { .. }
        | Input::Wake
        | Input::Interrupt { .. }
        | Input::Fault
        | Input::Deadlocked => return None,
    };
    let first_word = |shown: String| shown.split([' ', '(']).next().unwrap_or_default().to_owned();
    Some((
        first_word(format!("{:?}", machine.process(process).state)),
        first_word(format!("{input:?}")),
    ))
}

/// Plays one history to its end and returns what was put in and what came out.
fn play(plan: &Arc<Plan>, random: &mut Random, met: &mut Meetings) -> Vec<(Time, Input, Outbox)> {
    let mut machine = Machine::new(Arc::clone(plan));
    let mut world = World::new(plan, random);
    let mut todo: VecDeque<Action> = VecDeque::new();
    let mut story = Vec::new();
    let mut now = Time::START;
    let mut idle = 0;
    for _ in 0..STEPS_MAX {
        if world.verdict.is_some() {
            return story;
        }
        if world.one_in(400) {
            let input = if world.one_in(4) {
                Input::Fault
            } else {
                Input::Interrupt { signal: 2 }
            };
            world.inbox.push_back(input);
        }
        match world.choose(4) {
            0 | 1 if !world.inbox.is_empty() => {
                now.0 += 1_000;
                let input = world.inbox.pop_front().expect("it is not empty");
                met.extend(meeting(&machine, input));
                let mut out = Outbox::default();
                machine.step(now, input, &mut out);
                todo.extend(&out.actions);
                story.push((now, input, out));
            }
            2 if !todo.is_empty() => world.act(todo.pop_front().expect("it is not empty")),
            3 if world.one_in(10) && world.wake_at.is_some() => now = world.wake(now),
            _ if world.happen() => {}
            _ if world.inbox.is_empty() && todo.is_empty() => {
                idle += 1;
                if world.wake_at.is_none() && idle < IDLE_MAX {
                    continue;
                }
                assert!(
                    world.wake_at.is_some(),
                    "nothing moves, and no timer is set: the run hangs\n{machine:#?}"
                );
                now = world.wake(now);
            }
            _ => continue,
        }
        idle = 0;
    }
    panic!(
        "the history does not end: {:?}",
        story.iter().rev().take(20).collect::<Vec<_>>()
    );
}

#[test]
fn p9_no_random_history_breaks_an_invariant_and_each_one_ends_and_replays() {
    let mut verdicts = std::collections::BTreeMap::new();
    let mut met = Meetings::new();
    let mut steps = 0;
    for seed in 0..HISTORIES {
        let mut random = Random::new(seed);
        let plan = Arc::new(plans::random(&mut random));
        let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&plan, &mut random, &mut met)))
            .unwrap_or_else(|_| panic!("the history of seed {seed} failed, see above"));
        let mut again = Machine::new(Arc::clone(&plan));
        for (now, input, told) in &story {
            let mut out = Outbox::default();
            again.step(*now, *input, &mut out);
            assert_eq!(&out, told, "seed {seed} does not replay");
        }
        steps += story.len();
        let end = story
            .iter()
            .flat_map(|(_, _, out)| &out.actions)
            .find_map(|action| match action {
                Action::End { verdict } => Some(format!("{verdict:?}")),
                _ => None,
            });
        *verdicts.entry(end).or_insert(0_u64) += 1;
    }
    println!("{HISTORIES} histories, {steps} steps: {verdicts:?}");
    let frequent: Meetings = met.difference(&meetings(&RARE)).cloned().collect();
    assert_eq!(frequent, meetings(&POSSIBLE), "the states in which inputs arrive");
    assert!(verdicts.len() > 3, "the histories are too much alike: {verdicts:?}");
}
