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
from ._native import JoinableQueue, Lock, Queue, RLock, SimpleQueue, Taken

__all__ = [
    "Broken",
    "Closed",
    "Damaged",
    "Error",
    "JoinableQueue",
    "Lock",
    "NotDeclared",
    "OutsideRun",
    "Queue",
    "RLock",
    "RunEnded",
    "SimpleQueue",
    "Taken",
    "TooLarge",
    "TooManyProcesses",
    "WrongKind",
]
