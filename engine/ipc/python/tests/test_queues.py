"""What queues do beyond ``multiprocessing``'s, and between processes."""

import queue as standard
import socket
import threading
import unittest

import forkyard
from children import METHODS, finish, interrupted, start


class Colour:
    """Something of one's own in a queue."""

    def __init__(self, name):
        self.name = name


def put_all(queue, items):
    for item in items:
        queue.put(item)


def echo(questions, answers):
    while True:
        item = questions.get()
        answers.put(item)
        if item is None:
            return


def work_until_joined(queue, results):
    while True:
        results.put(queue.get() * 2)
        queue.task_done()


class Between(unittest.TestCase):
    def test_items_come_back_from_children(self):
        items = [0, "text", b"bytes", (1, [2.5]), {"k": None}, b"x" * 200000, "y" * 200000, None]
        for method in METHODS:
            for make in (forkyard.Queue, forkyard.SimpleQueue, forkyard.JoinableQueue):
                with self.subTest(method=method, make=make):
                    questions, answers = make(), make()
                    child = start(method, echo, questions, answers)
                    put_all(questions, items)
                    self.assertEqual([answers.get() for _ in items], items)
                    finish(child)

    def test_a_raw_queue_is_raw_in_a_child(self):
        for method in METHODS:
            for make in (forkyard.Queue, forkyard.SimpleQueue):
                queue = make(raw=True)
                finish(start(method, put_all, queue, [b"", b"one", b"x" * 100000]))
                self.assertEqual([queue.get() for _ in range(3)], [b"", b"one", b"x" * 100000])

    def test_a_spawned_child_knows_the_size(self):
        queue = forkyard.Queue(2)
        child = start("spawn", put_all, queue, range(5))
        self.assertEqual([queue.get() for _ in range(5)], list(range(5)))
        finish(child)
        queue.put(1)
        queue.put(2)
        with self.assertRaises(standard.Full):
            queue.put(3, False)

    def test_many_put_and_many_get(self):
        queue, results = forkyard.JoinableQueue(10), forkyard.Queue()
        workers = [start("fork", work_until_joined, queue, results) for _ in range(3)]
        writers = [start("fork", put_all, queue, range(start_at, start_at + 100)) for start_at in (0, 100, 200)]
        for writer in writers:
            finish(writer)
        queue.join()
        self.assertEqual(sorted(results.get() for _ in range(300)), list(range(0, 600, 2)))
        for worker in workers:
            worker.kill()

    def test_threads_may_wait_while_others_work(self):
        queue = forkyard.Queue()
        got = []
        reader = threading.Thread(target=lambda: got.append(queue.get()))
        reader.start()
        while not queue.waiters():
            pass
        queue.put("that the interpreter was let go of")
        reader.join()
        self.assertEqual(len(got), 1)


class Objects(unittest.TestCase):
    def test_instances_and_sockets_go_by_the_reducers_of_multiprocessing(self):
        queue = forkyard.Queue()
        queue.put([Colour("red")])
        self.assertEqual(queue.get()[0].name, "red")
        here, there = socket.socketpair()
        with here, there:
            queue.put({"end": there})
            with queue.get()["end"] as arrived:
                arrived.sendall(b"hello")
                self.assertEqual(here.recv(5), b"hello")

    def test_what_cannot_be_pickled_is_refused_at_once(self):
        queue = forkyard.Queue()
        with self.assertRaises(Exception):
            queue.put(lambda: None)
        self.assertTrue(queue.empty())

    def test_raw_queues_take_bytes_alone(self):
        queue = forkyard.Queue(raw=True)
        for item in (b"bytes", bytearray(b"array"), memoryview(b"view"), b"x" * 10000):
            queue.put(item)
            self.assertEqual(queue.get(), bytes(item))
        for item in ("text", 7, True, None, 2.5):
            with self.subTest(item=item), self.assertRaises(TypeError):
                queue.put(item)
        self.assertTrue(queue.empty())

    def test_a_reducer_may_use_another_queue(self):
        outer, inner = forkyard.Queue(), forkyard.Queue()
        outer.put(Nosy(inner))
        self.assertEqual((outer.get(), inner.get()), ("made", b"within"))


class Nosy:
    """Its pickling puts something into a queue."""

    def __init__(self, queue):
        self.queue = queue

    def __reduce__(self):
        self.queue.put(b"within")
        return str, ("made",)


class Taking(unittest.TestCase):
    def test_an_item_is_gone_at_the_end(self):
        queue = forkyard.Queue()
        queue.put("work")
        with queue.take() as item:
            self.assertEqual(item, "work")
            self.assertTrue(queue.empty())
        self.assertTrue(queue.empty())

    def test_an_exception_gives_it_back_to_its_place(self):
        queue = forkyard.Queue()
        put_all(queue, ["first", "second"])
        with self.assertRaises(KeyError), queue.take():
            raise KeyError
        self.assertEqual([queue.get(), queue.get()], ["first", "second"])

    def test_it_is_decided_once(self):
        queue = forkyard.Queue()
        put_all(queue, ["first", "second"])
        taken = queue.take()
        taken.ack()
        for decide in (taken.ack, taken.nack):
            with self.assertRaises(ValueError):
                decide()
        with taken:
            pass
        self.assertEqual(queue.get(), "second")

    def test_what_is_forgotten_goes_back(self):
        queue = forkyard.Queue()
        queue.put("work")
        queue.take()
        self.assertEqual(queue.get(False), "work")

    def test_nothing_to_take(self):
        queue = forkyard.Queue()
        for arguments in ((False,), (True, 0.01), (True, -1)):
            with self.assertRaises(standard.Empty):
                queue.take(*arguments)


class Signals(unittest.TestCase):
    def test_ctrl_c_ends_the_waiting(self):
        queue, full, joined = forkyard.Queue(), forkyard.Queue(1), forkyard.JoinableQueue()
        full.put(1)
        joined.put(1)
        for channel, wait in ((queue, queue.get), (full, lambda: full.put(2)), (joined, joined.join)):
            with interrupted(channel), self.assertRaises(KeyboardInterrupt):
                wait()
        self.assertEqual(full.get(), 1)
        self.assertTrue(full.empty(), "nothing was put")


if __name__ == "__main__":
    unittest.main()
