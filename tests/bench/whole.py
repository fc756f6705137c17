"""What the cases of whole runs share: programs, calls that are measured, and the records of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crew import Missing, must_equal
from yard import ROOT, found

PEERS = ROOT / "target/bench-peers"

# Nothing that is measured takes so many seconds.
PATIENCE = 180
# A script that starts this in the background has SIGINT ignored, and so would have all that is measured, and stopped by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A program of a few bytes without a C library: where the launcher's own cost shows.
# To end is all that it does.
STATIC_SOURCE = 'void _start(void) { __asm__ volatile("mov $60, %eax; xor %edi, %edi; syscall"); }\n'
# It sleeps for ever, from its first instruction on.
STILL_SOURCE = 'void _start(void) { __asm__ volatile("mov $34, %eax; syscall"); }\n'


@dataclass(frozen=True)
class Limit:
    """What ours must not exceed, and should not: so many times a peer's number, or, without a peer, so much."""

    measure: str
    peer: str | None
    must: float
    aim: float


@dataclass(frozen=True)
class Case:
    """One thing that is done, ours first. A subject is a function of a folder of its own and of the size."""

    name: str
    size: int
    smoke: int
    subjects: dict[str, Callable]
    limits: tuple[Limit, ...] = ()
    # Measures beside the wall and CPU time of an operation, with their units: `s` or `B`.
    further: dict[str, str] = field(default_factory=dict)
    # Takes long, or says the same each time: fewer rounds are enough.
    rounds: int | None = None


def program(name):
    """Where a peer is."""
    path = found(name)
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def forkyard():
    """The program: FORKYARD says which."""
    return os.environ["FORKYARD"]


def static_program(folder, source_text=STATIC_SOURCE):
    """Built anew in each folder: a C compiler is there wherever Rust links."""
    source, built = folder / "static.c", folder / "static"
    source.write_text(source_text)
    subprocess.run([program("cc"), "-nostdlib", "-static", "-O2", "-o", built, source], check=True)
    return str(built)


def call(command, folder, stdout=subprocess.DEVNULL, expected=0):
    """Wall and CPU time in seconds of a command with all that it waits for."""
    began = time.perf_counter()
    process = begin(command, folder, stdout)
    used, code = finish(process)
    seconds = time.perf_counter() - began
    if code != expected:
        said = (folder / "stderr").read_text(errors="replace")[-300:]
        raise RuntimeError(f"{command[0]} ended with {code}, not {expected}: {said}")
    return dict(used, seconds=seconds)


def begin(command, folder, stdout=subprocess.DEVNULL):
    environment = dict(os.environ, XDG_STATE_HOME=str(folder / "state"))
    with open(folder / "stderr", "w") as stderr:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
        )


def finish(process):
    """What a process has used with all that it has waited for, and its exit code. A peak below that of the Python which starts it
    is not told apart from that."""
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.alarm(PATIENCE)
    _, status, usage = os.wait4(process.pid, 0)
    signal.alarm(0)
    process.returncode = os.waitstatus_to_exitcode(status)
    used = dict(cpu_seconds=usage.ru_utime + usage.ru_stime, peak_bytes=usage.ru_maxrss << 10)
    return used, process.returncode


def records_path(folder):
    found = list((folder / "state").glob("forkyard/runs/*/records.jsonl"))
    return found[0] if len(found) == 1 else None


def records(folder):
    path = records_path(folder)
    if path is None:
        raise RuntimeError("the run has no records")
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(folder, workflow, count, stdout=subprocess.DEVNULL):
    """Runs a workflow of `count` processes; each must have started, and ended well, by the records."""
    (folder / "w.yaml").write_text(workflow)
    outcome = call([forkyard(), "run", "--quiet", "--no-color", "w.yaml"], folder, stdout)
    told = records(folder)
    must_equal("processes started", sum(it["record"] == "started" for it in told), count)
    ended = [it for it in told if it["record"] == "exited"]
    must_equal("processes that ended well", sum(it["exit"] == {"code": 0} for it in ended), count)
    must_equal("ends", [it["verdict"] for it in told if it["record"] == "run_ended"], ["succeeded"])
    return dict(outcome, operations=count)


def wait_for(condition, what):
    """Polls often: what it returns is the first answer that is not empty."""
    deadline = time.perf_counter() + PATIENCE
    while not (found := condition()):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.0005)
    return found
