#!/usr/bin/env python3
"""Measures whole runs beside make, ninja, xargs and other peers, and prints a table: `just bench`, or see --help.

Ours and the peers take turns, A B A B …, round by round. The table has medians, and the medians of the rounds' ratios; the CPU time
is that of everything that was started. The results are checked every time: a wrong one of ours makes it exit with 1; being slow
does not.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import launches
import services
import streams
from crew import Missing
from table import ratio_text, time_text, verdict
from whole import PEERS, ROOT, program
from yard import built, conclude, load, version

CASES = (*launches.CASES, *services.CASES, *streams.CASES)

HEAD = ("", "median", "each", "CPU each", "ours ÷ this", "CPU ours ÷ this", "further")


def main():
    options = read_options()
    os.environ["FORKYARD"] = os.path.abspath(options.forkyard or built("--bins", "-p", "forkyard", "forkyard"))
    machine, rows, notes, wrong = facts(), [], [], False
    for case in CASES:
        if re.search(options.only, case.name):
            row = Row(case, options)
            row.measure()
            rows.append(row)
            notes += [note for note in row.notes if note not in notes]
            wrong |= row.wrong
            print(f"measured: {case.name}", file=sys.stderr, flush=True)
    machine["load after"] = load()
    conclude(options, machine, rows, notes, markdown)
    sys.exit(1 if wrong else 0)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose names match")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3); some that take long only once")
    parser.add_argument("--json", metavar="FILE", help="writes all numbers there")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table there, too")
    parser.add_argument("--smoke", action="store_true", help="small and once, only to see that the results are right")
    parser.add_argument("--ours", action="store_true", help="without the peers, but for make")
    parser.add_argument("--forkyard", metavar="PATH", help="the program; built by cargo when not given")
    options = parser.parse_args()
    if options.smoke:
        options.rounds = 1
    return options


class Row:
    """A case: all outcomes of all subjects."""

    def __init__(self, case, options):
        self.case = case
        self.size = case.smoke if options.smoke else case.size
        self.rounds = min(options.rounds, case.rounds or options.rounds)
        self.ours = next(iter(case.subjects))
        names = [it for it in case.subjects if not options.ours or it == self.ours or it.startswith("make")]
        self.outcomes = {name: [] for name in names}
        self.notes = []
        self.wrong = False

    def measure(self):
        left = list(self.outcomes)
        for _ in range(self.rounds):
            for name in list(left):
                outcome = self.attempt(name)
                if outcome is None:
                    left.remove(name)
                else:
                    self.outcomes[name].append(outcome)

    def attempt(self, name):
        """`None`, with a note, when it cannot be measured."""
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            return self.case.subjects[name](folder, self.size)
        except Missing as missing:
            self.notes.append(f"skipped: {name}: {missing}")
        except (RuntimeError, OSError, ValueError, subprocess.CalledProcessError) as error:
            self.notes.append(f"failed: {name}, {self.case.name}: {' '.join(str(error).split())[-300:]}")
            self.wrong |= name == self.ours
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def median(self, name, measure):
        numbers = [number(outcome, measure) for outcome in self.outcomes[name] if measure in outcome]
        return statistics.median(numbers) if numbers else None

    def ratio(self, name, measure):
        """The median of how many times as much ours is, round by round."""
        pairs = zip(self.outcomes[self.ours], self.outcomes.get(name, ()))
        ratios = [number(own, measure) / number(other, measure) for own, other in pairs if number(other, measure)]
        return statistics.median(ratios) if ratios else None

    def lines(self):
        for name, outcomes in self.outcomes.items():
            if not outcomes:
                continue
            is_ours = name == self.ours
            further = (f"{key} {in_unit(self.median(name, key), unit)}" for key, unit in self.case.further.items())
            cells = [
                name,
                time_text(statistics.median(it["seconds"] for it in outcomes)),
                time_text(self.median(name, "seconds")),
                time_text(self.median(name, "cpu_seconds") or None),
                "" if is_ours else ratio_text(self.ratio(name, "seconds")),
                "" if is_ours else ratio_text(self.ratio(name, "cpu_seconds")),
                ", ".join(it.replace("_", " ") for it in further if not it.endswith(" ")),
            ]
            yield "| " + " | ".join(cells) + " |"

    def limits(self):
        """One line for each thing that must be reached, a row of the summary."""
        for limit in self.case.limits:
            found = self.ratio(limit.peer, limit.measure) if limit.peer else self.median(self.ours, limit.measure)
            if found is None:
                continue
            what = limit.measure.replace("_", " ")
            unit = None if limit.peer or limit.measure == "slowing" else "B" if limit.measure.endswith("bytes") else "s"
            shown = [f"{it:.2f} ×" if unit is None else in_unit(it, unit) for it in (found, limit.must, limit.aim)]
            beside = limit.peer or ""
            said = verdict(limit.must / max(found, 1e-9), 1, limit.must / limit.aim)
            yield f"| {self.case.name}: {what} | {shown[0]} | {beside} | {shown[1]} | {shown[2]} | {said} |"

    def json(self):
        return dict(title=self.case.name, size=self.size, outcomes=self.outcomes)


def number(outcome, measure):
    """Times are those of one operation."""
    if measure in ("seconds", "cpu_seconds"):
        # Not everybody can say what CPU time was used: what a server has started is not its child for long.
        return outcome.get(measure, 0) / outcome["operations"]
    return outcome[measure]


def in_unit(found, unit):
    if found is None:
        return ""
    if unit == "B":
        return f"{found / (1 << 20):,.1f} MiB" if found >= 1 << 20 else f"{found / 1000:.2f} kB"
    return time_text(found) if unit == "s" else f"{found:.2f} ×"


def markdown(machine, rows, notes):
    lines = ["# Whole runs beside their peers", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "Ratios below 1: ours is faster, or takes less CPU time."]
    for row in rows:
        lines += ["", f"## {row.case.name}", "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", *row.lines()]
    lines += ["", "## Summary", "", "| figure | ours | beside | must | aim | |", "|---" * 6 + "|"]
    lines += [line for row in rows for line in row.limits()]
    if notes:
        lines += ["", "## Not measured", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def facts():
    """What the numbers depend on."""
    versions = {}
    for name, arguments in VERSIONS.items():
        try:
            versions[name] = version(program(name), *arguments)
        except Missing:
            versions[name] = "not installed"
    return {
        "processor": next(iter(re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())), "unknown"),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "C library": " ".join(platform.libc_ver()),
        "Python": platform.python_version(),
        **versions,
        "packages": ", ".join(packages()) or "none",
        "commit": version("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "bytes of the program": f"{os.path.getsize(os.environ['FORKYARD']):,}",
        "load before": load(),
    }


VERSIONS = {"make": ["--version"], "ninja": ["--version"], "xargs": ["--version"], "parallel": ["--version"], "redis-server": ["--version"]}


def packages():
    """Of those that are in the folder of the peers, the versions."""
    found = (it.name.removesuffix(".dist-info") for it in PEERS.glob("lib/python3*/site-packages/*.dist-info"))
    return sorted(it.replace("-", " ") for it in found if it.split("-")[0] in ("hyperqueue", "supervisor", "loky"))


if __name__ == "__main__":
    main()
