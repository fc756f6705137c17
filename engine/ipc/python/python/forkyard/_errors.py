"""The exceptions of the yard. Each is also the exception of Python's own that comes nearest."""

from pickle import UnpicklingError


class Error(Exception):
    """Whatever the yard has to complain of."""


class OutsideRun(Error, RuntimeError):
    """A name was given, but this process does not belong to a run."""


class NotDeclared(Error, PermissionError):
    """The workflow does not say that this process uses that; the text has the line that is missing."""


class NoSuchName(Error, LookupError):
    """The workflow declares nothing of that name; the text has the nearest name there is."""


class RunEnded(Error, ConnectionError):
    """The engine of the run does not answer any more."""


class WrongKind(Error, TypeError):
    """What has that name, or stands behind that descriptor, is something else, or of another version."""


class Closed(Error, EOFError):
    """The queue has no senders any more; when getting, it is also empty."""


class Broken(Error, BrokenPipeError):
    """The queue has no receivers any more."""


class NotAPickle(Error, UnpicklingError):
    """The item was not put by Python, but is, say, a line of text: open the queue with ``raw=True`` to get its bytes."""


class TooLarge(Error, ValueError):
    """The item is larger than the queue takes."""


class TooManyProcesses(Error, RuntimeError):
    """As many processes use the channel as it has room for."""


class Damaged(Error, RuntimeError):
    """A process has overwritten the memory of the channel. Nobody can use it any more."""


for _error in (Error, *Error.__subclasses__()):
    # They are told, and pickled, by the name under which they are known.
    _error.__module__ = "forkyard"
