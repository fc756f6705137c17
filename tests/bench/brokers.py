"""What a server between the processes costs: Redis and NATS JetStream, by their own clients for Python."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

from crew import Missing, Tally, main, must_equal, race

BATCH = 100

_LAST = b"\0"


class Server:
    """A server that runs for one measurement in a directory of its own."""

    def __init__(self, program, command):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
        self._directory = tempfile.TemporaryDirectory()
        self.path = self._directory.name
        self._process = subprocess.Popen(command(self.path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def cpu_seconds(self):
        """To the kernel's hundredth of a second."""
        with open(f"/proc/{self._process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def when_up(self, try_it, seconds=10.0):
        """Calls `try_it` until it raises no OSError."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return try_it()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


def with_server(done, server, cpu, operations=None):
    outcome = done.outcome(operations)
    outcome["cpu_seconds"] += server.cpu_seconds() - cpu
    return outcome


# Redis


@contextlib.contextmanager
def redis_server():
    """The server, and how to make a client of it."""
    try:
        import redis
    except ImportError as error:
        raise Missing("redis-py is not installed") from error

    def command(path):
        return ["redis-server", "--port", "0", "--unixsocket", f"{path}/socket", "--save", "", "--appendonly", "no"]

    with Server("redis-server", command) as server:

        def connect():
            client = redis.Redis(unix_socket_path=f"{server.path}/socket")
            try:
                client.ping()
            except redis.exceptions.ConnectionError as error:
                raise OSError("not up") from error
            return client

        server.when_up(connect)
        yield server, connect


def redis_lock(setup):
    """SET NX and DEL, as an uncontended lock in Redis is taken and given back."""
    with redis_server() as (server, connect):

        def work(worker):
            client = connect()
            tally = Tally()
            while not worker.is_over():
                if not client.set("lock", "me", nx=True, px=10_000):
                    raise RuntimeError("the lock was not free")
                client.delete("lock")
                tally.operations += 1
            return tally

        cpu = server.cpu_seconds()
        return with_server(race(setup.with_processes(1), work), server, cpu)


def redis_flow(setup, batch):
    """One process puts, another gets."""
    item = b"x" * setup.size

    def put_all(worker):
        client = connect()
        tally = Tally()
        while not worker.is_over():
            client.lpush("queue", *[item] * batch)
            tally.operations += batch
            # Redis knows no full queue: who puts has to look, now and then.
            while tally.operations % (100 * batch) == 0 and client.llen("queue") > 200 * batch:
                time.sleep(0.0005)
        client.lpush("queue", _LAST)
        return tally

    def get_one(client):
        return [client.brpop("queue")[1]]

    def get_many(client):
        return client.blmpop(0, 1, "queue", direction="RIGHT", count=batch)[1]

    def get_all(_):
        client = connect()
        get = get_one if batch == 1 else get_many
        tally = Tally()
        while True:
            items = get(client)
            tally.operations += len(items)
            if items[-1] == _LAST:
                tally.operations -= 1
                return tally

    with redis_server() as (server, connect):
        cpu = server.cpu_seconds()
        done = race(setup.with_processes(2), lambda worker: get_all(worker) if worker.number else put_all(worker))
        put, got = (tally.operations for tally in done.tallies)
        must_equal("items got", got, put)
        return with_server(done, server, cpu, got)


def redis_cli(setup):
    """`redis-cli lpush`, called from a shell."""
    if shutil.which("redis-cli") is None:
        raise Missing("redis-cli is not installed")
    with redis_server() as (server, connect):
        from runs import calls_from_a_shell

        cpu = server.cpu_seconds()
        outcome = calls_from_a_shell(setup, f"redis-cli -s {server.path}/socket lpush queue x >/dev/null")
        must_equal("items put", connect().llen("queue"), outcome["operations"])
        outcome["cpu_seconds"] += server.cpu_seconds() - cpu
        return outcome


# NATS


def nats():
    try:
        import nats
    except ImportError as error:
        raise Missing("nats-py is not installed") from error
    return nats


def nats_flow(setup):
    """A work queue of JetStream in a file: a message is acknowledged by who gets it, and its receipt to who puts it."""
    client = nats()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def command(path):
        return ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", path]

    async def stream():
        return await client.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)

    async def put_all(worker):
        connection = await stream()
        queue = connection.jetstream()
        tally = Tally()
        while not worker.is_over():
            await asyncio.gather(*(queue.publish("queue", b"x" * setup.size) for _ in range(BATCH)))
            tally.operations += BATCH
        await queue.publish("queue", _LAST)
        await connection.close()
        return tally

    async def get_all():
        connection = await stream()
        subscription = await connection.jetstream().pull_subscribe("queue", "getter")
        tally = Tally()
        is_last = False
        while not is_last:
            for message in await subscription.fetch(BATCH, timeout=10):
                await message.ack()
                is_last = message.data == _LAST
                tally.operations += not is_last
        await connection.close()
        return tally

    async def make():
        connection = await stream()
        await connection.jetstream().add_stream(name="queue", subjects=["queue"], retention="workqueue")
        await connection.close()

    with Server("nats-server", command) as server:
        server.when_up(lambda: socket.create_connection(("127.0.0.1", port)).close())
        asyncio.run(make())
        cpu = server.cpu_seconds()
        done = race(
            setup.with_processes(2), lambda worker: asyncio.run(get_all() if worker.number else put_all(worker))
        )
        put, got = (tally.operations for tally in done.tallies)
        must_equal("items got", got, put)
        return with_server(done, server, cpu, got)


CASES = {
    "lock": {"redis": redis_lock},
    "queue": {
        "redis": lambda setup: redis_flow(setup, 1),
        "redis-batches": lambda setup: redis_flow(setup, BATCH),
        "nats-jetstream": nats_flow,
    },
    "shell": {"redis-cli": redis_cli},
}

if __name__ == "__main__":
    main(CASES)
