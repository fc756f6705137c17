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
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    JoinableQueue,
    Lock,
    Queue,
    RLock,
    Semaphore,
    SimpleQueue,
    Taken,
)
from ._pipes import Pipe
from ._values import Array, RawArray, RawValue, Value

__all__ = [
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Broken",
    "Closed",
    "Condition",
    "Damaged",
    "Error",
    "Event",
    "JoinableQueue",
    "Lock",
    "NotDeclared",
    "OutsideRun",
    "Pipe",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "RunEnded",
    "Semaphore",
    "SimpleQueue",
    "Taken",
    "TooLarge",
    "TooManyProcesses",
    "Value",
    "WrongKind",
]
