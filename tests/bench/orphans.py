"""Who is left behind when a supervisor is told to stop, or is killed: Forkyard and its peers, as a Markdown table.

Six kinds of children are started by each; then the process that the user started gets a signal. Whoever of the children lives on
some seconds later is a survivor. Peers are told to kill after a second whoever ignores the stop, where they can be.
`tests/bench/peers.sh orphans` installs the peers; who is not there is left out.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent.parent / "target" / "bench-peers"

# Whose environment has this with the name of a cell's folder is one of its children.
MARK = "ORPHANS_OF"

# The number of sleepers that each kind has when it is up.
KINDS = {
    "plain": ("exec sleep 1000", 1),
    "deaf": ("trap '' TERM INT HUP; sleep 1000; sleep 1000", 1),
    "grandchild": ("sleep 1000 & wait", 1),
    "leader": ("(trap '' TERM INT HUP; exec sleep 1000) & exec sleep 1000", 2),
    "session": ("setsid sleep 1000 & wait", 1),
    "daemon": ("(setsid sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 &' &); exec sleep 1000", 2),
}

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL]


def forkyard(folder):
    write(folder, "w.yaml", "forkyard: 1\nprocesses: {kid: {run: [sh, kid.sh], stop: {grace: 1s}}}\n")
    return [found(os.environ.get("FORKYARD", "forkyard")), "run", "w.yaml"]


def make(folder):
    write(folder, "Makefile", "all:\n\tsh kid.sh\n")
    return [found("make")]


def ninja(folder):
    write(folder, "build.ninja", "rule r\n  command = sh kid.sh\nbuild all: r\n")
    return [found("ninja")]


def parallel(_folder):
    return [found("parallel"), "--termseq", "TERM,1000,KILL,200", "sh", ":::", "kid.sh"]


def xargs(folder):
    write(folder, "names", "kid.sh\n")
    return [found("xargs"), "-a", "names", "-n", "1", "sh"]


def supervisor(folder):
    write(
        folder,
        "s.conf",
        "[supervisord]\nnodaemon=true\n[program:kid]\ncommand=sh kid.sh\nstopwaitsecs=1\nstopasgroup=true\nkillasgroup=true\n"
        "startsecs=0\nautorestart=false\n",
    )
    return [found("supervisord"), "-c", "s.conf"]


def honcho(folder):
    write(folder, "Procfile", "kid: sh kid.sh\n")
    return [found("honcho"), "start"]


def concurrently(_folder):
    return [found("concurrently"), "--kill-timeout", "1000", "sh kid.sh"]


def service(folder):
    """A service folder for s6 and runit."""
    write(folder, "services/kid/run", f"#!/bin/sh\ncd {folder}\nexec sh kid.sh\n").chmod(0o755)


def s6(folder):
    service(folder)
    write(folder, "services/kid/timeout-kill", "1000\n")
    return [found("s6-svscan"), "services"]


def runit(folder):
    service(folder)
    return [found("runsvdir"), "services"]


def multiprocessing(folder):
    write(
        folder,
        "pool.py",
        "import multiprocessing, subprocess\nif __name__ == '__main__':\n    with multiprocessing.Pool(1) as pool:\n"
        "        pool.map(subprocess.call, [['sh', 'kid.sh']])\n",
    )
    return [sys.executable, "pool.py"]


SUPERVISORS = {
    "Forkyard": forkyard,
    "GNU parallel": parallel,
    "make": make,
    "ninja": ninja,
    "xargs": xargs,
    "supervisord": supervisor,
    "s6-svscan": s6,
    "runsvdir": runit,
    "honcho": honcho,
    "concurrently": concurrently,
    "multiprocessing.Pool": multiprocessing,
}


class Missing(Exception):
    """A program is not there."""


def found(program):
    """Where a program is: in the peers' folder, or on the PATH."""
    places = [str(PEERS / "bin"), str(PEERS / "node_modules" / ".bin"), os.environ.get("PATH", "")]
    path = shutil.which(program, path=os.pathsep.join(places))
    if path is None:
        raise Missing(program)
    return os.path.abspath(path)


def write(folder, name, text):
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def children(folder):
    """The living processes with the mark that run `sleep` or a shell of `kid.sh`: pid and command line."""
    mark = f"{MARK}={folder}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            marked = mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0") if marked else []
        except OSError:
            continue
        if words:
            yield int(entry), words


def sleepers(folder):
    return [pid for pid, words in children(folder) if words[0] == b"sleep"]


