"""The same code on ``multiprocessing`` and on ``forkyard``, and the same comes of it."""

import ctypes
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
        return next(kind for kind in type(error).__mro__ if kind.__module__ != "forkyard")


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



def waits_in_thread(condition, call):
    """A thread that has the lock, calls, and says what came of it; it waits when this returns."""
    said = []

    def work():
        with condition:
            said.append(call())

    thread = threading.Thread(target=work)
    thread.start()
    while not said:
        with condition:
            if "1)>" in repr(condition):
                break
    return thread, said


class Conditions:
    def condition_needs_its_lock(m):
        condition = m.Condition()
        return [of(condition.wait), of(condition.notify), of(condition.notify_all), of(condition.release)]

    def condition_timeouts(m):
        condition = m.Condition(m.Lock())
        with condition:
            return [condition.wait(0), condition.wait(SOON), condition.wait(timeout=-1), condition.acquire(False)]

    def condition_notifies(m):
        condition = m.Condition()
        thread, said = waits_in_thread(condition, condition.wait)
        with condition:
            condition.notify()
        thread.join()
        return said

    def condition_gives_up_a_lock_that_is_held_twice(m):
        condition = m.Condition()

        def wait():
            with condition:
                return condition.wait()

        thread, said = waits_in_thread(condition, wait)
        with condition:
            condition.notify_all()
        thread.join()
        return said, condition.acquire(False)

    def condition_notify_of_nobody(m):
        condition = m.Condition()
        with condition:
            return [condition.notify(), condition.notify(5), condition.notify(n=2), condition.notify_all(), condition.wait(0)]

    def condition_waits_for(m):
        condition = m.Condition()
        calls = []
        with condition:
            return [
                condition.wait_for(lambda: "yes"), condition.wait_for(lambda: [], SOON), condition.wait_for(lambda: 0, timeout=0),
                condition.wait_for(lambda: calls.append(1) or len(calls) > 2, 0.001) in (True, False),
            ]

    def condition_with_a_lock(m):
        lock = m.Lock()
        condition = m.Condition(lock=lock)
        entered = condition.__enter__()
        return entered, lock.acquire(False), condition.release(), condition.acquire(), lock.release()


def meet(barrier, count, call=lambda barrier: barrier.wait()):
    """What comes of so many threads that meet."""
    said = []
    threads = [threading.Thread(target=lambda: said.append(of(call, barrier))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said, key=str)


class Barriers:
    def barrier_meets(m):
        barrier = m.Barrier(3)
        return [meet(barrier, 3) for _ in range(20)], barrier.parties, barrier.n_waiting, barrier.broken

    def barrier_of_one(m):
        barrier = m.Barrier(1)
        return barrier.wait(), barrier.wait()

    def barrier_of_none(m):
        return of(m.Barrier(2).wait, 0)

    def barrier_times_out(m):
        barrier = m.Barrier(2)
        return of(barrier.wait, SOON), barrier.broken, barrier.n_waiting, of(barrier.wait), barrier.reset(), barrier.broken

    def barrier_has_a_timeout(m):
        return meet(m.Barrier(3, timeout=SOON), 2)

    def barrier_calls_its_action(m):
        calls = []
        barrier = m.Barrier(3, lambda: calls.append(len(calls)))
        met = [meet(barrier, 3) for _ in range(5)]
        return met, calls, barrier.parties, barrier.n_waiting

    def barrier_action_comes_first(m):
        calls = []
        barrier = m.Barrier(3, action=lambda: time.sleep(0.01) or calls.append(1))
        return meet(barrier, 3, lambda barrier: (barrier.wait(), len(calls)))

    def barrier_action_fails(m):
        def action():
            raise KeyError

        barrier = m.Barrier(2, action)
        return meet(barrier, 2), barrier.broken, of(barrier.wait), barrier.reset(), barrier.broken

    def barrier_is_aborted(m):
        barrier = m.Barrier(3)
        said = meet(barrier, 3, lambda barrier: barrier.abort() if barrier.n_waiting == 2 else barrier.wait(30))
        return said.count("BrokenBarrierError") >= 2, barrier.broken, of(barrier.wait)

    def barrier_is_reset(m):
        barrier = m.Barrier(2)
        thread = threading.Thread(target=lambda: of(barrier.wait))
        thread.start()
        while barrier.n_waiting == 0:
            time.sleep(0.001)
        barrier.reset()
        thread.join()
        return barrier.broken, barrier.n_waiting, meet(barrier, 2)

    def barrier_exception_is_that_of_threading(m):
        barrier = m.Barrier(2)
        barrier.abort()
        try:
            barrier.wait()
        except threading.BrokenBarrierError:
            return True


class Pair(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_int)]


