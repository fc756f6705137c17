"""What the tests share: children that are killed at a certain point, and waiting that never hangs a test."""

import contextlib
import multiprocessing
import os
import signal
import threading

METHODS = ("fork", "spawn", "forkserver")

#: So long may anything take before a test says that it hangs; nothing is measured by it.
PATIENCE = 60.0


def start(method, target, *args):
    """A child that runs ``target(*args)``."""
    child = multiprocessing.get_context(method).Process(target=target, args=args, daemon=True)
    child.start()
    return child


def finish(child):
    """Waits for a child that is to end well."""
    child.join(PATIENCE)
    if child.exitcode != 0:
        raise AssertionError(f"the child has ended with {child.exitcode}")


def kill(child):
    """Kills a child and waits until it is gone."""
    os.kill(child.pid, signal.SIGKILL)
    child.join(PATIENCE)
    if child.exitcode != -signal.SIGKILL:
        raise AssertionError(f"the child has ended with {child.exitcode}")


def wait_until_waits(pid, channel):
    """Waits until a process waits at a lock, a queue, or whatever has waiters."""
    while pid not in channel.waiters():
        os.sched_yield()


class Killed:
    """A child stopped dead at a point of its own choice: it runs ``prepare(*args)``, says so, and then ``hang()``s."""

    def __init__(self, prepare, *args, method="fork"):
        reader, writer = multiprocessing.Pipe(duplex=False)
        self.child = start(method, _prepare_and_hang, writer, prepare, args)
        writer.close()
        if not reader.poll(PATIENCE):
            raise AssertionError("the child does not come to its point")
        reader.recv()
        kill(self.child)


def _prepare_and_hang(writer, prepare, args):
    prepare(*args)
    writer.send(None)
    signal.pause()


def within(function, *args):
    """The result of a call that must not hang, made in a thread of its own."""
    outcome = []

    def call():
        try:
            outcome.append((True, function(*args)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not outcome:
        raise AssertionError(f"{function!r} hangs")
    well, result = outcome[0]
    if well:
        return result
    raise result


@contextlib.contextmanager
def interrupted(channel):
    """Ctrl-C comes as soon as this process waits at the channel."""
    parent = os.getpid()

    def interrupt():
        # One alone may come before the waiter sleeps.
        while not caught.is_set():
            if parent in channel.waiters():
                os.kill(parent, signal.SIGINT)
            os.sched_yield()

    caught = multiprocessing.Event()

    def once(*_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, once)
    try:
        child = start("fork", interrupt)
        yield
        caught.set()
        finish(child)
    finally:
        signal.signal(signal.SIGINT, before)
