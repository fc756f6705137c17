//! What a process may use, who it runs as, and what it is told to have used.

use std::fs;

use crate::harness::{Forkyard, Outcome};

/// Whether this machine can make control groups with limits, which needs root.
fn has_groups() -> bool {
    let has =
        nix::unistd::geteuid().is_root() && fs::read_to_string("/proc/self/cgroup").is_ok_and(|own| !own.is_empty());
    if !has {
        println!("skipped: no control groups can be made");
    }
    has
}

#[test]
fn limits_of_each_process_hold() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  shows:
    run: ulimit -n; ulimit -c; ulimit -s; ulimit -t; nice; grep Cpus_allowed_list /proc/self/status
    limits: {files: 77, core: 0, stack: 4MiB, cpu_time: 2500ms}
    nice: 5
    cpus: 0
",
    )
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.texts(), ["77", "0", "4096", "3", "5", "Cpus_allowed_list:\t0"]);
}

#[test]
fn too_large_a_file_is_not_written() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  writes: {run: [dd, if=/dev/zero, of=big, bs=1024, count=100], limits: {file_size: 10KiB}}
",
    )
    .run();
    run.exit(1).says("SIGXFSZ");
    let written = fs::metadata(run.world().folder().join("big")).expect("it has been begun");
    assert_eq!(written.len(), 10 * 1024);
}

/// `sh` alone needs less than a megabyte, and the loop doubles a text for ever.
const GREEDY: &str = "run: 'x=12345678; while :; do x=$x$x; done'";

#[test]
fn cc3_who_takes_more_memory_than_allowed_is_killed_and_told_so() {
    if !has_groups() {
        return;
    }
    let run = Forkyard::run_of(&format!(
        "forkyard: 1\nprocesses:\n  greedy: {{{GREEDY}, limits: {{memory: 20MiB}}}}\n  modest: {{run: 'echo fine'}}\n"
    ))
    .run();
    run.exit(1)
        .line("greedy │ killed by SIGKILL after [..]: it ran out of the memory that its `limits` allow")
        .line("modest │ fine");
    groups_are_gone(&run);
}

#[test]
fn p5_cc10_a_fork_bomb_is_contained() {
    if !has_groups() {
        return;
    }
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  bomb:
    run: 'bomb() { bomb | bomb & }; bomb; sleep 0.2; exit 7'
    limits: {pids: 30}
    stop: {grace: 100ms}
",
    )
    .run();
    run.exit(1);
    groups_are_gone(&run);
}

/// Nothing of the engine's is left among the control groups.
fn groups_are_gone(run: &Outcome) {
    let about = fs::read_to_string(run.world().run_directory().join("run.json")).expect("a run has it");
    let about: serde_json::Value = serde_json::from_str(&about).expect("it is JSON");
    let own = about["pid"].as_u64().expect("the engine's pid");
    for controller in ["memory", "pids", "cpu"] {
        let left = fs::read_dir(format!("/sys/fs/cgroup/{controller}")).map(|groups| {
            let names = groups
                .flatten()
                .map(|group| group.file_name().to_string_lossy().into_owned());
            names
                .filter(|name| name.starts_with(&format!("forkyard-{own}-")))
                .count()
        });
        assert_eq!(left.unwrap_or(0), 0, "{controller}");
    }
}

#[test]
fn what_is_used_stands_in_the_record_and_the_summary() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  works: {run: 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done'}
",
    )
    .run();
    run.exit(0).says("of CPU time");
    let records = run.records();
    let exited = records
        .iter()
        .find(|record| record["record"] == "exited")
        .expect("it has ended");
    assert!(exited["cpu_us"].as_u64() > Some(0), "{exited}");
    assert!(exited["peak_bytes"].as_u64() > Some(100_000), "{exited}");
}

#[test]
fn a_group_that_is_not_there_is_told_before_anything_starts() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'true', group: nosuchgroup}}\n").run();
    run.exit(2).stderr("this machine has no group `nosuchgroup`");
}

#[test]
fn gg10_a_process_runs_as_the_group_it_names() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can run a process as another group");
        return;
    }
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'id -g; id -u', group: '12345'}}\n")
        .quiet()
        .run();
    run.exit(0);
    assert_eq!(run.texts(), ["12345", "0"]);
}
