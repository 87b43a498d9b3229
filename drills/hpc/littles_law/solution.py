"""What is measured of a server: rates, waits, ranks; and a queue that shows why they belong together."""
import heapq
import math
from collections.abc import Sequence
from fractions import Fraction


def concurrency(throughput: float, latency: float) -> float:
    """Requests in the system on average, if `throughput` of them end in a second and each stays for `latency` seconds."""
    return throughput * latency


def percentile(values: Sequence[float], p: float) -> float:
    """The smallest of the values that at least p percent of them do not exceed (0 <= p <= 100). Raises `ValueError` without values."""
    if not values:
        raise ValueError("no values have no percentile")
    rank = math.ceil(Fraction(str(p)) * len(values) / 100)      # exact: a float just above an integer would be a rank too many
    return sorted(values)[max(rank, 1) - 1]


def time_to_first_token(arrival: float, token_times: Sequence[float]) -> float:
    """Seconds from the arrival of a request to its first token."""
    return token_times[0] - arrival


def inter_token_latencies(token_times: Sequence[float]) -> list[float]:
    """Seconds between one token and the next, of one request: one less than there are tokens."""
    return [after - before for before, after in zip(token_times, token_times[1:])]


def time_per_output_token(token_times: Sequence[float]) -> float:
    """Mean seconds for each token after the first; 0 if there is none."""
    return (token_times[-1] - token_times[0]) / (len(token_times) - 1) if len(token_times) > 1 else 0


def simulate(arrivals: Sequence[float], services: Sequence[float], servers: int) -> list[tuple[float, float]]:
    """When each request begins and ends: who comes first is served first, by whichever of the servers is free.

    Request i arrives at arrivals[i], which ascend, and occupies a server for services[i] seconds.
    """
    free = [0] * servers        # a heap of when each server is free
    spans = []
    for arrival, service in zip(arrivals, services, strict=True):
        start = max(arrival, heapq.heappop(free))
        heapq.heappush(free, start + service)
        spans.append((start, start + service))
    return spans


def mean_in_system(arrivals: Sequence[float], ends: Sequence[float], start: float, end: float) -> float:
    """How many requests have arrived and not ended, on average over the time from `start` to `end`."""
    return sum(max(0, min(gone, end) - max(came, start)) for came, gone in zip(arrivals, ends, strict=True)) / (end - start)
