//! Processes that use the channels of a yard under load, while one after the other is killed by SIGKILL wherever it is, and
//! replaced. At the end everything must add up.
//!
//! `FORKYARD_KILLS` says how often (300 in all by default), `FORKYARD_SEED` who and when. Half of the kills are in a yard that a host
//! watches over, half in one without.

mod family;
mod host;
mod item;
mod judge;
mod ledger;
mod random;
mod roles;
mod yard;

use std::env;

fn number(variable: &str, otherwise: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => otherwise,
    }
}

/// Not run by the test harness of Rust, which has threads: this process forks.
fn main() {
    if env::args().any(|argument| argument == "--list") {
        println!("who_is_killed_leaves_everything_right: test");
        return;
    }
    let (kills, seed) = (number("FORKYARD_KILLS", 300), number("FORKYARD_SEED", 1));
    for hosted in [false, true] {
        judge::run(hosted, kills / 2, seed);
    }
}
