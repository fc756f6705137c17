"""Many short processes: independent ones, chains, and how the cost of one changes with their number."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import graphs
from crew import Missing, must_equal
from whole import PEERS, ROOT, Case, Limit, call, forkyard, program, records, run, static_program

AT_ONCE = 2

HEAD = f"forkyard: 1\npools:\n  slots: {{size: {AT_ONCE}}}\nprocesses:\n"


def wide(words, size):
    return HEAD + "".join(f"  p{it}: {{run: {json.dumps(words)}, pool: slots}}\n" for it in range(size))


def ours(words):
    def measure(folder, size):
        return run(folder, wide(words, size), size)

    return measure


def ours_static(folder, size):
    return run(folder, wide([static_program(folder)], size), size)


def ours_chain(folder, size):
    lines = (f"  p{it}: {{run: [/bin/true]{f', after: p{it - 1}' if it else ''}}}\n" for it in range(size))
    return run(folder, "forkyard: 1\nprocesses:\n" + "".join(lines), size)


def makefile(recipe, size, is_chain=False):
    names = [f"p{it}" for it in range(size)]
    chain = (f"p{it}: p{it - 1}\n" for it in range(1, size)) if is_chain else ()
    # Each says that it was there, by an empty echo of make itself, which costs no process.
    return f"all: {' '.join(names)}\n{''.join(chain)}{' '.join(names)}:\n\t$(info )@{recipe}\n.PHONY: all {' '.join(names)}\n"


def make(recipe, is_chain=False):
    def measure(folder, size):
        own = static_program(folder) if recipe == "STATIC" else recipe
        (folder / "makefile").write_text(makefile(own, size, is_chain))
        with open(folder / "said", "wb") as said:
            outcome = call([program("make"), f"-j{AT_ONCE}", "--no-print-directory"], folder, said)
        must_equal("recipes", (folder / "said").read_bytes().count(b"\n"), size)
        return dict(outcome, operations=size)

    return measure


def xargs(folder, size):
    (folder / "names").write_text("".join(f"{it}\n" for it in range(size)))
    command = f"{program('xargs')} -P{AT_ONCE} -n1 /bin/true <names"
    return dict(call(["sh", "-c", command], folder), operations=size)


def parallel(folder, size):
    (folder / "names").write_text("".join(f"{it}\n" for it in range(size)))
    command = f"{program('parallel')} --will-cite -j{AT_ONCE} --joblog log 'exit 0 #' <names"
    outcome = call(["sh", "-c", command], folder)
    must_equal("lines of the job log", len((folder / "log").read_text().splitlines()), size + 1)
    return dict(outcome, operations=size)


def ninja(folder, size):
    builds = "".join(f"build p{it}: r\n" for it in range(size))
    (folder / "build.ninja").write_text(f"rule r\n  command = exit 0\n{builds}")
    return dict(call([program("ninja"), f"-j{AT_ONCE}", "--quiet"], folder), operations=size)


def bare_static(folder, size):
    """The floor: two at a time, started by the C library with `vfork`, nothing kept."""
    return bare(folder, size, static_program(folder))


def bare_true(folder, size):
    return bare(folder, size, "/bin/true")


def bare(folder, size, path):
    script = """
import os, sys
path, size, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for begun in range(size):
    if begun >= at_once and os.wait()[1]:
        sys.exit(1)
    os.posix_spawn(path, [path], os.environ)
while True:
    try:
        if os.wait()[1]:
            sys.exit(1)
    except ChildProcessError:
        break
"""
    return dict(call([sys.executable, "-S", "-c", script, path, str(size), str(AT_ONCE)], folder), operations=size)


HYPERQUEUE = """
import sys, time
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
size, is_chain = int(sys.argv[1]), sys.argv[2] == "chain"
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client()
    job, last = Job(), None
    began = time.perf_counter()
    for _ in range(size):
        last = job.program(["/bin/true"], deps=[last] if is_chain and last else [])
    if not client.wait_for_jobs([client.submit(job)], raise_on_error=True):
        sys.exit(1)
    with open("seconds", "w") as out:
        out.write(str(time.perf_counter() - began))
