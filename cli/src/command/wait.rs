//! `forkyard wait`: until an event is set.

use super::patience::Wait;
use super::verb;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event
    #[arg(value_name = "EVENT")]
    event: String,

    #[command(flatten)]
    wait: Wait,
}

const EXAMPLES: &str = "\
Example:
  forkyard wait ready --timeout 2s || echo 'not set'

Exit codes: 0 it is set, 1 it is not, 2 usage, 3 not declared or outside a run.";

/// Waits.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    verb::in_time(client.wait(&args.event, args.wait.patience()))
}
