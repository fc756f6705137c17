//! `forkyard graph`: the typed graph of a workflow, to look at or to work on.

use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use forkyard_core::graph::Graph;

use crate::exit;
use crate::failure::Failure;
use crate::load::Overrides;
use crate::screen::{self, When};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The workflow [default: forkyard.yaml]
    #[arg(value_name = "FILE")]
    workflow: Option<String>,

    #[command(flatten)]
    overrides: Overrides,

    /// The language to write it in
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  forkyard graph workflow.yaml | dot -Tsvg > workflow.svg
  forkyard graph workflow.yaml --format mermaid

Exit codes: 0 done, 2 the workflow cannot be read.";

/// What a graph is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Graphviz
    #[default]
    Dot,
    /// Mermaid, which many pages and editors draw
    Mermaid,
    /// Nodes and edges, for programs
    Json,
}

/// Writes the graph to stdout. A workflow with structural errors is drawn all the same, as far as it goes: to look
/// at it may be how to understand them.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let paths = args.overrides.paths(args.workflow.as_deref())?;
    let loaded = args.overrides.load(&paths, Duration::ZERO);
    let Some(workflow) = &loaded.workflow else {
        screen::complain(loaded.render(&io::stderr(), color).trim_end());
        return Ok(exit::INVALID);
    };
    let graph = Graph::of(workflow);
    let text = match args.format {
        Format::Dot => graph.dot(),
        Format::Mermaid => graph.mermaid(),
        Format::Json => format!("{:#}", graph.json()),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    Ok(exit::DONE)
}
