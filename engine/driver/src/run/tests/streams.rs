//! Streams between processes, queues, pipes and files.

use std::time::Duration;

use forkyard_core::machine::Verdict;
use forkyard_core::plan::{Side, Wire};

use super::world::World;
use crate::alone::passes_alone;

#[test]
fn lines_pass_through_a_bounded_queue_in_order() {
    passes_alone(
        "run::tests::streams::lines_pass_through_a_bounded_queue_in_order",
        || {
            let mut world = World::new();
            let queue = world.queue("numbers", 3);
            world.process("sender", "seq 1 5000; printf last", [(1, Wire::ToQueue(queue))]);
            world.process("receiver", "cat", [(0, Wire::FromQueue(queue))]);
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Succeeded);
            let expected: String = (1..=5000)
                .map(|number| format!("{number}\n"))
                .chain(["last\n".into()])
                .collect();
            assert!(shown.log("receiver") == expected);
            assert_eq!(shown.counted("numbers"), (5001, 5001, 0, 0, 0));
        },
    );
}

#[test]
fn several_readers_share_a_queue_and_each_item_goes_to_one() {
    passes_alone(
        "run::tests::streams::several_readers_share_a_queue_and_each_item_goes_to_one",
        || {
            let mut world = World::new();
            let queue = world.queue("numbers", 10);
            world.process("sender", "seq 1 200", [(1, Wire::ToQueue(queue))]);
            for index in 0..3 {
                world.process(&format!("receiver.{index}"), "cat", [(0, Wire::FromQueue(queue))]);
            }
            let shown = world.run();
            assert_eq!(shown.verdict, Verdict::Succeeded);
            let mut numbers: Vec<u32> = (0..3)
                .flat_map(|index| {
                    shown
                        .log(&format!("receiver.{index}"))
                        .lines()
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                })
                .map(|line| line.parse().expect("a number"))
                .collect();
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(1..=200), "{numbers:?}");
            assert_eq!(shown.counted("numbers"), (200, 200, 0, 0, 0));
        },
    );
}

#[test]
fn what_a_dead_reader_had_not_read_goes_to_another() {
    passes_alone(
        "run::tests::streams::what_a_dead_reader_had_not_read_goes_to_another",
        || {
            let mut world = World::new();
            let queue = world.queue("items", 10);
            world.process("sender", "echo a; echo b; echo c", [(1, Wire::ToQueue(queue))]);
            // The first reader holds one item without reading it until it ends; the second waits for that.
            world.process("idle", "sleep 0.3", [(0, Wire::FromQueue(queue))]);
            world.process("eager", "cat", [(0, Wire::FromQueue(queue))]);
            let shown = world.run();
            let mut lines: Vec<_> = shown.log("eager").lines().map(str::to_owned).collect();
            lines.sort();
            let (put, got, returned, left, _) = shown.counted("items");
            assert_eq!(
                lines,
                ["a", "b", "c"],
                "put {put} got {got} returned {returned} left {left}"
            );
            assert_eq!((put, got, left), (3, 3, 0));
            assert_eq!(returned, 1);
        },
    );
}

#[test]
fn a_reader_that_closes_its_stdin_leaves_the_rest_to_others() {
    passes_alone(
        "run::tests::streams::a_reader_that_closes_its_stdin_leaves_the_rest_to_others",
        || {
            let mut world = World::new();
            let queue = world.queue("items", 2);
            let pipe = world.pipe("token");
            world.process("sender", "seq 1 50", [(1, Wire::ToQueue(queue))]);
            world.process(
                "closes",
                "exec 0<&-; cat <&3 >/dev/null",
                [(0, Wire::FromQueue(queue)), (3, Wire::PipeReader(pipe))],
            );
            // It ends the other one only after having got everything.
            world.process(
                "reads",
                "wc -l; exec 3>&-",
                [(0, Wire::FromQueue(queue)), (3, Wire::PipeWriter(pipe))],
            );
            let shown = world.run();
            assert_eq!(shown.log("reads").trim(), "50");
            assert_eq!(shown.verdict, Verdict::Succeeded);
        },
    );
}

#[test]
fn a_sender_learns_that_its_queue_is_broken() {
    passes_alone("run::tests::streams::a_sender_learns_that_its_queue_is_broken", || {
        let mut world = World::new();
        let queue = world.queue("items", 4);
        world.process("sender", "exec yes", [(1, Wire::ToQueue(queue))]);
        world.process("receiver", "head -n 3", [(0, Wire::FromQueue(queue))]);
        let shown = world.run();
        assert_eq!(shown.log("receiver"), "y\ny\ny\n");
        assert_eq!(shown.verdict, Verdict::Succeeded, "as in a shell");
        let (put, got, _, left, _) = shown.counted("items");
        assert_eq!(put, got + left);
        assert!(left > 0);
    });
}

#[test]
fn i9_items_too_large_are_refused_and_counted() {
    passes_alone(
        "run::tests::streams::i9_items_too_large_are_refused_and_counted",
        || {
            let mut world = World::new();
            let queue = world.queue("items", 4);
            world.process(
                "sender",
                "echo a; printf '%0101d\\n' 0; echo b",
                [(1, Wire::ToQueue(queue))],
            );
            world.process("receiver", "cat", [(0, Wire::FromQueue(queue))]);
            let shown = world.run();
            assert_eq!(shown.log("receiver"), "a\nb\n");
            assert_eq!(shown.counted("items"), (2, 2, 0, 0, 1));
        },
    );
}

