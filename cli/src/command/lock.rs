//! `forkyard lock`: runs a command while holding a lock, and lets go of it whatever becomes of the command.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use super::patience::Wait;
use super::verb;
use crate::exit;
use crate::failure::{Failure, reason};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The lock, or a semaphore of which one permit is taken
    #[arg(value_name = "LOCK")]
    name: String,

    #[command(flatten)]
    wait: Wait,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Example:
  forkyard lock report -- sh -c 'date >> report.txt'

When this command itself is killed, the lock is held on until `forkyard release`, or until the
process that the workflow has started ends.
Exit codes: those of the command (128+n when signal n killed it, 126 and 127 as in a shell);
1 the lock is taken, 2 usage, 3 not declared or outside a run.";

/// Acquires, runs, releases.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut client = verb::client()?;
    let answer = client.acquire(&args.name, 1, args.wait.patience());
    let acquired = verb::acquired(&args.name, answer)?;
    if acquired != exit::DONE {
        return Ok(acquired);
    }
    let ended = run_command(&args.command);
    verb::done(client.release(&args.name, 1))?;
    ended
}

fn run_command(command: &[String]) -> Result<u8, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::invalid("no command is given"));
    };
    let status = Command::new(program).args(arguments).status();
    status.map(code).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => exit::NOT_FOUND,
            _ => exit::NOT_EXECUTABLE,
        };
        let message = format!("cannot execute `{}`: {}", program.escape_debug(), reason(&error));
        Failure::Words { exit, message }
    })
}

/// As a shell has it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| i32::from(exit::SIGNALLED) + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::UNABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &[&str]) -> u8 {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        run_command(&command).unwrap_or_else(|failure| failure.exit())
    }

    #[test]
    fn the_code_is_that_of_the_command() {
        assert_eq!(run(&["true"]), 0);
        assert_eq!(run(&["sh", "-c", "exit 7"]), 7);
        assert_eq!(run(&["sh", "-c", "kill -9 $$"]), 137);
        assert_eq!(run(&["/nonexistent/program"]), exit::NOT_FOUND);
        assert_eq!(run(&["/"]), exit::NOT_EXECUTABLE);
    }
}