"""


def hyperqueue(shape):
    """Without the start of its server and its worker."""

    def measure(folder, size):
        python = str(PEERS / "bin/python")
        try:
            found = subprocess.run([python, "-c", "import hyperqueue"], capture_output=True).returncode == 0
        except FileNotFoundError:
            found = False
        if not found:
            raise Missing("hyperqueue is not installed")
        outcome = call([python, "-c", HYPERQUEUE, str(size), shape], folder)
        return dict(outcome, seconds=float((folder / "seconds").read_text()), operations=size)

    return measure


def dagu(shape):
    def measure(folder, size):
        path = program("dagu")
        with open(folder / "w.yaml", "w") as out:
            graphs.dagu(out, shape, size)
        return dict(call([path, "start", "w.yaml"], folder), operations=size)

    return measure


# An item of a queue, and how many of them are a gibibyte.
ITEM_BYTES = 4 << 20
ITEMS = (1 << 30) // ITEM_BYTES


def memory(gibibytes):
    """The time from start to start, by the records, while the engine has so much memory in use: what a queue holds."""

    def measure(folder, size):
        items, words = max(2, gibibytes * ITEMS), json.dumps([static_program(folder)])
        launches = "".join(f"  p{it}: {{run: {words}, pool: slots, after: {{fill: finished}}}}\n" for it in range(size))
        fill = f"  fill:\n    stdout: heap\n    run: |\n      {FILL.format(items=items, bytes=ITEM_BYTES - 1)}\n"
        drain = f"  drain: {{stdin: heap, after: {{p{size - 1}: finished}}, run: cat >/dev/null}}\n"
        queue = f"queues:\n  heap: {{capacity: {items + 1}}}\n"
        outcome = run(folder, HEAD.replace("pools:", queue + "pools:") + fill + drain + launches, size + 2)
        return dict(outcome, start_seconds=time_of_start(folder, "p"))

    return measure


# For each that is started there live so many at most: when few are, to see that the results are right, it is soon seen.
OTHERS_MAX = 40


# Nobody but the shell itself is ready to run, or there has been no such moment for a long time.
STILLNESS = "for look in $(seq 300); do read -r _ _ _ ready _ < /proc/loadavg; [ ${ready%/*} -le 1 ] && break; sleep 0.1; done"


def with_living(living):
    """The time from start to start, by the records, while so many others live, which are stopped at the end. It begins when these
    sleep: as long as they are being linked they take the cores."""

    def measure(folder, size):
        others = min(living, OTHERS_MAX * size)
        crowd = f"  crowd: {{run: [/bin/sleep, '1000'], replicas: {others}, daemon: true, stdout: null, stderr: null}}\n"
        gate = f"  gate: {{run: {json.dumps(['/bin/sh', '-c', STILLNESS])}, after: {{crowd: started}}}}\n"
        words = json.dumps([static_program(folder)])
        launches = "".join(f"  p{it}: {{run: {words}, pool: slots, after: gate}}\n" for it in range(size))
        (folder / "w.yaml").write_text(HEAD + crowd + gate + launches)
        outcome = call([forkyard(), "run", "--quiet", "--no-color", "w.yaml"], folder)
        told = records(folder)
        must_equal("processes started", sum(it["record"] == "started" for it in told), others + 1 + size)
        good = [it for it in told if it["record"] == "exited" and it["outcome"] == "succeeded"]
        must_equal("processes that ended well", len(good), 1 + size)
        return dict(outcome, operations=size, start_seconds=time_of_start(folder, "p"))

    return measure


def tokio(living):
    """By a program of a few lines, in Rust."""

    def measure(folder, size):
        command = [tokio_program(), str(min(living, OTHERS_MAX * size)), str(size), static_program(folder)]
        with open(folder / "seconds", "w") as out:
            outcome = call(["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', *command], folder, out)
        return dict(outcome, operations=size, start_seconds=float((folder / "seconds").read_text()))

    return measure


def tokio_program():
    source, target = ROOT / "tests/bench/tokio", PEERS / "tokio"
    built = target / "release/tokio-launches"
    command = [program("cargo"), "build", "--release", "--quiet", "--manifest-path", source / "Cargo.toml", "--target-dir", target]
    if not built.exists() and subprocess.run(command).returncode != 0:
        raise Missing("tokio cannot be built")
    return str(built)


FILL = "n=0; while [ $n -lt {items} ]; do head -c {bytes} /dev/zero | tr '\\0' x; echo; n=$((n + 1)); done"


def time_of_start(folder, prefix):
    begun = [it["at"] for it in records(folder) if it["record"] == "started" and it["process"].startswith(prefix)]
    # The last end is not among them: as many intervals as starts but one.
    return (begun[-1] - begun[0]) / (len(begun) - 1) / 1e9


def one_over_bare(folder, size):
    """The median of runs of one process, and what it is above the median of the process alone, in turn."""
    (folder / "w.yaml").write_text("forkyard: 1\nprocesses:\n  one: {run: [/bin/true]}\n")
    runs, bare_ones = [], []
    for _ in range(size):
        runs.append(call([forkyard(), "run", "--quiet", "w.yaml"], folder))
        bare_ones.append(call(["/bin/true"], folder))
    own, other = (statistics.median(it["seconds"] for it in outcomes) for outcomes in (runs, bare_ones))
    cpu = statistics.median(it["cpu_seconds"] for it in runs)
    return dict(operations=1, seconds=own, cpu_seconds=cpu, over_seconds=own - other)


# The loop of starts that tells how fast a machine is; its interpreter, which is started once, is a small part of it.
LOOP = 1_000


def one_of_a_loop(folder, size):
    """The CPU time of one start by a loop that does nothing else: what a run costs beside it depends less on the machine."""
    outcome = bare_static(folder, LOOP if size > 2 else size)
    cpu = outcome["cpu_seconds"] / outcome["operations"]
    return dict(operations=1, seconds=cpu, cpu_seconds=cpu, over_seconds=cpu)


POOL_OF_PYTHON = """
import sys
from subprocess import call
{executor}
if __name__ == "__main__":
    if any(run(call, [["/bin/true"]] * int(sys.argv[1]))):
        sys.exit(1)
