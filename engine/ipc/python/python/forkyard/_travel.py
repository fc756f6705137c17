"""How objects reach other processes: by descriptor while a child is being started, or by name within a run."""

from multiprocessing import context, reduction

from ._native import Passed


def by_descriptor(obj, descriptor, *more):
    """Pickles an anonymous object, which only works while ``multiprocessing`` starts a child."""
    context.assert_spawning(obj)
    return arrive, (type(obj), reduction.DupFd(descriptor), *more)


def by_name(obj, name, *more):
    """Pickles an object of the run."""
    return arrive_named, (type(obj), name, *more)


def arrive(cls, duplicate, *more):
    """Makes the object again, in the child."""
    return cls.__new__(cls, Passed(duplicate.detach()), *more)


def arrive_named(cls, name, *more):
    """Attaches to the same channel of the run."""
    return cls.__new__(cls, name, *more)
