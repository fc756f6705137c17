//! The rows of the fault catalogue, docs/reliability.md, that no other module's tests cover already.
//!
//! A test's name begins with the numbers of its rows: `p2_`, `y4_aa11_`.

mod engine;
mod file;
mod graph;
mod process;
mod races;
mod security;
mod yard;
