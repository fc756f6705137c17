//! The pure part of Forkyard: the language, its checks, the plan and the machine.
//!
//! Nothing here reads a clock, a file, the environment or the network. A workflow file becomes a
//! [`spec::Workflow`], the checks turn it into [`diagnostic::Diagnostic`]s, a sound one becomes a
//! [`plan::Plan`], and [`machine::Machine`] decides, step by step, what is to be done.
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod check;
pub mod diagnostic;
pub mod explore;
pub mod graph;
pub mod id;
pub mod knot;
pub mod machine;
pub mod plan;
#[cfg(test)]
mod sample;
pub mod simulate;
pub mod source;
pub mod spec;
pub mod time;
