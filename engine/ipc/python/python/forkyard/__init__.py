"""Queues, locks, semaphores, events and shared values between processes, unharmed by the death of any of them."""

from ._errors import (
    Broken,
    Closed,
    Damaged,
    Error,
    NotDeclared,
    OutsideRun,
    RunEnded,
    TooLarge,
    TooManyProcesses,
    WrongKind,
)
from ._native import (
    BoundedSemaphore,
    Event,
    JoinableQueue,
    Lock,
    Queue,
    RLock,
    Semaphore,
    SimpleQueue,
    Taken,
)

__all__ = [
    "BoundedSemaphore",
    "Broken",
    "Closed",
    "Damaged",
    "Error",
    "Event",
    "JoinableQueue",
    "Lock",
    "NotDeclared",
    "OutsideRun",
    "Queue",
    "RLock",
    "RunEnded",
    "Semaphore",
    "SimpleQueue",
    "Taken",
    "TooLarge",
    "TooManyProcesses",
    "WrongKind",
]
