"""What is made here works in children, however they are started."""

import threading
import unittest

import forkyard
from children import METHODS, finish, interrupted, start


def add(value, array, times):
    for _ in range(times):
        with value:
            value.value += 1
        with array.get_lock():
            array[1] = array[1] + 2


def use_all(semaphore, event, condition, barrier, answers):
    semaphore.acquire()
    event.wait()
    with condition:
        answers.put("ready")
        condition.wait()
    answers.put(barrier.wait())


def change(pair, text, number):
    pair[0] = 7
    text.value = b"hey"
    number.value = 0.5


def called():
    CALLS.append(1)


CALLS = []


class Travel(unittest.TestCase):
    def test_values_and_arrays(self):
        for method in METHODS:
            with self.subTest(method=method):
                value, array = forkyard.Value("i", 5), forkyard.Array("d", [0, 1])
                children = [start(method, add, value, array, 100) for _ in range(2)]
                for child in children:
                    finish(child)
                self.assertEqual((value.value, array[:]), (205, [0, 401]))

    def test_values_without_locks(self):
        for method in METHODS:
            with self.subTest(method=method):
                pair, text = forkyard.RawArray("i", 2), forkyard.Array("c", b"hello")
                number = forkyard.Value("d", lock=forkyard.Lock())
                finish(start(method, change, pair, text, number))
                self.assertEqual((pair[:], text.value, number.value), ([7, 0], b"hey", 0.5))

    def test_all_the_others(self):
        for method in METHODS:
            for action in (None, called):
                with self.subTest(method=method, action=action):
                    semaphore, event = forkyard.BoundedSemaphore(1), forkyard.Event()
                    condition, answers = forkyard.Condition(forkyard.Lock()), forkyard.SimpleQueue()
                    barrier = forkyard.Barrier(2, action)
                    child = start(method, use_all, semaphore, event, condition, barrier, answers)
                    event.set()
                    self.assertEqual(answers.get(), "ready")
                    self.assertEqual(semaphore.get_value(), 0)
                    with condition:
                        condition.notify()
                    self.assertEqual({barrier.wait(), answers.get()}, {0, 1})
                    finish(child)


class Interrupted(unittest.TestCase):
    def test_ctrl_c_ends_the_waiting_at_an_event_and_a_semaphore(self):
        event, semaphore = forkyard.Event(), forkyard.Semaphore(0)
        for channel, wait in ((event, event.wait), (semaphore, semaphore.acquire)):
            with interrupted(channel), self.assertRaises(KeyboardInterrupt):
                wait()

    def test_ctrl_c_leaves_a_condition_with_the_lock(self):
        condition = forkyard.Condition(forkyard.Lock())
        condition.acquire()
        with interrupted(condition), self.assertRaises(KeyboardInterrupt):
            condition.wait()
        condition.release()

    def test_ctrl_c_breaks_a_barrier(self):
        barrier = forkyard.Barrier(2)
        with interrupted(barrier), self.assertRaises(KeyboardInterrupt):
            barrier.wait()
        self.assertTrue(barrier.broken)
        with self.assertRaises(threading.BrokenBarrierError):
            barrier.wait()


if __name__ == "__main__":
    unittest.main()
