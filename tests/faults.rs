//! What goes wrong outside of the workflow: the machine lacks something, somebody is killed, a file is not there.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, Outcome, number, repeat, until};

/// `forkyard run` by a shell that first does something to itself.
fn after(script: &str, workflow: &str) -> Forkyard {
    let script = format!("{script} && exec \"$0\" \"$@\"");
    Forkyard::run_of(workflow).launched_by(&["sh", "-c", &script])
}

/// So many processes that do the same.
fn crowd(count: usize, script: &str) -> String {
    format!("forkyard: 1\nprocesses:\n  crowd: {{replicas: {count}, run: {script}}}\n")
}

fn pid_of(live: &Live, process: &str) -> Pid {
    let records = live.world().run_directory().join("records.jsonl");
    let text = fs::read_to_string(records).expect("a run has records");
    let started = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a record is JSON"))
        .find(|record| record["record"] == "started" && record["process"] == process)
        .expect("it has been started");
    let pid = started["pid"].as_i64().expect("it has a pid");
    Pid::from_raw(i32::try_from(pid).expect("a pid fits"))
}

/// What the descriptors of a process refer to.
fn descriptors(pid: Pid) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .collect()
}

#[test]
fn bb7_the_engine_keeps_no_end_of_a_pipe_between_processes() {
    let live = Forkyard::run_of(
        "
forkyard: 1
pipes: {p: {}, q: {}}
processes:
  writes: {run: 'echo up >&2; exec cat', stdin: q, stdout: p}
  reads: {run: 'echo up >&2; exec cat', stdin: p, stdout: q}
",
    )
    .start();
    live.wait_for("writes │ up").wait_for("reads │ up");
    let between = fs::read_link(format!("/proc/{}/fd/0", pid_of(&live, "reads"))).expect("it reads");
    assert!(between.to_string_lossy().starts_with("pipe:"), "{between:?}");
    let kept = descriptors(live.engine());
    assert!(!kept.contains(&between), "{kept:?}");
    live.signal(Signal::SIGTERM);
    live.end().exit(143);
}

#[test]
fn e1_dd1_the_engine_may_be_killed_at_any_moment() {
    let workflow = "
forkyard: 1
processes:
  hides: {replicas: 3, run: \"setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &); env -i setsid sleep 1000 & sleep 1000\"}
";
    for moment in 0..12_u64 {
        let live = Forkyard::run_of(workflow).quiet().start();
        until("there is a run", || live.world().runs().len() == 1);
        until("it is the engine's", || {
            live.world().run_directory().join("records.jsonl").exists()
        });
        // Not a wait for anything: it spreads the kills over what the engine does in its first moments.
        std::thread::sleep(std::time::Duration::from_millis(moment * 3));
        kill(live.engine(), Signal::SIGKILL).expect("the engine is alive");
        live.end().exit(3).stderr("the engine was killed (SIGKILL)");
    }
}

#[test]
fn e4_dd12_who_finds_no_descriptor_free_waits_for_those_who_have_some() {
    let run = after("ulimit -n 100", &crowd(40, "sleep 0.05")).run();
    run.exit(0);
    assert_eq!(count(&run, "exited"), 40);
}

#[test]
fn a_soft_limit_of_open_files_is_the_processes_own() {
    let run = after("ulimit -Sn 64", &crowd(40, "ulimit -Sn")).quiet().run();
    run.exit(0);
    assert_eq!(run.texts(), ["64"; 40]);
}

#[test]
fn e4_dd12_too_few_descriptors_are_said_to_be_too_few() {
    let run = after("ulimit -n 64", &crowd(1, "echo never")).run();
    run.exit(3).stderr("ulimit -n").no_line("[..]never");
}

/// How many records of this kind there are.
fn count(run: &Outcome, kind: &str) -> usize {
    run.records().iter().filter(|record| record["record"] == kind).count()
}

/// The limit of processes does not hold for root: then the test is another user's, with a copy of the binary, since
/// this one may lie where only root can go.
const FEW_PROCESSES: &str = r#"
if [ "$(id -u)" = 0 ]; then
    cp "$0" "$PWD/forkyard"
    chown -R 65534 "$PWD" "$XDG_STATE_HOME" && chmod 755 "$PWD" "$XDG_STATE_HOME"
    exec setpriv --reuid 65534 --regid 65534 --clear-groups prlimit --nproc=12 "$PWD/forkyard" "$@"
fi
exec "$0" "$@"
"#;

#[test]
fn e4_dd13_who_finds_no_process_free_waits_for_those_who_run() {
    let run = Forkyard::run_of(&crowd(30, "[sleep, '0.05']"))
        .launched_by(&["sh", "-c", FEW_PROCESSES])
        .run();
    run.exit(0);
    assert_eq!(count(&run, "exited"), 30);
}

#[test]
fn a_task_that_fits_no_persistent_worker_fails_alone() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  puts: {run: \"forkyard put q one \\\"$(printf 'two\\nlines')\\\" three\", sends: q}
pools:
  echo:
    stdin: q
    worker: persistent
    size: 2
    run: while read -r item; do echo \"$item!\"; done
",
    )
    .run();
    run.exit(1).says("two\\nlines").says("worker: task");
    assert_eq!(count(&run, "task_done"), 2);
    assert_eq!(count(&run, "task_failed"), 1);
}

