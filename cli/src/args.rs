//! The command line: what there is to choose from. Each command's own arguments stand in its file.

use clap::{Parser, Subcommand};

use crate::command::{
    acquire, check, clear, doctor, explain, get, graph, init, kept, lock, logs, ps, put, release, run, runs, schema,
    set, simulate, stop, wait, wait_for, why,
};
use crate::screen::When;

/// The help is not wider, however wide the terminal is.
const WIDTH_MAX: usize = 100;

/// Runs graphs of processes, pools, queues, pipes, locks, semaphores and events from one YAML file
#[derive(Debug, Parser)]
#[command(name = "forkyard", version, max_term_width = WIDTH_MAX, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "auto|always|never",
        hide_possible_values = true,
        default_value_t
    )]
    color: When,

    /// The same as --color never
    #[arg(long, global = true, conflicts_with = "color")]
    no_color: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard init first.yaml                write a first workflow
  forkyard check workflow.yaml            is it sound?
  forkyard explain FY210                  what does this finding mean?
  forkyard graph workflow.yaml            what does it look like?
  forkyard run workflow.yaml              run it
  forkyard logs                           what did the last run write?";

impl Arguments {
    /// When to use colours.
    pub const fn color(&self) -> When {
        if self.no_color { When::Never } else { self.color }
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Run a workflow
    Run(run::Args),
    /// Check workflows and show every finding, with its place
    Check(check::Args),
    /// Explain a code: what it means, why it matters, how it is mended
    Explain(explain::Args),
    /// Show a workflow as a graph
    Graph(graph::Args),
    /// Show how long a run would take, and why, without running it
    Simulate(simulate::Args),
    /// Write a first workflow
    Init(init::Args),
    /// Print the JSON Schema of the language, for editors
    Schema(schema::Args),
    /// Show what the processes of a run have written
    Logs(logs::Args),
    /// List the runs of this user, the newest last
    Runs(runs::Args),
    /// Show what this machine allows
    Doctor(doctor::Args),
    /// Show the processes of a run
    Ps(ps::Args),
    /// Stop a run in order, and wait for its end
    Stop(stop::Args),
    /// Show who has outlived an engine, or stop them
    Kept(kept::Args),
    /// Wait until processes of a run have come so far
    WaitFor(wait_for::Args),
    /// Say why a process does not run, or what it waits for
    Why(why::Args),
    /// Put items into a queue (inside a run)
    Put(put::Args),
    /// Get items from a queue (inside a run)
    Get(get::Args),
    /// Acquire a lock, or permits of a semaphore (inside a run)
    Acquire(acquire::Args),
    /// Release a lock, or permits of a semaphore (inside a run)
    Release(release::Args),
    /// Run a command while holding a lock (inside a run)
    Lock(lock::Args),
    /// Wait until an event is set (inside a run)
    Wait(wait::Args),
    /// Set an event (inside a run)
    Set(set::Args),
    /// Clear an event (inside a run)
    Clear(clear::Args),
}

impl Command {
    /// Its name, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Check(_) => "check",
            Self::Explain(_) => "explain",
            Self::Graph(_) => "graph",
            Self::Simulate(_) => "simulate",
            Self::Init(_) => "init",
            Self::Schema(_) => "schema",
            Self::Logs(_) => "logs",
            Self::Runs(_) => "runs",
            Self::Doctor(_) => "doctor",
            Self::Ps(_) => "ps",
            Self::Stop(_) => "stop",
            Self::Kept(_) => "kept",
            Self::WaitFor(_) => "wait-for",
            Self::Why(_) => "why",
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::Acquire(_) => "acquire",
            Self::Release(_) => "release",
            Self::Lock(_) => "lock",
            Self::Wait(_) => "wait",
            Self::Set(_) => "set",
            Self::Clear(_) => "clear",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    /// What can be done, each with its arguments: these are made when they are wanted. Without the command `help`, which is
    /// clap's own, as is the flag.
    fn commands() -> Vec<clap::Command> {
        let mut arguments = Arguments::command();
        arguments.build();
        let commands = arguments.get_subcommands();
        commands
            .filter(|command| command.get_name() != "help")
            .cloned()
            .collect()
    }

    #[test]
    fn the_page_of_the_command_line_has_every_flag() {
        let page = include_str!("../../docs/command-line.md");
        for command in commands() {
            assert!(page.contains(command.get_name()), "{}", command.get_name());
            let flags = || command.get_arguments().filter(|flag| flag.get_id() != "help");
            for flag in flags().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{flag}")), "{} --{flag}", command.get_name());
            }
            for flag in flags().filter_map(clap::Arg::get_short) {
                assert!(page.contains(&format!("`-{flag}`")), "{} -{flag}", command.get_name());
            }
        }
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        for command in commands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(WIDTH_MAX),
                "{}: lines are broken at random",
                command.get_name()
            );
            let call = format!("forkyard {}", command.get_name());
            assert!(
                help.contains("Example") && help.contains(&call),
                "{}: {help}",
                command.get_name()
            );
        }
    }
}
