"""The functions of daemon.yaml and not-daemon.yaml, one for each process."""

import sys
import time

from forkyard import Event


def worker(ended, seconds):
    ended.wait()
    print("work start:", time.ctime())
    time.sleep(seconds)
    print("work end:", time.ctime())


def main(ended, seconds):
    print("end!", flush=True)
    ended.set()


if __name__ == "__main__":
    function, seconds = sys.argv[1:]
    {"worker": worker, "main": main}[function](Event("main-ended"), float(seconds))
