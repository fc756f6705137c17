//! What the explorer can do in a second: a table, for docs/deadlocks.md.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forkyard_core::explore::{Report, explore};
use forkyard_core::plan::{self, Plan};
use forkyard_core::spec::{Loader, Request, read};

/// So long each may take.
const BUDGET: Duration = Duration::from_secs(1);

/// The one file there is.
struct Only(String);

impl Loader for Only {
    fn load(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.clone().into_bytes())
    }
}

fn planned(text: &str) -> Plan {
    let request = Request {
        paths: &["flow.yaml".to_owned()],
        params: &[],
        environment: &BTreeMap::new(),
        cpus: 2,
    };
    let read = read(&request, &mut Only(format!("{text}\nforkyard: 1\n")));
    let workflow = read.workflow.unwrap_or_else(|| panic!("{:#?}", read.diagnostics));
    plan::build(&workflow).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn philosophers(count: usize, protocol: bool, seats: Option<usize>) -> String {
    let mut text = String::from("locks:\n");
    for at in 0..count {
        text.extend([format!("  f{at}: {{}}\n")]);
    }
    if let Some(seats) = seats {
        text.extend([format!("semaphores:\n  seats: {{permits: {seats}}}\n")]);
    }
    text += "processes:\n";
    for at in 0..count {
        let (left, right) = (at, (at + 1) % count);
        let seat = if seats.is_some() { "holds: seats, " } else { "" };
        let protocol = if protocol {
            format!(", protocol: [acquire f{left}, acquire f{right}, release f{right}, release f{left}]")
        } else {
            String::new()
        };
        text.extend([format!(
            "  p{at}: {{run: x, {seat}acquires: [f{left}, f{right}]{protocol}}}\n"
        )]);
    }
    text
}

/// Workers that take jobs, a permit and a lock, and put results; `swapped`: one half takes lock and permit the other way round.
fn pool(workers: usize, swapped: bool) -> String {
    let steps = |first: &str, second: &str| {
        format!(
            "protocol: {{repeat: [get jobs, acquire {first}, acquire {second}, put done, release {second}, release {first}]}}"
        )
    };
    let mut text = String::from(
        "queues: {jobs: {capacity: 8}, done: {capacity: 8}}\nlocks: {index: {}, log: {}}\nprocesses:\n  feed: {run: x, sends: jobs}\n",
    );
    let touches = "receives: jobs, sends: done, acquires: [index, log]";
    if swapped {
        let half = workers / 2;
        text.extend([format!(
            "  a: {{run: x, replicas: {half}, {touches}, {}}}\n",
            steps("index", "log")
        )]);
        text.extend([format!(
            "  b: {{run: x, replicas: {half}, {touches}, {}}}\n",
            steps("log", "index")
        )]);
    } else {
        text.extend([format!(
            "  a: {{run: x, replicas: {workers}, {touches}, {}}}\n",
            steps("index", "log")
        )]);
    }
    // The collector takes the lock that the workers hold while they put.
    let collect = "protocol: {repeat: [get done, acquire tally, release tally]}";
    text = text.replace("log: {}}", "log: {}, tally: {}}");
    text + &format!("  collect: {{run: x, receives: done, acquires: tally, {collect}}}\n")
}

/// The same, but the collector needs the permit that a worker keeps while it puts: sound only as there is one more.
fn gated(workers: usize) -> String {
    format!(
        "queues: {{jobs: {{capacity: 4}}, done: {{capacity: 4}}}}\nsemaphores: {{s: {{permits: 3}}, gate: {{permits: 2}}}}\nprocesses:\n  \
         feed: {{run: x, sends: jobs}}\n  a: {{run: x, replicas: {workers}, receives: jobs, sends: done, acquires: [gate, s], \
         protocol: {{repeat: [get jobs, acquire gate, acquire s, put done, release s, release gate]}}}}\n  \
         collect: {{run: x, receives: done, acquires: s, protocol: {{repeat: [acquire s, get done, release s]}}}}\n"
    )
}

fn ring(count: usize, tokens: usize) -> String {
    let mut text = String::from("queues:\n");
    for at in 0..count {
        text.extend([format!("  q{at}: {{capacity: 4}}\n")]);
    }
    text += "processes:\n";
    for at in 0..count {
        let (from, to) = (at, (at + 1) % count);
        let first = if at == 0 {
            format!("put q{to}, ").repeat(tokens)
        } else {
            String::new()
        };
        let steps = format!("[{first}{{repeat: [get q{from}, put q{to}]}}]");
        text.extend([format!(
            "  p{at}: {{run: x, receives: q{from}, sends: q{to}, protocol: {steps}}}\n"
        )]);
    }
    text
}

/// Processes that each take three of the locks in an order of their own: xorshift, one seed a graph.
fn dense(processes: usize, locks: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from((state >> 33) % end as u64).expect("a small number")
    };
    let mut text = String::from("locks:\n");
    for at in 0..locks {
        text.extend([format!("  l{at}: {{}}\n")]);
    }
    text += "  gate: {}\nprocesses:\n";
    for at in 0..processes {
        let mut taken: Vec<usize> = Vec::new();
        while taken.len() < 3 {
            let lock = below(locks);
            if !taken.contains(&lock) {
                taken.push(lock);
            }
        }
        let names: Vec<String> = taken.iter().map(|lock| format!("l{lock}")).collect();
        let acquires: Vec<String> = names.iter().map(|name| format!("acquire {name}")).collect();
        let releases: Vec<String> = names.iter().rev().map(|name| format!("release {name}")).collect();
        // Behind one gate all orders are sound, and nothing but the search can tell.
        text.extend([format!(
            "  p{at}: {{run: x, acquires: [gate, {}], protocol: [acquire gate, {}, release gate, {}]}}\n",
            names.join(", "),
            acquires.join(", "),
            releases.join(", ")
        )]);
    }
    text
}

