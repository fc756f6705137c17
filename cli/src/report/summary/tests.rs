use super::*;
use crate::report::tests::{
    ANNOUNCE, COUNT_0, COUNT_1, LINES, PUBLISH, READ, SQUARES, WORKER, exited, plan, record, started,
};
use forkyard_core::id::TaskId;
use forkyard_core::machine::{Exit, Outcome, PoolOutcome, Record};
use forkyard_driver::news::News;

#[track_caller]
fn check(news: &[News], expected: &str) {
    let plan = plan();
    let mut tally = Tally::new(plan.clone());
    tally.add_all(news);
    let text: Vec<String> = notes(&tally, &plan, "R1").into_iter().map(|note| note.text).collect();
    assert_eq!(text.join("\n"), expected);
}

fn ended(verdict: Verdict) -> News {
    record(Record::RunEnded { verdict })
}

#[test]
fn a_success_takes_two_lines() {
    let news = [
        started(READ),
        exited(READ, Exit::Code(0), Outcome::Succeeded),
        record(Record::TaskDone {
            pool: SQUARES,
            task: TaskId(0),
            process: WORKER,
        }),
        ended(Verdict::Succeeded),
    ];
    check(
        &news,
        "word-count succeeded after 3.2s: 4 waiting · 1 done · 1 task done\nsee: forkyard logs R1",
    );
}

#[test]
fn a_failure_tells_who_and_what_it_took_along() {
    let skipped = |process, on| {
        record(Record::Skipped {
            process,
            because: Because::Of(Dependency::Process(on)),
        })
    };
    let news = [
        started(COUNT_0),
        exited(COUNT_0, Exit::Code(3), Outcome::Failed),
        started(COUNT_1),
        exited(COUNT_1, Exit::Signal(9), Outcome::TimedOut),
        skipped(PUBLISH, COUNT_0),
        skipped(ANNOUNCE, PUBLISH),
        ended(Verdict::Failed),
    ];
    check(
        &news,
        "\
word-count failed after 3.2s: 1 waiting · 2 failed · 2 skipped
failed: count.0 exited with code 3 after 1.2s
        see: forkyard logs R1 count.0
failed: count.1 timed out: killed by SIGKILL after 1.2s
        see: forkyard logs R1 count.1
skipped: publish, since count.0 did not succeed
skipped: announce, since publish did not succeed, since count.0 did not succeed
see: forkyard logs R1",
    );
}

#[test]
fn workers_that_cannot_be_started_are_told_of_once() {
    let failed = |process| News::Record {
        at: Time::START,
        record: Record::NotStarted { process, attempt: 1 },
        pid: None,
        reason: Some("there is no ./work.sh".into()),
        usage: None,
        taken_over: false,
    };
    let task = |task| {
        record(Record::TaskFailed {
            pool: SQUARES,
            task: TaskId(task),
            process: WORKER,
        })
    };
    check(
        &[failed(WORKER), task(0), failed(WORKER), task(1), ended(Verdict::Failed)],
        "\
word-count failed after 3.2s: 5 waiting · 2 tasks failed
failed: squares.0 could not be started: there is no ./work.sh
failed: task 0 of squares, last tried by squares.0
failed: task 1 of squares, last tried by squares.0
see: forkyard logs R1",
    );
}

#[test]
fn who_waited_too_long_is_named() {
    let late = Because::WaitedTooLong {
        on: Dependency::Process(READ),
        failed: false,
    };
    let skipped = |process, because| record(Record::Skipped { process, because });
    let news = [
        skipped(PUBLISH, late),
        skipped(ANNOUNCE, Because::Of(Dependency::Process(PUBLISH))),
        ended(Verdict::Failed),
    ];
    check(
        &news,
        "\
word-count failed after 3.2s: 3 waiting · 2 skipped
skipped: publish, since it waited too long for read
skipped: announce, since publish did not succeed, since publish waited too long for read
see: forkyard logs R1",
    );
}

#[test]
fn what_was_stopped_is_not_called_done() {
    let news = [
        started(READ),
        exited(READ, Exit::Signal(15), Outcome::Stopped),
        ended(Verdict::Signal(2)),
    ];
    check(
        &news,
        "word-count was stopped by SIGINT after 3.2s: 4 waiting · 1 stopped\nsee: forkyard logs R1",
    );
}

#[test]
fn what_is_left_over_is_told() {
    let news = [
        record(Record::TaskFailed {
            pool: SQUARES,
            task: TaskId(4),
            process: WORKER,
        }),
        record(Record::PoolEnded {
            pool: SQUARES,
            outcome: PoolOutcome::Failed,
            done: 7,
            failed: 1,
        }),
        News::PoolCounted {
            pool: SQUARES,
            taken: 8,
            left: 2,
        },
        News::QueueCounted {
            queue: LINES,
            put: 9,
            got: 5,
            returned: 1,
            left: 3,
            refused: 2,
        },
        News::OutputDropped { lines: 12 },
        ended(Verdict::Signal(2)),
    ];
    check(
        &news,
        "\
word-count was stopped by SIGINT after 3.2s: 5 waiting · 1 task failed
failed: task 4 of squares, last tried by squares.0
pool squares: 7 tasks done, 1 failed, 2 never begun
queue lines: 3 items left, never got; 1 item put back, as their taker ended; 2 items refused, larger than 1000 bytes
12 lines were not shown here; the logs have all
see: forkyard logs R1",
    );
}

#[test]
fn a_queue_that_was_emptied_is_not_worth_a_line() {
    let counted = News::QueueCounted {
        queue: LINES,
        put: 9,
        got: 9,
        returned: 0,
        left: 0,
        refused: 0,
    };
    check(
        &[counted, ended(Verdict::TimedOut)],
        "word-count timed out after 3.2s: 5 waiting\nsee: forkyard logs R1",
    );
}

#[test]
fn many_failures_are_counted() {
    let failed = || exited(READ, Exit::Code(1), Outcome::Failed);
    let mut tally = Tally::new(plan());
    (0..25).for_each(|_| tally.add(&failed()));
    let text: Vec<String> = notes(&tally, &plan(), "R1").into_iter().map(|note| note.text).collect();
    assert_eq!(
        text.iter().filter(|line| line.starts_with("failed: read")).count(),
        TOLD_MAX
    );
    assert!(text.contains(&"        and 5 more".to_owned()), "{text:?}");
}

#[test]
fn without_an_end_something_is_badly_wrong() {
    assert!(is_bad(&Tally::new(plan())));
    check(
        &[],
        "word-count ended without a verdict: the engine could not go on\nsee: forkyard logs R1",
    );
}
