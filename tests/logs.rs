//! Logs that are rotated, and what `forkyard logs` shows of them.

use std::fs;

use crate::harness::Forkyard;

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
