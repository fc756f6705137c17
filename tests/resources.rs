//! What a run needs runs out: descriptors, processes, memory, disk, a reader, the clock's good sense. It goes on, waits and tries again, or
//! stops in order and says why.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Forkyard, Outcome, World};

/// `forkyard run` by a shell script, which has it as `"$0" "$@"`.
fn by(script: &str, workflow: &str) -> Forkyard {
    Forkyard::run_of(workflow).launched_by(&["sh", "-c", script])
}

fn crowd(count: usize, run: &str) -> String {
    format!("forkyard: 1\nprocesses:\n  crowd: {{replicas: {count}, run: {run}}}\n")
}

/// Records of a file, each line of which is one, whole.
fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a run has records");
    let whole =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("a torn record: {line}: {error}"));
    text.lines().map(whole).collect()
}

fn exited(records: &[Value], process: &str) -> Vec<Value> {
    let about = |record: &&Value| record["record"] == "exited" && record["process"] == process;
    records.iter().filter(about).cloned().collect()
}

#[test]
fn e3_a_reader_of_stdout_that_goes_away_does_not_harm_the_run() {
    let run = by(
        r#"{ "$0" "$@"; echo "code $?" >&2; } | { exec <&-; touch closed; }"#,
        "
forkyard: 1
processes:
  talks: {run: 'until test -e closed; do sleep 0.01; done; seq 20000; touch done'}
  next: {run: touch next, after: talks}
",
    )
    .run();
    run.stderr("code 141");
    assert!(run.world().has("done") && run.world().has("next"));
    let log = fs::read_to_string(run.world().run_directory().join("logs/talks.log")).expect("a log");
    assert_eq!(log.lines().count(), 20000);
}

