//! Logs that are rotated, or have nothing in them, and what `forkyard logs` shows of them.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::{Forkyard, binary};

#[test]
fn a_rotated_log_loses_nothing_that_is_kept() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  counts:
    run: seq 20000
    log: {file: out/all.log, rotate: {size: 20kB, keep: 100}}
  few:
    run: seq 20000
    log: {rotate: {size: 20kB, keep: 1}}
",
    )
    .file("out/all.log", "old")
    .run();
    run.exit(0);
    let logs = run.world().run_directory().join("logs");
    let count = |name: &str| {
        let entries = fs::read_dir(&logs).expect("a folder").flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
            .count()
    };
    assert!(count("counts.log") >= 3, "{}", count("counts.log"));
    assert_eq!(count("few.log"), 2);
    assert!(run.world().has("out/all.log.1"));
    let shown = Forkyard::new("logs").arg("counts").within(run.into_world()).run();
    let expected: Vec<String> = (1..=20000).map(|number| number.to_string()).collect();
    let lines: Vec<&str> = shown.stdout().lines().collect();
    assert!(lines == expected, "not every line is shown once, in order");
}

#[test]
fn who_says_nothing_has_an_empty_log() {
    let run =
        Forkyard::run_of("forkyard: 1\nprocesses: {silent: {run: 'true', replicas: 2}, speaks: {run: echo word}}\n")
            .run();
    run.exit(0);
    let world = run.into_world();
    let shown = Forkyard::new("logs").arg("silent").within(world).run();
    shown.exit(0);
    assert_eq!(shown.stdout(), "");
    let shown = Forkyard::new("logs").arg("other").within(shown.into_world()).run();
    shown
        .exit(3)
        .stderr("has no log of `other`; it has those of: silent.0, silent.1, speaks");
}

#[test]
fn nobody_need_have_said_anything() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {silent: {run: 'true'}}\n").run();
    run.exit(0);
    let mut world = run.into_world();
    for words in [&["logs"][..], &["logs", "silent"], &["logs", "--follow"]] {
        let shown = words
            .iter()
            .skip(1)
            .fold(Forkyard::new("logs").within(world), Forkyard::arg)
            .run();
        shown.exit(0);
        assert_eq!(shown.stdout(), "", "{words:?}");
        world = shown.into_world();
    }
    let shown = Forkyard::new("logs").arg("other").within(world).run();
    shown.exit(3).stderr("has no log of `other`; it has those of: silent");
}

#[test]
fn the_first_words_of_who_was_silent_are_followed() {
    let live = Forkyard::run_of(
        "forkyard: 1\nprocesses: {late: {run: 'until test -e go; do sleep 0.01; done; echo word'}, other: {run: echo other}}\n",
    )
    .start();
    live.wait_for("other │ exited");
    let follows = Command::new(binary())
        .args(["logs", "--follow", "late"])
        .env("XDG_STATE_HOME", live.world().state())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    fs::write(live.world().folder().join("go"), "").expect("it is ours");
    let followed = follows.wait_with_output().expect("it is our child");
    assert_eq!(String::from_utf8_lossy(&followed.stdout), "word\n");
    live.end().exit(0);
}
