//! Runs in simulated time: what they are said to take, and what is refused.

use serde_json::Value;

use crate::harness::{Forkyard, Outcome};

const BUILD: &str = "
forkyard: 1
name: build
locks: {db: {}}
pools: {slots: {size: 2}}
processes:
  fetch: {run: touch started}
  compile: {run: touch started, after: fetch, replicas: 3, pool: slots}
  migrate: {run: touch started, holds: db, replicas: 2}
  publish: {run: touch started, after: [compile, migrate]}
";

fn simulated(workflow: &str, arguments: &[&str]) -> Outcome {
    let simulate = Forkyard::new("simulate").workflow(workflow);
    let played = arguments
        .iter()
        .fold(simulate, |simulate, argument| simulate.arg(*argument))
        .run();
    assert!(!played.world().has("started"), "something was started");
    played
}

/// A line of a table with one blank between its cells.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What it says to programs.
fn told(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.stdout()).expect("it is JSON")
}

fn seconds(nanos: &Value) -> f64 {
    nanos.as_f64().expect("a time is a number") / 1e9
}

/// A makespan but for the latencies, which are milliseconds.
#[track_caller]
fn lasts(outcome: &Outcome, expected: u32) {
    let lasted = seconds(&told(outcome)["makespan"]);
    let expected = f64::from(expected);
    assert!(
        lasted >= expected && lasted < expected + 0.1,
        "{lasted} s, not {expected} s"
    );
}

#[test]
fn the_path_and_the_use_of_all_that_is_shared_are_told() {
    let played = simulated(BUILD, &["--duration", "compile=4s", "--duration", "migrate=2s"]);
    played.exit(0);
    played.says("build would succeed after 10.0s: 7 done");
    played.says("critical path, 4 steps:");
    for words in ["`fetch` had ended", "left a slot of `slots`", "`compile.2` had ended"] {
        played.says(words);
    }
    let rows: Vec<String> = played.stdout().lines().map(squeezed).collect();
    for row in [
        "slots slots 2 1.2 = 60 % 2 1 4.0s 4.0s compile.2",
        "db lock 1 0.4 = 40 % 1 1 2.0s 2.0s migrate.1",
    ] {
        assert!(rows.iter().any(|it| it == row), "no `{row}` in {rows:#?}");
    }
}

#[test]
fn programs_get_an_object() {
    let played = simulated(
        BUILD,
        &[
            "--format",
            "json",
            "--duration",
            "compile.1=7s",
            "--default-duration",
            "3s",
        ],
    );
    played.exit(0);
    lasts(&played, 13);
    let told = told(&played);
    assert_eq!(
        (&told["verdict"], &told["workflow"]),
        (&"succeeded".into(), &"build".into())
    );
    assert_eq!(told["processes"]["done"], 7);
    assert_eq!(told["assumed"]["unsaid"], 6);
    let path = told["critical_path"]["shown"].as_array().expect("a list");
    let names: Vec<&str> = path.iter().filter_map(|step| step["process"].as_str()).collect();
    assert_eq!(names, ["fetch", "compile.1", "publish"]);
    assert_eq!(
        (&told["pools"][0]["name"], &told["pools"][0]["size"]),
        (&"slots".into(), &2.into())
    );
    assert_eq!(told["stuck"], Value::Null);
}

#[test]
fn other_sizes_make_another_run() {
    let wide = "forkyard: 1\nprocesses: {p: {run: touch started, replicas: 12}}\n";
    lasts(simulated(wide, &["--format", "json"]).exit(0), 1);
    lasts(simulated(wide, &["--format", "json", "--slots", "5"]).exit(0), 3);
    lasts(simulated(BUILD, &["--format", "json", "--slots", "slots=1"]).exit(0), 5);
    lasts(simulated(BUILD, &["--format", "json", "--slots", "slots=3"]).exit(0), 3);
    let permits =
        "forkyard: 1\nsemaphores: {s: {permits: 1}}\nprocesses: {p: {run: touch started, holds: s, replicas: 4}}\n";
    lasts(simulated(permits, &["--format", "json"]).exit(0), 4);
    lasts(simulated(permits, &["--format", "json", "--slots", "s=2"]).exit(0), 2);
    let workers = "forkyard: 1\npools: {w: {size: 1, tasks: {range: [0, 6]}, run: touch started}}\n";
    lasts(simulated(workers, &["--format", "json", "--slots", "w=3"]).exit(0), 2);
}

#[test]
fn a_run_that_would_fail_is_told() {
    let played = simulated(BUILD, &["--fail", "fetch"]);
    played.exit(1);
    played.says("build would fail after").says("1 failed · 4 skipped");
    let retried = "forkyard: 1\nprocesses: {a: {run: touch started, restart: on-failure}}\n";
    simulated(retried, &["--fail", "a=2"])
        .exit(0)
        .says("1 done · 2 restarted");
    simulated(retried, &["--fail", "a"])
        .exit(1)
        .says("1 failed · 5 restarted");
}

#[test]
fn a_run_that_would_never_end_is_told() {
    let text = "
forkyard: 1
queues: {q: {}}
pools: {one: {size: 2}}
processes:
  read: {run: touch started, stdin: q, pool: one}
  write: {run: touch started, stdout: q, pool: one}
";
    simulated(text, &[]).exit(0);
    let played = simulated(text, &["--slots", "one=1"]);
    played.exit(1);
    played.says("would never end");
    played.says("`read` runs, and waits for the end of the queue `q`");
    played.says("`write` waits for a slot of `one`");
}

