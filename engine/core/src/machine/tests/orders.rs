//! What arrives in one instant, in all its orders: the exit of a process, its timeout, a stop, and the end of the run.

use std::collections::BTreeMap;

use super::*;
use crate::plan::{Policy, Restart};

/// What may come in the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    /// The process exits.
    Exited,
    /// Nothing is left of it.
    Gone,
    /// Its timeout.
    Wake,
    /// Somebody asks the run to stop.
    Interrupt,
    /// The only other process exits, and nothing is left of that: for a daemon, the end of the run.
    OtherExited,
    OtherGone,
}

const ALL: [Arrival; 6] = [
    Arrival::Exited,
    Arrival::Gone,
    Arrival::Wake,
    Arrival::Interrupt,
    Arrival::OtherExited,
    Arrival::OtherGone,
];

/// The instant.
const AT: Duration = Duration::from_secs(1);

/// Each kind of process for which these mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Restarted,
    Daemon,
}

fn world(kind: Kind) -> Plan {
    let mut process = process("a");
    process.timeout = Some(AT);
    process.daemon = kind == Kind::Daemon;
    if kind == Kind::Restarted {
        process.restart = Some(Restart::under(Policy::OnFailure));
    }
    plan(vec![process, super::plans::process("b")])
}

/// All orders of these, in which each comes after what it follows.
fn orders() -> Vec<Vec<Arrival>> {
    fn go_on(begun: &mut Vec<Arrival>, found: &mut Vec<Vec<Arrival>>) {
        if begun.len() == ALL.len() {
            found.push(begun.clone());
        }
        for next in ALL {
            let follows = match next {
                Arrival::Gone => begun.contains(&Arrival::Exited),
                Arrival::OtherGone => begun.contains(&Arrival::OtherExited),
                Arrival::Exited | Arrival::Wake | Arrival::Interrupt | Arrival::OtherExited => true,
            };
            if follows && !begun.contains(&next) {
                begun.push(next);
                go_on(begun, found);
                begun.pop();
            }
        }
    }
    let mut found = Vec::new();
    go_on(&mut Vec::new(), &mut found);
    found
}

/// All that came out of one order, up to the end of the run.
struct Story {
    records: Vec<Record>,
    verdicts: Vec<Verdict>,
}

fn input(arrival: Arrival, exit: Exit) -> Input {
    let exited = |process, exit| Input::Exited {
        process: ProcessId(process),
        attempt: 1,
        exit,
        left: false,
    };
    let gone = |process| Input::Gone {
        process: ProcessId(process),
        attempt: 1,
    };
    match arrival {
        Arrival::Exited => exited(0, exit),
        Arrival::Gone => gone(0),
        Arrival::Wake => Input::Wake,
        Arrival::Interrupt => Input::Interrupt { signal: 2 },
        Arrival::OtherExited => exited(1, OK),
        Arrival::OtherGone => gone(1),
    }
}

fn play(kind: Kind, exit: Exit, order: &[Arrival]) -> Story {
    let (mut bench, mut out) = Bench::new(world(kind));
    for process in [0, 1] {
        let then = bench.spawn(process);
        out.actions.extend(then.actions);
        out.records.extend(then.records);
    }
    out.actions.clear();
    bench.now = Time::START.after(AT);
    let mut todo = Vec::new();
    for arrival in order {
        let then = bench.step(input(*arrival, exit));
        todo.extend(then.actions);
        out.records.extend(then.records);
    }
    let mut verdicts = Vec::new();
    // Further lives, which end well at once; time passes when there is nothing else to do.
    for _ in 0..100 {
        let mut further = Vec::new();
        for action in std::mem::take(&mut todo) {
            match action {
                Action::Spawn { process, attempt, .. } => {
                    further.push(Input::Spawned { process, attempt });
                    further.push(Input::Exited {
                        process,
                        attempt,
                        exit: OK,
                        left: false,
                    });
                    further.push(Input::Gone { process, attempt });
                }
                Action::End { verdict } => verdicts.push(verdict),
                _ => {}
            }
        }
        if further.is_empty() {
            bench.now = bench.now.after(Duration::from_secs(1));
            further.push(Input::Wake);
        }
        for input in further {
            let then = bench.step(input);
            todo.extend(then.actions);
            out.records.extend(then.records);
        }
    }
    Story {
        records: out.records,
        verdicts,
    }
}

/// What the first life of the process comes to: by what came first of all that ends it.
fn right_outcome(kind: Kind, exit: Exit, order: &[Arrival]) -> Outcome {
    let place = |it| order.iter().position(|at| *at == it).expect("it is in the order");
    // Another life follows only if nobody asks to stop before this one is over.
    let again = kind == Kind::Restarted && place(Arrival::Gone) < place(Arrival::Interrupt);
    let ends = |arrival: &&Arrival| match arrival {
        Arrival::Exited | Arrival::Wake | Arrival::Interrupt => true,
        Arrival::OtherGone => kind == Kind::Daemon,
        Arrival::Gone | Arrival::OtherExited => false,
    };
    match order.iter().find(ends) {
        Some(Arrival::Wake) if again => Outcome::Restarts,
        Some(Arrival::Wake) => Outcome::TimedOut,
        Some(_) if exit == OK => Outcome::Succeeded,
        Some(Arrival::Exited) if again => Outcome::Restarts,
        Some(Arrival::Exited) => Outcome::Failed,
        Some(_) | None => Outcome::Stopped,
    }
}

#[test]
fn p9_in_whatever_order_an_exit_a_timeout_and_a_stop_come_there_is_one_outcome_and_the_right_one() {
    let orders = orders();
    assert_eq!(orders.len(), 180);
    for kind in [Kind::Plain, Kind::Restarted, Kind::Daemon] {
        for exit in [OK, Exit::Code(1), Exit::Signal(9)] {
            for order in &orders {
                let story = play(kind, exit, order);
                let told = format!("{kind:?} {exit:?} {order:?}: {:?} {:?}", story.verdicts, story.records);
                let mut lives: BTreeMap<(ProcessId, u32), Vec<Outcome>> = BTreeMap::new();
                for record in &story.records {
                    if let Record::Exited {
                        process,
                        attempt,
                        outcome,
                        ..
                    } = record
                    {
                        lives.entry((*process, *attempt)).or_default().push(*outcome);
                    }
                }
                assert!(lives.values().all(|outcomes| outcomes.len() == 1), "told once: {told}");
                let first = lives[&(ProcessId(0), 1)][0];
                assert_eq!(first, right_outcome(kind, exit, order), "{told}");
                assert_eq!(story.verdicts.len(), 1, "it ends once: {told}");
                let verdict = story.verdicts[0];
                let stop = order
                    .iter()
                    .position(|at| *at == Arrival::Interrupt)
                    .expect("it is in the order");
                let gone = [Arrival::Gone, Arrival::OtherGone];
                let is_over = gone.iter().all(|gone| order[..stop].contains(gone)) && first != Outcome::Restarts;
                assert_eq!(verdict != Verdict::Signal(2), is_over, "{told}");
            }
        }
    }
}
