//! `forkyard simulate`: how long a run takes, and what makes it take so long, without running it.

mod assumed;
mod json;
mod past;
mod rules;
mod text;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use forkyard_core::machine::Verdict;
use forkyard_core::plan;
use forkyard_core::simulate::{Ending, SPANS_MAX, simulate};

use self::assumed::assumed;
use super::{patience, run};
use crate::exit;
use crate::failure::Failure;
use crate::load::Overrides;
use crate::screen::When;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The workflow [default: forkyard.yaml]
    #[arg(value_name = "FILE")]
    workflow: Option<String>,

    #[command(flatten)]
    overrides: Overrides,

    /// How long a process lasts, or a task of a pool; NAME may be a pattern such as 'test-*'
    #[arg(long, value_name = "NAME=DURATION", value_parser = rules::duration)]
    duration: Vec<(String, Duration)>,

    /// How long everything else lasts
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = patience::span, allow_hyphen_values = true)]
    default_duration: Duration,

    /// Take durations and numbers of items from the records of a run: its id, or `latest`
    #[arg(long, value_name = "RUN")]
    from: Option<String>,

    /// Another size of a pool or semaphore; N alone: so many slots for all that run in no pool
    #[arg(long, value_name = "[NAME=]N", value_parser = rules::size)]
    slots: Vec<(Option<String>, u32)>,

    /// A process or worker fails: in its first TIMES lives, or in all
    #[arg(long, value_name = "NAME[=TIMES]", value_parser = rules::failures)]
    fail: Vec<(String, u32)>,

    /// So many items are put into a queue, or so many tasks given to a pool
    #[arg(long, value_name = "NAME=N", value_parser = rules::count)]
    items: Vec<(String, u64)>,

    /// How long it takes to start a process
    #[arg(long, value_name = "DURATION", default_value = "1ms", value_parser = patience::span, allow_hyphen_values = true)]
    start_latency: Duration,

    /// What pauses before restarts are drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// How to show the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  forkyard simulate workflow.yaml --duration build=2m --duration 'test-*=30s'
  forkyard simulate workflow.yaml --from latest           as long as in the latest run
  forkyard simulate workflow.yaml --from latest --slots workers=8
  forkyard simulate workflow.yaml --slots 4               all processes share four slots

Nothing is started. What is assumed: docs/howto/simulate.md.
Exit codes: 0 it would succeed, 1 it would fail or never end, 2 it cannot be simulated.";

/// How the result is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object
    Json,
}

/// Simulates the run and shows what came of it.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let paths = args.overrides.paths(args.workflow.as_deref())?;
    let mut loaded = args.overrides.load(&paths, Duration::ZERO);
    run::show(&loaded.diagnostics, &loaded, color);
    let Some(mut workflow) = loaded.workflow.take().filter(|_| !run::has_errors(&loaded.diagnostics)) else {
        return Ok(exit::INVALID);
    };
    args.resize(&mut workflow)?;
    let mut plan = match plan::build(&workflow) {
        Ok(plan) => plan,
        Err(found) => {
            run::show(&found, &loaded, color);
            return Ok(exit::INVALID);
        }
    };
    args.share(&mut plan);
    let plan = Arc::new(plan);
    let assumed = assumed(args, &plan, &loaded.folder())?;
    let played = simulate(&plan, &assumed.scenario);
    if played.ending == Ending::TooLong {
        return Err(Failure::invalid(format!(
            "after {SPANS_MAX} lives and tasks the run has not ended: it goes on for ever, or is too long"
        )));
    }
    let text = match args.format {
        Format::Text => text::text(&plan, &assumed, &played),
        Format::Json => format!("{:#}\n", json::object(&plan, &assumed, &played)),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let code = match played.ending {
        Ending::Ended(Verdict::Succeeded) => exit::DONE,
        Ending::Ended(_) | Ending::Stuck { .. } | Ending::TooLong => exit::NOT_DONE,
    };
    // What may be a million processes need not be taken apart one by one: the kernel takes their memory back at once.
    std::mem::forget((workflow, plan, assumed, loaded, played));
    Ok(code)
}
