//! The pumps between the descriptors of processes and the logs and queues of a run.

pub mod framing;
pub mod lines;
