//! The command line of Forkyard: arguments, one file per command, one file per reporter; no logic of the engine.

mod args;
mod command;
mod duration;
mod exit;
mod failure;
mod inputs;
mod load;
mod program_log;
mod report;
mod screen;
mod signal;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let name = arguments.command.name();
    program_log::start();
    let exit = carry_out(arguments).unwrap_or_else(|failure| {
        if let Failure::Words { message, .. } = &failure {
            screen::complain(&format!("forkyard {name}: {message}"));
        }
        failure.exit()
    });
    ExitCode::from(exit)
}

fn carry_out(arguments: Arguments) -> Result<u8, Failure> {
    let color = arguments.color();
    match arguments.command {
        Command::Run(args) => command::run::run(&args, color),
        Command::Check(args) => command::check::run(&args, color),
        Command::Explain(args) => command::explain::run(&args, color),
        Command::Graph(args) => command::graph::run(&args, color),
        Command::Simulate(args) => command::simulate::run(&args, color),
        Command::Init(args) => command::init::run(&args),
        Command::Schema(args) => command::schema::run(&args),
        Command::Logs(args) => command::logs::run(&args, color),
        Command::Runs(args) => command::runs::run(&args),
        Command::Doctor(args) => command::doctor::run(&args),
        Command::Ps(args) => command::ps::run(&args),
        Command::Stop(args) => command::stop::run(&args),
        Command::Kept(args) => command::kept::run(&args),
        Command::WaitFor(args) => command::wait_for::run(&args),
        Command::Why(args) => command::why::run(&args),
        Command::Put(args) => command::put::run(&args),
        Command::Get(args) => command::get::run(&args),
        Command::Acquire(args) => command::acquire::run(&args),
        Command::Release(args) => command::release::run(&args),
        Command::Lock(args) => command::lock::run(&args),
        Command::Wait(args) => command::wait::run(&args),
        Command::Set(args) => command::set::run(&args),
        Command::Clear(args) => command::clear::run(&args),
    }
}
