//! The syscall sweep: the N-th call of a kind fails, for every N, and the run ends with right results, or with a message and an exit code
//! that is not 0. In every test a sample; `just sweep` tries all of it.

mod judge;
mod table;
mod trial;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use judge::Fate;
use table::{Case, Fault};
use trial::Trial;

/// So many cases are a sample.
const SAMPLE: usize = 48;

/// So many kills are.
const SAMPLE_OF_KILLS: usize = 8;

/// Runs go on side by side.
const WORKERS: usize = 2;

/// How many calls of a kind are tried, or `None`: a sample of all.
fn calls_max() -> Option<usize> {
    let wanted = std::env::var("FORKYARD_SWEEP").ok()?;
    Some(wanted.parse().expect("FORKYARD_SWEEP is a number"))
}

/// Of a whole sweep, whether this call is swept: all are, unless `FORKYARD_SWEEP_ONLY` names some.
fn is_wanted(case: &Case) -> bool {
    let only = std::env::var("FORKYARD_SWEEP_ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|name| name == case.syscall)
}

/// Evenly spread over all.
fn sample(cases: &[Case], count: usize) -> Vec<Case> {
    let step = cases.len().div_ceil(count).max(1);
    // Neither the first call of each kind nor the last alone.
    cases.iter().skip(step / 2).step_by(step).copied().collect()
}

/// Tries all cases; of each how it ended, or what is wrong with it.
fn sweep(
    cases: &[Case],
    verdict: impl Fn(&Case, &Trial) -> Result<Fate, String> + Sync,
) -> (BTreeMap<&'static str, BTreeMap<Fate, usize>>, Vec<String>) {
    let next = AtomicUsize::new(0);
    let table = Mutex::new(BTreeMap::<_, BTreeMap<_, usize>>::new());
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let trial = trial::attempt(case);
            match verdict(case, &trial) {
                Ok(fate) => {
                    let mut table = table.lock().expect("no worker panics");
                    *table.entry(case.syscall).or_default().entry(fate).or_default() += 1;
                }
                Err(what) => {
                    let told = format!(
                        "{case}: {what}\n{}\n{}{}",
                        hits(&trial.trace),
                        trial.stdout,
                        trial.stderr
                    );
                    println!("{told}");
                    wrong.lock().expect("no worker panics").push(told);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    (
        table.into_inner().expect("no worker panics"),
        wrong.into_inner().expect("no worker panics"),
    )
}

fn hits(trace: &str) -> String {
    let hits: Vec<&str> = trace.lines().filter(|line| line.contains("(INJECTED)")).collect();
    hits.join("\n")
}

fn print(table: &BTreeMap<&'static str, BTreeMap<Fate, usize>>) {
    println!("| call | cases | results right | told | not reached | exempt |\n|---|---|---|---|---|---|");
    let mut all = [0; 5];
    for (syscall, fates) in table {
        let count = |fate| fates.get(&fate).copied().unwrap_or_default();
        let counts = [Fate::Unharmed, Fate::Told, Fate::Unhit, Fate::Exempt].map(count);
        let [unharmed, told, unhit, exempt] = counts;
        let row = [counts.iter().sum(), unharmed, told, unhit, exempt];
        for (sum, count) in all.iter_mut().zip(row) {
            *sum += count;
        }
        println!("| {syscall} | {} | {unharmed} | {told} | {unhit} | {exempt} |", row[0]);
    }
    let [cases, unharmed, told, unhit, exempt] = all;
    println!("| all | {cases} | {unharmed} | {told} | {unhit} | {exempt} |");
}

fn is_possible(test: &str) -> bool {
    let is_possible = trial::is_possible();
    if !is_possible {
        crate::checkers::skipped(test, "strace that may trace");
    }
    is_possible
}

#[test]
fn e4_e5_dd14_whatever_system_call_fails_nothing_hangs_lies_or_is_left() {
    if !is_possible("e4_e5_dd14_whatever_system_call_fails_nothing_hangs_lies_or_is_left") {
        return;
    }
    let calls = trial::calls();
    let cases = match calls_max() {
        Some(calls_max) => {
            let all = table::cases(&calls, calls_max);
            all.into_iter().filter(is_wanted).collect()
        }
        None => sample(&table::cases(&calls, usize::MAX), SAMPLE),
    };
    assert!(!cases.is_empty(), "strace saw too little: {calls:?}");
    let (table, wrong) = sweep(&cases, judge::judge);
    print(&table);
    assert!(
        wrong.is_empty(),
        "{} cases of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn e1_an_engine_killed_at_any_write_leaves_nothing_and_disturbs_nobody() {
    if !is_possible("e1_an_engine_killed_at_any_write_leaves_nothing_and_disturbs_nobody") {
        return;
    }
    let calls = trial::calls();
    let cases = match calls_max() {
        Some(calls_max) => table::kills(&calls, calls_max),
        None => sample(&table::kills(&calls, usize::MAX), SAMPLE_OF_KILLS),
    };
    assert!(!cases.is_empty(), "strace saw too little: {calls:?}");
    let (table, wrong) = sweep(&cases, |case, trial| {
        assert_eq!(case.fault, Fault::Killed);
        judge::judge_killed(trial)
    });
    print(&table);
    assert!(
        wrong.is_empty(),
        "{} cases of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
