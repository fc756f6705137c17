//! Random workflows: whatever they come to, what is told about it adds up.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Ending, Played, built, nanos, scenario, simulate};
use crate::plan::Plan;
use crate::simulate::{Scenario, Use};
use std::sync::Arc;

/// Numbers from a seed: xorshift64*, as in the histories of the machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A workflow of some ten processes, in which each waits only for those before it.
fn workflow(random: &mut Random) -> String {
    let mut text =
        "locks: {l: {}, m: {}}\nsemaphores: {s: {permits: 3}}\nevents: {e: {}}\nqueues: {q: {}, r: {}}\n".to_owned();
    let worker = if random.one_in(2) { "task" } else { "persistent" };
    let source = if random.one_in(2) {
        "stdin: q"
    } else {
        "tasks: {range: [0, 9]}"
    };
    let _ = write!(
        text,
        "pools:\n  two: {{size: 2}}\n  w: {{size: 3, {source}, stdout: r, run: x, worker: {worker}, retry: {{max: 1, backoff: 1s}}}}\n"
    );
    text += "processes:\n  setter: {run: x, sets: e}\n  feed: {run: x, stdout: q}\n  drain: {run: x, stdin: r}\n  take: {run: x, stdin: q}\n";
    for place in 0..random.below(9) {
        let _ = write!(text, "  p{place}: {{run: x");
        if place > 0 && random.one_in(2) {
            let _ = write!(text, ", after: p{}", random.below(place));
        } else if random.one_in(3) {
            text += ", after: e";
        } else if random.one_in(6) {
            text += ", after: {w: finished}";
        }
        let further = [
            ", holds: [m, l, {s: 2}]",
            ", pool: two",
            ", restart: {max: 2}",
            ", daemon: true",
            ", timeout: 2s",
            ", on_failure: stop",
            ", waits: e",
        ];
        for field in further {
            if random.one_in(4) {
                text += field;
            }
        }
        text += "}\n";
    }
    text
}

fn assumed(plan: &Plan, random: &mut Random) -> Scenario {
    let mut assumed = scenario(plan);
    assumed.latencies.start = Duration::from_micros(random.below(2) * 700);
    assumed.latencies.answer = Duration::from_micros(random.below(2) * 50);
    for lasts in assumed.lasts.iter_mut().flatten() {
        *lasts = Duration::from_millis(random.below(4000));
    }
    for fails in &mut assumed.fails {
        *fails = if random.one_in(4) {
            u32::try_from(random.below(3)).expect("it is small")
        } else {
            0
        };
    }
    assumed
}

/// What can be derived again is the same.
fn assert_sound(played: &Played) {
    let path = &played.path;
    for pair in path.windows(2) {
        assert_eq!(pair[0].until, pair[1].from, "{path:#?}");
        assert!(pair[0].from <= pair[0].until, "{path:#?}");
    }
    if let (Ending::Ended(_), Some(last)) = (&played.ending, path.last()) {
        assert_eq!(last.until.0, nanos(played.lasted), "{path:#?}");
    }
    let shared = played.pools.iter().chain(&played.locks).chain(&played.semaphores);
    for Use {
        size,
        mean,
        peak,
        waits,
    } in shared
    {
        let most = f64::from(u32::try_from(*peak).expect("it is small"));
        assert!(peak <= size && *mean <= most + 1e-9, "{played:#?}");
        assert!(
            waits.longest <= waits.total && waits.longest <= played.lasted,
            "{played:#?}"
        );
        assert_eq!(waits.count == 0, waits.by.is_none(), "{played:#?}");
    }
    assert!(played.waits.is_sorted_by(|a, b| a.waited >= b.waited), "{played:#?}");
}

#[test]
fn whatever_is_simulated_ends_and_adds_up() {
    let (mut ended, mut stuck) = (0, 0);
    for seed in 1..400 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1);
        let text = workflow(&mut random);
        let plan = Arc::new(built(&text));
        let assumed = assumed(&plan, &mut random);
        let played = simulate(&plan, &assumed);
        assert_sound(&played);
        match played.ending {
            Ending::Ended(_) => ended += 1,
            Ending::Stuck { .. } => stuck += 1,
            Ending::TooLong => panic!("it has an end: {text}"),
        }
        let again = simulate(&plan, &assumed);
        assert_eq!(format!("{played:?}"), format!("{again:?}"), "{text}");
    }
    assert!(ended > 200 && stuck > 0, "{ended} ended, {stuck} were stuck");
}
