"""The functions of lock.yaml, one for each process."""

import os
import sys
import tempfile
import time

from forkyard import Lock


def worker_with(lock, path, seconds):
    with lock:
        write(path, "Lock acquired via with", seconds)


def worker_no_with(lock, path, seconds):
    lock.acquire()
    try:
        write(path, "Lock acquired directly", seconds)
    finally:
        lock.release()


def write(path, line, seconds):
    with open(path, "a") as file:
        for _ in range(9):
            print(line, file=file, flush=True)
            time.sleep(seconds)


def show(path):
    with open(path) as file:
        print(file.read(), end="")
    os.remove(path)


if __name__ == "__main__":
    function, path, seconds = sys.argv[1:]
    path = path or os.path.join(tempfile.gettempdir(), "forkyard-lock.txt")
    if function == "show":
        show(path)
    else:
        workers = {"worker_with": worker_with, "worker_no_with": worker_no_with}
        workers[function](Lock("file"), path, float(seconds))