#[test]
fn e3_dd8_a_full_disk_under_stdout_does_not_harm_the_run_and_is_told() {
    for form in ["--quiet", "--json", "--color=never"] {
        let run = Forkyard::run_of("forkyard: 1\nprocesses: {talks: {run: seq 20000; touch done}}\n")
            .arg(form)
            .launched_by(&["sh", "-c", r#""$0" "$@" >/dev/full"#])
            .run();
        run.exit(3).stderr("cannot write to stdout: no space left on device");
        assert!(run.world().has("done"));
        assert_eq!(exited(&run.records(), "talks").len(), 1);
        let log = fs::read_to_string(run.world().run_directory().join("logs/talks.log")).expect("a log");
        assert_eq!(log.lines().count(), 20000);
    }
}

#[test]
fn e3_without_any_standard_stream_a_run_goes_on() {
    let run = by(
        r#""$0" "$@" <&- >&- 2>&-; echo "code $?""#,
        "forkyard: 1\nprocesses: {talks: {run: seq 2000; touch done}}\n",
    )
    .run();
    assert!(run.world().has("done"));
    let log = fs::read_to_string(run.world().run_directory().join("logs/talks.log")).expect("a log");
    assert_eq!(log.lines().count(), 2000);
}

#[test]
fn e4_however_few_descriptors_there_are_all_run_or_it_is_said_why_not() {
    for limit in [8, 24, 32, 64, 72, 100] {
        let run = by(
            &format!(r#"ulimit -n {limit} && exec "$0" "$@""#),
            &crowd(60, "echo ran"),
        )
        .run();
        run.exit_one_of(&[0, 3]);
        let ran = run.texts().iter().filter(|text| **text == "ran").count();
        if ran == 0 {
            run.exit(3).stderr("too many open files");
        } else {
            run.exit(0);
            assert_eq!(ran, 60, "of {limit} descriptors");
        }
    }
}

#[test]
fn e4_however_little_memory_there_is_all_run_or_it_is_said_why_not() {
    // Below some 30 MB the C library cannot even begin.
    for kilobytes in [30_000, 31_000, 32_000, 33_000, 34_000, 36_000, 50_000, 200_000] {
        let script = format!(r#"ulimit -v {kilobytes}; "$0" "$@"; echo "code $?""#);
        let run = by(&script, &crowd(20, "echo ran")).run();
        let ran = run.texts().iter().filter(|text| **text == "ran").count();
        let succeeded = run.stdout().contains("code 0\n");
        assert!(!succeeded || ran == 20, "of {kilobytes} kB: {ran} ran");
        assert!(succeeded || !run.errors().is_empty(), "of {kilobytes} kB: not a word");
    }
}

/// The limit of processes does not hold for root: then it is another user's, with a copy of the binary, since this one may lie where
/// only root can go.
const NO_PROCESS: &str = r#"
if [ "$(id -u)" = 0 ]; then
    cp "$0" "$PWD/forkyard"
    chown -R 65533 "$PWD" "$XDG_STATE_HOME" && chmod 755 "$PWD" "$XDG_STATE_HOME"
    exec setpriv --reuid 65533 --regid 65533 --clear-groups prlimit --nproc=6 "$PWD/forkyard" "$@"
fi
exec prlimit --nproc=6 "$0" "$@"
"#;

#[test]
fn e4_who_never_finds_a_process_free_fails_and_the_run_with_it() {
    let run = Forkyard::run_of(&crowd(3, "[echo, never]"))
        .launched_by(&["sh", "-c", NO_PROCESS])
        .run();
    run.exit_one_of(&[1, 3]).no_line("[..]never");
    if run.stdout().contains("crowd") {
        run.says("the limit of processes has been reached");
    } else {
        run.stderr("resource temporarily unavailable");
    }
}

/// A small disk under the state directory; what is kept of it afterwards is in `kept`. Needs namespaces of users and mounts.
fn on_a_small_disk(size: &str, workflow: &str) -> Option<Outcome> {
    let script = format!(
        r#"mount -t tmpfs -o size={size} none "$XDG_STATE_HOME" && "$0" "$@"; code=$?; cp -r "$XDG_STATE_HOME"/forkyard/runs/* kept; exit $code"#
    );
    let words = ["unshare", "--user", "--map-root-user", "--mount"];
    let tried = std::process::Command::new(words[0])
        .args(&words[1..])
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no namespaces for a small disk: unshare is missing, or may not");
        return None;
    }
    let words = [&words[..], &["sh", "-c", &script]].concat();
    Some(Forkyard::run_of(workflow).launched_by(&words).run())
}

fn kept(world: &World) -> Vec<Value> {
    records(&world.folder().join("kept/records.jsonl"))
}

#[test]
fn e5_a_log_on_a_full_disk_stops_the_run_in_order() {
    let Some(run) = on_a_small_disk(
        "400k",
        "
forkyard: 1
processes:
  stays: {run: 'trap \"touch told; exit 0\" TERM; while :; do sleep 0.01; done'}
  fills: {run: 'yes | head -c 3000000; touch written', after: {stays: started}}
  never: {run: touch never, after: fills}
",
    ) else {
        return;
    };
    run.exit(3).says("a log cannot be written: No space left on device");
    // Its own end is not to blame: it could write all.
    assert!(run.world().has("told"), "the other was not asked to stop");
    assert!(!run.world().has("never"), "a stopping run starts nothing");
    let records = kept(run.world());
    assert_eq!(records[0]["record"], "run_started");
    let log = fs::read(run.world().folder().join("kept/logs/fills.log")).expect("a log");
    assert!(
        !log.is_empty() && log.chunks(2).all(|line| b"y\n".starts_with(line)),
        "the log is not what was written"
    );
}

#[test]
fn e5_dd10_dd11_records_on_a_full_disk_stop_the_run_and_none_is_torn() {
    let Some(run) = on_a_small_disk(
        "300k",
        "
forkyard: 1
processes:
  stays: {run: 'trap \"touch told; exit 0\" TERM; while :; do sleep 0.01; done'}
  fills: {run: 'head -c 3000000 /dev/zero > $XDG_STATE_HOME/full', after: {stays: started}, on_failure: ignore}
pools:
  many: {tasks: {range: [1, 2000]}, worker: persistent, run: cat, after: {fills: finished}}
",
    ) else {
        return;
    };
    run.exit(3).says("No space left on device");
    assert!(run.world().has("told"), "the other was not asked to stop");
    assert!(!kept(run.world()).is_empty());
}

#[test]
fn e5_a_queue_without_bound_on_a_full_disk_refuses_and_the_run_goes_on() {
    let Some(run) = on_a_small_disk(
        "4m",
        "
forkyard: 1
queues: {q: {capacity: 0}}
processes:
  fills: {run: 'head -c 200000 /dev/zero | tr \"\\\\0\" x > item; while forkyard put q < item 2>refused || ! code=$?; do :; done; echo \"code $code\"', sends: q}
  takes: {run: 'forkyard get q | wc -c; touch taken', receives: q, after: {fills: finished}}
",
    ) else {
        return;
    };
    run.exit(0);
    let refused = fs::read_to_string(run.world().folder().join("refused")).expect("the verb has said why");
    assert!(refused.contains("no space is left"), "{refused}");
    run.line("fills │ code 3").line("takes │ 200001");
}

#[test]
fn e5_a_stream_into_a_queue_on_a_full_disk_stops_the_run() {
    let Some(run) = on_a_small_disk(
        "4m",
        "
forkyard: 1
queues: {q: {capacity: 0}}
processes:
  fills: {run: 'yes | head -c 30000000', stdout: q}
  takes: {run: 'until test -e never; do sleep 0.01; done', receives: q}
",
    ) else {
        return;
    };
    run.exit(3).says("nothing can be put into `q`: no space is left");
    kept(run.world());
}

/// As root everything can be written: then the run is another user's.
const UNWRITABLE: &str = r#"
if [ "$(id -u)" = 0 ]; then
    cp "$0" "$PWD/forkyard"
    chown -R 65532 "$PWD" "$XDG_STATE_HOME" && chmod 755 "$PWD" "$XDG_STATE_HOME"
    exec setpriv --reuid 65532 --regid 65532 --clear-groups "$PWD/forkyard" "$@"
fi
exec "$0" "$@"
"#;

#[test]
fn e5_a_directory_that_becomes_read_only_under_way_is_told() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  first: {run: 'chmod -R a-w $XDG_STATE_HOME/forkyard/runs/*; echo closed'}
  next: {run: echo never, after: first}
",
    )
    .launched_by(&["sh", "-c", UNWRITABLE])
    .run();
    run.exit(3)
        .line("first │ closed")
        .says("Permission denied")
        .no_line("next │ never");
}

#[test]
fn e5_a_state_directory_that_vanishes_under_way_is_told() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  first: {run: 'rm -rf $XDG_STATE_HOME/forkyard; echo gone'}
  next: {run: echo never, after: first}
",
    )
    .run();
    run.exit(3)
        .line("first │ gone")
        .no_line("next │ never")
        .says("No such file or directory");
}