#[test]
fn a_pipe_is_the_kernels_own_and_ends_with_its_writer() {
    passes_alone(
        "run::tests::streams::a_pipe_is_the_kernels_own_and_ends_with_its_writer",
        || {
            let mut world = World::new();
            let pipe = world.pipe("text-pipe");
            world.process("reader", "cat; echo end", [(0, Wire::PipeReader(pipe))]);
            world.process(
                "writer",
                "echo $FORKYARD_FD_TEXT_PIPE >&5",
                [(5, Wire::PipeWriter(pipe))],
            );
            let shown = world.run();
            assert_eq!(shown.log("reader"), "5\nend\n");
            assert_eq!(shown.verdict, Verdict::Succeeded);
        },
    );
}

#[test]
fn a_pipe_whose_reader_has_ended_kills_its_writer_as_in_a_shell() {
    passes_alone(
        "run::tests::streams::a_pipe_whose_reader_has_ended_kills_its_writer_as_in_a_shell",
        || {
            let mut world = World::new();
            let pipe = world.pipe("text");
            world.process("writer", "exec yes", [(1, Wire::PipeWriter(pipe))]);
            world.process("reader", "head -n 1", [(0, Wire::PipeReader(pipe))]);
            let shown = world.run();
            assert_eq!(shown.log("reader"), "y\n");
            assert_eq!(shown.verdict, Verdict::Succeeded);
        },
    );
}

#[test]
fn files_texts_and_joined_streams() {
    passes_alone("run::tests::streams::files_texts_and_joined_streams", || {
        let mut world = World::new();
        world.file("in.txt", "from a file\n");
        world.file("out.txt", "old\n");
        world.file("more.txt", "old\n");
        world.process(
            "copies",
            "cat; echo oops >&2",
            [
                (0, Wire::ReadFile("in.txt".to_owned())),
                (1, Wire::WriteFile("out.txt".to_owned())),
                (2, Wire::Stdout),
            ],
        );
        world.process(
            "appends",
            "cat; echo $(wc -c <&0)",
            [
                (0, Wire::Text("text\n".to_owned())),
                (1, Wire::AppendFile("more.txt".to_owned())),
            ],
        );
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::Succeeded);
        assert_eq!(shown.file("out.txt"), "from a file\noops\n");
        assert_eq!(shown.file("more.txt"), "old\ntext\n0\n");
    });
}

#[test]
fn a_duplex_pipe_carries_both_ways_at_the_number_told() {
    passes_alone(
        "run::tests::streams::a_duplex_pipe_carries_both_ways_at_the_number_told",
        || {
            let mut world = World::new();
            let pipe = world.pipe("talk");
            let asks = world.process(
                "asks",
                "eval \"echo ping >&$FORKYARD_FD_TALK; head -n 1 <&$FORKYARD_FD_TALK\"",
                [],
            );
            let answers = world.process(
                "answers",
                "eval \"read word <&$FORKYARD_FD_TALK; echo $FORKYARD_FD_TALK-pong >&$FORKYARD_FD_TALK\"; echo $word",
                [(3, Wire::Null)],
            );
            world.plan.pipes[pipe.index()].duplex = true;
            world.plan.pipes[pipe.index()].senders.push(asks);
            world.plan.pipes[pipe.index()].receivers.push(answers);
            world.plan.launches[asks.index()].connects.push((pipe, Side::Left));
            world.plan.launches[answers.index()].connects.push((pipe, Side::Right));
            let shown = world.run();
            assert_eq!(shown.log("asks"), "4-pong\n");
            assert_eq!(shown.log("answers"), "ping\n");
            assert_eq!(shown.verdict, Verdict::Succeeded);
        },
    );
}

#[test]
fn p6_cc11_a_grandchild_that_keeps_the_log_open_does_not_hold_up_the_run() {
    passes_alone(
        "run::tests::streams::p6_cc11_a_grandchild_that_keeps_the_log_open_does_not_hold_up_the_run",
        || {
            let mut world = World::new();
            // It hides its environment and its parents; the run ends all the same, and nobody is left.
            world.process("parent", "(setsid env -i sleep 1000 &) ; echo done", []);
            let shown = world.run();
            assert_eq!(shown.log("parent"), "done\n");
        },
    );
}

#[test]
fn a_ring_of_queues_can_be_stopped() {
    passes_alone("run::tests::streams::a_ring_of_queues_can_be_stopped", || {
        let mut world = World::new();
        let (there, back) = (world.queue("there", 1), world.queue("back", 1));
        let script = "yes | head -n 100; cat";
        for (name, from, to) in [("one", back, there), ("two", there, back)] {
            let id = world.process(name, script, [(0, Wire::FromQueue(from)), (1, Wire::ToQueue(to))]);
            world.plan.processes[id.index()].grace = Duration::from_millis(100);
        }
        world.plan.timeout = Some(Duration::from_millis(300));
        let shown = world.run();
        assert_eq!(shown.verdict, Verdict::TimedOut);
        for queue in ["there", "back"] {
            let (put, got, _, left, _) = shown.counted(queue);
            assert_eq!(put, got + left, "{queue}");
        }
    });
}

#[test]
fn a_hundred_thousand_lines_arrive_whole_in_the_log() {
    passes_alone(
        "run::tests::streams::a_hundred_thousand_lines_arrive_whole_in_the_log",
        || {
            let mut world = World::new();
            world.process("talks", "seq 1 100000", []);
            world.process("binary", "head -c 1000000 /dev/zero", []);
            let shown = world.run();
            let log = shown.log("talks");
            assert!(log.lines().eq((1..=100_000).map(|number| number.to_string())));
            assert_eq!(shown.log("binary").len(), 1_000_000);
        },
    );
}
