//! The workflow language: a file is read, merged, evaluated and expanded into a [`Workflow`].

pub mod target;
pub mod workflow;

pub use workflow::*;
