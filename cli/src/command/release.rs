//! `forkyard release`: gives back what `forkyard acquire` took.

use super::verb;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A lock or a semaphore
    #[arg(value_name = "NAME")]
    name: String,

    /// How many permits of a semaphore
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    permits: u32,
}

const EXAMPLES: &str = "\
Example:
  forkyard release report

Exit codes: 0 released, 1 it was not held, 2 usage, 3 not declared or outside a run.";

/// Releases.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    verb::done(client.release(&args.name, args.permits))
}
