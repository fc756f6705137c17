use super::*;
use crate::report::tests::{
    ANNOUNCE, COUNT_0, PUBLISH, READ, SQUARES, WORKER, exited, launch, output, plan, record, started,
};
use forkyard_core::id::TaskId;
use forkyard_core::machine::{Because, Exit, Outcome, PoolOutcome, Record, Stopped, Why};
use forkyard_core::plan::Dependency;

fn text(voice: Voice, colors: Colors) -> Text {
    Text::new(plan(), "R1".to_owned(), voice, colors)
}

#[track_caller]
fn check(news: &News, expected: &str) {
    assert_eq!(text(Voice::Full, Colors::Drop).line(news).as_deref(), Some(expected));
}

#[test]
fn output_stands_behind_the_name() {
    check(&output(COUNT_0, b"hello"), "count.0   │ hello");
    check(&output(COUNT_0, b""), "count.0   │");
    check(&output(READ, b"\x1b[2J\x1b[31mred"), "read      │ red");
}

#[test]
fn colors_are_stable_and_reset() {
    let mut text = text(Voice::Full, Colors::Pass);
    let line = text.line(&output(READ, b"\x1b[31mred"));
    assert_eq!(line.as_deref(), Some("\x1b[36mread      │\x1b[0m \x1b[31mred\x1b[0m"));
    let colors: Vec<String> = [1, 2]
        .map(|id| {
            text.line(&output(forkyard_core::id::ProcessId(id), b""))
                .unwrap_or_default()
        })
        .iter()
        .map(|line| line.chars().take_while(|character| *character != 'm').collect())
        .collect();
    assert_eq!(colors[0], colors[1]);
}

#[test]
fn a_prefix_takes_the_place_of_the_name() {
    let mut plan = plan().as_ref().clone();
    plan.launches[0].prefix = Some("in\x1b[2J".to_owned());
    plan.launches[1].prefix = Some(String::new());
    plan.launches[2] = launch("count");
    let mut text = Text::new(Arc::new(plan), "R1".to_owned(), Voice::Full, Colors::Drop);
    assert_eq!(text.line(&output(READ, b"x")).as_deref(), Some("in        │ x"));
    assert_eq!(text.line(&output(COUNT_0, b"x")).as_deref(), Some("x"));
    assert_eq!(
        text.line(&started(READ)).as_deref(),
        Some("read      │ started (pid 123)")
    );
}

#[test]
fn starts_and_ends_are_told() {
    check(&started(READ), "read      │ started (pid 123)");
    check(&started(WORKER), "squares.0 │ started (pid 123) for task 4");
    let cases = [
        (Exit::Code(0), Outcome::Succeeded, "exited with code 0 after 1.2s"),
        (Exit::Code(1), Outcome::Failed, "exited with code 1 after 1.2s"),
        (
            Exit::Code(1),
            Outcome::Ignored,
            "exited with code 1 after 1.2s (ignored)",
        ),
        (Exit::Signal(9), Outcome::Failed, "killed by SIGKILL after 1.2s"),
        (
            Exit::Signal(13),
            Outcome::BrokenPipe,
            "killed by SIGPIPE after 1.2s, as its readers had ended",
        ),
        (
            Exit::Signal(15),
            Outcome::Stopped,
            "stopped: killed by SIGTERM after 1.2s",
        ),
        (
            Exit::Signal(15),
            Outcome::TimedOut,
            "timed out: killed by SIGTERM after 1.2s",
        ),
    ];
    for (exit, outcome, expected) in cases {
        check(&exited(READ, exit, outcome), &format!("read      │ {expected}"));
    }
}

#[test]
fn a_start_that_failed_tells_why() {
    let news = News::Record {
        at: forkyard_core::time::Time(1),
        record: Record::NotStarted {
            process: READ,
            attempt: 1,
        },
        pid: None,
        reason: Some("cannot execute ./read.sh: permission denied".into()),
        usage: None,
        taken_over: false,
    };
    check(
        &news,
        "read      │ could not be started: cannot execute ./read.sh: permission denied",
    );
}

