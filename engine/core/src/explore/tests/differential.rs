//! The explorer against itself without its reductions, and against schedules drawn at random.

use std::collections::BTreeSet;

use super::random::{Random, with_daemons, workflow};
use super::*;
use crate::check;
use crate::diagnostic::Severity;
use crate::explore::model::Daemons;
use crate::explore::part::Part;
use crate::explore::search::{Method, Outcome, Search};
use crate::explore::stubborn::{Choices, stuck};
use crate::explore::trace::{shortened, stuck_after};
use crate::explore::world::World;

/// How many workflows one run of the tests makes; `FORKYARD_MODELS` asks for another number at build time.
const MODELS: u64 = match option_env!("FORKYARD_MODELS") {
    Some(text) => parse(text),
    None => 100,
};

/// Workflows that the search was once wrong about.
const ONCE_WRONG: [u64; 2] = [3192, 3564];

/// What the full search is given; larger ones are only run by chance.
const LOOKS: u32 = 40;

/// So many schedules are drawn for each workflow, of so many moves at most.
const SCHEDULES: usize = 8;
const MOVES_MAX: usize = 400;

const FULL: Method = Method {
    is_stubborn: false,
    is_folded: false,
    is_early: false,
};

const REDUCED: Method = Method {
    is_stubborn: true,
    is_folded: true,
    is_early: false,
};

const fn parse(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut number, mut index) = (0, 0);
    while index < bytes.len() {
        assert!(bytes[index].is_ascii_digit(), "FORKYARD_MODELS must be a number");
        number = number * 10 + (bytes[index] - b'0') as u64;
        index += 1;
    }
    number
}

/// The deadlocks at whose end nobody can move, as prints in which like processes are not told apart.
fn ends(part: &Part, method: Method) -> Option<(BTreeSet<u64>, usize)> {
    let mut budget = looks(LOOKS);
    let mut never = || false;
    let folded = Search::new(&part.model, Method::REDUCED, &mut never);
    let mut found = BTreeSet::new();
    let mut search = Search::new(&part.model, method, &mut budget);
    let outcome = search.in_depth(&mut |world, _| {
        found.insert(folded.print(world).0);
        false
    });
    (outcome == Outcome::Exhausted).then(|| (found, search.states()))
}

/// Whether anybody is ever stuck, though others may go on for ever.
fn anybody_is_stuck(part: &Part) -> bool {
    let mut budget = looks(LOOKS * 2);
    let method = Method { is_early: true, ..FULL };
    let mut search = Search::new(&part.model, method, &mut budget);
    matches!(search.in_depth(&mut |_, _| true), Outcome::Deadlock(_))
}

/// Whether a schedule drawn at random comes to an end at which somebody waits for ever.
fn hangs(part: &Part, random: &mut Random) -> bool {
    let mut world = World::new(&part.model);
    for _ in 0..MOVES_MAX {
        let choices = Choices::of(&world, &part.model);
        if choices.moves.is_empty() {
            return !stuck(&world, &part.model, &choices).is_empty();
        }
        let step = choices.moves[random.below(choices.moves.len())];
        world.make(&part.model, step);
    }
    false
}

/// What came of all workflows.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    full: u64,
    deadlocks: u64,
    proved_by_structure: u64,
    proved_by_search: u64,
    careful: u64,
    states: usize,
    states_reduced: usize,
}

fn judge(seed: u64, text: &str, assumed: &[Daemons], tally: &mut Tally) {
    // What the rules refuse is not explored.
    let found = check::check(&sample::workflow(text));
    if found.iter().any(|found| found.severity == Severity::Error) {
        tally.refused += 1;
        return;
    }
    let plan = planned(text);
    let report = explore(&plan, &mut looks(2_000));
    let is_proved = report.is_exhaustive && report.deadlocks.is_empty();
    tally.proved_by_structure += u64::from(is_proved && report.knots == 0);
    tally.proved_by_search += u64::from(is_proved && report.knots > 0);
    let mut is_harmless = true;
    for daemons in assumed {
        is_harmless &= judge_whole(seed, text, &Part::whole(&plan, *daemons), is_proved, tally);
    }
    // A part allows more than the whole.
    tally.careful += u64::from(!is_proved && is_harmless);
    for deadlock in &report.deadlocks {
        assert!(!deadlock.blocked.is_empty(), "seed {seed}: nobody is blocked\n{text}");
    }
}

