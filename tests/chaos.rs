//! Chaos: random workflows whose processes, guardians and engine are killed, stopped and frozen at random. Afterwards nobody
//! is left, nothing is locked, every item is accounted for, and the exit code is right for what was done.
//!
//! `FORKYARD_CHAOS` says for how many seconds, `FORKYARD_SEED` which workflow and which kills come first.

mod blows;
mod judge;
mod workflow;

use std::time::{Duration, Instant};

use blows::Blows;
use judge::{Judged, judge};

use crate::harness::{Forkyard, Random, number, until};

/// What one seed stands for: a workflow, what is done to it, and what must be so afterwards.
fn round(seed: u64) -> (Blows, Judged) {
    let mut random = Random::new(seed);
    let text = workflow::of(&mut random);
    let mut blows = Blows::of(&mut random);
    println!("FORKYARD_SEED={seed}: {blows}\n{text}");
    let live = Forkyard::run_of(&text).start();
    until("the run has begun", || {
        live.world().runs().iter().any(|run| run.join("records.jsonl").exists())
    });
    blows.deal(&live);
    until("nobody is left", || live.world().living().is_empty());
    let judged = judge(&live.end(), &blows);
    (blows, judged)
}

#[test]
fn e1_i1_p9_nothing_is_left_lost_or_told_wrong_whoever_is_killed_when() {
    let (seconds, first) = (number("FORKYARD_CHAOS", 20), number("FORKYARD_SEED", 1));
    let begun = Instant::now();
    let (mut runs, mut kills, mut items) = (0, 0, 0);
    while runs == 0 || begun.elapsed() < Duration::from_secs(seconds) {
        let (blows, judged) = round(first + runs);
        runs += 1;
        kills += blows.dealt();
        items += judged.items;
    }
    println!(
        "chaos: {runs} runs, {kills} kills, stops and freezes, {:.1} minutes; {items} items, 0 lost, nobody left",
        begun.elapsed().as_secs_f64() / 60.0
    );
}
