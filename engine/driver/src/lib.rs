//! The driver: it spawns, reaps, wires and signals what the machine decides, and never decides itself.

pub mod directory;
pub mod news;
pub mod pipes;
pub mod records;
pub mod signals;
pub mod stdio;
pub mod table;
#[cfg(test)]
mod alone;
pub mod exit;
pub mod guardian;
pub mod spawner;
pub mod tree;
