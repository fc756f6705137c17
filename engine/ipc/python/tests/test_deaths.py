"""Every death after which ``multiprocessing`` hangs, loses, or tears something: here nobody does.

Each child is killed by SIGKILL when it stands where it is to die; what is left must work for all others.
"""

import os
import signal
import threading
import unittest

import forkyard
from children import Killed, finish, kill, start, wait_until_waits


def take_and_hold(queue):
    queue.get()


def expect_get(queue, expected):
    got = queue.get()
    if got != expected:
        raise AssertionError(f"got {got!r:.100}")


def put_and_get(queue):
    queue.put("sound")
    expect_get(queue, "sound")


def acquire_all(semaphore, permits):
    told = 0
    for _ in range(permits):
        semaphore.acquire()
        told += semaphore.orphaned
    if told != 1:
        raise AssertionError(f"that a holder has died was told {told} times")
    if semaphore.acquire(False):
        raise AssertionError("there is one permit too many")


def set_and_look(event):
    event.set()
    if not event.is_set():
        raise AssertionError("it is not set")


def wait_at(condition):
    with condition:
        condition.wait()


def notify(condition):
    with condition:
        condition.notify_all()


def meet(barrier, breaks):
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        if breaks:
            return
        raise
    if breaks:
        raise AssertionError("it ought to be broken")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def add_one(value):
    with value:
        value.value += 1


class OfHolders(unittest.TestCase):
    def test_i10_of_a_semaphore_with_one_permit(self):
        semaphore = forkyard.Semaphore(1)
        Killed(semaphore.acquire)
        finish(start("fork", acquire_all, semaphore, 1))

    def test_i10_of_one_of_two_permits(self):
        semaphore = forkyard.BoundedSemaphore(2)
        Killed(semaphore.acquire)
        finish(start("fork", acquire_all, semaphore, 2))

    def test_i10_of_a_permit_while_others_wait(self):
        semaphore = forkyard.Semaphore(1)
        semaphore.acquire()
        waiters = [start("fork", semaphore.acquire) for _ in range(3)]
        for waiter in waiters:
            wait_until_waits(waiter.pid, semaphore)
        kill(waiters[0])
        semaphore.release()
        for waiter in waiters[1:]:
            finish(waiter)


class OfWaiters(unittest.TestCase):
    def test_i10_in_event_wait(self):
        event = forkyard.Event()
        waiter = start("fork", event.wait)
        wait_until_waits(waiter.pid, event)
        kill(waiter)
        finish(start("fork", set_and_look, event))
        self.assertTrue(event.wait(0))

    def test_i10_in_queue_get(self):
        for make in (forkyard.Queue, forkyard.JoinableQueue, forkyard.SimpleQueue):
            queue = make()
            reader = start("fork", queue.get)
            wait_until_waits(reader.pid, queue)
            kill(reader)
            queue.put("for another")
            finish(start("fork", expect_get, queue, "for another"))

    def test_i10_in_queue_get_beside_another_reader(self):
        queue = forkyard.Queue()
        readers = [start("fork", expect_get, queue, "one") for _ in range(2)]
        for reader in readers:
            wait_until_waits(reader.pid, queue)
        kill(readers[0])
        queue.put("one")
        finish(readers[1])

    def test_i10_in_queue_put(self):
        queue = forkyard.Queue(1)
        queue.put("first")
        writer = start("fork", queue.put, "never")
        wait_until_waits(writer.pid, queue)
        kill(writer)
        finish(start("fork", expect_get, queue, "first"))
        finish(start("fork", put_and_get, queue))

    def test_i10_in_join(self):
        queue = forkyard.JoinableQueue()
        queue.put("work")
        joiner = start("fork", queue.join)
        wait_until_waits(joiner.pid, queue)
        kill(joiner)
        queue.put("more")
        for _ in range(2):
            queue.get()
            queue.task_done()
        finish(start("fork", queue.join))


    def test_i10_in_condition_wait(self):
        for make in (forkyard.Lock, forkyard.RLock):
            condition = forkyard.Condition(make())
            waiter = start("fork", wait_at, condition)
            wait_until_waits(waiter.pid, condition)
            kill(waiter)
            finish(start("fork", notify, condition))
            other = start("fork", wait_at, condition)
            wait_until_waits(other.pid, condition)
            finish(start("fork", notify, condition))
            finish(other)

    def test_i10_at_a_barrier(self):
        for action in (None, int):
            with self.subTest(action=action):
                barrier = forkyard.Barrier(3, action)
                parties = [start("fork", meet, barrier, True) for _ in range(2)]
                for party in parties:
                    wait_until_waits(party.pid, barrier)
                kill(parties[0])
                finish(parties[1])
                self.assertTrue(barrier.broken)
                barrier.reset()
                for party in [start("fork", meet, barrier, False) for _ in range(3)]:
                    finish(party)