fn chain(count: usize) -> String {
    let mut text = String::from("queues:\n");
    for at in 1..count {
        text.extend([format!("  q{at}: {{capacity: 4}}\n")]);
    }
    text += "processes:\n";
    for at in 0..count {
        let from = if at > 0 {
            format!(", stdin: q{at}")
        } else {
            String::new()
        };
        let to = if at + 1 < count {
            format!(", stdout: q{}", at + 1)
        } else {
            String::new()
        };
        text.extend([format!("  p{at}: {{run: x{from}{to}}}\n")]);
    }
    text
}

fn verdict(report: &Report) -> String {
    match report.deadlocks.first() {
        Some(deadlock) => {
            let kind = if deadlock.is_shortest { "shortest way" } else { "way" };
            format!("deadlock, {kind} of {} steps", deadlock.steps.len())
        }
        None if report.is_exhaustive => "proved".to_owned(),
        None => "not exhaustive".to_owned(),
    }
}

fn row(what: &str, text: &str) {
    // `cargo bench --bench explore -- chain` measures those alone.
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    if wanted.peek().is_some() && !wanted.any(|word| what.contains(&word)) {
        return;
    }
    let plan = planned(text);
    let begin = Instant::now();
    let report = explore(&plan, &mut || begin.elapsed() < BUDGET);
    let took = begin.elapsed();
    println!(
        "| {what} | {} | {} | {} |",
        verdict(&report),
        report.states,
        took.as_millis()
    );
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return row("5 philosophers", &philosophers(5, false, None));
    }
    println!("| what | verdict | states | ms |\n|---|---|---:|---:|");
    for count in [5, 8, 14, 30] {
        row(&format!("{count} philosophers"), &philosophers(count, false, None));
    }
    for count in [5, 8, 14, 30] {
        row(
            &format!("{count} philosophers with `protocol`"),
            &philosophers(count, true, None),
        );
    }
    for count in [5, 8, 10] {
        row(
            &format!("{count} philosophers, {} seats", count - 1),
            &philosophers(count, true, Some(count - 1)),
        );
    }
    for workers in [8, 16, 32] {
        row(
            &format!("{workers} workers, two locks in one order, two queues"),
            &pool(workers, false),
        );
        row(
            &format!("{workers} workers, two locks in two orders, two queues"),
            &pool(workers, true),
        );
        row(
            &format!("{workers} workers, a gate, permits held over a put"),
            &gated(workers),
        );
    }
    for count in [10, 30] {
        row(&format!("ring of {count} queues, 3 items"), &ring(count, 3));
    }
    for (processes, locks) in [(6, 4), (8, 6), (10, 6), (12, 8)] {
        row(
            &format!("{processes} processes, 3 of {locks} locks each behind a gate"),
            &dense(processes, locks, 1),
        );
    }
    for count in [1_000, 100_000] {
        row(&format!("chain of {count} processes"), &chain(count));
    }
}