#[test]
fn stopping_and_skipping_are_told() {
    let skipped = |because| {
        record(Record::Skipped {
            process: PUBLISH,
            because,
        })
    };
    let on = Dependency::Process(COUNT_0);
    check(
        &skipped(Because::Of(on)),
        "publish   │ skipped: count.0 did not succeed",
    );
    let late = |failed| Because::WaitedTooLong { on, failed };
    check(
        &skipped(late(false)),
        "publish   │ skipped: waited too long for count.0",
    );
    check(&skipped(late(true)), "publish   │ failed: waited too long for count.0");
    let stopping = Record::Stopping {
        process: ANNOUNCE,
        why: Why::RunStops,
    };
    check(&record(stopping), "announce  │ stopping, the run stops");
    check(&record(Record::Killing { process: ANNOUNCE }), "announce  │ killing it");
    let why = Stopped::Signal(2);
    check(
        &record(Record::RunStopping { why }),
        "forkyard  │ stopping the run, by SIGINT; once more kills it at once",
    );
}

#[test]
fn a_kill_tells_how_long_it_was_waited_for() {
    let mut text = text(Voice::Full, Colors::Drop);
    let at = |nanos, record| News::Record {
        at: forkyard_core::time::Time(nanos),
        record,
        pid: None,
        reason: None,
        usage: None,
        taken_over: false,
    };
    let why = Why::RunStops;
    text.line(&at(1_000_000_000, Record::Stopping { process: READ, why }));
    assert_eq!(
        text.line(&at(1_300_000_000, Record::Killing { process: READ }))
            .as_deref(),
        Some("read      │ has not stopped after 300ms: killing it")
    );
}

#[test]
fn a_fault_tells_why() {
    let news = News::Record {
        at: forkyard_core::time::Time(1),
        record: Record::RunStopping { why: Stopped::Fault },
        pid: None,
        reason: Some("the disk is full".into()),
        usage: None,
        taken_over: false,
    };
    check(
        &news,
        "forkyard  │ stopping the run, the engine cannot go on: the disk is full",
    );
}

#[test]
fn pools_are_told_by_their_tasks() {
    let ended = Record::PoolEnded {
        pool: SQUARES,
        outcome: PoolOutcome::Failed,
        done: 7,
        failed: 1,
    };
    check(&record(ended), "squares   │ 7 tasks done, 1 failed");
    let retried = Record::TaskRetried {
        pool: SQUARES,
        task: TaskId(3),
        process: WORKER,
        tries: 2,
    };
    check(
        &record(retried),
        "squares.0 │ task 3 failed, trying it again (tried twice)",
    );
}

#[test]
fn a_quiet_voice_passes_output_alone() {
    let mut text = text(Voice::Quiet, Colors::Drop);
    assert_eq!(text.opening(), None);
    assert_eq!(text.line(&started(READ)), None);
    assert_eq!(text.line(&News::OutputDropped { lines: 1 }), None);
    assert_eq!(text.line(&output(READ, b"x")).as_deref(), Some("read      │ x"));
    let verdict = forkyard_core::machine::Verdict::Succeeded;
    text.line(&record(Record::RunEnded { verdict }));
    assert_eq!(text.summary(), Vec::<String>::new());
}

#[test]
fn a_quiet_voice_speaks_up_after_a_failure() {
    let mut text = text(Voice::Quiet, Colors::Drop);
    text.line(&exited(READ, Exit::Code(1), Outcome::Failed));
    let verdict = forkyard_core::machine::Verdict::Failed;
    text.line(&record(Record::RunEnded { verdict }));
    assert_eq!(
        text.summary()[1],
        "forkyard  │ failed: read exited with code 1 after 1.2s"
    );
}
