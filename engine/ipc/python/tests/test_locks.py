"""Lock and RLock: between processes, between threads, and after a death."""

import os
import signal
import threading
import unittest

import forkyard
from children import METHODS, Killed, finish, interrupted, kill, start, wait_until_waits, within


def add(lock, path, times):
    for _ in range(times):
        with lock:
            with open(path) as file:
                number = int(file.read())
            with open(path, "w") as file:
                file.write(str(number + 1))


def is_free(lock, expected):
    got = lock.acquire(False)
    if got:
        lock.release()
    if got is not expected:
        os._exit(3)


def acquire_and_release(lock):
    lock.acquire()
    lock.release()


def acquire(lock):
    lock.acquire()


def acquire_orphaned(lock):
    lock.acquire()
    if not lock.orphaned:
        raise AssertionError("nobody was told")
    lock.release()


def release(lock):
    lock.release()


def release_in_vain(lock):
    try:
        lock.release()
    except AssertionError:
        return
    raise RuntimeError("the child has released what it does not own")


class Between(unittest.TestCase):
    def test_children_exclude_each_other(self):
        import tempfile

        for method in METHODS:
            for make in (forkyard.Lock, forkyard.RLock):
                with self.subTest(method=method, make=make), tempfile.NamedTemporaryFile("w") as file:
                    file.write("0")
                    file.flush()
                    lock = make()
                    children = [start(method, add, lock, file.name, 200) for _ in range(3)]
                    for child in children:
                        finish(child)
                    with open(file.name) as done:
                        self.assertEqual(done.read(), "600")

    def test_a_child_sees_what_its_parent_holds(self):
        for method in METHODS:
            for make in (forkyard.Lock, forkyard.RLock):
                with self.subTest(method=method, make=make):
                    lock = make()
                    with lock:
                        finish(start(method, is_free, lock, False))
                    finish(start(method, is_free, lock, True))

    def test_a_child_may_release_what_its_parent_holds(self):
        lock = forkyard.Lock()
        lock.acquire()
        finish(start("fork", release, lock))
        self.assertTrue(lock.acquire(False))

    def test_a_forked_child_does_not_own_its_parents_rlock(self):
        lock = forkyard.RLock()
        lock.acquire()
        finish(start("fork", release_in_vain, lock))
        lock.release()

    def test_threads_exclude_each_other(self):
        for make in (forkyard.Lock, forkyard.RLock):
            lock = make()
            counts = [0]

            def count(lock=lock, counts=counts):
                for _ in range(5000):
                    with lock:
                        counts[0] = counts[0] + 1

            threads = [threading.Thread(target=count) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(counts, [20000])

    def test_another_thread_may_not_release_an_rlock(self):
        lock = forkyard.RLock()
        lock.acquire()
        with self.assertRaises(AssertionError):
            within(lock.release)
        self.assertFalse(within(lock.acquire, False))
        lock.release()

    def test_only_a_starting_child_is_given_a_lock(self):
        import pickle

        with self.assertRaises(RuntimeError):
            pickle.dumps(forkyard.Lock())


class Deaths(unittest.TestCase):
    def test_i10_the_lock_of_a_dead_holder_goes_to_the_next_who_is_told(self):
        for make in (forkyard.Lock, forkyard.RLock):
            for method in ("fork", "spawn"):
                with self.subTest(make=make, method=method):
                    lock = make()
                    Killed(acquire, lock, method=method)
                    finish(start("fork", acquire_orphaned, lock))
                    lock.acquire()
                    self.assertFalse(lock.orphaned, "it was told once")
                    lock.release()

    def test_i10_a_dead_waiter_keeps_nobody_waiting(self):
        for make in (forkyard.Lock, forkyard.RLock):
            lock = make()
            lock.acquire()
            waiter = start("fork", acquire_and_release, lock)
            wait_until_waits(waiter.pid, lock)
            kill(waiter)
            lock.release()
            other = start("fork", acquire_and_release, lock)
            finish(other)
            self.assertTrue(lock.acquire(False))
            self.assertFalse(lock.orphaned)




class Signals(unittest.TestCase):
    def test_ctrl_c_ends_the_waiting(self):
        lock = forkyard.Lock()
        lock.acquire()
        with interrupted(lock), self.assertRaises(KeyboardInterrupt):
            lock.acquire()
        self.assertFalse(lock.acquire(False), "it is held as before")

    def test_other_signals_do_not(self):
        lock = forkyard.Lock()
        lock.acquire()
        parent = os.getpid()
        seen = []
        before = signal.signal(signal.SIGUSR1, lambda *_: (seen.append(1), lock.release()))

        def send():
            wait_until_waits(parent, lock)
            os.kill(parent, signal.SIGUSR1)

        try:
            child = start("fork", send)
            self.assertTrue(lock.acquire())
            finish(child)
        finally:
            signal.signal(signal.SIGUSR1, before)
        self.assertEqual(seen, [1])


if __name__ == "__main__":
    unittest.main()
