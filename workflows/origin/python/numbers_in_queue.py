"""The functions of queue.yaml, one for each process."""

import sys
from queue import Empty

from forkyard import Queue


def write(q):
    q.put(1, block=False)
    print("put 1")


def read(q):
    try:
        print("got", q.get(block=False))
    except Empty:
        print("the queue is empty")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Queue("numbers"))
