#!/usr/bin/env python3
"""Measures `forkyard check` beside ninja, make and dagu on the same graphs: `just bench-check`, or see --help.

Each measurement is a process of its own, from its start to its end; the programs take turns, round by round, and the table has
medians. `ninja -n` and `make -n` say what they would run, `dagu validate` looks for mistakes. What ours says is looked at every
time: a wrong result makes the benchmark exit with 1; being slow does not.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import graphs
from table import ratio_text, time_text, verdict
from yard import ROOT, built, conclude, found, load, version

# No single measurement takes so many seconds, not even the slowest peer on a busy machine.
PATIENCE = 180

SIZES = (1_000, 10_000, 100_000, 1_000_000)

# Of ours, by the number of processes: how many seconds at most. What it may have in memory at most, in bytes, however many.
SECONDS_MAX = {10_000: 0.05, 100_000: 0.5, 1_000_000: 6}
BYTES_MAX = 2 << 30

HEAD = ("", "median", "CPU", "memory", "this ÷ ours", "must", "")


class Program:
    """One who reads a graph."""

    def __init__(self, name, path, arguments, write):
        self.name = name
        self.path = path
        self.arguments = arguments
        self.write = write

    def command(self, file):
        return [self.path, *self.arguments, str(file)]


def programs(options):
    """Ours first; a peer that is not there has no path."""
    ours = Program("forkyard check", options.forkyard or built("--bins", "-p", "forkyard", "forkyard"), ["check"], graphs.forkyard)
    if options.ours:
        return [ours]
    return [
        ours,
        Program("ninja -n", found("ninja"), ["-n", "-f"], graphs.ninja),
        Program("make -n", found("make"), ["-n", "-f"], graphs.make),
        Program("dagu validate", found("dagu"), ["validate"], graphs.dagu),
    ]


def main():
    options = read_options()
    everybody = programs(options)
    machine = facts(everybody)
    notes = [f"skipped: {it.name}: it is not installed" for it in everybody if it.path is None]
    rows, wrong = [], False
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            present = [it for it in everybody if it.path]
            for size in options.sizes:
                row = Row(shape, size, present)
                row.measure(Path(folder), options.rounds)
                # A peer that fails at one size is not asked for a larger one.
                present = [it for it in present if row.outcomes[it] or it is everybody[0]]
                wrong |= row.wrong
                notes += row.notes
                rows.append(row)
                print(f"measured: {row.title}", file=sys.stderr)
    machine["load after"] = load()
    conclude(options, machine, rows, notes, markdown)
    sys.exit(1 if wrong else 0)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="how many processes")
    parser.add_argument("--shapes", nargs="+", choices=graphs.SHAPES, default=graphs.SHAPES, help="which graphs")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--json", metavar="FILE", help="writes all numbers there")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table there, too")
    parser.add_argument("--smoke", action="store_true", help="small graphs, once, only to see that the results are right")
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--forkyard", metavar="PATH", help="the program; built by cargo when not given")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.sizes = 1, (1, 1_000)
    return options


class Row:
    """One graph: all outcomes of all programs."""

    def __init__(self, shape, size, present):
        self.shape = shape
        self.size = size
        self.outcomes = {program: [] for program in present}
        # What became of those that have no outcome.
        self.ends = {}
        self.notes = []
        self.wrong = False

    @property
    def title(self):
        return f"{self.shape}, {self.size:,} processes"

    def measure(self, folder, rounds):
        files = {}
        for program in self.outcomes:
            files[program] = folder / program.name.split()[0]
            with open(files[program], "w") as out:
                program.write(out, self.shape, self.size)
        left = list(self.outcomes)
        for _ in range(rounds):
            for program in list(left):
                outcome = call(program.command(files[program]))
                if not self.is_right(program, outcome):
                    self.outcomes[program].clear()
                    left.remove(program)
                else:
                    self.outcomes[program].append(outcome)
        self.find_mistake(folder / "mistake")

    def is_right(self, program, outcome):
        is_ours = program.write is graphs.forkyard
        expected = f": ok, {self.size} process" if is_ours else ""
        if outcome["exit"] == 0 and expected in outcome["said"]:
            return True
        reason = outcome["said"].strip().splitlines()[-1:] or [f"exit {outcome['exit']}"]
        end = "failed"
        if outcome["seconds"] >= PATIENCE:
            end, reason = "too slow", [f"killed after {PATIENCE} s"]
        elif outcome["exit"] < 0:
            end, reason = "crashed", [signal.Signals(-outcome["exit"]).name]
        self.ends[program] = end
        self.notes.append(f"{end}: {program.name}, {self.title}: {reason[0][:200]}")
        self.wrong |= is_ours
        return False

    def find_mistake(self, file):
        """Ours finds the one mistake at the end of the file."""
        ours = next(iter(self.outcomes))
        with open(file, "w") as out:
            graphs.forkyard(out, self.shape, self.size, mistake=True)
        outcome = call(ours.command(file))
        place = f"{file}:{self.size + 2}:"
        if outcome["exit"] != 1 or "FY201" not in outcome["said"] or place not in outcome["said"]:
            self.notes.append(f"failed: {ours.name}, {self.title}: the mistake in the last line is not told")
            self.wrong = True

    def median(self, program, name):
        numbers = [outcome[name] for outcome in self.outcomes[program]]
        return statistics.median(numbers) if numbers else None

    def limit(self, program):
        return SECONDS_MAX.get(self.size) if program.write is graphs.forkyard else None

    def lines(self):
        ours = next(iter(self.outcomes))
        own = self.median(ours, "seconds")
        for program in self.outcomes:
            seconds = self.median(program, "seconds")
            if seconds is None:
                yield f"| {program.name} | {self.ends[program]} |" + " |" * (len(HEAD) - 2)
                continue
            limit = self.limit(program)
            cells = [
                program.name,
                time_text(seconds),
                time_text(self.median(program, "cpu_seconds")),
                memory_text(self.median(program, "bytes")),
                "" if program is ours or not own else ratio_text(seconds / own),
                time_text(limit),
                verdict(limit / seconds if limit else None, 1 if limit else None, None),
            ]
            yield "| " + " | ".join(cells) + " |"

    def json(self):
        named = {program.name: outcomes for program, outcomes in self.outcomes.items()}
        return dict(title=self.title, shape=self.shape, processes=self.size, outcomes=named)


def call(command):
    """Runs it for so long at most; what it says is kept as far as it is looked at."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.alarm(PATIENCE)
        # The resources of this child alone, where `getrusage` would have those of the largest so far.
        _, status, usage = os.wait4(process.pid, 0)
        signal.alarm(0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
        text = said.read().decode(errors="replace")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "bytes": usage.ru_maxrss << 10,
        "exit": process.returncode,
        "said": text if process.returncode or len(text) < 200 else text[-200:],
    }


