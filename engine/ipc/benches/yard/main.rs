//! Measures the yard beside what others use between processes, in the same program on the same machine.
//!
//! ```text
//! cargo bench -p forkyard-ipc --bench yard                all cases, side by side
//! cargo test -p forkyard-ipc --bench yard                 all cases for a moment, only to see that they add up
//! yard list                                               the cases and their subjects
//! yard one CASE SUBJECT [--processes N] [--size BYTES] [--cores one|two|free] [--ms N]    one line of JSON
//! ```
//!
//! What must add up is checked in every measurement; a wrong sum is an error.

mod crew;
mod death;
mod event;
mod lock;
mod options;
mod outcome;
mod peers;
mod queue;
mod ring;
mod semaphore;
mod shared;
mod table;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crew::Setup;
use options::{Command, Options};
use outcome::Outcome;

/// How something is measured.
type Measure = fn(&Setup) -> io::Result<Outcome>;

/// Something that several can do.
struct Case {
    name: &'static str,
    /// Who does it, ours first.
    subjects: &'static [(&'static str, Measure)],
    /// With how many processes, and items of how many bytes, it is measured when nothing else is said.
    shapes: &'static [(usize, usize)],
}

const CASES: &[Case] = &[
    Case {
        name: "lock",
        subjects: &[
            ("forkyard", lock::forkyard),
            ("robust-mutex", lock::robust),
            ("plain-mutex", lock::stalled),
            ("flock", lock::flock),
            ("socket-server", lock::served),
        ],
        shapes: &[(1, 0), (2, 0), (4, 0), (8, 0)],
    },
    Case {
        name: "semaphore",
        subjects: &[("forkyard", semaphore::forkyard), ("posix-semaphore", semaphore::posix)],
        shapes: &[(1, 0), (4, 0)],
    },
    Case {
        name: "event",
        subjects: &[("forkyard", event::forkyard), ("futex", event::futex)],
        shapes: &[(2, 0)],
    },
    Case {
        name: "queue",
        subjects: &[
            ("forkyard", queue::forkyard),
            ("forkyard-acknowledged", queue::acknowledged),
            ("forkyard-acknowledged-batches", queue::acknowledged_batches),
            ("forkyard-batches", queue::batches),
            ("forkyard-in-place", queue::in_place),
            ("ring", queue::ring),
        ],
        shapes: &[
            (2, 16),
            (8, 16),
            (2, 1 << 10),
            (8, 1 << 10),
            (2, 1 << 16),
            (8, 1 << 16),
            (2, 1 << 20),
            (8, 1 << 20),
        ],
    },
    Case {
        name: "death",
        subjects: &[
            ("forkyard", death::forkyard),
            ("robust-mutex", death::robust),
            ("flock", death::flock),
        ],
        shapes: &[(2, 0)],
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match Options::read(&words) {
        Ok(Options { command, setup }) => match command {
            Command::Smoke => smoke(&setup),
            Command::All => table::print(CASES, &setup),
            Command::List => {
                list();
                Ok(())
            }
            Command::One { case, subject } => one(&case, &subject, &setup),
        },
        Err(text) => Err(io::Error::other(text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("yard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A wrong result is an error; how long it takes is of no interest.
fn smoke(setup: &Setup) -> io::Result<()> {
    for case in CASES {
        for &(processes, size) in case.shapes.iter().take(2) {
            let time = Duration::from_millis(20);
            let setup = Setup {
                processes,
                time,
                size,
                ..*setup
            };
            for (subject, measure) in case.subjects {
                let failed =
                    |error| io::Error::other(format!("{} {subject}, {processes} processes: {error}", case.name));
                measure(&setup).map_err(failed)?;
            }
        }
    }
    println!("all benchmarks add up");
    Ok(())
}

fn list() {
    for case in CASES {
        for (subject, _) in case.subjects {
            println!("{} {subject}", case.name);
        }
    }
}

fn one(case: &str, subject: &str, setup: &Setup) -> io::Result<()> {
    let found = CASES.iter().find(|it| it.name == case);
    let measure = found.and_then(|it| it.subjects.iter().find(|(name, _)| *name == subject));
    let Some((_, measure)) = measure else {
        return Err(io::Error::other(format!(
            "there is no `{case} {subject}`; see `yard list`"
        )));
    };
    println!("{}", measure(setup)?.json(case, subject));
    Ok(())
}
