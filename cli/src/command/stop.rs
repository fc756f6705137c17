//! `forkyard stop`: asks a run to stop in order, and waits for its end.

use std::io;
use std::time::{Duration, Instant};

use forkyard_driver::directory::{RunDirectory, RunState, RunSummary};
use forkyard_driver::stop::{self, How};

use super::patience::span;
use super::{ps, runs};
use crate::duration;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::screen;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The run [default: the only one that goes on]
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Kill its processes at once, as a second Ctrl-C does
    #[arg(long)]
    now: bool,

    /// Wait so long at most, for instance 250ms, 30s or 2m; exit with 1 when it still goes on then. With 0s the run is asked,
    /// and not waited for
    #[arg(long, value_name = "DURATION", value_parser = span, allow_hyphen_values = true)]
    timeout: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  forkyard stop
  forkyard stop 20261123-141122-ab12 --timeout 30s
  forkyard stop --now

Processes are stopped in reverse order of their dependencies, each with
its grace. A run that is being stopped is waited for; one that has ended is no failure.

Exit codes: 0 it has ended, 1 not in time, 2 usage, 3 no such run, or none that goes on.";

/// Stops the run.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let begun = Instant::now();
    let run = chosen(runs::all()?, args.run.as_deref())?;
    let id = &run.about.id;
    let directory = RunDirectory::open(&runs::state_directory()?, id)
        .map_err(|error| Failure::unable(format!("cannot read the directory of the run {id}: {}", reason(&error))))?;
    if run.state != RunState::Running {
        let state = runs::state_in_words(run.state);
        screen::complain(&format!("the run {id} does not go on any more, it has {state}"));
        return Ok(exit::DONE);
    }
    let how = if args.now { How::AtOnce } else { How::InOrder };
    let cannot = |error: io::Error| Failure::unable(format!("cannot stop the run {id}: {}", reason(&error)));
    let stopping = stop::ask(&directory, how).map_err(cannot)?;
    if stopping.was_stopping() {
        screen::complain(&format!(
            "the run {id} is being stopped already; --now kills its processes at once"
        ));
    }
    if stopping
        .wait(args.timeout.map(|timeout| begun + timeout))
        .map_err(cannot)?
    {
        screen::complain(&format!(
            "stopped {} after {}",
            ps::named(&run),
            duration::human(begun.elapsed())
        ));
        return Ok(exit::DONE);
    }
    screen::complain(&format!(
        "forkyard stop: the run {id} has been asked to stop, and still goes on"
    ));
    Ok(exit::NOT_DONE)
}

fn chosen(runs: Vec<RunSummary>, id: Option<&str>) -> Result<RunSummary, Failure> {
    if let Some(id) = id {
        let run = runs.into_iter().find(|run| run.about.id == id);
        return run.ok_or_else(|| ps::no_such_run(id));
    }
    let mut live: Vec<RunSummary> = runs.into_iter().filter(|run| run.state == RunState::Running).collect();
    match (live.pop(), live.len()) {
        (None, _) => Err(Failure::unable("no run goes on; see: forkyard runs")),
        (Some(run), 0) => Ok(run),
        (Some(run), _) => {
            let all: Vec<String> = live.iter().chain([&run]).map(ps::named).collect();
            Err(Failure::unable(format!(
                "several runs go on, name one: {}",
                all.join(", ")
            )))
        }
    }
}
