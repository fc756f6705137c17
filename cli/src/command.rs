//! One file per command.

pub mod acquire;
pub mod check;
pub mod clear;
pub mod doctor;
pub mod explain;
pub mod get;
pub mod graph;
pub mod init;
pub mod kept;
pub mod lock;
pub mod logs;
pub mod ps;
pub mod put;
pub mod release;
pub mod run;
pub mod runs;
pub mod schema;
pub mod set;
pub mod simulate;
pub mod stop;
pub mod wait;
pub mod wait_for;
pub mod why;

mod background;
mod dry_run;
mod patience;
mod verb;