/// Where Debian has the library that moves a program's wall clock, if it is installed.
fn clock_mover() -> Option<&'static str> {
    const PLACES: [&str; 2] = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    ];
    let found = PLACES.into_iter().find(|place| Path::new(place).exists());
    if found.is_none() {
        crate::checkers::skipped("e6_dd15_the_wall_clock_may_jump", "faketime");
    }
    found
}

#[test]
fn e6_dd15_the_wall_clock_may_jump_by_a_day_back_and_forth() {
    let Some(library) = clock_mover() else { return };
    for (first, then) in [("+1d", "-1d"), ("-1d", "+1d")] {
        let workflow = format!(
            "
forkyard: 1
processes:
  jumps: {{run: 'date +%j; echo {first} > clock; date +%j; sleep 0.1; echo {then} > clock; date +%j; touch jumped'}}
  late: {{run: 'until test -e jumped; do sleep 0.01; done; echo alive; sleep 1000', timeout: 3s, on_failure: ignore}}
  again: {{run: test -e jumped, restart: {{max: 30, backoff: {{initial: 200ms, max: 300ms}}}}}}
"
        );
        let run = Forkyard::run_of(&workflow)
            .quiet()
            .file("clock", "+0d\n")
            .env("LD_PRELOAD", library)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .launched_by(&["sh", "-c", r#"FAKETIME_TIMESTAMP_FILE="$PWD/clock" exec "$0" "$@""#])
            .run();
        run.exit(0);
        let days = run.said("jumps");
        assert!(
            days[0] != days[1] && days[1] != days[2],
            "the clock did not jump: {days:?}"
        );
        // Had the time-out gone by that clock, it would have come before the jump had been seen, or never.
        assert_eq!(run.said("late"), ["alive"]);
        let stopping = run.when("stopping", "late");
        assert!(run.when("exited", "jumps") < stopping && run.when("exited", "again") < stopping);
    }
}
