//! `forkyard get`: gets items from a queue, one a line.

use std::io::{self, Write};

use forkyard_ipc::client::ClientError;

use super::patience::Wait;
use super::verb;
use crate::exit;
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,

    /// How many items to get
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1)]
    number: u64,

    #[command(flatten)]
    wait: Wait,
}

const EXAMPLES: &str = "\
Examples:
  forkyard get jobs
  while job=$(forkyard get jobs); do ./work \"$job\"; done
  forkyard get jobs -n 10 --timeout 2s

An item has left the queue only once it is written out: when this command dies before,
the item is put back.
Exit codes: 0 all got, 1 empty, or closed with fewer than were asked for, 2 usage,
3 not declared or outside a run.";

/// Gets the items and writes each out before it is acknowledged.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    let mut out = io::stdout().lock();
    for _ in 0..args.number {
        let item = match client.get(&args.queue, args.wait.patience()) {
            Ok(Some(item)) => item,
            Ok(None) | Err(ClientError::Closed) => return Ok(exit::NOT_DONE),
            Err(error) => return Err(verb::failure(&error)),
        };
        out.write_all(item.bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        item.ack().map_err(|error| verb::failure(&error))?;
    }
    Ok(exit::DONE)
}
