//! The driver: it spawns, reaps, wires and signals what the machine decides, and never decides itself.

pub mod broker;
pub mod news;
