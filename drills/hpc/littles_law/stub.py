"""Little's law: your answer. The problem is in drills/hpc/littles_law/README.md."""
from collections.abc import Sequence


def concurrency(throughput: float, latency: float) -> float:
    """Requests in the system on average, if `throughput` of them end in a second and each stays for `latency` seconds."""
    raise NotImplementedError("littles_law: concurrency is not written yet")


def percentile(values: Sequence[float], p: float) -> float:
    """The smallest of the values that at least p percent of them do not exceed (0 <= p <= 100). Raises `ValueError` without values."""
    raise NotImplementedError("littles_law: percentile is not written yet")


def time_to_first_token(arrival: float, token_times: Sequence[float]) -> float:
    """Seconds from the arrival of a request to its first token."""
    raise NotImplementedError("littles_law: time_to_first_token is not written yet")


def inter_token_latencies(token_times: Sequence[float]) -> list[float]:
    """Seconds between one token and the next, of one request: one less than there are tokens."""
    raise NotImplementedError("littles_law: inter_token_latencies is not written yet")


def time_per_output_token(token_times: Sequence[float]) -> float:
    """Mean seconds for each token after the first; 0 if there is none."""
    raise NotImplementedError("littles_law: time_per_output_token is not written yet")


def simulate(arrivals: Sequence[float], services: Sequence[float], servers: int) -> list[tuple[float, float]]:
    """When each request begins and ends: who comes first is served first, by whichever of the servers is free.

    Request i arrives at arrivals[i], which ascend, and occupies a server for services[i] seconds.
    """
    raise NotImplementedError("littles_law: simulate is not written yet")


def mean_in_system(arrivals: Sequence[float], ends: Sequence[float], start: float, end: float) -> float:
    """How many requests have arrived and not ended, on average over the time from `start` to `end`."""
    raise NotImplementedError("littles_law: mean_in_system is not written yet")
