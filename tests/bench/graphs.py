"""The graphs that are checked, each written for every program in its own language."""

from __future__ import annotations

# How many processes stand in one layer of `layered`, and for how many of the layer before each of them waits.
WIDTH = 100
FAN_IN = 4


def waits(shape, number):
    """For whom the process `number` waits."""
    if shape == "chain" and number:
        return [number - 1]
    if shape == "layered" and number >= WIDTH:
        first = (number // WIDTH - 1) * WIDTH
        return sorted({first + (number * 7 + step * 13) % WIDTH for step in range(FAN_IN)})
    return []


SHAPES = ("wide", "chain", "layered")


def forkyard(out, shape, size, mistake=False):
    """With `mistake` the last process waits for one that is not there."""
    out.write("forkyard: 1\nprocesses:\n")
    for number in range(size):
        names = [f"p{it}" for it in waits(shape, number)]
        if mistake and number == size - 1:
            names = ["nobody"]
        after = f", after: [{', '.join(names)}]" if names else ""
        out.write(f'  p{number}: {{run: ["true"]{after}}}\n')


def ninja(out, shape, size):
    out.write("rule run\n  command = true\n")
    for number in range(size):
        out.write(f"build p{number}: run {' '.join(f'p{it}' for it in waits(shape, number))}\n")


def make(out, shape, size):
    out.write(".PHONY: all\nall:")
    for number in range(size):
        out.write(f" p{number}")
    out.write("\n")
    for number in range(size):
        out.write(f"p{number}: {' '.join(f'p{it}' for it in waits(shape, number))}\n\ttrue\n")


def dagu(out, shape, size):
    out.write("type: graph\nsteps:\n")
    for number in range(size):
        out.write(f'  - name: p{number}\n    command: "true"\n')
        names = [f"p{it}" for it in waits(shape, number)]
        if names:
            out.write(f"    depends: [{', '.join(names)}]\n")
