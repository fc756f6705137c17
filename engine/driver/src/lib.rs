//! The driver: it spawns, reaps, wires and signals what the machine decides, and never decides itself.

#[cfg(test)]
mod alone;
pub mod exit;
pub mod guardian;
pub mod news;
pub mod preflight;
pub mod spawner;
pub mod tree;
mod words;
