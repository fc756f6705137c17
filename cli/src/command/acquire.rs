//! `forkyard acquire`: takes a lock, or permits of a semaphore, for the process this verb is called in.

use super::patience::Wait;
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

    #[command(flatten)]
    wait: Wait,
}

const EXAMPLES: &str = "\
Example:
  forkyard acquire report --timeout 5s && ./write-report; forkyard release report

The process that the workflow has started holds it, not this command: until `forkyard release`,
or its end.
Exit codes: 0 acquired, 1 taken, 2 usage, 3 not declared or outside a run.";

/// Acquires.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    let answer = client.acquire(&args.name, args.permits, args.wait.patience());
    verb::acquired(&args.name, answer)
}
