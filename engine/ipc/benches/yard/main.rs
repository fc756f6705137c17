//! Measures the yard beside what others use between processes, in the same program on the same machine.
//!
//! ```text
//! cargo bench -p forkyard-ipc                             all cases, side by side
//! yard list                                               the cases and their subjects
//! yard one CASE SUBJECT [--processes N] [--size BYTES] [--cores one|two|free] [--ms N]    one line of JSON
//! ```
//!
//! What must add up is checked in every measurement; a wrong sum is an error.

mod crew;
mod lock;
mod options;
mod outcome;
mod peers;
mod shared;
mod table;

use std::io;
use std::process::ExitCode;

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

const CASES: &[Case] = &[Case {
    name: "lock",
    subjects: &[
        ("forkyard", lock::forkyard),
        ("robust-mutex", lock::robust),
        ("plain-mutex", lock::stalled),
        ("flock", lock::flock),
        ("socket-server", lock::served),
    ],
    shapes: &[(1, 0), (2, 0), (4, 0), (8, 0)],
}];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match Options::read(&words) {
        Ok(Options { command, setup }) => match command {
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
