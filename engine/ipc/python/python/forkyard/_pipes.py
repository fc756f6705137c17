"""Pipes are ``multiprocessing``'s own connections: they have nothing that a death could break.

What they need is only imported when there is one: a process that uses other things starts, and ends, in half the time without it.
"""

from __future__ import annotations

import os

from ._errors import NotDeclared, OutsideRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ends = {}


def Pipe(duplex: bool | str = True) -> Any:
    """Two connections; or, given the end of a pipe that the workflow declares, ``Pipe("talk.left")``, that end.

    The process must name that end under ``connects`` in the workflow.
    """
    if isinstance(duplex, str):
        return _end_of_run(duplex)
    import multiprocessing

    return multiprocessing.Pipe(duplex)


def _end_of_run(end):
    name = end.partition(".")[0]
    if name not in _ends:
        from multiprocessing.connection import Connection

        _ends[name] = Connection(_descriptor(name, end))
    return _ends[name]


def _descriptor(name, end):
    if not os.environ.get("FORKYARD_RUN"):
        raise OutsideRun(f"the pipe {name!r} belongs to a run, and this process to none: start it by `forkyard run`")
    number = os.environ.get("FORKYARD_FD_" + name.upper().replace("-", "_"))
    if number is None:
        process = os.environ.get("FORKYARD_NAME", "").partition(".")[0]
        raise NotDeclared(
            f"process {process!r} has not declared that it uses the pipe {name!r}; add `connects: [{end}]` to processes.{process}"
        )
    return int(number)
