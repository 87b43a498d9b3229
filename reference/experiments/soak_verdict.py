"""The verdict of the soak, from what was written down: nothing lost, nothing growing.

*Growing* is judged by medians: the first quarter is warm-up, the rest is cut into halves, and the second half's median may be larger than
the first's by a tolerance and no more. So a leak is seen that makes more than the tolerance between the middles of two halves, and what
is below is not called one: the table has the difference, for who wants to judge otherwise. The time of a step is judged by the halves'
fastest rounds: what grows makes each round slower, and a machine that also does something else only some.
"""
from collections.abc import Callable, Sequence
from statistics import median

# What may be larger by how much: a share, or so much in its own unit, whichever is more.
OBJECTS = (0.0, 800)        # of those of a round without a leak, each was within 300 of the next
MEGABYTES = (0.01, 8.0)
RESERVED = (0.1, 32.0)      # MB that torch keeps for itself: it takes more in pieces of 20, whenever a step does not fit into the holes
LATENCY = (0.25, 0.1)       # ms; of the steps of a request alone, which are the same work in each round
HOLDS, GROWS, UNJUDGED = "holds", "GROWS", "not judged: rounds differ"


def growth(what: str, values: Sequence[float | None], tolerance: tuple[float, float], of_a_half: Callable = median) -> list:
    """[what, the first half's median (or what `of_a_half` says), the second's, what was allowed, the verdict]; no verdict of fewer than 8 values."""
    values = [value for value in values if value is not None]
    values = values[len(values) // 4:]
    if len(values) < 6:
        return [what, of_a_half(values) if values else None, None, None, "too few to say"]
    first, second = of_a_half(values[:len(values) // 2]), of_a_half(values[len(values) // 2:])
    allowed = max(tolerance[0] * abs(first), tolerance[1])
    return [what, first, second, allowed, HOLDS if second - first <= allowed else GROWS]


def growths(samples: Sequence[dict], drained: Sequence[dict]) -> list[list]:
    """Of a busy engine's gauges, and of a drained one's. Latencies under load are told and not judged: no two rounds ask for the same."""
    rows = [growth("pieces of memory in Python, drained", [each["objects"] for each in since_the_last_was_compiled(drained)], OBJECTS),
            growth("process, MB, drained", [each["process MB"] for each in drained], MEGABYTES),
            growth("device, MB in use, drained", [each["device MB"] for each in drained], (0.0, 0.5)),
            growth("device, MB reserved", [each["device reserved MB"] for each in samples], RESERVED),
            growth("blocks in the prefix cache", [each["cached blocks"] for each in drained], (1.0, 16))]
    rows.append(growth("step alone p50 ms, the fastest round", [each["step alone p50 ms"] for each in drained], LATENCY, min))
    rows += [[*growth(f"{name}, by round", [each[name] for each in drained], LATENCY)[:3], None, UNJUDGED]
             for name in ("cpu ms a step", "step p50 ms", "step p99 ms", "step max ms", "first token p50 ms", "first token p99 ms")]
    return [row for row in rows if row[1] is not None]


def since_the_last_was_compiled(drained: Sequence[dict]) -> Sequence[dict]:
    """A compiled kernel stays, and has thousands of pieces. All rounds, if there are too few since the last: kernels that are compiled for ever are a growth."""
    since = [each for each in drained if each["compiled kernels"] == drained[-1]["compiled kernels"]]
    return since if len(since) >= 8 else drained
