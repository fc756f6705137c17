//! `forkyard check`: every finding of every file, with its place.

use std::io::{self, Write};

use clap::ValueEnum;
use forkyard_core::diagnostic::{self, Severity};
use forkyard_core::spec::Workflow;

use crate::exit;
use crate::failure::Failure;
use crate::load::{self, Loaded, Overrides};
use crate::report::plural;
use crate::screen::When;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Workflows, each checked by itself [default: forkyard.yaml]
    #[arg(value_name = "FILE")]
    workflows: Vec<String>,

    #[command(flatten)]
    overrides: Overrides,

    /// How to show the findings
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  forkyard check workflow.yaml
  forkyard check workflows/*.yaml --format json
  forkyard check base.yaml -f local.yaml -p words=5     one workflow of two files

Exit codes: 0 no error, 1 errors, 2 a file could not be read or the command line is wrong.";

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, and what to do
    #[default]
    Text,
    /// For programs: one JSON object a finding, one a line
    Json,
}

/// Checks and exits with 0, 1 or 2: the worst of all files.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    let mut totals = Totals::default();
    if args.workflows.is_empty() {
        let paths = args.overrides.paths(None)?;
        totals.add(&args.overrides.load(&paths), args.format, color, &mut out)?;
    }
    for workflow in &args.workflows {
        let paths = args.overrides.paths(Some(workflow))?;
        totals.add(&args.overrides.load(&paths), args.format, color, &mut out)?;
    }
    if args.format == Format::Text && totals.errors + totals.warnings > 0 {
        writeln!(out, "{}", load::tally(totals.errors, totals.warnings))?;
    }
    out.flush()?;
    Ok(totals.exit())
}

/// What was found in all files together.
#[derive(Default)]
struct Totals {
    errors: usize,
    warnings: usize,
    unreadable: usize,
}

impl Totals {
    /// Shows what was found in one workflow.
    fn add(&mut self, loaded: &Loaded, format: Format, color: When, out: &mut impl Write) -> io::Result<()> {
        let errors = loaded.count(Severity::Error);
        self.errors += errors;
        self.warnings += loaded.count(Severity::Warning);
        self.unreadable += usize::from(!loaded.readable);
        match format {
            Format::Json => {
                for found in &loaded.diagnostics {
                    writeln!(out, "{}", diagnostic::to_json(found, &loaded.files))?;
                }
            }
            Format::Text => {
                if !loaded.diagnostics.is_empty() {
                    writeln!(out, "{}", loaded.render(&io::stdout(), color))?;
                }
                if let Some(workflow) = loaded.workflow.as_ref().filter(|_| errors == 0) {
                    writeln!(out, "{}: ok, {}", loaded.path, contents(workflow))?;
                }
            }
        }
        Ok(())
    }

    const fn exit(&self) -> u8 {
        if self.unreadable > 0 {
            exit::INVALID
        } else if self.errors > 0 {
            exit::NOT_DONE
        } else {
            exit::DONE
        }
    }
}

/// `4 processes, 2 queues, 1 lock`
pub fn contents(workflow: &Workflow) -> String {
    let counts = [
        (workflow.processes.len(), "process", "processes"),
        (workflow.pools.len(), "pool", "pools"),
        (workflow.queues.len(), "queue", "queues"),
        (workflow.pipes.len(), "pipe", "pipes"),
        (workflow.locks.len(), "lock", "locks"),
        (workflow.semaphores.len(), "semaphore", "semaphores"),
        (workflow.events.len(), "event", "events"),
    ];
    let parts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, more)| plural(count as u64, one, more))
        .collect();
    if parts.is_empty() {
        "nothing to run".to_owned()
    } else {
        parts.join(", ")
    }
}
