//! Reporters. Each takes in news and nothing else, on a thread of its own, so that none can slow the engine.

mod batches;
mod deadlock;
mod json;
mod labels;
mod note;
mod plain;
mod sanitise;
mod summary;
mod tally;
mod terminal;
mod text;

use std::io::{self, BufWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use forkyard_core::plan::Plan;
use forkyard_driver::news::Receiver;
use nix::sys::signal::{SigSet, Signal};

use crate::screen;

pub use deadlock::list;
pub use note::exited;
pub use sanitise::{Colors, last_drawn, line as sanitised};
pub use summary::plural;
pub use text::Voice;

/// What a run is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines with a live status line below them.
    Terminal,
    /// Lines.
    Plain,
    /// One JSON object a record.
    Json,
}

/// What every reporter has to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Names, for ids.
    pub plan: Arc<Plan>,
    /// The run's id.
    pub run: String,
    /// How it is shown.
    pub form: Form,
    /// How much the engine itself says.
    pub voice: Voice,
    /// Whether in colours.
    pub colors: Colors,
}

/// Starts the reporter. Its thread ends once the engine has let go of the other end of `news`, and says then
/// whether all could be written to stdout.
pub fn start(setup: Setup, news: Receiver) -> io::Result<JoinHandle<io::Result<()>>> {
    thread::Builder::new().name("reporter".to_owned()).spawn(move || {
        leave_signals();
        report(setup, news)
    })
}

/// Signals are the engine's affair, and would wake this thread for nothing. Those that tell of a fault of its own it keeps.
fn leave_signals() {
    let mut left = SigSet::all();
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGABRT,
    ] {
        left.remove(fault);
    }
    // It is refused for an invalid argument alone.
    let _ = left.thread_block();
}

fn report(setup: Setup, news: Receiver) -> io::Result<()> {
    // Not `Stdout`, which would flush at each newline: reporters flush after each batch.
    let mut out = BufWriter::new(screen::unbuffered_stdout()?);
    let mut bad = io::stderr();
    if setup.form == Form::Json {
        return json::report(news, &setup.plan, &setup.run, &mut out);
    }
    let text = text::Text::new(setup.plan, setup.run, setup.voice, setup.colors);
    if setup.form == Form::Terminal {
        terminal::report(news, text, &mut out, &mut bad, screen::width)
    } else {
        plain::report(news, text, &mut out, &mut bad)
    }
}

#[cfg(test)]
pub mod tests;
