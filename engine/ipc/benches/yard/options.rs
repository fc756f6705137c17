//! The command line of the benchmark.

use std::time::Duration;

use crate::crew::{CREW_MAX, Cores, Setup};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Everything for a moment, only to see that it adds up: what `cargo test` asks for.
    Smoke,
    /// Everything, as a table: what `cargo bench` asks for.
    All,
    /// Say what there is.
    List,
    /// One measurement.
    One {
        /// What is done.
        case: String,
        /// Who does it.
        subject: String,
    },
}

/// The command line.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub command: Command,
    /// And how.
    pub setup: Setup,
}

impl Options {
    /// Reads it; `Err` says what is wrong with it.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let mut setup = Setup {
            processes: 1,
            cores: Cores::Free,
            time: Duration::from_millis(200),
            size: 16,
        };
        let mut plain = Vec::new();
        let mut measured = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo says so to a benchmark, unless it is run as a test.
                "--bench" => measured = true,
                "--processes" => setup.processes = number(word, words.next(), 1, CREW_MAX)?,
                "--size" => setup.size = number(word, words.next(), 8, 1 << 30)?,
                "--ms" => setup.time = Duration::from_millis(number(word, words.next(), 1, 600_000)? as u64),
                "--cores" => setup.cores = cores(words.next())?,
                _ => plain.push(word.as_str()),
            }
        }
        let command = match plain[..] {
            [] if measured => Command::All,
            [] => Command::Smoke,
            ["list"] => Command::List,
            ["one", case, subject] => Command::One {
                case: case.to_owned(),
                subject: subject.to_owned(),
            },
            _ => return Err(format!("`{}` is not understood", plain.join(" "))),
        };
        Ok(Self { command, setup })
    }
}

fn number(option: &str, word: Option<&String>, least: usize, most: usize) -> Result<usize, String> {
    let number = word.and_then(|it| it.parse().ok());
    number
        .filter(|it| (least..=most).contains(it))
        .ok_or_else(|| format!("{option} takes a number from {least} to {most}"))
}

fn cores(word: Option<&String>) -> Result<Cores, String> {
    match word.map(String::as_str) {
        Some("one") => Ok(Cores::One),
        Some("two") => Ok(Cores::Two),
        Some("free") => Ok(Cores::Free),
        Some(_) | None => Err("--cores takes one, two or free".to_owned()),
    }
}
