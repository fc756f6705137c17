//! The workflow language: a file is read, merged, evaluated and expanded into a [`Workflow`].
//!
//! ```text
//! files ─load─▶ one tree ─expression─▶ values ─decode─▶ fields ─resolve─▶ Workflow
//!        (include, -f)    (each instance)
//! ```

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Findings};
use crate::source::Files;
use partial::Written;

mod body;
mod channel;
mod decode;
mod edge;
mod environment;
mod expand;
mod expression;
mod fields;
mod group;
mod limits;
mod load;
mod loss;
mod mention;
mod merge;
mod name;
mod options;
mod params;
mod partial;
mod pool;
mod process;
mod protocol;
mod quoting;
mod ready;
mod resolve;
mod resource;
mod restart;
mod sockets;
mod stream;
pub mod target;
mod template;
mod terms;
mod values;
pub mod workflow;
mod yaml;

pub use loss::OnEngineLoss;
pub use partial::{Doubt, Partial};
pub use protocol::{Protocol, ProtocolStep, ProtocolVerb};
pub use quoting::Unquoted;
pub use values::{duration, duration_text};
pub use workflow::*;

/// Reads the files of a workflow: the core itself reads none.
pub trait Loader {
    /// Reads a file named in a workflow or on the command line; the error is words for people.
    fn load(&mut self, path: &str) -> Result<Vec<u8>, String>;
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The files of `-f`: a later one wins field by field.
    pub paths: &'a [String],
    /// The params of `-p name=value`.
    pub params: &'a [(String, String)],
    /// What expressions find in `env`.
    pub environment: &'a BTreeMap<String, String>,
    /// How many CPUs there are: the default `size` of a pool, and `cpus` in expressions.
    pub cpus: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The workflow; `None` when there is any error.
    pub workflow: Option<Workflow>,
    /// What could be read of a workflow with errors; `None` without any, and when a file could not be read.
    pub partial: Option<Partial>,
    /// The files read, for the places of diagnostics.
    pub files: Files,
    /// All that is wrong, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// False when a file could not be read or is no YAML at all.
    pub readable: bool,
}

/// Reads a workflow. Nothing about references is checked yet.
pub fn read(request: &Request<'_>, loader: &mut dyn Loader) -> Loaded {
    let mut findings = Findings::default();
    let mut files = Files::default();
    let tree = load::all(request.paths, loader, &mut files, &mut findings);
    let readable = tree.is_some();
    let (mut workflow, mut partial) = (None, None);
    if let Some(mut tree) = tree {
        let written = Written::of(&tree.root, &findings);
        let (resolved, flawed) = resolve::workflow(&mut tree, &written, request, loader, &files, &mut findings);
        if findings.count() == 0 {
            workflow = Some(resolved);
        } else {
            partial = Some(Partial::of(resolved, &tree.root, written, flawed));
        }
    }
    Loaded {
        workflow,
        partial,
        files,
        diagnostics: findings.sorted(),
        readable,
    }
}

#[cfg(test)]
mod tests;
