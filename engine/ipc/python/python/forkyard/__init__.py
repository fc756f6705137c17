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
from ._native import Lock, RLock

__all__ = [
    "Broken",
    "Closed",
    "Damaged",
    "Error",
    "Lock",
    "NotDeclared",
    "OutsideRun",
    "RLock",
    "RunEnded",
    "TooLarge",
    "TooManyProcesses",
    "WrongKind",
]
