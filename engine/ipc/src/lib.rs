#![doc = include_str!("../README.md")]
//!
//! ## Its parts
//!
//! A *channel* is one file, mapped by every process that uses it: [`Lock`] and its like.
//!
//! - Between your own processes: make a channel with `create`, in a file or in a memory file that children inherit.
//! - Inside a run: [`client`] speaks to the engine over its socket ([`wire`]).

#[cfg(not(target_os = "linux"))]
compile_error!("the yard stands on Linux: futex(2), pidfd_open(2), memfd_create(2)");

pub mod barrier;
pub mod cells;
pub mod channel;
pub mod client;
pub mod condition;
#[cfg(test)]
mod deaths;
mod directory;
mod error;
pub mod event;
mod face;
mod futex;
mod guard;
mod life;
pub mod lock;
mod memory;
mod patience;
pub mod queue;
mod readiness;
pub mod semaphore;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod trial;
pub mod wire;

pub use barrier::Barrier;
pub use cells::Cells;
pub use condition::Condition;
pub use directory::Yard;
pub use error::Error;
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use patience::Patience;
pub use queue::Queue;
pub use readiness::Readiness;
pub use semaphore::{Semaphore, SemaphoreGuard};

/// The page for users is tested as the documentation of the crate is.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/howto/rust.md")]
struct Page;
