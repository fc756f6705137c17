#!/usr/bin/env python3
"""The flood: eight processes that each write so many MiB without one newline: `just flood`, or see --help.

Prints how long it takes, how much memory the engine has at its peak, and whether every byte is in the logs, with stdout to /dev/null and
to a pipe that nobody reads. A lost byte makes it exit with 1; being slow or large does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from yard import built

MIB = 1 << 20
WRITERS = 8
PIECE = MIB

# As all tests of the engine want it.
PEAK_MAX = 32 * MIB

# No flood takes so many seconds, not even on a busy machine.
PATIENCE = 1800

WRITER = """
import random, sys
seed, pieces = int(sys.argv[1]), int(sys.argv[2])
piece = random.Random(seed).randbytes({piece}).replace(b"\\n", b"x")
for _ in range(pieces):
    sys.stdout.buffer.write(piece)
"""

WORKFLOW = """
forkyard: 1
processes:
  writes: {{replicas: {writers}, run: '{python} {script} $FORKYARD_INDEX {pieces}'}}
  stays: {{run: exec sleep 100000, after: {{writes: finished}}}}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512, help="how much each process writes")
    parser.add_argument("--forkyard", help="the binary, instead of one built here")
    parser.add_argument("--folder", help="where the logs are written meanwhile")
    return parser.parse_args()


def expected(seed, size):
    """What a writer has written, as a digest."""
    import random

    piece = random.Random(seed).randbytes(PIECE).replace(b"\n", b"x")
    digest = hashlib.blake2b()
    for _ in range(size // PIECE):
        digest.update(piece)
    return digest.digest()


def digest_of(path):
    digest = hashlib.blake2b()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.digest()


def wait_until(what, is_so):
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > PATIENCE:
            sys.exit(f"failed: {what} in vain")
        time.sleep(0.01)


def peak(pid):
    """The most memory a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def flood(name, stdout, options, digests):
    """One flood; whether every byte was kept."""
    folder = Path(tempfile.mkdtemp(prefix="flood-", dir=options.folder))
    script = folder / "writer.py"
    script.write_text(WRITER.format(piece=PIECE))
    workflow = WORKFLOW.format(writers=WRITERS, python=sys.executable, script=script, pieces=options.mib * MIB // PIECE)
    (folder / "flood.yaml").write_text(workflow)
    environment = dict(os.environ, XDG_STATE_HOME=str(folder / "state"))
    begun = time.monotonic()
    run = subprocess.Popen(
        [options.forkyard, "run", "--quiet", "flood.yaml"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )
    try:
        directory = wait_for_end(folder)
        took = time.monotonic() - begun
        about = json.loads((directory / "run.json").read_text())
        most = peak(about["pid"])
        kept = [digest_of(directory / "logs" / f"writes.{index}.log") for index in range(WRITERS)] == digests
    finally:
        end(run)
        if run.stdout:
            run.stdout.close()
        shutil.rmtree(folder)
    written = WRITERS * options.mib
    verdict = "every byte kept" if kept else "BYTES LOST"
    bound = "" if most <= PEAK_MAX else f", more than {PEAK_MAX // MIB} MiB"
    print(f"{name:<16} {written} MiB in {took:.1f} s ({written / took:.0f} MiB/s), engine {most / MIB:.1f} MiB{bound}, {verdict}", flush=True)
    return kept


def end(run):
    """A signal that comes in the moment of the end may be missed, the next one is not."""
    while run.poll() is None:
        run.send_signal(signal.SIGTERM)
        time.sleep(0.5)


def wait_for_end(folder):
    """The directory of the run, once the writers have ended."""
    runs = folder / "state" / "forkyard" / "runs"
    wait_until("the run is waited for", lambda: runs.exists() and any(runs.iterdir()))
    directory = next(runs.iterdir())
    records = directory / "records.jsonl"

    def is_written():
        if not records.exists():
            return False
        lines = records.read_text().splitlines()
        return any('"process":"stays"' in line and '"record":"started"' in line for line in lines)

    wait_until("the end of the flood is waited for", is_written)
    return directory


def main():
    options = arguments()
    options.forkyard = os.path.abspath(options.forkyard or built("--bins", "-p", "forkyard", "forkyard"))
    digests = [expected(index, options.mib * MIB) for index in range(WRITERS)]
    sinks = {"to /dev/null": subprocess.DEVNULL, "nobody reads": subprocess.PIPE}
    kept = [flood(name, stdout, options, digests) for name, stdout in sinks.items()]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