class Values:
    def value_of_each_typecode(m):
        codes = {"c": b"a", "u": "\u00e4", "b": -3, "B": 250, "h": -300, "H": 60000, "i": -70000, "I": 4000000000, "l": -5, "L": 5}
        codes.update({"q": -(2**60), "Q": 2**63, "f": 0.5, "d": 1e300})
        seen = []
        for code, value in codes.items():
            shared = m.Value(code)
            seen += [shared.value, setattr(shared, "value", value), shared.value, m.Value(code, value).value]
        return seen

    def value_of_a_type(m):
        pair = m.Value(Pair, 1.5, 2)
        pair.y += 1
        return pair.x, pair.y, pair.get_obj().y, m.Value(ctypes.c_short, 7).value

    def value_too_large_wraps(m):
        return m.Value("B", 257).value

    def value_of_the_wrong_kind(m):
        return [of(m.Value, "i", "text"), of(m.Value, "nonsense"), of(m.Value, "i", 1, 2)]

    def value_lock(m):
        value = m.Value("i", 3)
        lock = value.get_lock()
        with lock, value:
            other = within(lock.acquire, False)
        return other, value.acquire(), value.release(), within(lock.acquire, False), hasattr(value, "get_obj")

    def value_without_lock(m):
        value = m.Value("i", 3, lock=False)
        value.value += 1
        return value.value, hasattr(value, "get_lock"), type(value) is ctypes.c_int

    def value_with_a_given_lock(m):
        lock = m.Lock()
        value = m.Value("i", 3, lock=lock)
        value.value = 5
        return value.value, value.get_lock() is lock, of(m.Value, "i", lock="nonsense"), m.Value("i", lock=None).get_lock() is None

    def value_repr(m):
        return repr(m.Value("i", 3)), repr(m.Array("i", [1, 2])).split("<")[1]

    def array_of_size(m):
        array = m.Array("i", 5)
        return array[:], len(array), of(lambda: array[5]), array[-1]

    def array_of_items(m):
        array = m.Array("d", [1.5, 2.5, 3.5])
        array[1] = 9
        array[0:1] = [4]
        return array[:], list(array), array.get_obj()[2], m.Array("i", range(4), lock=False)[:]

    def array_of_nothing(m):
        return m.Array("i", 0)[:], m.Array("i", [])[:]

    def array_of_characters(m):
        array = m.Array("c", b"hello")
        before = array.value, array.raw
        array.value = b"hey"
        return before, array.value, array.raw, len(array)

    def array_of_structures(m):
        array = m.Array(Pair, [(1.0, 2), (3.0, 4)])
        array[0].y = 7
        return [(pair.x, pair.y) for pair in array]

    def array_takes_lock_by_name_alone(m):
        return [of(m.Array, "i", 3, False), of(m.Array, "i", "text"), of(m.Array, "i", -1)]

    def raw_ones(m):
        value, array = m.RawValue("i", 3), m.RawArray("h", [1, 2])
        return value.value, array[:], hasattr(value, "get_lock")


class Pipes:
    def pipe_duplex(m):
        left, right = m.Pipe()
        left.send([1, 2])
        right.send_bytes(b"raw")
        return right.recv(), left.recv_bytes(), left.poll(), type(left).__name__

    def pipe_one_way(m):
        reader, writer = m.Pipe(duplex=False)
        writer.send("x")
        return reader.recv(), of(reader.send, 1), of(writer.recv), writer.close(), of(reader.recv)


class Same(unittest.TestCase):
    """One test for each function above, added below."""

    maxDiff = None


def add_test(name, function):
    def test(self):
        expected = outcome(function, multiprocessing)
        self.assertEqual(outcome(function, forkyard), expected)

    setattr(Same, f"test_{name}", test)


GROUPS = (Locks, Semaphores, Events, Queues, Conditions, Barriers, Values, Pipes)
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
            "Condition": ("wait", "wait_for", "notify", "notify_all"),
        }
        for kind, methods in pairs.items():
            ours, theirs = getattr(forkyard, kind)(), getattr(multiprocessing, kind)()
            for method in methods:
                names = [list(inspect.signature(getattr(it, method)).parameters) for it in (ours, theirs)]
                self.assertEqual(names[0], names[1], f"{kind}.{method}")


if __name__ == "__main__":
    unittest.main()
