"""Processes that begin at the same moment, each on its core, and report what they did."""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import struct
import sys
import time

CREW_MAX = 16

# Whoever has not ended so many seconds after he was told to is taken for hung.
PATIENCE = 30.0

# What a program exits with when it cannot measure something because something is not installed.
SKIPPED = 77

_GO, _OVER, _READY, _REPORTS = 0, 64, 128, 256
_REPORT = struct.Struct("=6d")

fork = multiprocessing.get_context("fork")


class Missing(Exception):
    """Something is not installed."""


class Setup:
    """What is to be measured: by how many processes, on which cores, for how many seconds, with items of how many bytes."""

    def __init__(self, processes=1, cores="free", seconds=0.2, size=16):
        self.processes = processes
        self.cores = cores
        self.seconds = seconds
        self.size = size

    def with_processes(self, processes):
        return Setup(processes, self.cores, self.seconds, self.size)


class Tally:
    """What one process did, what must add up, and its longest wait in seconds."""

    __slots__ = ("longest", "operations", "sum")

    def __init__(self, operations=0, sum=0, longest=0.0):
        self.operations = operations
        self.sum = sum
        self.longest = longest


class Worker:
    """One of the processes; `page` is shared by all of them."""

    def __init__(self, number, page):
        self.number = number
        self.page = page

    def is_over(self):
        return self.page[_OVER] != 0


class Race:
    """What all of them did: `wall` from the first beginning to the last end, `cpu` of all together, in seconds."""

    def __init__(self, reports):
        self.tallies = [Tally(int(report[0]), int(report[1]), report[2]) for report in reports]
        self.wall = max(report[4] for report in reports) - min(report[3] for report in reports)
        self.cpu = sum(report[5] for report in reports)

    def outcome(self, operations=None, **more):
        if operations is None:
            operations = sum(tally.operations for tally in self.tallies)
        return dict(operations=operations, seconds=self.wall, cpu_seconds=self.cpu, **more)


def race(setup, body):
    """Lets `body(worker)`, which returns a Tally, run in all processes at once."""
    page = mmap.mmap(-1, mmap.PAGESIZE)
    children = [fork.Process(target=_take_part, args=(setup, number, page, body)) for number in range(setup.processes)]
    for child in children:
        child.start()
    try:
        began = time.monotonic()
        while sum(page[_READY : _READY + CREW_MAX]) < len(children) and time.monotonic() - began < PATIENCE:
            time.sleep(0.0002)
        page[_GO] = 1
        time.sleep(setup.seconds)
        page[_OVER] = 1
        deadline = time.monotonic() + PATIENCE
        for child in children:
            child.join(max(0.0, deadline - time.monotonic()))
            if child.exitcode is None:
                raise RuntimeError("a process hung")
            if child.exitcode != 0:
                raise RuntimeError(f"a process ended with {child.exitcode}")
    finally:
        for child in children:
            if child.exitcode is None:
                child.kill()
                child.join()
    return Race([_REPORT.unpack_from(page, _REPORTS + number * _REPORT.size) for number in range(setup.processes)])


def _take_part(setup, number, page, body):
    pin(setup.cores, number)
    page[_READY + number] = 1
    while not page[_GO]:
        time.sleep(0.00005)
    cpu = time.process_time()
    began = time.monotonic()
    tally = body(Worker(number, page))
    ended = time.monotonic()
    cpu = time.process_time() - cpu
    report = (tally.operations, tally.sum, tally.longest, began, ended, cpu)
    _REPORT.pack_into(page, _REPORTS + number * _REPORT.size, *report)


def pin(cores, number):
    """Puts this process on the core that is its own by its number."""
    usable = sorted(os.sched_getaffinity(0))
    which = {"free": None, "one": 0, "two": number % 2}[cores]
    if which is not None and which < len(usable):
        os.sched_setaffinity(0, {usable[which]})


def must_equal(what, found, wanted):
    """A benchmark of something that is wrong is worth nothing."""
    if found != wanted:
        raise RuntimeError(f"{what}: {found}, but it must be {wanted}")


def main(cases):
    """Measures one subject of one case and prints a line of JSON; `cases` has functions of a Setup by case and subject."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=sorted(cases))
    parser.add_argument("subject")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cores", choices=["one", "two", "free"], default="free")
    parser.add_argument("--ms", type=float, default=200)
    parser.add_argument("--size", type=int, default=16)
    options = parser.parse_args()
    if options.subject not in cases[options.case]:
        parser.error(f"{options.case} is done by {', '.join(cases[options.case])}")
    setup = Setup(options.processes, options.cores, options.ms / 1000, options.size)
    try:
        outcome = cases[options.case][options.subject](setup)
    except Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(SKIPPED)
    except RuntimeError as error:
        sys.exit(" / ".join(line.strip() for line in str(error).splitlines() if line.strip()))
    print(json.dumps(dict(case=options.case, subject=options.subject, **outcome)))
