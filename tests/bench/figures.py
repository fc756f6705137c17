"""What is measured, beside whom, and what must be reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Subject:
    """Who does it: a program of the benchmark, its case, and its subject."""

    program: str
    case: str
    name: str
    # How many times as fast as this ours must be, and should be.
    must: float | None = None
    aim: float | None = None

    @property
    def label(self):
        where = {"native": "Rust", "primitives": "Python"}.get(self.program)
        return f"{self.name} ({where})" if where else self.name


@dataclass(frozen=True)
class Figure:
    """One thing, done by ours and by peers. The first of ours is what the others are compared with."""

    name: str
    ours: tuple[Subject, ...]
    peers: tuple[Subject, ...]
    # Numbers of processes and bytes of an item.
    shapes: tuple[tuple[int, int], ...] = ((1, 16),)
    cores: tuple[str, ...] = ("one", "two")
    # What must stay below, and should, in seconds: the name of a number of ours to the two limits.
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)


def native(case, name, must=None, aim=None):
    return Subject("native", case, name, must, aim)


def python(case, name, must=None, aim=None):
    return Subject("primitives", case, name, must, aim)


def broker(case, name, must=None, aim=None):
    return Subject("brokers", case, name, must, aim)


def of_pool(case, name, must=None, aim=None):
    return Subject("pools", case, name, must, aim)


def of_run(case, name, must=None, aim=None):
    return Subject("runs", case, name, must, aim)


QUEUE = tuple(native("queue", f"forkyard{way}") for way in ("", "-acknowledged", "-batches", "-in-place"))
QUEUE_PEERS = (python("queue", "multiprocessing", 6, 15), python("queue", "faster-fifo", 6, 15))
LARGE_PEERS = (python("queue", "multiprocessing", 4, 8), python("queue", "faster-fifo", 2.5, 5))
POOL_PEERS = (of_pool("streamed", "map-chunksize-1"), of_pool("streamed", "executor"), of_pool("streamed", "loky"))

FIGURES = (
    Figure(
        "lock alone, Rust",
        (native("lock", "forkyard"),),
        (
            native("lock", "robust-mutex", 0.6, 1),
            native("lock", "plain-mutex"),
            native("lock", "flock"),
            native("lock", "socket-server"),
            broker("lock", "redis"),
        ),
    ),
    Figure(
        "lock alone, Python",
        (python("lock", "forkyard"),),
        (python("lock", "multiprocessing", 0.7, 1.2), python("lock", "flock")),
        cores=("one",),
    ),
    Figure(
        "lock between processes, Python",
        (python("lock", "forkyard"),),
        (python("lock", "multiprocessing", 1, 1.5),),
        shapes=((2, 16), (4, 16), (8, 16)),
        limits={"longest_seconds": (1, 1)},
    ),
    Figure(
        "lock between processes, Rust",
        (native("lock", "forkyard"),),
        (native("lock", "robust-mutex"), native("lock", "plain-mutex"), native("lock", "flock")),
        shapes=((2, 16), (4, 16), (8, 16)),
        limits={"longest_seconds": (1, 1)},
    ),
    Figure(
        "semaphore of 2 permits, Python",
        (python("semaphore", "forkyard"),),
        (python("semaphore", "multiprocessing", 0.7, 1.2),),
        shapes=((4, 16),),
    ),
    Figure(
        "semaphore of 2 permits, Rust",
        (native("semaphore", "forkyard"),),
        (native("semaphore", "posix-semaphore"),),
        shapes=((4, 16), (1, 16)),
    ),
    Figure(
        "event ping-pong, Python",
        (python("event", "forkyard"),),
        (python("event", "multiprocessing", 2.5, 4),),
        shapes=((2, 16),),
    ),
    Figure(
        "event ping-pong, Rust",
        (native("event", "forkyard"),),
        (native("event", "futex", 0.8, 0.95),),
        shapes=((2, 16),),
    ),
    Figure("queue, 1 to 1, Rust", QUEUE, (native("queue", "ring", 0.5, 1),), shapes=((2, 16),)),
    Figure("queue, 4 to 4, Rust", QUEUE, (native("queue", "ring", 0.6, 1.2),), shapes=((8, 16),)),
    Figure(
        "queue of larger items, Rust",
        QUEUE,
        (native("queue", "ring"),),
        shapes=((2, 1 << 10), (8, 1 << 10), (2, 1 << 16), (8, 1 << 16), (2, 1 << 20), (8, 1 << 20)),
    ),
    Figure("queue of bytes, Python", (python("queue", "forkyard"),), QUEUE_PEERS, shapes=((2, 16), (8, 16))),
    Figure(
        "queue of small objects, Python",
        (python("objects", "forkyard"),),
        (python("objects", "multiprocessing", 4, 8), python("objects", "faster-fifo", 4, 8)),
        shapes=((2, 16), (8, 16)),
    ),
    Figure(
        "queue of larger bytes, Python",
        (python("queue", "forkyard"),),
        LARGE_PEERS,
        shapes=((2, 1 << 10), (8, 1 << 10), (2, 1 << 16), (8, 1 << 16)),
    ),
    Figure(
        "queue of 1 MiB, Python",
        (python("queue", "forkyard"),),
        (*LARGE_PEERS, native("queue", "ring", 0.5, 0.9)),
        shapes=((2, 1 << 20), (8, 1 << 20)),
    ),
    Figure(
        "queue beside brokers, acknowledged",
        (native("queue", "forkyard-acknowledged-batches"), native("queue", "forkyard-acknowledged")),
        (
            broker("queue", "redis-batches", 5, 20),
            broker("queue", "redis", 200, 200),
            broker("queue", "nats-jetstream", 200, 200),
        ),
        shapes=((2, 16),),
        cores=("free",),
    ),
    Figure(
        "pool of 2, streamed, native worker",
        (of_run("streamed", "native"),),
        (of_pool("streamed", "imap-unordered", 5, 8), *POOL_PEERS),
        cores=("free",),
    ),
    Figure(
        "pool of 2, streamed, Python worker",
        (of_run("streamed", "python"),),
        (of_pool("streamed", "imap-unordered", 2, 2.5),),
        cores=("free",),
    ),
    Figure(
        "pool of 2, one at a time, native worker",
        (of_run("one-by-one", "native"),),
        (of_pool("one-by-one", "apply", 5, 8),),
        cores=("free",),
    ),
    Figure(
        "pool of 2, one at a time, Python worker",
        (of_run("one-by-one", "python"),),
        (of_pool("one-by-one", "apply", 2, 2.5),),
        cores=("free",),
    ),
    Figure(
        "1,000,000 lines: `stdout: q` to `stdin: q`",
        (of_run("lines", "forkyard"),),
        (of_run("lines", "shell", 0.25, 0.6),),
        cores=("free",),
    ),
    Figure(
        "put from a shell",
        (of_run("shell", "forkyard-put"),),
        (broker("shell", "redis-cli"),),
        cores=("free",),
    ),
    Figure(
        "from the SIGKILL of a holder to the next one's lock",
        (of_run("death", "forkyard-run"), native("death", "forkyard")),
        (native("death", "robust-mutex"), native("death", "flock")),
        shapes=((2, 16),),
        cores=("free",),
        limits={"median_seconds": (0.005, 0.001), "longest_seconds": (0.005, 0.001)},
    ),
)
