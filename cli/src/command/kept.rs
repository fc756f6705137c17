//! `forkyard kept`: who has outlived an engine, and their end.

use std::io::{self, Write};

use forkyard_driver::kept::{self, Claim, Identity, Note, Place, Standing};
use serde_json::json;

use super::runs;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::screen;
use crate::table;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only processes of these names
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Stop them, each by its signal and after its grace by SIGKILL, with all they have started
    #[arg(long)]
    stop: bool,

    /// One JSON object a process, one a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard kept
  forkyard kept --stop
  forkyard kept --stop db

Those are listed that are `on_engine_loss: keep` and live, with the run that has them, if it goes
on. Those without one are stopped by --stop; a run that goes on stops its own.
Exit codes: 0 done, 1 somebody is not kept, belongs to a run that goes on, or does not die,
3 nobody knows.";

/// One who lives.
struct Found {
    note: Note,
    identity: Identity,
    /// The run that goes on and has it.
    run: Option<String>,
}

/// Lists, or stops, them.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let state = runs::state_directory()?;
    let mut found = Vec::new();
    let mut left = 0;
    for place in Place::all(&state).map_err(|error| unknown(&error))? {
        let (of_place, refused) = in_place(&place, args).map_err(|error| unknown(&error))?;
        found.extend(of_place);
        left += refused;
    }
    show(&found, args)?;
    let is_missing = |name: &&String| !found.iter().any(|found| found.note.process == **name);
    for name in args.names.iter().filter(is_missing) {
        screen::complain(&format!("nobody of the name `{name}` is kept; see: forkyard kept"));
        left += 1;
    }
    Ok(if left > 0 { exit::NOT_DONE } else { exit::DONE })
}

/// Those of one workflow, and how many of them could not be stopped.
fn in_place(place: &Place, args: &Args) -> io::Result<(Vec<Found>, usize)> {
    // A place where nobody lives is not claimed: an engine that begins there just now would have to wait for that.
    if living(place, args)?.is_empty() {
        return Ok((Vec::new(), 0));
    }
    // As long as it is held here, no engine takes them over; until now one could, and could have ended.
    let claim = Claim::take(place.clone())?;
    let living = living(place, args)?;
    let (run, left) = match &claim {
        Ok(claim) if args.stop => (None, stop(claim, &living)?),
        Ok(_) => (None, 0),
        Err(run) if args.stop => {
            for (note, _) in &living {
                let name = &note.process;
                screen::complain(&format!(
                    "`{name}` belongs to the run {run}, which goes on: it stops it at its end"
                ));
            }
            (Some(run.clone()), living.len())
        }
        Err(run) => (Some(run.clone()), 0),
    };
    let found = living.into_iter().map(|(note, identity)| Found {
        note,
        identity,
        run: run.clone(),
    });
    Ok((found.collect(), left))
}

/// Those of a place who live, and are meant.
fn living(place: &Place, args: &Args) -> io::Result<Vec<(Note, Identity)>> {
    let mut living = Vec::new();
    for note in place.notes()? {
        let is_named = args.names.is_empty() || args.names.contains(&note.process);
        if let (true, Standing::Lives(identity)) = (is_named, note.standing(place)?) {
            living.push((note, identity));
        }
    }
    Ok(living)
}

/// Stops them, and says who has survived even that.
fn stop(claim: &Claim, living: &[(Note, Identity)]) -> io::Result<usize> {
    let survivors = kept::stop_all(living);
    for note in &survivors {
        screen::complain(&format!(
            "`{}` does not die even by SIGKILL: it hangs in the kernel",
            note.process
        ));
    }
    for (note, identity) in living.iter().filter(|(note, _)| !survivors.contains(&note)) {
        claim.forget(&note.process, Some(*identity))?;
    }
    Ok(survivors.len())
}

fn show(found: &[Found], args: &Args) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if args.json {
        for found in found {
            writeln!(out, "{}", json_of(found, args.stop))?;
        }
    } else if found.is_empty() && args.names.is_empty() {
        writeln!(out, "Nobody is kept.")?;
    } else if !found.is_empty() {
        let rows: Vec<_> = found.iter().map(|found| row(found, args.stop)).collect();
        write!(
            out,
            "{}",
            table::align(["NAME", "PID", "STATE", "STARTED BY", "WORKFLOW"], &rows)
        )?;
    }
    out.flush()?;
    Ok(())
}

fn row(found: &Found, is_stopping: bool) -> [String; 5] {
    let state = match &found.run {
        Some(run) => format!("in run {run}"),
        None if is_stopping => "stopped".to_owned(),
        None => "alone".to_owned(),
    };
    [
        found.note.process.clone(),
        found.identity.pid.to_string(),
        state,
        found.note.run.clone(),
        found.note.file.display().to_string(),
    ]
}

fn json_of(found: &Found, is_stopping: bool) -> serde_json::Value {
    json!({
        "name": found.note.process,
        "pid": found.identity.pid,
        "run": found.run,
        "started_by": found.note.run,
        "workflow": found.note.file,
        "stopped": is_stopping && found.run.is_none(),
    })
}

fn unknown(error: &io::Error) -> Failure {
    Failure::unable(format!("it cannot be known who is kept: {}", reason(error)))
}
