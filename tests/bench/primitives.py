"""Locks, semaphores, events and queues from Python: ours and those of others."""

from __future__ import annotations

import fcntl
import pickle
import struct
import tempfile
import time

from crew import Missing, Setup, Tally, fork, main, must_equal, race

# So many pairs are done between two looks at the clock, and one of them changes what the lock guards: Python is so slow at these
# that they would hide the lock.
BLOCK = 64
BLOCK_ALONE = 512

_NUMBER = struct.Struct("=q")
_GUARDED = 2048  # where the number that a lock guards stands in the page of the crew

# The first bytes of the items that are no items: the last of a sender, and the end for all.
_LAST, _END = 0, 255
_FIRSTS = (1, 5, 25, 125)


def ours(name):
    try:
        return getattr(__import__("forkyard"), name)
    except (ImportError, AttributeError) as error:
        raise Missing(f"forkyard's package is not installed, or has no {name}") from error


def faster_fifo():
    try:
        import faster_fifo
    except ImportError as error:
        raise Missing("faster-fifo is not installed") from error
    return faster_fifo


# Locks


def hold(setup: Setup, join):
    """Every process has `join()` give it an acquire and a release, and calls them by turns."""

    block = BLOCK_ALONE if setup.processes == 1 else BLOCK

    def work(worker):
        acquire, release = join()
        page = worker.page
        tally = Tally()
        looked = time.perf_counter()
        while not worker.is_over():
            for _ in range(block - 1):
                acquire()
                release()
            acquire()
            (number,) = _NUMBER.unpack_from(page, _GUARDED)
            _NUMBER.pack_into(page, _GUARDED, number + 1)
            release()
            tally.operations += block
            tally.sum = number + 1
            now = time.perf_counter()
            tally.longest = max(tally.longest, now - looked)
            looked = now
        return tally

    done = race(setup, work)
    blocks = sum(tally.operations for tally in done.tallies) // block
    must_equal("what the lock guards", max(tally.sum for tally in done.tallies), blocks)
    return done.outcome(longest_seconds=max(tally.longest for tally in done.tallies))


def hold_one(make):
    def measure(setup):
        lock = make()
        return hold(setup, lambda: (lock.acquire, lock.release))

    return measure


def hold_file(setup):
    with tempfile.NamedTemporaryFile() as file:

        def join():
            own = open(file.name, "rb")
            return (lambda: fcntl.flock(own, fcntl.LOCK_EX)), (lambda: fcntl.flock(own, fcntl.LOCK_UN))

        return hold(setup, join)


# Semaphores


def permits(make):
    def measure(setup):
        semaphore = make(2)
        acquire, release = semaphore.acquire, semaphore.release

        def work(worker):
            tally = Tally()
            while not worker.is_over():
                for _ in range(BLOCK):
                    acquire()
                    release()
                tally.operations += BLOCK
            return tally

        done = race(setup, work)
        must_equal("free permits", semaphore.get_value(), 2)
        return done.outcome()

    return measure


# Events


def ping_pong(make):
    def measure(setup):
        events = [make(), make()]
        last = fork.RawValue("i", 0)

        def serve(worker):
            tally = Tally()
            is_last = False
            while not is_last:
                is_last = worker.is_over()
                last.value = is_last
                events[1].set()
                events[0].wait()
                events[0].clear()
                tally.operations += 1
            return tally

        def answer(_):
            tally = Tally()
            is_last = False
            while not is_last:
                events[1].wait()
                events[1].clear()
                is_last = last.value
                events[0].set()
                tally.operations += 1
            return tally

        done = race(setup.with_processes(2), lambda worker: answer(worker) if worker.number else serve(worker))
        asked, answered = (tally.operations for tally in done.tallies)
        must_equal("answers", answered, asked)
        return done.outcome(asked)

    return measure


# Queues


def capacity(size):
    """As many items as make about 16 MiB, but no more than a thousand; as in Rust."""
    return max(16, min(1000, (16 << 20) // size))


class Bytes:
    """Items of bytes, told apart by their first one."""

    def __init__(self, size):
        # Small ones are put many times between two looks at whether the time is over.
        self.items = [self.of(first, size) for first in _FIRSTS] * (16 if size <= 1024 else 1)
        # Short, so that one that is left over is in nobody's way.
        self.last, self.end = self.of(_LAST, 1), self.of(_END, 1)

    def of(self, first, size):
        return bytes([first]) + b"y" * (size - 1)


class Objects(Bytes):
    """Small objects."""

    def of(self, first, size):
        return (first, "a small object", 3.5)


def flow(setup, queue, kinds, put=None, get=None):
    """The first half of the processes puts until the time is over, the other half gets until all is there."""
    half = max(1, setup.processes // 2)
    kinds = kinds(setup.size)
    put, get = put or queue.put, get or queue.get
    lasts, guard = fork.RawValue("i", 0), fork.Lock()

    def source(worker):
        tally = Tally()
        items = kinds.items
        while not worker.is_over():
            for item in items:
                put(item)
            tally.operations += len(items)
        tally.sum = tally.operations // len(_FIRSTS) * sum(_FIRSTS)
        put(kinds.last)
        return tally

    def is_end(first):
        if first == _LAST:
            with guard:
                lasts.value += 1
                if lasts.value < half:
                    return False
        # Whoever sees the end passes it on.
        put(kinds.end)
        return True

    def sink(_):
        total = count = 0
        while True:
            first = get()[0]
            if 0 < first < 255:
                total += first
                count += 1
            elif is_end(first):
                return Tally(count, total)

    done = race(setup.with_processes(2 * half), lambda worker: (sink if worker.number >= half else source)(worker))
    put_, got = done.tallies[:half], done.tallies[half:]
    count = sum(tally.operations for tally in got)
    must_equal("items got", count, sum(tally.operations for tally in put_))
    must_equal("sum of the items got", sum(tally.sum for tally in got), sum(tally.sum for tally in put_))
    return done.outcome(count)


def our_queue(kinds, raw):
    return lambda setup: flow(setup, ours("Queue")(capacity(setup.size), raw=raw), kinds)


def their_queue(kinds):
    return lambda setup: flow(setup, fork.Queue(capacity(setup.size)), kinds)


def faster_queue(kinds, loads, dumps):
    def measure(setup):
        # It counts each item's length as well.
        room = capacity(setup.size) * (setup.size + 64)
        queue = faster_fifo().Queue(room, maxsize=capacity(setup.size), loads=loads, dumps=dumps)
        return flow(setup, queue, kinds)

    return measure


CASES = {
    "lock": {
        "forkyard": hold_one(lambda: ours("Lock")()),
        "multiprocessing": hold_one(fork.Lock),
        "flock": hold_file,
    },
    "semaphore": {
        "forkyard": permits(lambda count: ours("Semaphore")(count)),
        "multiprocessing": permits(fork.Semaphore),
    },
    "event": {
        "forkyard": ping_pong(lambda: ours("Event")()),
        "multiprocessing": ping_pong(fork.Event),
    },
    "queue": {
        "forkyard": our_queue(Bytes, True),
        "multiprocessing": their_queue(Bytes),
        "faster-fifo": faster_queue(Bytes, bytes, bytes),
    },
    "objects": {
        "forkyard": our_queue(Objects, False),
        "multiprocessing": their_queue(Objects),
        "faster-fifo": faster_queue(Objects, pickle.loads, pickle.dumps),
    },
}

if __name__ == "__main__":
    main(CASES)
