//! Processes that write without measure: everything is in their logs, and the engine's memory has a bound.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, World, binary, until};

const MIB: usize = 1 << 20;

/// So much memory of its own the engine may have at its peak, whatever is written.
const ENGINE_BYTES_MAX: usize = 24 * MIB;

/// Eight processes write so much each, without a newline.
const BYTES_EACH: usize = 16 * MIB;

/// The numbers from 1 on, one behind the other: no piece of them can be lost, doubled or moved unseen.
const NUMBERS: &str = "seq 10000000 | tr -d '\\n' | head -c";

fn numbers(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 8);
    let mut number = 1;
    while text.len() < bytes {
        text.extend_from_slice(number.to_string().as_bytes());
        number += 1;
    }
    text.truncate(bytes);
    text
}

/// Eight who write numbers, and one who waits until the file `go` is there, so that the engine can be looked at.
fn flood() -> String {
    format!(
        "
forkyard: 1
processes:
  writes: {{replicas: 8, run: \"{NUMBERS} {BYTES_EACH}\"}}
  stays: {{run: 'until test -e go; do sleep 0.01; done', after: {{writes: finished}}}}
"
    )
}

/// The most memory of its own that a process has had at once, in bytes. The pages of its program are not counted:
/// how large a binary is, and how much of it has been read, says nothing about what is kept.
fn peak(process: Pid) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let kilobytes = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let number = number.and_then(|number| number.trim().parse().ok());
        number.expect("it has memory")
    };
    (kilobytes("VmHWM:") - kilobytes("RssFile:")) * 1024
}

