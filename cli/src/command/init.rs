//! `forkyard init`: a first workflow, to be run and changed.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use forkyard_core::diagnostic::shown;

use super::schema::SCHEMA;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::load::{FILE_DEFAULT, STDIN as STDOUT};

/// A process, a queue and a pool, explained.
const FIRST: &str = include_str!("init/first.yaml");

/// Where the schema is published.
const PUBLISHED: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/raw/main/docs/forkyard.schema.json");

/// What the schema is called beside a workflow.
const SCHEMA_FILE: &str = "forkyard.schema.json";

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, or - for stdout
    #[arg(value_name = "FILE", default_value = FILE_DEFAULT)]
    file: String,

    /// Replace a file that is there
    #[arg(long)]
    force: bool,

    /// Write the schema beside it, for an editor without a network
    #[arg(long)]
    with_schema: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard init                     writes forkyard.yaml
  forkyard init flows/first.yaml
  forkyard init - | forkyard check -";

/// Writes it, and says how to go on.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    if args.file == STDOUT {
        out.write_all(workflow(PUBLISHED, &args.file).as_bytes())?;
        out.flush()?;
        return Ok(exit::DONE);
    }
    let path = Path::new(&args.file);
    let schema = if args.with_schema { SCHEMA_FILE } else { PUBLISHED };
    write(path, &workflow(schema, &args.file), args.force)?;
    if args.with_schema {
        // It is Forkyard's own, and the same for all workflows of the folder.
        let beside = path.with_file_name(SCHEMA_FILE);
        fs::write(&beside, SCHEMA).map_err(|error| unwritten(&beside, &error))?;
    }
    let file = shown(&args.file);
    writeln!(
        out,
        "{file} is written; go on with\n  forkyard check {file}\n  forkyard run {file}"
    )?;
    out.flush()?;
    Ok(exit::DONE)
}

fn workflow(schema: &str, file: &str) -> String {
    let file = if file == STDOUT { "FILE".to_owned() } else { shown(file) };
    format!(
        "\
# yaml-language-server: $schema={schema}
#
# A first workflow. `forkyard check {file}` finds mistakes in it, `forkyard graph {file}` draws it,
# `forkyard run {file}` runs it. The line above tells editors the language.
{FIRST}"
    )
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).truncate(force).create(force).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            let path = path.to_string_lossy();
            return Failure::invalid(format!("`{}` is there already; --force replaces it", shown(&path)));
        }
        unwritten(path, &error)
    })
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let path = path.to_string_lossy();
    Failure::unable(format!("`{}` cannot be written: {}", shown(&path), reason(error)))
}