"""

MULTIPROCESSING = """
from multiprocessing import Pool
def run(function, items):
    with Pool(2) as pool:
        return pool.map(function, items, chunksize=1)
"""

LOKY = """
from loky import get_reusable_executor
def run(function, items):
    return list(get_reusable_executor(max_workers=2).map(function, items))
"""


def multiprocessing(folder, size):
    return pool_of_python(sys.executable, MULTIPROCESSING, folder, size)


def loky(folder, size):
    for python in (sys.executable, str(PEERS / "bin/python")):
        if Path(python).exists() and subprocess.run([python, "-c", "import loky"], capture_output=True).returncode == 0:
            return pool_of_python(python, LOKY, folder, size)
    raise Missing("loky is not installed")


def pool_of_python(python, executor, folder, size):
    """Two workers, each of which starts one after the other; with the start of the workers."""
    (folder / "pool.py").write_text(POOL_OF_PYTHON.format(executor=executor))
    return dict(call([python, "pool.py", str(size)], folder), operations=size)


# Each that is added makes it write down all that are there: a thousand would say more of that than of a start.
PUEUE_TASKS = 100


def pueue(shape):
    """Without the start of its daemon: all are added while it is paused, then it is let go."""

    def measure(folder, size):
        size = min(size, PUEUE_TASKS)
        daemon, client = program("pueued"), program("pueue")
        for name in ("state", "run", "config"):
            (folder / name).mkdir(exist_ok=True)
        here = f"export HOME={folder} XDG_RUNTIME_DIR={folder}/run XDG_CONFIG_HOME={folder}/config XDG_DATA_HOME={folder}/state\n"
        after = '--after "$last"' if shape == "chain" else ""
        (folder / "begin.sh").write_text(
            f"{here}{daemon} -d && until {client} status >/dev/null 2>&1; do sleep 0.05; done\n"
            f"{client} parallel {AT_ONCE} && {client} pause && last=$({client} add --print-task-id -- /bin/true)\n"
            f"n=1; while [ $n -lt {size} ]; do last=$({client} add --print-task-id {after} -- /bin/true) || exit 1; n=$((n + 1)); done\n"
        )
        (folder / "go.sh").write_text(f"{here}{client} start && {client} wait --quiet\n")
        (folder / "end.sh").write_text(f"{here}{client} status --json >told.json; {client} shutdown\n")
        call(["sh", "begin.sh"], folder)
        try:
            outcome = call(["sh", "go.sh"], folder)
        finally:
            call(["sh", "end.sh"], folder)
        told = json.loads((folder / "told.json").read_text())["tasks"].values()
        must_equal("tasks that ended well", sum("Success" in json.dumps(it["status"]) for it in told), size)
        # What its daemon uses is not the client's.
        del outcome["cpu_seconds"]
        return dict(outcome, operations=size)

    return measure


def simulate(folder, size):
    """So many processes in simulated time, with the reading of the file."""
    words = '["/bin/true"], pool: slots'
    head = f"forkyard: 1\npools:\n  slots: {{size: {SIMULATED_SLOTS}}}\nprocesses:\n"
    (folder / "w.yaml").write_text(head + "".join(f"  p{it}: {{run: {words}}}\n" for it in range(size)))
    with open(folder / "told.json", "w") as out:
        outcome = call([forkyard(), "simulate", "w.yaml", "--format", "json"], folder, out)
    told = json.loads((folder / "told.json").read_text())
    must_equal("verdict", told["verdict"], "succeeded")
    must_equal("processes done", told["processes"]["done"], size)
    rounds = -(-size // SIMULATED_SLOTS)
    must_equal("seconds of the run", told["makespan"] // 1_000_000_000, rounds)
    return dict(outcome, operations=1)


SIMULATED_SLOTS = 10_000


def version(folder, size):
    outcomes = [call([forkyard(), "--version"], folder) for _ in range(size)]
    medians = {name: statistics.median(it[name] for it in outcomes) for name in ("seconds", "cpu_seconds")}
    return dict(medians, operations=1)


def curve(size):
    """The same static process, so many times: what one costs must not grow with their number."""
    return Case(
        f"curve: {size:,} × a static program",
        size,
        min(size, 100),
        {"forkyard": ours_static, "posix_spawn loop": bare_static},
        rounds=1 if size >= 10_000 else None,
        further={"peak_bytes": "B"},
    )


CASES = (
    Case(
        "1,000 × `/bin/true`, 2 at a time, all recorded",
        1_000,
        20,
        {
            "forkyard": ours(["/bin/true"]),
            "make -j2": make("/bin/true"),
            "xargs -P2": xargs,
            "posix_spawn loop": bare_true,
            "multiprocessing": multiprocessing,
            "loky": loky,
            "hyperqueue": hyperqueue("wide"),
            "pueue": pueue("wide"),
            "dagu": dagu("wide"),
        },
        (
            Limit("seconds", "make -j2", 1.25, 1),
            Limit("seconds", "hyperqueue", 0.5, 0.3),
            Limit("seconds", "dagu", 0.1, 0.03),
        ),
    ),
    Case(
        "1,000 × `sh -c 'exit 0'`, 2 at a time",
        1_000,
        20,
        {"forkyard": ours("exit 0"), "make -j2": make("exit 0"), "ninja -j2": ninja, "GNU parallel -j2": parallel},
        (Limit("seconds", "make -j2", 1.2, 1), Limit("seconds", "GNU parallel -j2", 0.3, 0.2)),
    ),
    Case(
        "chain of 1,000 × `/bin/true`",
        1_000,
        20,
        {
            "forkyard": ours_chain,
            "make -j2": make("/bin/true", is_chain=True),
            "hyperqueue": hyperqueue("chain"),
            "pueue": pueue("chain"),
            "dagu": dagu("chain"),
        },
        (
            Limit("seconds", "make -j2", 1.4, 1),
            Limit("seconds", "hyperqueue", 0.5, 0.3),
            Limit("seconds", "dagu", 0.1, 0.03),
        ),
    ),
    Case(
        "1,000 × a static program without a C library",
        1_000,
        20,
        {"forkyard": ours_static, "make -j2": make("STATIC"), "posix_spawn loop": bare_static},
        # The same beside a loop that takes 116 µs on the machine that this is meant for: other machines are slower.
        (Limit("cpu_seconds", None, 130e-6, 100e-6), Limit("cpu_seconds", "posix_spawn loop", 130 / 116, 100 / 116)),
    ),
    Case(
        "starts of a static program while a queue holds 2 GiB",
        1_000,
        10,
        {"with 2 GiB": memory(2), "with 8 MiB": memory(0)},
        (Limit("start_seconds", "with 8 MiB", 1 / 0.9, 1 / 0.97),),
        {"start_seconds": "s", "peak_bytes": "B"},
        1,
    ),
    Case(
        "starts of a static program while 10,000 others live",
        300,
        10,
        {
            "forkyard": with_living(10_000),
            "with 10 living": with_living(10),
            "tokio::process": tokio(10_000),
            "tokio::process, 10 living": tokio(10),
        },
        (Limit("start_seconds", "with 10 living", 1.3, 1.1), Limit("start_seconds", "tokio::process", 1 / 4, 1 / 6)),
        {"start_seconds": "s"},
    ),
    Case(
        "`simulate`, 1,000,000 processes on 10,000 slots",
        1_000_000,
        100,
        {"forkyard": simulate},
        (Limit("seconds", None, 10, 10),),
        {"peak_bytes": "B"},
        1,
    ),
    Case(
        "a run of one `/bin/true`",
        20,
        2,
        {"forkyard": one_over_bare, "a start by a posix_spawn loop": one_of_a_loop},
        # 3 and 2 ms beside a loop that takes 116 µs, on the machine that this is meant for.
        (
            Limit("over_seconds", None, 0.005, 0.002),
            Limit("over_seconds", "a start by a posix_spawn loop", 0.003 / 116e-6, 0.002 / 116e-6),
        ),
        {"over_seconds": "s"},
    ),
    Case("`forkyard --version`", 20, 2, {"forkyard": version}, (Limit("seconds", None, 0.005, 0.002),)),
    *(curve(size) for size in (10, 100, 1_000, 10_000, 100_000)),
)
