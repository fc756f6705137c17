//! The machine decides. It is pure: time is an argument, inputs come in, actions and records go out.
//!
//! ```text
//!            Input                       Action
//!  driver ─────────▶ Machine::step(now) ─────────▶ driver
//!                           │
//!                           └────────▶ Record ───▶ reporters
//! ```
//!
//! The machine knows ids, never names, paths, pids or bytes, and payload never passes through it.

mod message;

pub use message::*;
