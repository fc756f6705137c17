#!/usr/bin/env python3
"""Measures the yard beside its peers and prints a table: `just bench-yard`, or see --help.

Each measurement is a process of its own; ours and the peers take turns, A B A B …, round by round. The table has medians, and
the medians of the rounds' ratios. What must add up is checked every time: a wrong result of ours makes it exit with 1; being
slow does not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

from crew import SKIPPED
from figures import FIGURES
from table import markdown

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# No single measurement takes so many seconds, not even the slowest peer on a busy machine.
PATIENCE = 180


def main():
    options = read_options()
    programs = Programs(options)
    rows, notes, wrong = [], [], False
    machine = facts(programs)
    for figure in FIGURES:
        if not re.search(options.only, figure.name):
            continue
        for processes, size in figure.shapes[:1] if options.smoke else figure.shapes:
            for cores in figure.cores[:1] if options.smoke else figure.cores:
                row = Row(figure, processes, size, cores, () if options.ours else figure.peers)
                row.measure(programs, options)
                rows.append(row)
                notes += [note for note in row.notes if note not in notes]
                wrong |= row.wrong
                print(f"measured: {row.title}", file=sys.stderr)
    machine["load after"] = load()
    conclude(options, machine, rows, notes, markdown)
    sys.exit(1 if wrong else 0)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="REGEX", help="only the figures whose names match")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--ms", type=int, default=500, help="how long each measurement takes, about (500)")
    parser.add_argument("--json", metavar="FILE", help="writes all numbers there")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table there, too")
    parser.add_argument("--smoke", action="store_true", help="each but once and for a moment, only to see that it adds up")
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--native", metavar="PATH", help="the benchmark in Rust; built by cargo when not given; - for none")
    parser.add_argument("--forkyard", metavar="PATH", help="the program; built by cargo when not given; - for none")
    parser.add_argument("--python", metavar="PATH", help="the Python that has the packages (target/bench-peers, or this one)")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.ms = 1, 20
    return options


class Programs:
    """The programs that measure."""

    def __init__(self, options):
        peers = ROOT / "target/bench-peers/bin/python"
        self.python = options.python or (str(peers) if peers.exists() else sys.executable)
        self.native = options.native or built("--benches", "-p", "forkyard-ipc", "yard")
        self.forkyard = options.forkyard or built("--bins", "-p", "forkyard", "forkyard")

    def environment(self):
        return os.environ if self.forkyard == "-" else dict(os.environ, FORKYARD=self.forkyard)

    def command(self, subject):
        """`None` when there is no such program."""
        if subject.program == "native":
            return None if self.native == "-" else [self.native, "one", subject.case, subject.name]
        if subject.program == "runs" and self.forkyard == "-":
            return None
        return [self.python, str(HERE / f"{subject.program}.py"), subject.case, subject.name]


def conclude(options, machine, rows, notes, markdown):
    """Prints the table, and writes it and all numbers where that is asked for."""
    if options.json:
        kept = dict(machine=machine, rows=[row.json() for row in rows], notes=notes)
        Path(options.json).write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    text = markdown(machine, rows, notes)
    if options.markdown:
        Path(options.markdown).write_text(text)
    print(text, end="")


def found(name):
    """Where a peer is: among those that tests/bench/peers.sh installs, or on the path."""
    places = (ROOT / "target/bench-peers/bin", ROOT / "target/bench-peers/node_modules/.bin")
    return shutil.which(name, path=os.pathsep.join(map(str, places))) or shutil.which(name)


def built(kind, option, package, name):
    """Builds a program for speed and says where it is."""
    command = ["cargo", "build", "--release", option, package, kind, "--message-format", "json-render-diagnostics"]
    # What is built in pieces, to be built again sooner, is slower by a fifth.
    environment = dict(os.environ, CARGO_INCREMENTAL="0")
    output = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines())
    paths = [
        message["executable"]
        for message in messages
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == name and message["executable"]
    ]
    return paths[-1]


class Row:
    """A figure with one shape on one set of cores: all outcomes of all subjects."""

    def __init__(self, figure, processes, size, cores, peers):
        self.figure = figure
        self.processes = processes
        self.size = size
        self.cores = cores
        self.subjects = (*figure.ours, *peers)
        self.outcomes = {subject: [] for subject in self.subjects}
        self.notes = []
        self.wrong = False

    @property
    def title(self):
        processes = f", {self.processes} processes" if self.processes > 1 else ""
        size = f", {size_text(self.size)}" if "queue" in self.figure.name else ""
        cores = {"one": ", on one core", "two": ", on two cores", "free": ""}[self.cores]
        return self.figure.name + processes + size + cores

    def measure(self, programs, options):
        left = list(self.subjects)
        for _ in range(options.rounds):
            for subject in list(left):
                outcome = self.attempt(programs, subject, options.ms)
                if outcome is None:
                    left.remove(subject)
                else:
                    self.outcomes[subject].append(outcome)

    def attempt(self, programs, subject, milliseconds):
        """`None`, with a note, when it cannot be measured."""
        command = programs.command(subject)
        if command is None:
            self.notes.append(f"skipped: {subject.label}: its program is not there")
            return None
        command += ["--processes", str(self.processes), "--size", str(self.size)]
        command += ["--cores", self.cores, "--ms", str(milliseconds)]
        code, out, err = call(command, programs.environment())
        if code == 0:
            return json.loads(out)
        last = err.strip().splitlines()[-1:] or ["it said nothing"]
        if code == SKIPPED:
            self.notes.append(f"skipped: {subject.label}: {last[0]}")
            return None
        self.notes.append(f"failed: {subject.label}, {self.title}: {last[0]}")
        self.wrong |= subject in self.figure.ours
        return None

    def median(self, subject, number):
        numbers = [number(outcome) for outcome in self.outcomes[subject] if number(outcome) is not None]
        return statistics.median(numbers) if numbers else None

    def ratio(self, subject, number):
        """The median of how many times as much ours is, round by round."""
        pairs = zip(self.outcomes[self.subjects[0]], self.outcomes[subject])
        ratios = [number(ours) / number(theirs) for ours, theirs in pairs if number(theirs)]
        return statistics.median(ratios) if ratios else None

    def json(self):
        named = {subject.label: outcomes for subject, outcomes in self.outcomes.items()}
        shape = dict(processes=self.processes, size=self.size, cores=self.cores)
        return dict(title=self.title, figure=self.figure.name, **shape, outcomes=named)


def size_text(size):
    for bits, unit in ((20, "MiB"), (10, "KiB")):
        if size >= 1 << bits:
            return f"{size >> bits} {unit}"
    return f"{size} B"


def call(command, environment):
    """Runs it, with all that it starts, for so long at most."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return 1, "", f"it hung for {PATIENCE} s and was killed"
    return process.returncode, out, err


def facts(programs):
    """What the numbers depend on."""
    return {
        "processor": next(iter(re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())), "unknown"),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "C library": " ".join(platform.libc_ver()),
        "rustc": version("rustc", "--version"),
        "Python": version(programs.python, "--version"),
        "Redis": version("redis-server", "--version"),
        "NATS": version("nats-server", "--version"),
        "packages": ", ".join(packages(programs.python)),
        "commit": version("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "load before": load(),
    }


def version(*command):
    try:
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    return found.stdout.strip().splitlines()[0] if found.returncode == 0 and found.stdout.strip() else "unknown"


def packages(python):
    names = ("forkyard", "faster-fifo", "loky", "redis", "hiredis", "nats-py")
    script = f"""
from importlib.metadata import PackageNotFoundError, version
for name in {names}:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
"""
    found = subprocess.run([python, "-c", script], stdout=subprocess.PIPE, text=True)
    return found.stdout.splitlines()


def load():
    return " ".join(f"{it:.2f}" for it in os.getloadavg())


if __name__ == "__main__":
    main()
