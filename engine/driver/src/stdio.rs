//! The pumps between the descriptors of processes and the logs, queues and pools of a run.
//!
//! Each is a task of the engine's one thread. A pump never touches the machine: it acts on the yard by itself, which it shares with the
//! turn loop, and tells of all else by a [`Happening`](crate::run::Happening). It waits for one thing at a time, so that
//! what it does not read stays in the kernel's pipe and holds its writer back.

pub mod framing;
pub mod lines;
pub mod log;
pub mod mask;
pub mod memory;
pub mod outlet;
pub mod output;
pub mod receiver;
pub mod sender;
pub mod tail;
pub mod tap;
pub mod worker;
