"""The verdict of the soak, from what was written down: nothing lost, nothing growing.

*Growing* is judged by medians: the first quarter is warm-up, the rest is cut into halves, and the second half's median may be larger than
the first's by a tolerance and no more. So a leak is seen that makes more than the tolerance between the middles of two halves, and what
is below is not called one: the table has the difference, for who wants to judge otherwise.
"""
from collections.abc import Sequence
from statistics import median

# What may be larger by how much, as a share, and in its own unit: whichever is more.
OBJECTS = (0.001, 500)
MEGABYTES = (0.01, 8.0)
LATENCY, SLOWEST = (0.25, 1.0), (0.5, 3.0)      # ms: other work on the machine makes more than this of it at times
HOLDS, GROWS = "holds", "GROWS"


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
    """Of a busy engine's gauges, and of a drained one's. On a machine with other work, the two of latency say something about that too."""
    rows = [growth("pieces of memory in Python, drained", [each["objects"] for each in drained], OBJECTS),
            growth("process, MB, drained", [each["process MB"] for each in drained], MEGABYTES),
            growth("device, MB in use, drained", [each["device MB"] for each in drained], (0.0, 0.5)),
            growth("device, MB reserved", [each["device reserved MB"] for each in samples], MEGABYTES),
            growth("blocks in the prefix cache", [each["cached blocks"] for each in drained], (1.0, 16))]
    rows += [growth(f"{name}, by round", [each[name] for each in drained], tolerance)
             for name, tolerance in (("step p50 ms", LATENCY), ("step p99 ms", SLOWEST), ("first token p50 ms", LATENCY))]
    return [row for row in rows if row[1] is not None]
