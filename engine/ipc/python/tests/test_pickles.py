"""What is written by the shortest way is a pickle, and every pickle is read."""

import os
import pickle
import random
import unittest

import forkyard
from forkyard._native import Passed


def value(dice, depth):
    """Any plain value."""
    scalars = (
        lambda: None,
        lambda: dice.choice((True, False)),
        lambda: dice.choice((1, -1)) * dice.getrandbits(dice.choice((1, 8, 9, 16, 17, 31, 32, 62, 63, 64, 100))),
        lambda: dice.uniform(-1e9, 1e9),
        lambda: "".join(dice.choice("ab\u00e4\u4e00\U0001f600\0\ud800") for _ in range(dice.choice((0, 3, 300)))),
        lambda: dice.randbytes(dice.choice((0, 1, 255, 256, 5000))),
    )
    if depth == 0 or dice.random() < 0.3:
        return dice.choice(scalars)()
    size = dice.choice((0, 1, 2, 3, 4, 7))
    if dice.random() < 0.3:
        return tuple(value(dice, depth - 1) for _ in range(size))
    if dice.random() < 0.5:
        return [value(dice, depth - 1) for _ in range(size)]
    return {dice.choice((str, int))(key): value(dice, depth - 1) for key in range(size)}


class Pickles(unittest.TestCase):
    def setUp(self):
        self.queue = forkyard.Queue()
        self.raw = forkyard.Queue(Passed(os.dup(self.queue.fileno())), raw=True)

    def test_whatever_is_put_is_a_pickle(self):
        for seed in range(2000):
            item = value(random.Random(seed), 4)
            self.queue.put(item)
            self.assertEqual(pickle.loads(self.raw.get()), item, seed)

    def test_whatever_is_a_pickle_is_got(self):
        for seed in range(2000):
            dice = random.Random(seed)
            item = value(dice, 4)
            self.raw.put(pickle.dumps(item, dice.randrange(2, 6)))
            got = self.queue.get()
            self.assertEqual(got, item, seed)
            self.assertEqual(repr(got), repr(item), seed)

    def test_both_together(self):
        for seed in range(2000):
            item = value(random.Random(seed), 5)
            self.queue.put(item)
            self.assertEqual(repr(self.queue.get()), repr(item), seed)

    def test_a_cut_pickle_is_an_error(self):
        self.queue.put({"key": (1, [b"bytes", "text", 2.5], 70000, -1)})
        whole = self.raw.get()
        for length in range(len(whole)):
            self.raw.put(whole[:length])
            with self.assertRaises((pickle.UnpicklingError, EOFError), msg=length):
                self.queue.get()

    def test_text_is_no_pickle(self):
        self.raw.put(b"a line of text\n")
        with self.assertRaisesRegex(forkyard.NotAPickle, "raw=True"):
            self.queue.get()
        self.raw.put(b"a line of text\n")
        with self.assertRaises(forkyard.NotAPickle):
            self.queue.take()
        self.assertEqual(self.raw.get(), b"a line of text\n", "what cannot be read is not taken")


if __name__ == "__main__":
    unittest.main()
