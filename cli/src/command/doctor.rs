//! `forkyard doctor`: what this machine allows.

use std::io::{self, Write};

use forkyard_driver::directory;
use forkyard_driver::doctor::{self, Finding, State};
use serde_json::json;

use crate::exit;
use crate::failure::Failure;
use crate::table;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One JSON object a finding, one a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard doctor
  forkyard doctor --json

Exit codes: 0 workflows can be run here, 1 something that is needed is missing.";

/// Tries it, and exits with 1 when workflows cannot be run here.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let findings = doctor::examine(directory::state_directory().as_deref());
    let mut out = io::stdout().lock();
    if args.json {
        for Finding { what, state, words } in &findings {
            writeln!(out, "{}", json!({"what": what, "state": state, "words": words}))?;
        }
    } else {
        let row = |finding: &Finding| {
            [
                finding.what.to_owned(),
                word(finding.state).to_owned(),
                finding.words.clone(),
            ]
        };
        let rows: Vec<_> = findings.iter().map(row).collect();
        write!(out, "{}", table::align(["WHAT", "STATE", ""], &rows))?;
    }
    out.flush()?;
    let is_lacking = findings.iter().any(|finding| finding.state == State::Lacking);
    Ok(if is_lacking { exit::NOT_DONE } else { exit::DONE })
}

const fn word(state: State) -> &'static str {
    match state {
        State::Fine => "fine",
        State::Without => "without",
        State::Lacking => "LACKING",
    }
}