/// The engine of the only run of a world.
fn engine(world: &World) -> Pid {
    let about = fs::read(world.run_directory().join("run.json")).expect("run.json is there from the start");
    let about: serde_json::Value = serde_json::from_slice(&about).expect("run.json is JSON");
    let pid = about["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    Pid::from_raw(pid.expect("it has the engine's pid"))
}

fn has_record(world: &World, kind: &str, process: &str) -> bool {
    let records = world.runs().first().map(|run| run.join("records.jsonl"));
    let text = records
        .and_then(|path| fs::read_to_string(path).ok())
        .unwrap_or_default();
    let is_it = |record: serde_json::Value| record["record"] == kind && record["process"] == process;
    // The last line may not be whole yet.
    text.lines().any(|line| serde_json::from_str(line).is_ok_and(is_it))
}

/// The logs have all, and the engine has had little.
fn assert_kept(directory: &Path, peak: usize) {
    let expected = numbers(BYTES_EACH);
    for index in 0..8 {
        let log = fs::read(directory.join(format!("logs/writes.{index}.log"))).expect("a log");
        assert_eq!(log.len(), expected.len(), "writes.{index}");
        assert!(log == expected, "the log of writes.{index} is not what it wrote");
    }
    assert!(peak < ENGINE_BYTES_MAX, "the engine had {} KiB", peak / 1024);
}

#[test]
fn p7_cc13_what_has_no_newline_is_kept_and_the_engine_stays_small() {
    let live = Forkyard::run_of(&flood()).quiet().start();
    until("all is written", || has_record(live.world(), "started", "stays"));
    let peak = peak(live.engine());
    fs::write(live.world().folder().join("go"), "").expect("it is ours");
    let run = live.end();
    run.exit(0);
    assert_kept(&run.world().run_directory(), peak);
}

#[test]
fn p7_the_engine_stays_small_when_nobody_reads_what_it_shows() {
    let world = World::new();
    world.write("workflow.yaml", flood());
    let mut child = Command::new(binary())
        .args(["run", "workflow.yaml"])
        .current_dir(world.folder())
        .env("XDG_STATE_HOME", world.state())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    until("all is written", || has_record(&world, "started", "stays"));
    let peak = peak(engine(&world));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid fits"));
    kill(pid, Signal::SIGINT).expect("it is alive");
    // Its pipe is open all the time, and nobody reads.
    let status = child.wait().expect("it is our child");
    assert_eq!(status.code(), Some(130));
    world.assert_empty();
    assert_kept(&world.run_directory(), peak);
}

#[test]
fn p7_of_very_many_lines_each_is_in_the_log_and_shown_or_counted() {
    const LINES: usize = 300_000;
    let workflow = format!("forkyard: 1\nprocesses: {{writes: {{run: 'seq {LINES}'}}}}\n");
    let world = World::new();
    world.write("workflow.yaml", workflow);
    let shown = world.folder().join("shown");
    let words = ["run", "--json", "workflow.yaml"];
    let status = Command::new(binary())
        .args(words)
        .current_dir(world.folder())
        .env("XDG_STATE_HOME", world.state())
        .stdin(Stdio::null())
        .stdout(File::create(&shown).expect("it can be made"))
        .status()
        .expect("it starts");
    assert!(status.success(), "{status}");
    world.assert_empty();
    let log = File::open(world.run_directory().join("logs/writes.log")).expect("a log");
    let mut logged = 0;
    for line in BufReader::new(log).lines() {
        logged += 1;
        assert_eq!(line.expect("text"), logged.to_string());
    }
    assert_eq!(logged, LINES);
    let mut told = 0;
    for line in BufReader::new(File::open(shown).expect("it is there")).lines() {
        let line = line.expect("text");
        if line.contains(r#""record":"output""#) {
            told += 1;
        } else if line.contains(r#""record":"output_dropped""#) {
            let record: serde_json::Value = serde_json::from_str(&line).expect("a record is JSON");
            told += record["lines"]
                .as_u64()
                .and_then(|lines| usize::try_from(lines).ok())
                .expect("a count");
        }
    }
    assert_eq!(told, LINES);
}

#[test]
fn p7_half_a_line_of_who_dies_is_kept_and_shown() {
    let run = Forkyard::run_of(
        "forkyard: 1\nprocesses: {dies: {run: 'printf \"one\\ntwo and a ha\"; kill -KILL $$', on_failure: ignore}}\n",
    )
    .run();
    run.exit(0).line("dies │ one").line("dies │ two and a ha");
    let log = fs::read(run.world().run_directory().join("logs/dies.log")).expect("a log");
    assert_eq!(log, b"one\ntwo and a ha");
}

#[test]
fn p7_who_closes_its_streams_is_still_supervised() {
    let live: Live = Forkyard::run_of(
        "
forkyard: 1
processes:
  closes: {run: 'exec </dev/null >&- 2>&-; until test -e go; do sleep 0.01; done; touch worked; exit 7', on_failure: ignore}
  after: {run: echo later, after: {closes: finished}}
",
    )
    .start();
    live.wait_for("closes │ started");
    fs::write(live.world().folder().join("go"), "").expect("it is ours");
    let run = live.end();
    run.exit(0)
        .line("closes │ exited with code 7[..]")
        .line("after │ later");
    assert!(run.world().has("worked"));
}

#[test]
fn p7_whatever_bytes_are_written_the_screen_is_safe_and_the_log_exact() {
    // A title, a clipboard, a cleared screen, C1 controls, NUL, bytes that are no UTF-8, a bell.
    let raw = b"\x1b]0;title\x07\x1b]52;c;cHduZWQ=\x07\x1b[2J\x1b[1;1H\x9b31m\0\xff\xfe\xc3(\r\x08\x7fend\n";
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {cat: {run: cat raw}}\n")
        .file("raw", raw)
        .run();
    run.exit(0);
    let log = fs::read(run.world().run_directory().join("logs/cat.log")).expect("a log");
    assert_eq!(log, raw);
    let stray = run.stdout().chars().find(|shown| shown.is_control() && *shown != '\n');
    assert_eq!(stray, None, "{:?}", run.stdout());
}