#[test]
fn a_daemon_that_keeps_the_only_slot_is_told() {
    let text = "
forkyard: 1
pools: {one: {size: 1}}
processes:
  server: {run: touch started, pool: one, daemon: true}
  job: {run: touch started, pool: one}
";
    let played = simulated(text, &[]);
    played.exit(1).says("`job` waits for a slot of `one`");
    simulated(text, &["--slots", "one=2"]).exit(0);
}

#[test]
fn services_are_stopped_at_the_end() {
    let text = "forkyard: 1\nprocesses: {web: {run: touch started, restart: always}, job: {run: touch started}}\n";
    simulated(text, &[])
        .exit(0)
        .says("if it is stopped when nothing is left but services");
}

#[test]
fn durations_of_a_run_before_are_taken() {
    let text = "
forkyard: 1
name: twice
queues: {q: {}}
processes:
  slow: {run: sleep 0.3, after: quick}
  quick: {run: 'true'}
  make: {run: seq 3, stdout: q}
pools:
  w: {size: 1, stdin: q, run: sleep 0.1}
";
    let run = Forkyard::run_of(text).quiet().run();
    run.exit(0);
    let played = Forkyard::new("simulate")
        .within(run.into_world())
        .workflow(text)
        .arg("--from")
        .arg("latest")
        .arg("--format")
        .arg("json")
        .run();
    played.exit(0);
    let told = told(&played);
    assert_eq!(told["assumed"]["unsaid"], 0);
    assert_eq!(told["tasks"]["done"], 3, "{told:#}");
    let work = seconds(&told["work"]);
    // Of which more is measured on a busy machine, and never less.
    assert!(work >= 0.6, "{work} s of work");
    let path = told["critical_path"]["shown"].as_array().expect("a list");
    assert!(!path.is_empty(), "{told:#}");
}

#[test]
fn tasks_are_the_lines_of_a_file() {
    let text = "forkyard: 1\npools: {w: {size: 2, tasks: {lines: list.txt}, run: touch started}}\n";
    let with = |lines: &str| {
        let simulate = Forkyard::new("simulate").file("list.txt", lines).workflow(text);
        simulate.arg("--format").arg("json").run()
    };
    lasts(with("a\nb\nc\nd").exit(0), 2);
    lasts(with("a\nb\nc\nd\ne\n").exit(0), 3);
    let missing = simulated(text, &[]);
    missing
        .exit(0)
        .says("list.txt cannot be read: no such file or directory; see --items");
    lasts(simulated(text, &["--items", "w=8", "--format", "json"]).exit(0), 4);
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let refused: [(&[&str], &str); 17] = [
        (&["--duration", "nobody=1s"], "there is no process or pool `nobody`"),
        (&["--duration", "fetch"], "write it as name=value"),
        (&["--duration", "fetch=5"], "a duration is written as"),
        (&["--duration", "a[*=5s"], "is no pattern"),
        (&["--duration", "x*=5s"], "there is no process or pool `x*`"),
        (&["--default-duration", "-1s"], "cannot be negative"),
        (&["--start-latency", "soon"], "a duration is written as"),
        (&["--slots", "0"], "a number from 1 to"),
        (&["--slots", "slots=4000000000"], "a number from 1 to"),
        (&["--slots", "nobody=4"], "there is no pool or semaphore `nobody`"),
        (&["--fail", "nobody"], "there is no process or pool `nobody`"),
        (&["--fail", "fetch=often"], "a whole number"),
        (
            &["--items", "nobody=4"],
            "there is no queue, or pool with tasks of its own, `nobody`",
        ),
        (&["--items", "nobody=4000000000"], "a whole number up to"),
        (&["--from", "latest"], "there is no run `latest`"),
        (&["--from", "20200101-000000-abcd"], "there is no run"),
        (&["--seed", "x"], "invalid value"),
    ];
    for (arguments, words) in refused {
        simulated(BUILD, arguments).exit(2).stderr(words);
    }
    let workers = "forkyard: 1\npools: {w: {size: 1, tasks: [a], run: touch started}}\n";
    simulated(workers, &["--slots", "w=900000"])
        .exit(2)
        .stderr("may have 100000 workers at most");
    simulated("forkyard: 1\nprocesses: {a: {run: touch started, after: b}}\n", &[])
        .exit(2)
        .stderr("error[FY201]");
    Forkyard::new("simulate")
        .arg("none.yaml")
        .run()
        .exit(2)
        .stderr("none.yaml");
}

#[test]
fn a_long_run_is_shown_in_short() {
    let chain: String = (0..120)
        .map(|place| match place {
            0 => "  p0: {run: touch started}\n".to_owned(),
            _ => format!("  p{place}: {{run: touch started, after: p{}}}\n", place - 1),
        })
        .collect();
    let played = simulated(&format!("forkyard: 1\nprocesses:\n{chain}"), &[]);
    played.exit(0).says("critical path, 120 steps:").says("96 more");
    assert!(played.stdout().lines().count() < 40, "{}", played.stdout());
}

#[test]
fn one_scenario_is_one_history() {
    let text = "forkyard: 1\nprocesses: {a: {run: touch started, restart: {max: 9}, replicas: 3}}\n";
    let play = |seed| {
        simulated(text, &["--fail", "a=3", "--format", "json", "--seed", seed])
            .stdout()
            .to_owned()
    };
    assert_eq!(play("1"), play("1"));
    assert_ne!(play("1"), play("2"));
}
