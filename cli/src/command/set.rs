//! `forkyard set`: sets an event: wakes everybody who waits for it.

use super::verb;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event
    #[arg(value_name = "EVENT")]
    event: String,
}

const EXAMPLES: &str = "\
Example:
  forkyard set ready

Exit codes: 0 done, 2 usage, 3 not declared or outside a run.";

/// Sets the event.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    verb::done(client.set(&args.event))
}