def memory_text(count):
    if count is None:
        return ""
    return f"{count / (1 << 30):.2f} GiB" if count >= 1 << 30 else f"{int(count) >> 20} MiB"


def markdown(machine, rows, notes):
    lines = ["# `check` beside its peers", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "Ratios above 1: ours is faster. Memory below 20 MiB is not told apart from the Python that starts the program."]
    for row in rows:
        lines += ["", f"## {row.title}", "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", *row.lines()]
    lines += ["", "## Summary", "", *summary(rows)]
    if notes:
        lines += ["", "## Not measured", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def summary(rows):
    """One line for each thing that must be reached."""
    for row in rows:
        ours = next(iter(row.outcomes))
        seconds, limit = row.median(ours, "seconds"), row.limit(ours)
        if seconds and limit:
            yield f"- {verdict(limit / seconds, 1, None)}: {row.title}: {time_text(seconds)} (must {time_text(limit)})"
        taken = row.median(ours, "bytes")
        if taken and row.size == max(SECONDS_MAX):
            yield f"- {verdict(BYTES_MAX / taken, 1, None)}: {row.title}: {memory_text(taken)} (must {memory_text(BYTES_MAX)})"


def facts(everybody):
    """What the numbers depend on."""
    versions = {it.name.split()[0]: version(it.path, *VERSION.get(it.name, ["--version"])) for it in everybody if it.path}
    return {
        "processor": next(iter(re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())), "unknown"),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "C library": " ".join(platform.libc_ver()),
        **versions,
        "commit": version("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "load before": load(),
    }


VERSION = {"dagu validate": ["version"]}


if __name__ == "__main__":
    main()
