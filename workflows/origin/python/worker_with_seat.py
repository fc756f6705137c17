"""The worker of semaphore.yaml."""

import os
import sys
import time

from forkyard import Semaphore


def worker(s, seconds):
    name = os.environ["FORKYARD_NAME"]
    s.acquire()
    print(name, "acquire")
    time.sleep(seconds)
    print(name, "release")
    s.release()


if __name__ == "__main__":
    worker(Semaphore("seats"), float(sys.argv[1]))
