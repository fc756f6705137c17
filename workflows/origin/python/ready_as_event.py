"""The functions of event.yaml, one for each process."""

import sys
import time

from forkyard import Event


def wait_for_event(e, seconds):
    print("wait_for_event: starting")
    e.wait()
    print("wait_for_event: the event is set")


def wait_for_event_timeout(e, seconds):
    print("wait_for_event_timeout: starting")
    is_set = e.wait(seconds)
    print("wait_for_event_timeout: the event is", "set" if is_set else "not set")


def main(e, seconds):
    time.sleep(seconds)
    print("main: event is set")
    e.set()


if __name__ == "__main__":
    function, seconds = sys.argv[1:]
    functions = {"wait_for_event": wait_for_event, "wait_for_event_timeout": wait_for_event_timeout, "main": main}
    functions[function](Event("ready"), float(seconds))
