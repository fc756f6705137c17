"""Values and arrays of ``ctypes`` in shared memory. What they need is only imported when there is one, as in ``_pipes``."""

from __future__ import annotations

from ._native import Cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """A ``ctypes`` object in shared memory, without a lock."""
    obj = _shared(_type(typecode_or_type))
    obj.__init__(*args)
    return obj


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """A ``ctypes`` array in shared memory, without a lock: of that size, all zero, or with these items."""
    kind = _type(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _shared(kind * size_or_initializer)
    obj = _shared(kind * len(size_or_initializer))
    obj.__init__(*size_or_initializer)
    return obj


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:
    """A ``ctypes`` object in shared memory.

    ``lock`` guards each access: an ``RLock`` of its own, the one that is given, or, if it is ``False``, none. When a process
    dies with it, the next one gets it.
    """
    return _guarded(RawValue(typecode_or_type, *args), lock)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:
    """A ``ctypes`` array in shared memory, of that size, all zero, or with these items; ``lock`` as in ``Value``."""
    return _guarded(RawArray(typecode_or_type, size_or_initializer), lock)


def _type(typecode_or_type):
    from multiprocessing import sharedctypes

    return sharedctypes.typecode_to_type.get(typecode_or_type, typecode_or_type)


def _shared(kind):
    import ctypes
    from multiprocessing import sharedctypes

    # ``multiprocessing`` knows how to send such an object to a child: by its type and its wrapper, which is ours.
    return sharedctypes.rebuild_ctype(kind, Cells(max(ctypes.sizeof(kind), 1)), None)


def _guarded(obj, lock):
    if lock is False:
        return obj
    if lock is True or lock is None:
        lock = obj._wrapper.lock()
    elif not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    from multiprocessing import sharedctypes

    return sharedctypes.synchronized(obj, lock)