#[test]
fn a_file_of_tasks_that_cannot_be_read_fails_its_pool_alone() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  removes: {run: rm tasks.txt}
  other: {run: echo other, after: {pool: finished}}
pools:
  pool: {tasks: {lines: tasks.txt}, run: echo, after: removes}
",
    )
    .file("tasks.txt", "one\n")
    .run();
    run.exit(1)
        .line("pool │ [..]cannot read tasks from [..]tasks.txt: No such file[..]")
        .line("other │ other");
}

#[test]
fn e5_dd9_a_full_disk_stops_the_run_in_order() {
    let workflow = "
forkyard: 1
processes:
  long: {run: sleep 1000}
  fills: {run: 'head -c 2000000 /dev/zero', after: {long: started}, stdout: {file: full/log}}
  logs: {run: 'head -c 2000000 /dev/zero', after: {fills: finished}}
";
    let script = "mkdir full && mount -t tmpfs -o size=100k none full && export XDG_STATE_HOME=$PWD/full";
    let script = format!("{script} && exec \"$0\" \"$@\"");
    let run = Forkyard::run_of(workflow)
        .launched_by(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .run();
    run.exit(3).stderr("no space left on device");
}

#[test]
fn p3_a_stop_command_that_hangs_does_not_outlive_the_run() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  p:
    stop: {command: \"echo > asked; setsid sleep 1000 & sleep 1000\", grace: 50ms}
    run: echo up; sleep 1000
",
    )
    .start();
    live.wait_for("p │ up").signal(Signal::SIGTERM);
    let run = live.end();
    run.exit(143);
    assert!(run.world().has("asked"));
}

#[test]
fn p8_what_a_killed_reader_has_not_read_goes_to_the_next() {
    repeat(|| {
        let run = Forkyard::run_of(
            "
forkyard: 1
queues: {q: {}}
processes:
  puts: {run: seq 1000, stdout: q}
  dies: {run: 'sleep 0.02; kill -KILL $$', stdin: q, on_failure: ignore}
  reads: {run: wc -l, stdin: q}
",
        )
        .quiet()
        .run();
        run.exit(0);
        assert_eq!(run.said("reads"), ["1000"]);
    });
}

#[test]
fn i3_the_end_of_a_queue_is_told_when_nothing_can_come_back() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
events: {has: {}}
processes:
  puts: {run: echo only, stdout: q}
  holds: {run: 'sleep 0.2; kill -KILL $$', stdin: q, after: {puts: finished}, on_failure: ignore}
  gets: {run: forkyard get q; forkyard get q; echo $?, receives: q, after: {holds: started}}
",
    )
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("gets"), ["only", "1"]);
}

#[test]
fn i2_the_heir_of_who_failed_is_told() {
    let run = Forkyard::run_of(
        "
forkyard: 1
locks: {l: {}}
processes:
  fails: {run: forkyard acquire l && exit 1, acquires: l, on_failure: ignore}
  heir: {run: 'exec 2>&1; forkyard acquire l && echo mine', acquires: l, after: {fails: finished}}
  ends: {run: forkyard acquire l, acquires: l, after: {heir: finished}}
  next: {run: 'exec 2>&1; forkyard acquire l && echo mine', acquires: l, after: {ends: finished}}
",
    )
    .quiet()
    .run();
    run.exit(0);
    assert!(run.said("heir")[0].contains("has died"), "{:?}", run.said("heir"));
    assert_eq!(run.said("next"), ["mine"]);
}

#[test]
fn e5_dd19_a_run_directory_that_vanishes_is_said_to_have() {
    let live =
        Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'echo up; until test -e go; do sleep 0.01; done'}}\n")
            .start();
    live.wait_for("p │ up");
    fs::remove_dir_all(live.world().run_directory()).expect("it is ours");
    fs::write(live.world().folder().join("go"), "").expect("it is ours");
    live.end().exit(3).stderr("the run's directory cannot be written");
}

/// `just crowd` asks for ten thousand. Each needs one descriptor of the engine, since its output goes nowhere.
#[test]
fn e8_a_crowd_of_processes_ends_at_once() {
    let crowd = number("FORKYARD_CROWD", 300);
    let workflow = format!(
        "
forkyard: 1
pipes: {{gate: {{}}}}
processes:
  crowd: {{replicas: {crowd}, run: cat, stdin: gate, stdout: null, stderr: null}}
  opens: {{after: {{crowd: started}}, run: 'true', stdout: gate}}
"
    );
    let run = Forkyard::run_of(&workflow).quiet().run();
    run.exit(0);
    assert_eq!(count(&run, "exited") as u64, crowd + 1);
}
