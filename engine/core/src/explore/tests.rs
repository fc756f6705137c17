//! The explorer on small workflows whose answer is known, and on many random ones against itself without its reductions.

mod differential;
mod known;
mod random;

use super::*;
use crate::{plan, sample};

fn planned(text: &str) -> Plan {
    plan::build(&sample::workflow(text)).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

/// A budget of so many situations, about: it is asked for every few.
fn looks(mut left: u32) -> impl FnMut() -> bool {
    move || {
        left = left.saturating_sub(1);
        left > 0
    }
}

fn explored(text: &str) -> Report {
    explore(&planned(text), &mut looks(20_000))
}
