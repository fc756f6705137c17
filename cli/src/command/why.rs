//! `forkyard why`: why a process does not run, or what it waits for while it does.

mod past;
mod words;

use std::io::{self, Write};

use forkyard_driver::directory::{RunState, RunSummary};
use forkyard_driver::why::Answer;
use forkyard_ipc::client::{Client, ClientError};

use super::{ps, runs, verb};
use crate::exit;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A process, `count.2`, or a pool, a queue, a lock, a semaphore, an event
    #[arg(value_name = "NAME")]
    name: String,

    /// Another run than the one this program belongs to, or the only one that goes on, or the latest
    #[arg(long, value_name = "ID")]
    run: Option<String>,

    /// How to show the answer
    #[arg(
        long,
        value_enum,
        value_name = "text|json",
        hide_possible_values = true,
        default_value_t
    )]
    format: Format,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Sentences.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  forkyard why publish
  forkyard why db --run 20261123-141122-ab12 --format json

It is told of whoever was asked about, then of those it waits for, and so on to whoever still runs.
Exit codes: 0 done, 2 there is no such name, 3 there is no such run.";

/// Tells why.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let answer = ask(args)?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Text => words::sentences(&answer)
            .iter()
            .try_for_each(|sentence| writeln!(out, "{sentence}"))?,
        Format::Json => {
            serde_json::to_writer(&mut out, &answer).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(exit::DONE)
}

fn ask(args: &Args) -> Result<Answer, Failure> {
    if args.run.is_none() && std::env::var_os("FORKYARD_SOCKET").is_some() {
        let mut client = Client::from_environment().map_err(|error| verb::failure(&error))?;
        return ask_engine(&mut client, &args.name);
    }
    let runs = runs::all()?;
    match chosen(&runs, args.run.as_deref())? {
        RunSummary {
            about,
            state: RunState::Running,
        } => {
            let mut client = Client::connect(&about.socket).map_err(|error| verb::failure(&error))?;
            ask_engine(&mut client, &args.name)
        }
        RunSummary {
            about,
            state: RunState::Ended | RunState::Died,
        } => past::answer(&about.id, &args.name),
    }
}

/// The run that is named, else the only one that goes on, else the latest.
fn chosen<'a>(runs: &'a [RunSummary], id: Option<&str>) -> Result<&'a RunSummary, Failure> {
    if let Some(id) = id {
        let run = runs.iter().find(|run| run.about.id == id);
        return run.ok_or_else(|| ps::no_such_run(id));
    }
    let mut live = runs.iter().filter(|run| run.state == RunState::Running);
    match (live.next(), live.next()) {
        (Some(run), None) => Ok(run),
        (Some(_), Some(_)) => {
            let live = runs.iter().filter(|run| run.state == RunState::Running);
            Err(ps::several(live))
        }
        (None, _) => runs
            .last()
            .ok_or_else(|| Failure::unable("there are no runs yet; start one with `forkyard run`")),
    }
}

fn ask_engine(client: &mut Client, name: &str) -> Result<Answer, Failure> {
    let json = client.why(name).map_err(|error| match error {
        ClientError::NoSuchName(message) => Failure::Words {
            exit: exit::INVALID,
            message,
        },
        other => verb::failure(&other),
    })?;
    serde_json::from_slice(&json)
        .map_err(|error| Failure::unable(format!("the engine has answered something unknown: {error}")))
}
