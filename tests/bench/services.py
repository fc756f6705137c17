"""Processes that live on: how soon a crowd of them is up, what each costs, how soon all are gone, and one is back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from crew import must_equal
from whole import STILL_SOURCE, Case, Limit, begin, finish, forkyard, program, records, records_path, static_program, wait_for

# Stops of `forkyard run` by Ctrl-C end with this.
INTERRUPTED = 130


FEW = 10


def crowd(folder, size, words=("/bin/sleep", "1000")):
    """Memory is what more than a few of them take: what a run of any size takes is no process's."""
    few = folder / "few"
    few.mkdir()
    less = up_and_down(few, FEW, words)
    outcome = up_and_down(folder, size, words)
    each = (outcome["own_bytes"] - less["own_bytes"]) / (size - FEW)
    return dict(outcome, each_bytes=each)


def still_crowd(folder, size):
    """Of programs that sleep at once. Where 10,000 others are still being linked, a start waits for a core as everything does."""
    return crowd(folder, size, (static_program(folder, STILL_SOURCE),))


def up_and_down(folder, size, words):
    """From the start of the command until all sleep, by the records; their memory; from Ctrl-C until it has ended."""
    # With output of its own each needs three descriptors of the engine, which are more than many machines let it have.
    streams = ", stdout: null, stderr: null" if size > 5_000 else ""
    lines = "".join(f"  p{it}: {{run: {json.dumps(words)}{streams}}}\n" for it in range(size))
    (folder / "w.yaml").write_text("forkyard: 1\nprocesses:\n" + lines)
    began = time.perf_counter()
    process = begin([forkyard(), "run", "--quiet", "--no-color", "w.yaml"], folder)
    try:
        path = wait_for(lambda: records_path(folder), "records")
        wait_for(have_started(path, size), "all started")
    except RuntimeError:
        # The guardians take along all that has been started.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    started = time.perf_counter() - began
    own = engine_bytes(process.pid)
    asked = time.perf_counter()
    os.kill(process.pid, signal.SIGINT)
    used, code = finish(process)
    stopped = time.perf_counter() - asked
    must_equal("exit code", code, INTERRUPTED)
    told = records(folder)
    must_equal("processes that ended", sum(it["record"] == "exited" for it in told), size)
    starts = [it["at"] / 1e9 for it in told if it["record"] == "started"]
    return dict(
        used,
        operations=size,
        seconds=started,
        stop_seconds=stopped,
        own_bytes=own,
        slowing=(starts[-1] - starts[-1 - size // 10]) / (starts[size // 10] - starts[0]),
    )


def have_started(path, size):
    """Whether so many have. Only what is new is read each time: to read all of it, again and again, would keep a core from the run."""
    count, begin = 0, 0

    def look():
        nonlocal count, begin
        with open(path, "rb") as told:
            told.seek(begin)
            lines = told.read().rpartition(b"\n")[0]
        count += lines.count(b'"started"')
        begin += len(lines)
        return count == size

    return look


def engine_bytes(pid):
    """What the guardians and the engine have for themselves, shared pages in proportion: each is the first child of the one above."""
    total, left = 0, [pid]
    for _ in range(3):
        if not left:
            break
        own = left[0]
        total += int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{own}/smaps_rollup").read_text())[1]) << 10
        left = [int(it) for it in Path(f"/proc/{own}/task/{own}/children").read_text().split()]
    return total


BARE = """
import os, signal, sys
size = int(sys.argv[1])
kids = [os.posix_spawn("/bin/sleep", ["sleep", "1000"], os.environ) for _ in range(size)]
print("up", flush=True)
sys.stdin.read()
for kid in kids:
    os.kill(kid, signal.SIGTERM)
for kid in kids:
    os.waitpid(kid, 0)
"""


def bare_crowd(folder, size):
    began = time.perf_counter()
    command = [sys.executable, "-S", "-c", BARE, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        must_equal("first line", process.stdout.readline(), b"up\n")
        started = time.perf_counter() - began
        asked = time.perf_counter()
        process.stdin.close()
        used, code = finish(process)
        stopped = time.perf_counter() - asked
    must_equal("exit code", code, 0)
    return dict(used, operations=size, seconds=started, stop_seconds=stopped)


def sleepers(pid):
    """Of all below a process, those that are a sleep of the crowd, and the others."""
    found, others, left = 0, [], [pid]
    while left:
        own = left.pop()
        try:
            is_sleeper = Path(f"/proc/{own}/cmdline").read_bytes().endswith(b"sleep\0001000\0")
            children = [it.read_text() for it in Path(f"/proc/{own}/task").glob("*/children")]
        except OSError:
            continue
        if is_sleeper:
            found += 1
        else:
            others.append(own)
        left += [int(it) for it in " ".join(children).split()]
    return found, others


def crowd_of(command, write, stop=signal.SIGTERM):
    """A peer that starts all that is in its file, which `write` makes of the folder and the size."""

    def measure(folder, size):
        words = [program(command[0]), *command[1:]]
        write(folder, size)
        began = time.perf_counter()
        process = begin(words, folder)
        try:
            wait_for(lambda: has_ended(process) or sleepers(process.pid)[0] >= size, "all started")
            started = time.perf_counter() - began
            found, others = sleepers(process.pid)
            must_equal("processes started", found, size)
            own = sum(own_bytes(it) for it in others)
        finally:
            asked = time.perf_counter()
            if process.poll() is None:
                os.kill(process.pid, stop)
                used, _ = finish(process)
        stopped = time.perf_counter() - asked
        return dict(used, operations=size, seconds=started, stop_seconds=stopped, each_bytes=own / size)

    return measure


def has_ended(process):
    """To look at a thousand processes takes longer than to start one: it is done only now and then."""
    time.sleep(0.02)
    return process.poll() is not None


def own_bytes(pid):
    try:
        return int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) << 10
    except OSError:
        return 0


def write_supervisord(folder, size):
    head = f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/own.pid\nminfds=8192\n"
    lines = (f"[program:p{it}]\ncommand=/bin/sleep 1000\nstartsecs=0\n" for it in range(size))
    (folder / "c.ini").write_text(head + "".join(lines))


def write_s6(folder, size):
    for it in range(size):
        service = folder / f"services/p{it}"
        service.mkdir(parents=True)
        (service / "run").write_text("#!/bin/sh\nexec /bin/sleep 1000\n")
        (service / "run").chmod(0o755)


def write_mprocs(folder, size):
    lines = "".join(f'  p{it}: {{cmd: ["/bin/sleep", "1000"]}}\n' for it in range(size))
    (folder / "mprocs.yaml").write_text("procs:\n" + lines)


def write_process_compose(folder, size):
    lines = "".join(f'  p{it}: {{command: "exec /bin/sleep 1000"}}\n' for it in range(size))
    (folder / "process-compose.yaml").write_text('version: "0.5"\nprocesses:\n' + lines)


# It wants a terminal, which `script` makes for it; its end is the end of all.
MPROCS = 'ulimit -n "$(ulimit -Hn)"; exec script -qfec "exec mprocs --config mprocs.yaml" /dev/null'


def mprocs_crowd(folder, size):
    path = program("mprocs")
    words = ["sh", "-c", MPROCS.replace("exec mprocs", f"exec {path}")]
    outcome = crowd_of(words, write_mprocs, signal.SIGKILL)(folder, size)
    # Nobody has waited for it.
    del outcome["cpu_seconds"]
    return outcome


# One that is killed again and again: each life writes its pid.
LIFE = "echo $$ >pid; exec sleep 1000"


def revived(folder, size, process):
    """The median time from SIGKILL until the next life has written its pid."""
    path, times, last = folder / "pid", [], None
    try:
        for _ in range(size + 1):
            pid = wait_for(lambda: next_life(path, last), "a life")
            if last is not None:
                times.append(time.perf_counter() - killed)
            last = pid
            # It is to be asleep, as a service is.
            wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "sleep")
            killed = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        used, _ = finish(process)
    times.sort()
    return dict(used, operations=1, seconds=times[len(times) // 2])


def next_life(path, last):
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") and int(text) != last else None


def restart(folder, size):
    policy = f"{{policy: always, max: {10 * size}, backoff: {{initial: 0ms}}}}"
    (folder / "w.yaml").write_text(f"forkyard: 1\nprocesses:\n  it:\n    restart: {policy}\n    run: {LIFE}\n")
    return revived(folder, size, begin([forkyard(), "run", "--quiet", "w.yaml"], folder))


def s6(folder, _size):
    (folder / "service").mkdir()
    (folder / "service/run").write_text(f"#!/bin/sh\ncd {folder}\n{LIFE}\n")
    (folder / "service/run").chmod(0o755)
    return revived(folder, 2, begin([program("s6-supervise"), "service"], folder))


def supervisord(folder, _size):
    (folder / "life.sh").write_text(LIFE)
    (folder / "c.ini").write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/own.pid\n"
        f"[program:it]\ncommand=sh {folder}/life.sh\ndirectory={folder}\nautorestart=true\nstartsecs=0\n"
    )
    return revived(folder, 2, begin([program("supervisord"), "-c", "c.ini"], folder))


CASES = (
    Case(
        "restart of a killed process, no pause",
        20,
        3,
        {"forkyard": restart, "s6-supervise": s6, "supervisord": supervisord},
        (Limit("seconds", None, 0.008, 0.004),),
        rounds=1,
    ),
    Case(
        "1,000 processes started that live on, and stopped",
        1_000,
        20,
        {
            "forkyard": crowd,
            "posix_spawn loop": bare_crowd,
            "supervisord": crowd_of(["supervisord", "-c", "c.ini"], write_supervisord),
            "s6-svscan": crowd_of(["s6-svscan", "-c", "1100", "services"], write_s6),
            "mprocs": mprocs_crowd,
            "process-compose": crowd_of(["process-compose", "up", "--tui=false"], write_process_compose),
        },
        (
            Limit("seconds", "posix_spawn loop", 1.3, 1.1),
            Limit("each_bytes", None, 8192, 2048),
            Limit("stop_seconds", None, 0.5, 0.15),
        ),
        {"stop_seconds": "s", "each_bytes": "B"},
    ),
    Case(
        "10,000 live processes: the last tenth of the starts, beside the first",
        10_000,
        20,
        {"forkyard": still_crowd},
        (Limit("slowing", None, 1.3, 1.1),),
        {"slowing": "", "stop_seconds": "s", "each_bytes": "B"},
    ),
)
