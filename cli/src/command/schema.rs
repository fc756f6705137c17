//! `forkyard schema`: the JSON Schema of the language, for editors.

use std::io::{self, Write};

use crate::exit;
use crate::failure::Failure;

/// Made from the types that read workflows; a test holds the two equal.
pub const SCHEMA: &str = include_str!("../../../docs/forkyard.schema.json");

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

const EXAMPLES: &str = "\
Example:
  forkyard schema > forkyard.schema.json

An editor with the YAML language server reads it for a file that begins with the line
  # yaml-language-server: $schema=forkyard.schema.json";

/// Prints it.
pub fn run(_: &Args) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(SCHEMA.as_bytes())?;
    out.flush()?;
    Ok(exit::DONE)
}
