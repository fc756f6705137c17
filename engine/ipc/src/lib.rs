//! The yard: queues, locks, semaphores and events between the processes of a run.
//!
//! - [`yard`] holds the primitives themselves. It does no I/O, knows no clock and never blocks: a
//!   request is answered at once, or parked and answered later. The engine of a run owns it.
//! - [`wire`] is how a process and the engine speak: frames over the run's Unix socket.
//! - [`client`] is the process's side of it, blocking, for any program that a run has started.
//!
//! Nothing but the standard library is needed. Who uses [`yard::Yard`] asks and collects replies;
//! where its state lives is the yard's own affair.
//!
//! ```
//! use forkyard_ipc::yard::{Layout, QueueLimits, Reply, Request, Slot, Ticket, Yard};
//!
//! let mut yard = Yard::new(Layout {
//!     queues: vec![QueueLimits { capacity: 1, max_item: 1024 }],
//!     ..Layout::default()
//! });
//! let (reader, writer) = (Slot(0), Slot(1));
//!
//! // Nothing is there yet, so the reader's request is parked ...
//! assert_eq!(yard.ask(reader, Ticket(1), Request::Take { queue: 0 }, true), None);
//! // ... and answered once the writer has put an item.
//! let put = Request::Put { queue: 0, item: b"hello".to_vec() };
//! assert_eq!(yard.ask(writer, Ticket(2), put, true), Some(Reply::Done));
//! let replies = yard.replies();
//! assert!(matches!(&replies[..], [(Ticket(1), Reply::Item { bytes, .. })] if bytes == b"hello"));
//! ```

pub mod client;
pub mod wire;
pub mod yard;
