//! The benchmark of the yard measures what it says: its short form runs, and a wrong result is told. How fast anything is, no
//! test asks.

use std::process::{Command, Output};

use crate::harness::repository;
use crate::python;

/// Calls the benchmark for a moment, without the programs that only it needs; `None` where there is no Python.
fn smoke(forkyard: &str, only: &str) -> Option<Output> {
    let mut python = Command::new("python3");
    python.envs(python::package().map(|package| ("PYTHONPATH", package)));
    python.arg(repository("tests/bench/yard.py")).env_remove("FORKYARD");
    python.args(["--smoke", "--ours", "--python", "python3", "--native", "-"]);
    python.args(["--forkyard", forkyard, "--only", only]);
    let output = python.output().ok();
    if output.is_none() {
        eprintln!("skipped: there is no python3");
    }
    output
}

/// What a benchmark that went well has printed; each of the figures is in it.
fn measured(output: &Output, figures: &[&str]) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for figure in figures {
        assert!(text.contains(&format!("\n## {figure}")), "no {figure}: {text}");
    }
    text
}

#[test]
fn the_short_form_measures_runs_and_adds_up() {
    let Some(output) = smoke(env!("CARGO_BIN_EXE_forkyard"), "pool|lines|shell") else {
        return;
    };
    let text = measured(
        &output,
        &[
            "pool of 2, streamed, native worker",
            "1,000,000 lines",
            "put from a shell",
        ],
    );
    assert!(!text.contains("failed:"), "{text}");
}

#[test]
fn the_short_form_measures_the_channels_from_python() {
    if python::package().is_none() {
        println!("skipped: there is no python3 of 3.9 or later");
        return;
    }
    let only = "^(lock|semaphore|event|queue of).*Python";
    let Some(output) = smoke(env!("CARGO_BIN_EXE_forkyard"), only) else {
        return;
    };
    let text = measured(
        &output,
        &[
            "lock between processes, Python",
            "semaphore of 2 permits, Python",
            "event ping-pong, Python",
            "queue of bytes, Python",
            "queue of small objects, Python",
        ],
    );
    assert!(
        !text.contains("failed:") && !text.contains("skipped: forkyard"),
        "{text}"
    );
}

#[test]
fn a_wrong_result_is_told() {
    let Some(output) = smoke("/bin/true", "put from a shell") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("- failed: forkyard-put"), "{text}");
}

#[test]
fn the_short_form_of_check_finds_what_is_there() {
    let mut python = Command::new("python3");
    python.arg(repository("tests/bench/check.py"));
    python.args(["--smoke", "--forkyard", env!("CARGO_BIN_EXE_forkyard")]);
    let Ok(output) = python.output() else {
        println!("skipped: there is no python3");
        return;
    };
    let figures = [
        "wide, 1 processes",
        "chain, 1,000 processes",
        "layered, 1,000 processes",
    ];
    let text = measured(&output, &figures);
    assert!(!text.contains("failed: forkyard"), "{text}");
}

#[test]
fn a_wrong_result_of_check_is_told() {
    let mut python = Command::new("python3");
    python.arg(repository("tests/bench/check.py"));
    python.args(["--smoke", "--ours", "--forkyard", "true"]);
    let Ok(output) = python.output() else {
        println!("skipped: there is no python3");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("failed: forkyard check, wide, 1 processes"), "{text}");
}

/// Whole runs, small, without peers but make.
fn whole_runs(forkyard: &str, only: &str) -> Option<Output> {
    let mut python = Command::new("python3");
    python.arg(repository("tests/bench/bench.py"));
    python.args(["--smoke", "--ours", "--forkyard", forkyard, "--only", only]);
    let output = python.output().ok();
    if output.is_none() {
        println!("skipped: there is no python3");
    }
    output
}

#[test]
fn the_short_form_of_whole_runs_is_right_about_each() {
    let only = "^(?!curve: 1)";
    let Some(output) = whole_runs(env!("CARGO_BIN_EXE_forkyard"), only) else {
        return;
    };
    let figures = [
        "chain of 1,000 × `/bin/true`",
        "restart of a killed process, no pause",
        "2,000,000 lines (82 MB) to the log file",
    ];
    let text = measured(&output, &figures);
    assert!(!text.contains("failed: forkyard"), "{text}");
}

#[test]
fn a_wrong_result_of_whole_runs_is_told() {
    let Some(output) = whole_runs("/bin/true", "chain of") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("- failed: forkyard, chain of 1,000"), "{text}");
}

#[test]
fn p7_the_short_form_of_the_flood_keeps_every_byte() {
    let mut python = Command::new("python3");
    python.arg(repository("tests/bench/flood.py"));
    python.args(["--mib", "1", "--forkyard", env!("CARGO_BIN_EXE_forkyard")]);
    let Ok(output) = python.output() else {
        println!("skipped: there is no python3");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("every byte kept").count(), 2, "{text}");
}
