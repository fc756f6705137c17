//! Pools of all kinds.

use forkyard_core::id::TaskId;
use forkyard_core::machine::{Record, Verdict};
use forkyard_core::plan::{TaskSource, Tasks, Wire, WorkerKind};

use super::world::{World, listed, work};
use crate::alone::passes_alone;
use crate::news::News;

#[test]
fn a_task_finds_its_item_twice_and_its_output_is_its_result() {
    passes_alone(
        "run::tests::pools::a_task_finds_its_item_twice_and_its_output_is_its_result",
        || {
            let mut world = World::new();
            let results = world.queue("results", 1);
            let mut work = work(listed(&["a", "b c", ""]));
            work.results = Some(results);
            world.pool("pool", 2, "printf '[%s|%s]\\n' \"$FORKYARD_ITEM\" \"$(cat)\"", work);
            world.process("prints", "cat", [(0, Wire::FromQueue(results))]);
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Succeeded);
            assert_eq!(shown.log("prints"), "[a|a]\n[b c|b c]\n[|]\n");
            assert_eq!(shown.results("pool").lines().count(), 3);
            assert!(
                shown
                    .results("pool")
                    .starts_with(r#"{"item":"a","result":"[a|a]","task":0}"#)
            );
        },
    );
}

#[test]
fn persistent_workers_answer_each_line() {
    passes_alone("run::tests::pools::persistent_workers_answer_each_line", || {
        let mut world = World::new();
        let mut work = work(TaskSource::Tasks(Tasks::Range(0, 100)));
        work.worker = WorkerKind::Persistent;
        world.pool("pool", 3, "while read n; do echo $((n * n)); done", work);
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Succeeded);
        let results = shown.results("pool");
        assert_eq!(results.lines().count(), 100);
        assert_eq!(
            results.lines().nth(12),
            Some(r#"{"item":"12","result":"144","task":12}"#)
        );
        // The end of a task is written by a shorter way: it must say what the long one does.
        let records = std::fs::read_to_string(shown.directory.records()).expect("records");
        let is_done = |news: &&News| {
            let record = if let News::Record { record, .. } = news {
                *record
            } else {
                return false;
            };
            matches!(record, Record::TaskDone { .. })
        };
        let done: Vec<_> = shown.news.iter().filter(is_done).collect();
        assert_eq!(done.len(), 100);
        for news in done {
            let line = crate::records::to_json(news, &shown.plan, "").to_string();
            assert!(records.lines().any(|known| known == line), "{line}");
        }
    });
}

#[test]
fn tasks_arrive_in_a_queue() {
    passes_alone("run::tests::pools::tasks_arrive_in_a_queue", || {
        let mut world = World::new();
        let jobs = world.queue("jobs", 2);
        world.process("makes", "seq 1 9", [(1, Wire::ToQueue(jobs))]);
        world.pool("pool", 2, "echo \"<$FORKYARD_ITEM>\"", work(TaskSource::Queue(jobs)));
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Succeeded);
        let expected: Vec<String> = (1..=9)
            .map(|number| format!(r#"{{"item":"{number}","result":"<{number}>","task":{}}}"#, number - 1))
            .collect();
        assert_eq!(shown.results("pool").lines().collect::<Vec<_>>(), expected);
        assert_eq!(shown.counted("jobs"), (9, 9, 0, 0, 0));
    });
}

#[test]
fn a_failed_task_is_named_by_its_item() {
    passes_alone("run::tests::pools::a_failed_task_is_named_by_its_item", || {
        let mut world = World::new();
        world.pool(
            "pool",
            1,
            "test \"$FORKYARD_ITEM\" != bad",
            work(listed(&["good", "bad"])),
        );
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Failed);
        let failed = shown.news.iter().find_map(|news| match news {
            News::Record {
                record: Record::TaskFailed { task, .. },
                reason,
                ..
            } => Some((*task, reason.as_deref().map(str::to_owned))),
            _ => None,
        });
        assert_eq!(failed, Some((TaskId(1), Some("its item is \"bad\"".to_owned()))));
    });
}

#[test]
fn a_task_whose_worker_is_killed_runs_again() {
    passes_alone("run::tests::pools::a_task_whose_worker_is_killed_runs_again", || {
        let mut world = World::new();
        let script = "if mkdir once 2>/dev/null; then kill -KILL $$; fi; echo done";
        world.pool("pool", 2, script, work(listed(&["x"])));
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Succeeded);
        assert_eq!(
            shown.results("pool"),
            "{\"item\":\"x\",\"result\":\"done\",\"task\":0}\n"
        );
    });
}

#[test]
fn a_file_of_tasks_that_is_missing_fails_the_pool_with_a_reason() {
    passes_alone(
        "run::tests::pools::a_file_of_tasks_that_is_missing_fails_the_pool_with_a_reason",
        || {
            let mut world = World::new();
            let lines = Tasks::Lines("absent.txt".to_owned(), forkyard_core::source::Span::default());
            world.pool("pool", 1, "true", work(TaskSource::Tasks(lines)));
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Failed);
            let reason = shown.news.iter().find_map(|news| match news {
                News::Record {
                    record: Record::PoolEnded { .. },
                    reason,
                    ..
                } => reason.clone(),
                _ => None,
            });
            assert!(reason.is_some_and(|reason| reason.contains("absent.txt")));
        },
    );
}

#[test]
fn persistent_workers_whose_stdout_is_the_log_answer_all_the_same() {
    passes_alone(
        "run::tests::pools::persistent_workers_whose_stdout_is_the_log_answer_all_the_same",
        || {
            let mut world = World::new();
            let mut work = work(listed(&["a", "b"]));
            work.worker = WorkerKind::Persistent;
            world.pool("pool", 1, "while read word; do echo \"<$word>\"; done", work);
            world.plan.launches[0].fds.insert(1, Wire::Log);
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Succeeded);
            assert_eq!(shown.log("pool.0"), "<a>\n<b>\n");
            assert!(shown.results("pool").contains(r#""result":"<b>""#));
        },
    );
}
