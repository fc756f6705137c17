"""What `forkyard run` does with whole workflows, and what a shell does."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from crew import Missing, main, must_equal

LINES = 1_000_000

# Nothing that is measured takes so many seconds.
PATIENCE = 120.0


def forkyard():
    """The program: FORKYARD says which."""
    program = os.environ.get("FORKYARD") or shutil.which("forkyard")
    if program is None:
        raise Missing("the program forkyard is not there; FORKYARD says where it is")
    return os.path.abspath(program)


def call(command, directory):
    """What a command writes, how long it takes, and its CPU time; it must succeed."""
    environment = dict(os.environ, XDG_STATE_HOME=directory)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # An engine takes along all that it has started.
            os.killpg(process.pid, signal.SIGKILL)
            raise RuntimeError(f"{command[0]} hung") from None
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {err.decode(errors='replace')[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return out.decode(), seconds, cpu


def run(workflow):
    """Runs a workflow and returns the words that its processes wrote last. The time includes the start and the end of the
    run."""
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "bench.yaml"), "w") as file:
            file.write(workflow)
        out, seconds, cpu = call([forkyard(), "run", "--quiet", "--no-color", "bench.yaml"], directory)
    words = out.strip().rsplit("│", 1)[-1].split()
    return words, seconds, cpu


# Pools

NATIVE_WORKER = "cat"
PYTHON_WORKER = f"""
exec {sys.executable} -c '
import sys
for line in sys.stdin:
    sys.stdout.write(line)
    sys.stdout.flush()
'
"""


def pool(worker, dispatch):
    def measure(setup):
        # As many as take some time, so that the start and the end of the run, which are counted, hardly matter.
        count = 100
        while True:
            words, seconds, cpu = run(workflow_of_pool(worker, dispatch, count))
            must_equal("answers and their sum", words, [str(count), str(count * (count + 1) // 2)])
            if seconds >= setup.seconds:
                return dict(operations=count, seconds=seconds, cpu_seconds=cpu)
            count *= 4 if seconds < setup.seconds / 4 else 2

    return measure


def workflow_of_pool(worker, dispatch, count):
    return f"""forkyard: 1
queues:
  answers: {{}}
pools:
  identity:
    size: 2
    tasks: {{range: [1, {count + 1}]}}
    worker: persistent
    dispatch: {dispatch}
    run: |
      {indented(worker)}
    stdout: answers
processes:
  sum:
    stdin: answers
    run: awk '{{ sum += $1 }} END {{ printf "%d %d", NR, sum }}'
"""


def indented(script):
    return script.strip().replace("\n", "\n      ")


# Lines


def lines_count(setup):
    return LINES if setup.seconds >= 0.1 else LINES // 100


def lines_digest(count):
    return hashlib.md5(b"".join(b"%d\n" % number for number in range(1, count + 1))).hexdigest()


def lines_by_queue(setup):
    count = lines_count(setup)
    workflow = f"""forkyard: 1
queues:
  lines: {{}}
processes:
  count:
    run: seq {count}
    stdout: lines
  digest:
    stdin: lines
    run: md5sum
"""
    words, seconds, cpu = run(workflow)
    must_equal("digest of the lines", words[0], lines_digest(count))
    return dict(operations=count, seconds=seconds, cpu_seconds=cpu)


def lines_by_shell(setup):
    count = lines_count(setup)
    with tempfile.TemporaryDirectory() as directory:
        out, seconds, cpu = call(["sh", "-c", f"seq {count} | md5sum"], directory)
    must_equal("digest of the lines", out.split()[0], lines_digest(count))
    return dict(operations=count, seconds=seconds, cpu_seconds=cpu)


# Verbs


def script_of_calls(setup, command):
    """Calls it from a shell again and again; says how often, and how many nanoseconds it took."""
    count = max(5, int(setup.seconds * 200))
    return count, f"""
began=$(date +%s%N); n=0
while [ $n -lt {count} ]; do {command} || exit 1; n=$((n + 1)); done
echo $(($(date +%s%N) - began))
"""


def calls_from_a_shell(setup, command):
    count, script = script_of_calls(setup, command)
    with tempfile.TemporaryDirectory() as directory:
        out, _, cpu = call(["sh", "-c", script], directory)
    return dict(operations=count, seconds=int(out) / 1e9, cpu_seconds=cpu)


def put_verb(setup):
    count, script = script_of_calls(setup, f"{forkyard()} put queue x")
    workflow = f"""forkyard: 1
queues:
  queue: {{}}
processes:
  put:
    sends: queue
    run: |
      {indented(script)}
  get:
    stdin: queue
    run: test $(wc -l) -eq {count}
"""
    words, _, cpu = run(workflow)
    return dict(operations=count, seconds=int(words[0]) / 1e9, cpu_seconds=cpu)


# Deaths

DEATH = {
    "holder": """
import os, time, forkyard
lock = forkyard.Lock("lock")
lock.acquire()
publish("holder", os.getpid())
time.sleep(PATIENCE)
""",
    "waiter": """
import time, forkyard
when_there("holder")
lock = forkyard.Lock("lock")
publish("waiter", 0)
lock.acquire()
had = time.monotonic_ns()
print(had - when_there("killed"))
""",
    "killer": """
import os, signal, time
holder = when_there("holder")
when_there("waiter")
# Long enough that the waiter has settled into its way of waiting.
time.sleep(0.02)
killed = time.monotonic_ns()
os.kill(holder, signal.SIGKILL)
# Whoever kills goes to sleep, as with the other subjects: the cores are for those who are measured.
time.sleep(0.05)
publish("killed", killed)
""",
}

# What these say to each other, by files.
WORDS = """
import os, time
PATIENCE = 10

def publish(name, number):
    with open(name + ".new", "w") as file:
        file.write(str(number))
    os.rename(name + ".new", name)

def when_there(name):
    end = time.monotonic() + PATIENCE
    while not os.path.exists(name):
        if time.monotonic() > end:
            raise SystemExit(name + " does not come")
        time.sleep(0.001)
    with open(name) as file:
        return int(file.read())
"""


def death(setup):
    """From the SIGKILL of a holder until the next one has the lock, in a run, whose engine sees to it."""
    processes = "".join(
        f"""  {name}:
    acquires: lock
    on_failure: {"ignore" if name == "holder" else "stop"}
    run: |
      exec {sys.executable} -c '{indented(WORDS + script)}
      '
"""
        for name, script in DEATH.items()
    )
    workflow = f"forkyard: 1\nlocks:\n  lock: {{}}\nprocesses:\n{processes}"
    if importlib.util.find_spec("forkyard") is None:
        raise Missing("forkyard's package is not installed")
    times, cpu = [], 0.0
    began = time.monotonic()
    while len(times) < 3 or time.monotonic() - began < setup.seconds:
        words, _, used = run(workflow)
        times.append(int(words[0]) / 1e9)
        cpu += used
    more = dict(median_seconds=statistics.median(times), longest_seconds=max(times))
    return dict(operations=len(times), seconds=sum(times), cpu_seconds=cpu, **more)


CASES = {
    "streamed": {"native": pool(NATIVE_WORKER, "async"), "python": pool(PYTHON_WORKER, "async")},
    "one-by-one": {"native": pool(NATIVE_WORKER, "sync"), "python": pool(PYTHON_WORKER, "sync")},
    "lines": {"forkyard": lines_by_queue, "shell": lines_by_shell},
    "shell": {"forkyard-put": put_verb},
    "death": {"forkyard-run": death},
}

if __name__ == "__main__":
    main(CASES)