class OfBarriersActions(unittest.TestCase):
    def test_i10_who_calls_the_action_dies(self):
        barrier = forkyard.Barrier(2, die)
        other = start("fork", meet, barrier, True)
        wait_until_waits(other.pid, barrier)
        victim = start("fork", barrier.wait)
        finish(other)
        victim.join()
        self.assertTrue(barrier.broken)


class OfHoldersOfMore(unittest.TestCase):
    def test_i10_of_a_condition(self):
        condition = forkyard.Condition()
        Killed(condition.acquire)
        finish(start("fork", notify, condition))

    def test_i10_of_a_value(self):
        value = forkyard.Value("i", 5)
        Killed(value.acquire)
        finish(start("fork", add_one, value))
        self.assertEqual(value.value, 6)


class OfConsumers(unittest.TestCase):
    def test_i10_before_task_done(self):
        queue = forkyard.JoinableQueue()
        queue.put("first")
        queue.put("second")
        Killed(take_and_hold, queue)
        got = []
        for _ in range(2):
            got.append(queue.get())
            queue.task_done()
        self.assertEqual(sorted(got), ["first", "second"])
        finish(start("fork", queue.join))

    def test_i10_before_ack(self):
        queue = forkyard.Queue()
        queue.put("work")
        held = []
        Killed(lambda: held.append(queue.take()))
        with queue.take() as item:
            self.assertEqual(item, "work")
        self.assertTrue(queue.empty())

    def test_i10_the_next_one_sees_how_often_it_was_taken(self):
        queue = forkyard.Queue()
        queue.put("work")
        held = []
        for times in range(1, 4):
            taken = queue.take()
            self.assertEqual((taken.item, taken.deliveries), ("work", 2 * times - 1))
            taken.nack()
            Killed(lambda: held.append(queue.take()))


class OfWriters(unittest.TestCase):
    def test_i10_at_any_moment_of_a_large_put(self):
        """The writer is killed while it puts without end: what is there is whole, and the queue works."""
        item = bytes(range(256)) * 4096
        for patience in (0, 1, 3, 7, 20):
            queue = forkyard.Queue()
            writer = start("fork", put_for_ever, queue, item)
            for _ in range(patience):
                self.assertEqual(queue.get(), item)
            kill(writer)
            while not queue.empty():
                self.assertEqual(queue.get(), item)
            finish(start("fork", put_and_get, queue))

    def test_i10_what_was_put_before_is_there(self):
        queue = forkyard.Queue()
        Killed(put_some, queue)
        self.assertEqual([queue.get(False) for _ in range(3)], [0, 1, b"x" * 100000])

    def test_i10_a_parent_may_join_before_it_gets(self):
        queue = forkyard.Queue()
        finish(start("fork", queue.put, b"x" * (1 << 20)))
        self.assertEqual(len(queue.get()), 1 << 20)


def put_for_ever(queue, item):
    while True:
        queue.put(item)


def put_some(queue):
    for item in (0, 1, b"x" * 100000):
        queue.put(item)


if __name__ == "__main__":
    unittest.main()
