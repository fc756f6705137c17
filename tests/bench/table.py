"""The table that the benchmark prints."""

from __future__ import annotations

HEAD = ("", "1/s", "CPU each", "median", "longest", "ours ÷ this", "CPU this ÷ ours", "must", "aim", "")


def rate(outcome):
    return outcome["operations"] / outcome["seconds"] if outcome["seconds"] else None


def cpu_each(outcome):
    return outcome["cpu_seconds"] / outcome["operations"] if outcome["operations"] else None


def markdown(machine, rows, notes):
    lines = ["# The yard beside its peers", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "A row for each who does it, ours first. Ratios above 1: ours is faster, and takes less CPU time.", ""]
    for row in rows:
        if any(row.outcomes.values()):
            lines += ["", f"## {row.title}", ""]
            lines += ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
            lines += [subject_line(row, subject) for subject in row.subjects if row.outcomes[subject]]
    lines += ["", "## Summary", "", *summary(rows)]
    if notes:
        lines += ["", "## Not measured", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def subject_line(row, subject):
    wall, cpu = row.ratio(subject, rate), cpu_ratio(row, subject)
    is_first = subject == row.subjects[0]
    cells = [
        subject.label,
        count_text(row.median(subject, rate)),
        time_text(row.median(subject, cpu_each) or None),
        time_text(row.median(subject, lambda it: it.get("median_seconds"))),
        time_text(longest(row, subject)),
        "" if is_first else ratio_text(wall),
        "" if is_first else ratio_text(cpu),
        ratio_text(subject.must),
        ratio_text(subject.aim),
        verdict(wall, subject.must, subject.aim),
    ]
    return "| " + " | ".join(cells) + " |"


def cpu_ratio(row, subject):
    """How many times as much CPU time as ours it takes."""
    inverse = row.ratio(subject, lambda it: cpu_each(it) or 0)
    return 1 / inverse if inverse else None


def longest(row, subject):
    times = [outcome["longest_seconds"] for outcome in row.outcomes[subject] if "longest_seconds" in outcome]
    return max(times) if times else None


def verdict(found, must, aim):
    if must is None or found is None:
        return ""
    if aim is not None and found >= aim:
        return "aim reached"
    return "reached" if found >= must else "MISSED"


def summary(rows):
    """One line for each thing that must be reached."""
    for row in rows:
        for subject in row.subjects:
            wall = row.ratio(subject, rate)
            if subject.must is not None and wall is not None and row.outcomes[row.subjects[0]]:
                said = verdict(wall, subject.must, subject.aim)
                yield f"- {said}: {row.title}: {wall:.2f} × {subject.label} (must {subject.must:g}, aim {subject.aim:g})"
        yield from limits(row)


def limits(row):
    ours = row.subjects[0]
    for name, (must, aim) in row.figure.limits.items():
        found = longest(row, ours) if name == "longest_seconds" else row.median(ours, lambda it: it.get(name))
        if found is not None:
            said = verdict(1 / found, 1 / must, 1 / aim)
            what = name.replace("_seconds", "")
            yield f"- {said}: {row.title}: {what} {time_text(found)} (must {time_text(must)}, aim {time_text(aim)})"


def count_text(number):
    return "" if number is None else f"{number:,.0f}"


def ratio_text(number):
    return "" if number is None else f"{number:,.2f}" if number < 10 else f"{number:,.0f}"


def time_text(seconds):
    if seconds is None:
        return ""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
