//! All cases side by side.

use std::io;

use crate::Case;
use crate::crew::{Cores, Setup, usable_cores};
use crate::outcome::Outcome;

/// Every subject is measured so often, in turn with the others.
const ROUNDS: usize = 3;

/// Measures all and prints medians, and how many times as fast ours is as each.
pub fn print(cases: &[Case], setup: &Setup) -> io::Result<()> {
    println!("| case | processes | bytes | cores | subject | 1/s | CPU ns each | longest wait ms | ours : this |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in cases {
        for &(processes, size) in case.shapes {
            for cores in [Cores::One, Cores::Two] {
                if cores == Cores::Two && (processes == 1 || usable_cores().len() < 2) {
                    continue;
                }
                let setup = Setup {
                    processes,
                    cores,
                    size,
                    ..*setup
                };
                rows(case, &setup)?;
            }
        }
    }
    Ok(())
}

fn rows(case: &Case, setup: &Setup) -> io::Result<()> {
    let mut outcomes = vec![Vec::new(); case.subjects.len()];
    for _ in 0..ROUNDS {
        for (at, (_, measure)) in case.subjects.iter().enumerate() {
            outcomes[at].push(measure(setup)?);
        }
    }
    let ours = median(&outcomes[0], Outcome::rate);
    for ((subject, _), outcomes) in case.subjects.iter().zip(&outcomes) {
        let rate = median(outcomes, Outcome::rate);
        let longest = outcomes.iter().filter_map(|it| it.longest).max();
        println!(
            "| {} | {} | {} | {} | {subject} | {rate:.0} | {:.1} | {} | {:.2} |",
            case.name,
            setup.processes,
            setup.size,
            if setup.cores == Cores::One { "one" } else { "two" },
            median(outcomes, Outcome::cpu_nanos),
            longest.map_or("–".to_owned(), |it| format!("{:.1}", it.as_secs_f64() * 1e3)),
            ours / rate,
        );
    }
    Ok(())
}

fn median(outcomes: &[Outcome], number: fn(&Outcome) -> f64) -> f64 {
    let mut numbers: Vec<f64> = outcomes.iter().map(number).collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
