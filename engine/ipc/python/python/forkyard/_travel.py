"""How objects reach other processes: by descriptor while a child is being started, or by name within a run."""

from multiprocessing import context, reduction

from ._native import Passed


def by_descriptor(obj, descriptor, raw):
    """Pickles an anonymous object, which only works while ``multiprocessing`` starts a child."""
    context.assert_spawning(obj)
    return _arrive, (type(obj), reduction.DupFd(descriptor), raw)


def by_name(obj, name, raw):
    """Pickles an object of the run."""
    return _make, (type(obj), name, raw)


def with_arguments(obj, descriptor, arguments, beside):
    """Pickles what is made of more than a descriptor, which only works while ``multiprocessing`` starts a child."""
    context.assert_spawning(obj)
    return _arrive_with, (type(obj), reduction.DupFd(descriptor), arguments, beside)


def _arrive_with(cls, duplicate, arguments, beside):
    return cls.__new__(cls, *arguments, passed=Passed(duplicate.detach(), beside))


def lock_of(cells):
    """Makes the lock beside shared bytes again."""
    return cells.lock()


def _arrive(cls, duplicate, raw):
    return _make(cls, Passed(duplicate.detach()), raw)


def _make(cls, origin, raw):
    return cls.__new__(cls, origin, raw=True) if raw else cls.__new__(cls, origin)
