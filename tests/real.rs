//! The workflows that do real work: what they print in the end is always the same.

use crate::harness::{Forkyard, Outcome, repeat, repository};

fn run(workflow: &str, param: &str) -> Outcome {
    let run = Forkyard::new("run")
        .quiet()
        .arg(repository(&format!("workflows/{workflow}")))
        .param(param)
        .run();
    run.exit(0);
    run
}

#[test]
fn word_count() {
    repeat(|| {
        let run = run("word-count/word-count.yaml", "counters=4");
        let expected = [
            "8 train", "6 track", "6 yard", "5 goes", "5 staff", "4 book", "4 hook", "4 lamp",
        ];
        assert_eq!(run.said("merge"), expected);
    });
}

#[test]
fn word_count_with_one_counter_is_the_same() {
    let run = run("word-count/word-count.yaml", "counters=1");
    assert_eq!(run.said("merge").first(), Some(&"8 train"));
}

#[test]
fn build_test_publish() {
    repeat(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let build = folder.path().join("build");
        let run = run("build-test-publish/build.yaml", &format!("build={}", build.display()));
        assert_eq!(
            run.said("report"),
            ["hello mirror", "hello stable", "hello, forkyard", "one name"]
        );
        assert!(run.position("fetched ask.sh") < run.position("compiled main.sh"));
        assert!(run.position("test main passed") < run.position("packed hello: 1.0"));
        assert!(!build.exists(), "the last process cleans up");
    });
}

#[test]
fn a_test_that_fails_stops_the_publishing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let run = Forkyard::new("run")
        .arg(repository("workflows/build-test-publish/build.yaml"))
        .param(&format!("build={}", folder.path().join("build").display()))
        .env("GREETING", "good day")
        .run();
    run.exit(1).says("test").says("publish");
    for process in ["package", "publish.0", "publish.1", "report"] {
        assert_eq!(run.records_of("skipped", process).len(), 1, "{process}");
    }
}

#[test]
fn web_logs() {
    repeat(|| {
        let run = run("web-logs/web-logs.yaml", "top=5");
        let expected = [
            "page               requests visitors errors      KiB",
            "/                        65       34      0      295",
            "/docs/                   32       23      0      220",
            "/img/yard.png            26       20      0      941",
            "/docs/tutorial           23       16      0      229",
            "/search                  17       15      4       42",
        ];
        assert_eq!(run.said("report"), expected);
    });
}
