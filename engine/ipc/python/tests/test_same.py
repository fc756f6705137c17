"""The same code on ``multiprocessing`` and on ``forkyard``, and the same comes of it."""

import inspect
import multiprocessing
import queue
import threading
import time
import unittest

import forkyard
from children import within

SOON = 0.05


def outcome(function, module):
    """What a call returns, or the exception it raises."""
    try:
        return within(function, module)
    except Exception as error:
        return next(kind for kind in type(error).__mro__ if kind.__module__ not in ("forkyard._errors",))


def of(function, *args, **kwargs):
    """The result of a call, or the name of what it raises."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


def arrive(q, count):
    """Waits until so many items can be got: those of ``multiprocessing`` are still on their way."""
    while q.qsize() < count or (count and q.empty()):
        time.sleep(0.001)


class Locks:
    def lock_acquire(m):
        lock = m.Lock()
        return [lock.acquire(), lock.acquire(False), lock.acquire(block=False), lock.acquire(True, 0.01), lock.release()]

    def lock_negative_timeout(m):
        lock = m.Lock()
        return [lock.acquire(True, -1), lock.acquire(True, -1), lock.acquire(timeout=-0.5), lock.acquire(timeout=0)]

    def lock_timeout_without_block(m):
        lock = m.Lock()
        lock.acquire()
        return lock.acquire(False, 100)

    def lock_timeout_is_no_number(m):
        return m.Lock().acquire(True, "soon")

    def lock_release_unlocked(m):
        m.Lock().release()

    def lock_release_twice(m):
        lock = m.Lock()
        lock.acquire()
        return [of(lock.release), of(lock.release)]

    def lock_release_by_another_thread(m):
        lock = m.Lock()
        lock.acquire()
        within(lock.release)
        return lock.acquire(False)

    def lock_with(m):
        lock = m.Lock()
        with lock as entered:
            inside = lock.acquire(False)
        return entered, inside, lock.acquire(False)

    def lock_with_exception(m):
        lock = m.Lock()
        try:
            with lock:
                raise KeyError
        except KeyError:
            return lock.acquire(False)

    def lock_takes_no_value(m):
        return m.Lock(1, 2)

    def rlock_acquire(m):
        lock = m.RLock()
        got = [lock.acquire(), lock.acquire(), lock.acquire(False)]
        other = within(lock.acquire, False)
        return got, other, [of(lock.release) for _ in range(4)], within(lock.acquire, False)

    def rlock_release_unlocked(m):
        m.RLock().release()

    def rlock_release_by_another_thread(m):
        lock = m.RLock()
        lock.acquire()
        return of(within, lock.release)

    def rlock_with(m):
        lock = m.RLock()
        with lock, lock as entered:
            other = within(lock.acquire, False)
        return entered, other, within(lock.acquire, False)


class Semaphores:
    def semaphore_counts(m):
        semaphore = m.Semaphore(2)
        seen = [semaphore.get_value()]
        for call in (semaphore.acquire, semaphore.acquire, semaphore.release, semaphore.release, semaphore.release):
            seen += [call(), semaphore.get_value()]
        return seen

    def semaphore_default(m):
        return m.Semaphore().get_value(), m.BoundedSemaphore().get_value()

    def semaphore_of_none(m):
        semaphore = m.Semaphore(0)
        first = semaphore.acquire(False)
        semaphore.release()
        return first, semaphore.acquire(False), semaphore.get_value()

    def semaphore_try_and_timeout(m):
        semaphore = m.Semaphore(1)
        return [semaphore.acquire(False), semaphore.acquire(False), semaphore.acquire(True, SOON), semaphore.acquire(timeout=-1)]

    def semaphore_negative(m):
        return m.Semaphore(-1)

    def semaphore_too_large(m):
        return m.Semaphore(2**31)

    def semaphore_keyword(m):
        return m.Semaphore(value=3).get_value()

    def semaphore_with(m):
        semaphore = m.Semaphore(2)
        with semaphore as entered:
            return entered, semaphore.get_value()

    def bounded_over_release(m):
        semaphore = m.BoundedSemaphore(2)
        semaphore.acquire()
        return [of(semaphore.release), of(semaphore.release), semaphore.get_value()]

    def semaphore_repr(m):
        return repr(m.Semaphore(2)), repr(m.BoundedSemaphore(2))


class Events:
    def event_sets(m):
        event = m.Event()
        seen = [event.is_set(), event.wait(0), event.wait(SOON), event.wait(-1)]
        seen += [event.set(), event.is_set(), event.wait(), event.wait(0), event.set()]
        return seen + [event.clear(), event.is_set(), event.clear(), event.wait(timeout=0)]

    def event_wakes(m):
        event = m.Event()
        waiter = threading.Thread(target=event.wait)
        waiter.start()
        event.set()
        waiter.join()
        return event.is_set()

    def event_repr(m):
        event = m.Event()
        return repr(event).split(" ")[0], repr(event).split(" ")[-1]


class Queues:
    def queue_is_first_in_first_out(m):
        q = m.Queue()
        for number in range(100):
            q.put(number)
        return [q.get() for _ in range(100)]

    def queue_objects(m):
        q = m.Queue()
        items = [
            None, True, False, 0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**31, 2**64, -(2**100), 0.5, -0.0,
            float("inf"), "", "text", "\u00e4\U0001f600", b"", b"x" * 16, b"x" * 255, b"x" * 256, b"y" * 5000, b"z" * 1000000,
            (), (1,), ("a", [1, {"b": 2.5}]), [1, 2], {"x": (1, 2)}, {1, 2}, frozenset("ab"), 1 + 2j, range(5), ValueError,
            bytearray(b"abc"), "t" * 100000, list(range(10000)), type(None), len, [[[[[[[[[[[1]]]]]]]]]]],
        ]
        for item in items:
            q.put(item)
        got = [q.get() for _ in items]
        return got == items, [type(item) for item in got]

    def queue_keeps_what_is_shared_and_recursive(m):
        q = m.Queue()
        inner = [1]
        loop = [inner, inner]
        loop.append(loop)
        q.put(loop)
        got = q.get()
        return got[0] is got[1], got[2] is got

    def queue_sees_what_was_put_not_what_became_of_it(m):
        q = m.SimpleQueue()
        item = [1]
        q.put(item)
        item.append(2)
        return q.get()

    def queue_full(m):
        q = m.Queue(2)
        q.put(1)
        q.put(2)
        arrive(q, 2)
        return [
            q.full(), q.empty(), q.qsize(), of(q.put, 3, False), of(q.put_nowait, 3), of(q.put, 3, True, SOON),
            of(q.put, 3, timeout=-1), of(q.put, obj=3, block=False), of(q.put, 3, False, 100), q.get(), q.full(), q.get(),
        ]

    def queue_empty(m):
        q = m.Queue()
        return [
            q.full(), q.empty(), q.qsize(), of(q.get, False), of(q.get_nowait), of(q.get, True, SOON), of(q.get, timeout=-1),
            of(q.get, block=False, timeout=100), of(q.get, True, "soon"),
        ]

    def queue_exceptions_are_those_of_queue(m):
        q = m.Queue(1)
        q.put(1)
        full = empty = False
        try:
            q.put_nowait(2)
        except queue.Full:
            full = True
        q.get()
        try:
            q.get_nowait()
        except queue.Empty:
            empty = True
        return full, empty

    def queue_nonpositive_maxsize(m):
        q = m.Queue(-5)
        for number in range(1000):
            q.put(number, False)
        return q.full(), [q.get() for _ in range(1000)] == list(range(1000))

    def queue_maxsize_keyword(m):
        q = m.Queue(maxsize=1)
        q.put(1)
        return of(q.put_nowait, 2)

    def queue_closed(m):
        q = m.Queue()
        return [
            of(q.join_thread), q.cancel_join_thread(), q.close(), of(q.put, 1), of(q.get), of(q.put_nowait, 1), of(q.get_nowait),
            q.close(), of(q.join_thread),
        ]

    def queue_has_no_task_done(m):
        return hasattr(m.Queue(), "task_done"), hasattr(m.SimpleQueue(), "qsize"), hasattr(m.SimpleQueue(), "get_nowait")

    def joinable_counts(m):
        q = m.JoinableQueue()
        too_early = of(q.task_done)
        for number in range(3):
            q.put(number)
        seen = []
        for _ in range(3):
            seen += [q.get(), q.task_done()]
        return too_early, seen, q.join(), of(q.task_done)

    def joinable_joins(m):
        q = m.JoinableQueue(5)
        done = []

        def work():
            for _ in range(20):
                done.append(q.get())
                q.task_done()

        worker = threading.Thread(target=work)
        worker.start()
        for number in range(20):
            q.put(number)
        q.join()
        worker.join()
        return done, q.qsize()

    def joinable_is_a_queue(m):
        q = m.JoinableQueue(1)
        q.put(1)
        return of(q.put_nowait, 2), q.get(), q.empty(), of(q.get, timeout=SOON)

    def simple_queue(m):
        q = m.SimpleQueue()
        before = q.empty()
        q.put({"a": 1})
        return before, q.empty(), q.get(), q.empty()

    def simple_queue_closed(m):
        q = m.SimpleQueue()
        q.close()
        return [of(q.put, 1), of(q.get), of(q.empty)]

    def connection_through_a_queue(m):
        q = m.SimpleQueue()
        here, there = multiprocessing.Pipe()
        q.put(there)
        arrived = q.get()
        arrived.send("hello")
        return here.recv()

    def simple_queue_of_what_cannot_be_pickled(m):
        q = m.SimpleQueue()
        refused = of(q.put, lambda: None)
        q.put(1)
        return refused, q.get()



class Same(unittest.TestCase):
    """One test for each function above, added below."""

    maxDiff = None


def add_test(name, function):
    def test(self):
        expected = outcome(function, multiprocessing)
        self.assertEqual(outcome(function, forkyard), expected)

    setattr(Same, f"test_{name}", test)


GROUPS = (Locks, Semaphores, Events, Queues)
for group in GROUPS:
    for name, function in inspect.getmembers(group, inspect.isfunction):
        add_test(name, function)


class Signatures(unittest.TestCase):
    def test_methods_take_the_same_arguments(self):
        pairs = {
            "Queue": ("put", "get", "put_nowait", "get_nowait", "qsize", "empty", "full", "close", "join_thread", "cancel_join_thread"),
            "JoinableQueue": ("put", "get", "task_done", "join"),
            "SimpleQueue": ("put", "get", "empty", "close"),
            "Event": ("is_set", "set", "clear", "wait"),
            "Semaphore": ("get_value",),
        }
        for kind, methods in pairs.items():
            ours, theirs = getattr(forkyard, kind)(), getattr(multiprocessing, kind)()
            for method in methods:
                names = [list(inspect.signature(getattr(it, method)).parameters) for it in (ours, theirs)]
                self.assertEqual(names[0], names[1], f"{kind}.{method}")


if __name__ == "__main__":
    unittest.main()
