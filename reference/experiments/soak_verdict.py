"""The verdict of the soak, from what was written down: nothing lost, nothing growing.

*Growing* is judged by medians: the first quarter is warm-up, the rest is cut into halves, and the second half's median may be larger than
the first's by a tolerance and no more. So a leak is seen that makes more than the tolerance between the middles of two halves, and what
is below is not called one: the table has the difference, for who wants to judge otherwise.
"""
from collections.abc import Sequence
from statistics import median

# What may be larger by how much: a share, or so much in its own unit, whichever is more.
OBJECTS = (0.0, 800)        # of those of a round without a leak, each was within 300 of the next
MEGABYTES = (0.01, 8.0)
LATENCY = (0.25, 1.0)       # ms: other work on the machine makes more than this of it at times
QUEUED = (0.5, 5.0)         # ms to the first token: most of it is waiting for others, and rounds differ in how many there are
HOLDS, GROWS, UNJUDGED = "holds", "GROWS", "not judged: others' work is in it"


def growth(what: str, values: Sequence[float | None], tolerance: tuple[float, float]) -> list:
    """[what, the first half's median, the second's, what was allowed, the verdict]; no verdict of fewer than 8 values."""
    values = [value for value in values if value is not None]
    values = values[len(values) // 4:]
    if len(values) < 6:
        return [what, median(values) if values else None, None, None, "too few to say"]
    first, second = median(values[:len(values) // 2]), median(values[len(values) // 2:])
    allowed = max(tolerance[0] * abs(first), tolerance[1])
    return [what, first, second, allowed, HOLDS if second - first <= allowed else GROWS]


def growths(samples: Sequence[dict], drained: Sequence[dict]) -> list[list]:
    """Of a busy engine's gauges, and of a drained one's. What is slowest, other work decides: it is told and not judged."""
    rows = [growth("pieces of memory in Python, drained", [each["objects"] for each in drained], OBJECTS),
            growth("process, MB, drained", [each["process MB"] for each in drained], MEGABYTES),
            growth("device, MB in use, drained", [each["device MB"] for each in drained], (0.0, 0.5)),
            growth("device, MB reserved", [each["device reserved MB"] for each in samples], MEGABYTES),
            growth("blocks in the prefix cache", [each["cached blocks"] for each in drained], (1.0, 16))]
    rows += [growth(f"{name}, by round", [each[name] for each in drained], tolerance)
             for name, tolerance in (("cpu ms a step", LATENCY), ("step p50 ms", LATENCY), ("first token p50 ms", QUEUED))]
    rows += [[*growth(f"{name}, by round", [each[name] for each in drained], LATENCY)[:3], None, UNJUDGED] for name in ("step p99 ms", "step max ms", "first token p99 ms")]
    return [row for row in rows if row[1] is not None]
