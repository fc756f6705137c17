"""The functions of pipe.yaml, one for each process."""

import sys
import time

from forkyard import Pipe


def proc1(pipe, seconds):
    number = 0
    while True:
        print(f"send: {number}")
        pipe.send(number)
        number += 1
        time.sleep(seconds)


def proc2(pipe, seconds):
    while True:
        print(f"proc2 rev: {pipe.recv()}")


if __name__ == "__main__":
    function, end, seconds = sys.argv[1:]
    try:
        {"proc1": proc1, "proc2": proc2}[function](Pipe(end), float(seconds))
    except (EOFError, ConnectionError):
        pass  # The run has stopped the other one a moment earlier.
