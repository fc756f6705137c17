"""Python's own pools of two processes, with the identity of a number as the task."""

from __future__ import annotations

import itertools
import resource
import time
from concurrent.futures import ProcessPoolExecutor

from crew import Missing, fork, main, must_equal

WORKERS = 2


def identity(number):
    return number


def cpu_seconds():
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(setup, opened, tasks):
    """`tasks(pool, count)` gives the answers to so many tasks; it is called with ever more until the time is over."""
    cpu = cpu_seconds()
    with opened as pool:
        # Once before, so that all workers are there.
        must_equal("answers", sum(tasks(pool, 20)), sum(range(20)))
        began = time.monotonic()
        operations, count = 0, 100
        while time.monotonic() - began < setup.seconds:
            must_equal("sum of the answers", sum(tasks(pool, count)), count * (count - 1) // 2)
            operations += count
            count *= 2
        seconds = time.monotonic() - began
        if hasattr(pool, "close"):
            # So that the CPU time of the workers is known.
            pool.close()
            pool.join()
    return dict(operations=operations, seconds=seconds, cpu_seconds=cpu_seconds() - cpu)


def of_multiprocessing(tasks):
    return lambda setup: timed(setup, fork.Pool(WORKERS), tasks)


def executor(setup):
    opened = ProcessPoolExecutor(WORKERS, mp_context=fork)
    return timed(setup, opened, lambda pool, count: pool.map(identity, range(count)))


def loky(setup):
    try:
        from loky import get_reusable_executor
    except ImportError as error:
        raise Missing("loky is not installed") from error
    opened = get_reusable_executor(WORKERS)
    return timed(setup, opened, lambda pool, count: pool.map(identity, range(count)))


CASES = {
    "streamed": {
        "imap-unordered": of_multiprocessing(lambda pool, count: pool.imap_unordered(identity, range(count))),
        "map-chunksize-1": of_multiprocessing(lambda pool, count: pool.map(identity, range(count), chunksize=1)),
        "executor": executor,
        "loky": loky,
    },
    "one-by-one": {
        "apply": of_multiprocessing(
            lambda pool, count: itertools.starmap(pool.apply, ((identity, (number,)) for number in range(count)))
        ),
    },
}

if __name__ == "__main__":
    main(CASES)
