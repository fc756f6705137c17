"""What processes write: through a pipe, to a log, to the screen; and a graph that is only read."""

from __future__ import annotations

import graphs
from crew import Setup, must_equal
from whole import Case, Limit, call, forkyard, program, run

LINE = b"x" * 40 + b"\n"


def lines_file(folder, size):
    path = folder / "lines"
    with open(path, "wb") as out:
        for _ in range(size // 1000):
            out.write(LINE * 1000)
    return path


def is_whole(path, size):
    """Whether a log has every byte; read in pieces."""
    must_equal("bytes", path.stat().st_size, size * len(LINE))
    with open(path, "rb") as file:
        while piece := file.read(len(LINE) * 1000):
            must_equal("lines", piece == LINE * 1000, True)


def to_log(folder, size):
    lines_file(folder, size)
    outcome = run(folder, "forkyard: 1\nprocesses:\n  x: {run: [cat, lines]}\n", 1)
    is_whole(next((folder / "state").glob("forkyard/runs/*/logs/x.log")), size)
    return dict(outcome, operations=size)


def cat_to_file(folder, size):
    lines_file(folder, size)
    outcome = call(["sh", "-c", "cat lines | cat >log"], folder)
    is_whole(folder / "log", size)
    return dict(outcome, operations=size)


def prefixed(folder, size):
    lines_file(folder, size)
    with open(folder / "screen", "wb") as screen:
        outcome = run(folder, "forkyard: 1\nprocesses:\n  x: {run: [cat, lines]}\n", 1, screen)
    count_prefixed(folder / "screen", size, "│ ".encode())
    return dict(outcome, operations=size)


def sed(folder, size):
    lines_file(folder, size)
    outcome = call(["sh", "-c", "cat lines | sed 's/^/x | /' >screen"], folder)
    count_prefixed(folder / "screen", size, b"| ")
    return dict(outcome, operations=size)


def count_prefixed(path, size, mark):
    with open(path, "rb") as file:
        must_equal("prefixed lines", sum(mark + LINE in line for line in file), size)


def piped(folder, size):
    workflow = f"""forkyard: 1
pipes:
  way: {{}}
processes:
  from: {{stdout: way, run: [head, -c, "{size}", /dev/zero]}}
  to: {{stdin: way, run: 'test "$(wc -c)" -eq {size}'}}
"""
    return dict(run(folder, workflow, 2), operations=size / 1e9)


def shell_pipe(folder, size):
    script = f'head -c {size} /dev/zero | test "$(wc -c)" -eq {size}'
    return dict(call(["sh", "-c", script], folder), operations=size / 1e9)


def check(size_of_graph):
    """The programs of the other benchmark, one after the other, on a wide graph."""

    def with_program(name, arguments, write):
        def measure(folder, size):
            with open(folder / "graph", "w") as out:
                write(out, "wide", size)
            return dict(call([*name(), *arguments, "graph"], folder), operations=1)

        return measure

    most, aim = {10_000: (0.05, 0.05), 100_000: (0.5, 0.5)}[size_of_graph]
    return Case(
        f"`check`, {size_of_graph:,} processes",
        size_of_graph,
        100,
        {
            "forkyard": with_program(lambda: [forkyard()], ["check"], graphs.forkyard),
            "ninja -n": with_program(lambda: [program("ninja")], ["-n", "-f"], graphs.ninja),
            "dagu validate": with_program(lambda: [program("dagu")], ["validate"], graphs.dagu),
        },
        (Limit("seconds", None, most, aim), Limit("seconds", "dagu validate", 0.1, 0.1)),
    )


def put(folder, size):
    from runs import put_verb

    return put_verb(Setup(seconds=size / 200))


def redis_cli(folder, size):
    from brokers import redis_cli as measured

    return measured(Setup(seconds=size / 200))


CASES = (
    Case(
        "pipe between two processes, an operation is 1 GB",
        4_000_000_000,
        1_000_000,
        {"forkyard": piped, "shell": shell_pipe},
        (Limit("seconds", "shell", 1 / 0.97, 1),),
    ),
    Case(
        "2,000,000 lines (82 MB) to the log file",
        2_000_000,
        10_000,
        {"forkyard": to_log, "`cat` to a file": cat_to_file},
        (Limit("seconds", "`cat` to a file", 3, 1.3),),
    ),
    Case(
        "2,000,000 lines, prefixed, to stdout and the log file",
        2_000_000,
        10_000,
        {"forkyard": prefixed, "sed": sed},
        (Limit("seconds", "sed", 1.5, 0.7),),
    ),
    check(10_000),
    check(100_000),
    Case(
        "`put` from a shell",
        100,
        5,
        {"forkyard put": put, "redis-cli lpush": redis_cli},
        (Limit("seconds", "redis-cli lpush", 1, 0.5),),
    ),
)
