//! The driver: it spawns, reaps, wires and signals what the machine decides, and never decides itself.

mod alarm;
#[cfg(test)]
mod alone;
pub mod background;
pub mod broker;
mod cgroup;
pub mod deadlock;
pub mod directory;
pub mod doctor;
pub mod exit;
pub mod guardian;
pub mod kept;
mod limits;
pub mod news;
mod notify;
pub mod over;
pub mod pipes;
pub mod preflight;
mod probe;
pub mod records;
pub mod run;
pub mod signals;
pub mod sockets;
pub mod spawner;
mod spent;
pub mod stdio;
pub mod stop;
pub mod table;
pub mod tasks;
mod terminal;
pub mod tree;
pub mod why;
mod words;
pub mod yard;
