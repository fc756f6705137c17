//! The command line of Forkyard.
fn main() {}