def until(holds, seconds):
    """Whether it comes to hold in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def end_all(folder):
    """Ends whatever has the mark, which was started here."""
    def one_more_round():
        rest = [pid for pid, _ in children(folder)]
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not rest

    until(one_more_round, 20)


def survives(supervisor_of, kind, what, patience):
    """Whether somebody lives on."""
    script, count = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "kid.sh", script + "\n")
        command = supervisor_of(folder)
        environment = dict(os.environ, XDG_STATE_HOME=folder, **{MARK: folder})
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            if not until(lambda: len(sleepers(folder)) == count, 30):
                raise RuntimeError(f"{command[0]}: {kind} does not come up")
            process.send_signal(what)
            return not until(lambda: not sleepers(folder), patience)
        finally:
            process.kill()
            process.wait()
            end_all(folder)


def table(patience, jobs, wanted):
    print("| what gets the signal | SIGTERM | SIGINT | SIGHUP | SIGKILL |")
    print("|---|---|---|---|---|")
    for name, supervisor_of in SUPERVISORS.items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                supervisor_of(folder)
            except Missing as missing:
                print(f"left out: {name}: there is no {missing}", file=sys.stderr)
                continue
        cells = [(what, kind) for what in SIGNALS for kind in KINDS]
        with ThreadPoolExecutor(jobs) as pool:
            left = list(pool.map(lambda cell: survives(supervisor_of, cell[1], cell[0], patience), cells))
        row = []
        for what in SIGNALS:
            kinds = [kind for (which, kind), survived in zip(cells, left) if which == what and survived]
            row.append(f"**{len(kinds)}**: {', '.join(kinds)}" if kinds else "0")
        print(f"| {name} | {' | '.join(row)} |", flush=True)


ESCAPED = """forkyard: 1
options: {isolation: ISOLATION}
processes:
  kid:
    run: |
      for n in $(seq COUNT); do
        case $((n % 3)) in 0) sleep 1000 & ;; 1) setsid sleep 1000 & ;; 2) (setsid sleep 1000 &) ;; esac
      done
      wait
    stop: {grace: 0s}
"""


def escaped(count, isolation, what):
    """How long it takes until so many descendants are gone, two thirds of them in sessions of their own, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "w.yaml", ESCAPED.replace("COUNT", str(count)).replace("ISOLATION", isolation))
        program = found(os.environ.get("FORKYARD", "forkyard"))
        environment = dict(os.environ, XDG_STATE_HOME=folder, **{MARK: folder})
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            [program, "run", "w.yaml"], cwd=folder, env=environment, stdin=quiet, stdout=quiet, stderr=quiet
        )
        try:
            if not until(lambda: len(sleepers(folder)) >= count or process.poll() is not None, 60):
                raise RuntimeError("they do not come up")
            if process.poll() is not None:
                raise Missing(f"isolation: {isolation}")
            watched = [os.pidfd_open(pid) for pid in sleepers(folder)]
            # Not `poll`, which looks at all of them for each that ends: on a small machine that would be measured, too.
            ends = select.epoll()
            for pidfd in watched:
                ends.register(pidfd, select.EPOLLIN)
            began = time.monotonic()
            process.send_signal(what)
            rest = len(watched)
            while rest:
                for pidfd, _ in ends.poll(maxevents=count):
                    ends.unregister(pidfd)
                    rest -= 1
            took = time.monotonic() - began
            ends.close()
            for pidfd in watched:
                os.close(pidfd)
            return took
        finally:
            process.kill()
            process.wait()
            end_all(folder)


def escapes(count, rounds):
    print(f"| {count} descendants, two thirds of them in sessions of their own, gone after | SIGTERM | SIGKILL |")
    print("|---|---|---|")
    for isolation in ("guardian", "cgroup", "pidns"):
        cells = []
        for what in (signal.SIGTERM, signal.SIGKILL):
            try:
                times = sorted(escaped(count, isolation, what) for _ in range(rounds))
            except Missing:
                cells.append("not possible here")
                continue
            cells.append(f"{times[len(times) // 2] * 1000:.0f} ms")
        print(f"| `isolation: {isolation}` | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patience", type=float, default=5, help="seconds after which who lives is a survivor (5)")
    parser.add_argument("--jobs", type=int, default=6, help="so many at a time (6)")
    parser.add_argument("--only", action="append", default=[], help="these alone; may be given several times")
    parser.add_argument("--escaped", type=int, default=1000, help="so many escaped descendants (1000); 0 leaves that out")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many (5)")
    options = parser.parse_args()
    table(options.patience, options.jobs, options.only)
    if options.escaped:
        print()
        escapes(options.escaped, options.rounds)


if __name__ == "__main__":
    main()
