//! `forkyard put`: puts items into a queue.

use std::io::{self, BufRead, Read};

use forkyard_ipc::client::Client;

use super::patience::Wait;
use super::verb;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::report::plural;
use crate::screen;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: String,

    /// The items; without any, each line of stdin is one
    #[arg(value_name = "ITEM", allow_negative_numbers = true)]
    items: Vec<String>,

    #[command(flatten)]
    wait: Wait,
}

const EXAMPLES: &str = "\
Examples:
  forkyard put jobs one two three
  seq 1000 | forkyard put jobs
  forkyard put jobs 1 --no-block || echo 'the queue is full'

A full queue makes it wait; with --timeout or --no-block, the first item that finds no room ends it.
Exit codes: 0 all put, 1 full, or nobody is left to get them, 2 usage,
3 not declared or outside a run.";

/// No item is longer: a line of stdin that is makes no sense to read on (1 GiB, as on the wire).
const ITEM_BYTES_MAX: u64 = 1 << 30;

/// Puts the items, one after another.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut putting = Putting {
        client: verb::client()?,
        args,
        done: 0,
    };
    if args.items.is_empty() {
        return putting.lines(io::stdin().lock());
    }
    for item in &args.items {
        let exit = putting.put(item.as_bytes())?;
        if exit != exit::DONE {
            return Ok(exit);
        }
    }
    Ok(exit::DONE)
}

/// What has been put so far, and how.
struct Putting<'a> {
    client: Client,
    args: &'a Args,
    done: u64,
}

impl Putting<'_> {
    fn lines(&mut self, mut input: impl BufRead) -> Result<u8, Failure> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut input).take(ITEM_BYTES_MAX).read_until(b'\n', &mut line);
            let count = read.map_err(|error| Failure::unable(format!("cannot read stdin: {}", reason(&error))))?;
            if count == 0 {
                return Ok(exit::DONE);
            }
            let item = line.strip_suffix(b"\n").unwrap_or(&line);
            let exit = self.put(item)?;
            if exit != exit::DONE {
                return Ok(exit);
            }
        }
    }

    fn put(&mut self, item: &[u8]) -> Result<u8, Failure> {
        let exit = verb::in_time(self.client.put(&self.args.queue, item, self.args.wait.patience()))?;
        if exit == exit::DONE {
            self.done += 1;
        } else if self.args.items.len() != 1 {
            // With one item the exit code says it all.
            let done = plural(self.done, "item", "items");
            screen::complain(&format!("forkyard put: `{}` is full: {done} put", self.args.queue));
        }
        Ok(exit)
    }
}