/// Whether the full search has found nobody who is ever stuck.
fn judge_whole(seed: u64, text: &str, part: &Part, is_proved: bool, tally: &mut Tally) -> bool {
    let full = ends(part, FULL);
    let mut is_harmless = false;
    if let Some((deadlocks, states)) = &full {
        tally.full += 1;
        tally.deadlocks += u64::from(!deadlocks.is_empty());
        tally.states += states;
        let (reduced, states) =
            ends(part, REDUCED).unwrap_or_else(|| panic!("seed {seed}: the reduced search is larger\n{text}"));
        tally.states_reduced += states;
        assert_eq!(&reduced, deadlocks, "seed {seed}: other deadlocks are found\n{text}");
        let is_stuck = anybody_is_stuck(part);
        assert!(
            is_stuck || deadlocks.is_empty(),
            "seed {seed}: an end at which nobody is stuck\n{text}"
        );
        assert!(
            !(is_proved && is_stuck),
            "seed {seed}: proved, and yet there is a deadlock\n{text}"
        );
        is_harmless = !is_stuck;
    }
    let mut random = Random::new(seed);
    for _ in 0..SCHEDULES {
        let hangs = hangs(part, &mut random);
        assert!(
            !(hangs && is_proved),
            "seed {seed}: proved, and yet a schedule hangs\n{text}"
        );
    }
    let mut budget = looks(LOOKS);
    if let Outcome::Deadlock(moves) = Search::new(&part.model, Method::REDUCED, &mut budget).in_depth(&mut |_, _| true)
    {
        assert!(
            !stuck_after(&part.model, &moves).is_empty(),
            "seed {seed}: the way leads to no deadlock\n{text}"
        );
        let short = shortened(&part.model, moves, &mut || true);
        assert!(
            !stuck_after(&part.model, &short).is_empty(),
            "seed {seed}: the shortened way leads to no deadlock\n{text}"
        );
        assert!(
            full.is_none() || anybody_is_stuck(part),
            "seed {seed}: a deadlock too early\n{text}"
        );
    }
    is_harmless
}

#[test]
fn g3_the_reductions_lose_no_deadlock_and_no_schedule_hangs_where_all_is_proved() {
    let mut tally = Tally::default();
    for seed in (0..MODELS).chain(ONCE_WRONG) {
        judge(seed, &workflow(&mut Random::new(seed)), &[Daemons::MayEnd], &mut tally);
    }
    println!("{MODELS} workflows: {tally:?}");
    assert!(tally.deadlocks > MODELS / 10, "there are too few deadlocks: {tally:?}");
    assert!(
        tally.proved_by_structure + tally.proved_by_search > MODELS / 10,
        "too few are proved: {tally:?}"
    );
}

#[test]
fn nothing_is_proved_that_hangs_because_a_daemon_stays() {
    let mut tally = Tally::default();
    for seed in 0..MODELS {
        let text = with_daemons(&workflow(&mut Random::new(seed)));
        judge(seed, &text, &[Daemons::MayEnd, Daemons::Stay], &mut tally);
    }
    println!("{MODELS} workflows with daemons: {tally:?}");
    assert!(tally.deadlocks > MODELS / 10, "there are too few deadlocks: {tally:?}");
    assert!(
        tally.proved_by_structure + tally.proved_by_search > MODELS / 20,
        "too few are proved: {tally:?}"
    );
}
