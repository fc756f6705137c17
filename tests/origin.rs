//! The walk-through of Python's `multiprocessing`, example by example: what must be seen is seen.

use crate::harness::{Forkyard, Outcome, repeat, repository};

fn origin(name: &str) -> Forkyard {
    Forkyard::new("run")
        .quiet()
        .arg(repository(&format!("workflows/origin/{name}.yaml")))
}

/// The text of each line without what follows the colon: times of day differ.
fn before_colon(run: &Outcome) -> Vec<&str> {
    run.texts()
        .into_iter()
        .map(|text| text.split(':').next().unwrap_or(text))
        .collect()
}

#[test]
fn process() {
    repeat(|| {
        let path = repository("workflows/origin/process.yaml");
        let run = Forkyard::new("run").arg(path).param("seconds=0.02").run();
        run.exit(0).line("clock │ started (pid [..])");
        assert_eq!(
            run.said("clock")
                .iter()
                .filter(|text| text.starts_with("The time is "))
                .count(),
            5
        );
    });
}

#[test]
fn processes() {
    repeat(|| {
        let run = origin("processes").param("scale=0.4").run();
        run.exit(0);
        let ends: Vec<&str> = run
            .texts()
            .into_iter()
            .filter(|text| text.starts_with("end "))
            .collect();
        assert_eq!(ends, ["end worker_1", "end worker_2", "end worker_3"]);
        assert!(run.position("END") < run.position("end worker_1"));
        run.position("The number of CPUs is [..]");
        for worker in ["worker-1", "worker-2", "worker-3"] {
            let pid = &run.records_of("started", worker)[0]["pid"];
            run.position(&format!("child process {worker} with pid {pid}"));
        }
    });
}

#[test]
fn process_class() {
    repeat(|| {
        let run = origin("process-class").param("seconds=0.02").run();
        run.exit(0);
        assert_eq!(before_colon(&run).len(), 5);
        assert!(run.texts().iter().all(|text| text.starts_with("The time is ")));
    });
}

#[test]
fn not_daemon() {
    repeat(|| {
        let run = origin("not-daemon").param("seconds=0.05").run();
        run.exit(0);
        assert_eq!(before_colon(&run), ["end!", "work start", "work end"]);
    });
}

#[test]
fn daemon() {
    repeat(|| {
        let run = origin("daemon").param("seconds=100.0").run();
        run.exit(0);
        assert_eq!(run.texts()[0], "end!");
        assert!(!before_colon(&run).contains(&"work end"));
        assert_eq!(run.records_of("exited", "worker")[0]["outcome"], "stopped");
    });
}

#[test]
fn daemon_join() {
    repeat(|| {
        let run = origin("daemon-join").param("seconds=0.05").run();
        run.exit(0);
        assert_eq!(before_colon(&run), ["work start", "work end", "end!"]);
    });
}

#[test]
fn lock() {
    repeat(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("lock.txt");
        let run = origin("lock")
            .param("seconds=0.002")
            .param(&format!("file={}", file.display()))
            .run();
        run.exit(0);
        let lines = run.said("show");
        let (first, second) = lines.split_at(9);
        assert_eq!(second.len(), 9);
        assert_ne!(first[0], second[0]);
        assert!(
            first.iter().all(|line| *line == first[0]) && second.iter().all(|line| *line == second[0]),
            "{lines:?}"
        );
    });
}

#[test]
fn semaphore() {
    repeat(|| {
        let run = origin("semaphore").param("scale=0.05").run();
        run.exit(0);
        let mut inside = 0;
        for text in run.texts() {
            inside += if text.ends_with("acquire") { 1 } else { -1 };
            assert!((0..=2).contains(&inside), "{:?}", run.texts());
        }
        for index in 0..5 {
            run.position(&format!("worker.{index} release"));
        }
    });
}

#[test]
fn event() {
    repeat(|| {
        let run = origin("event").param("patience=100ms").param("seconds=0.05").run();
        run.exit(0);
        let started = run
            .position("wait_for_event: starting")
            .max(run.position("wait_for_event_timeout: starting"));
        let timed_out = run.position("wait_for_event_timeout: the event is not set");
        let set = run.position("main: event is set");
        let seen = run.position("wait_for_event: the event is set");
        assert!(
            started < timed_out && timed_out < set && set < seen,
            "{:?}",
            run.texts()
        );
        assert_eq!(run.texts().len(), 5);
    });
}

#[test]
fn queue() {
    repeat(|| {
        let run = origin("queue").run();
        run.exit(0);
        assert_eq!(run.lines(), [("writer", "put 1"), ("reader", "got 1")]);
    });
}

#[test]
fn pipe() {
    repeat(|| {
        let run = origin("pipe").param("seconds=0.05").param("timeout=1s").run();
        run.exit(124);
        for (name, word) in [("proc1", "send"), ("proc2", "proc2 rev")] {
            let said = run.said(name);
            let expected: Vec<String> = (0..said.len()).map(|number| format!("{word}: {number}")).collect();
            assert_eq!(said, expected);
            assert!(!said.is_empty());
        }
    });
}

#[test]
fn pool_async() {
    repeat(|| {
        let run = origin("pool-async").param("seconds=0.3").run();
        run.exit(0);
        let texts = run.texts();
        assert_eq!(texts.len(), 10, "{texts:?}");
        assert_eq!(texts[0], "Mark~ Mark~ Mark~");
        assert!(
            texts[1..4].iter().all(|text| text.starts_with("msg: ")),
            "three at once: {texts:?}"
        );
        assert!(texts[4].starts_with("end: "), "the fourth when one is free: {texts:?}");
        assert_eq!(texts.iter().filter(|text| text.starts_with("msg: ")).count(), 4);
        assert_eq!(texts[9], "Sub-process(es) done.");
    });
}

#[test]
fn pool_apply() {
    repeat(|| {
        let run = origin("pool-apply").param("seconds=0.02").run();
        run.exit(0);
        let mut expected = vec!["Mark~ Mark~ Mark~".to_owned()];
        for number in 0..4 {
            expected.extend([format!("msg: hello {number}"), format!("end: hello {number}")]);
        }
        expected.push("Sub-process(es) done.".to_owned());
        assert_eq!(run.texts(), expected);
    });
}

#[test]
fn pool_results() {
    repeat(|| {
        let run = origin("pool-results").param("seconds=0.05").run();
        run.exit(0);
        let collected = [
            "::: done hello 0",
            "::: done hello 1",
            "::: done hello 2",
            "::: done hello 3",
            "Sub-process(es) done.",
        ];
        assert_eq!(run.said("collect"), collected);
        let texts = run.texts();
        assert_eq!(texts[texts.len() - 5..], collected, "all tasks come first");
        assert_eq!(texts.iter().filter(|text| text.starts_with("end: ")).count(), 4);
    });
}

#[test]
fn pool_functions() {
    repeat(|| {
        let run = origin("pool-functions").param("scale=0.02").run();
        run.exit(0);
        let functions = ["lee", "marlon", "allen", "frank"];
        let last_start = functions.iter().map(|name| run.when("started", name)).max();
        let first_end = functions.iter().map(|name| run.when("exited", name)).min();
        assert!(last_start < first_end, "all start at once");
        for name in functions {
            run.position(&format!("Run task {name}-[..]"));
            run.position(&format!("Task {name} runs [..] seconds."));
        }
        run.position("Waiting for all subprocesses done...");
        assert_eq!(run.texts().last(), Some(&"All subprocesses done."));
    });
}
