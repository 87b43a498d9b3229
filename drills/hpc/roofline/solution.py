"""Work is a pair, operations and bytes; a machine is a pair too. The slower of the two gives the time."""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Machine:  # given
    """What a machine does at most in a second."""

    operations: float
    bandwidth: float    # bytes, from and to its memory


def ridge(machine: Machine) -> float:
    """Operations per byte from which on work is compute bound."""
    return machine.operations / machine.bandwidth


def shortest_time(operations: float, moved: float, machine: Machine) -> float:
    """Seconds that the work takes at least; computing and moving `moved` bytes overlap."""
    return max(operations / machine.operations, moved / machine.bandwidth)


def bound(operations: float, moved: float, machine: Machine) -> str:
    """Which limit holds: "compute" or "memory". Where both take as long, "compute"."""
    return "compute" if operations * machine.bandwidth >= moved * machine.operations else "memory"


def attained_share(operations: float, moved: float, machine: Machine, seconds: float) -> float:
    """Share of the roof that work has reached which took `seconds`."""
    return shortest_time(operations, moved, machine) / seconds


def matmul_work(m: int, n: int, k: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of [m, k] @ [k, n]; each matrix crosses the memory once."""
    return 2 * m * n * k, (m * k + k * n + m * n) * element_bytes


def prefill_attention_work(computed: int, new: int, query_heads: int, kv_heads: int, head_size: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of causal attention of `new` tokens behind `computed` ones, whose keys and values are cached."""
    pairs = new * computed + new * (new + 1) // 2
    queries_and_outputs = 2 * new * query_heads * head_size
    keys_and_values = 2 * (computed + new) * kv_heads * head_size
    return 4 * pairs * query_heads * head_size, (queries_and_outputs + keys_and_values) * element_bytes


def decode_attention_work(lengths: Sequence[int], query_heads: int, kv_heads: int, head_size: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of one decode step of requests of these `lengths`, the new token included."""
    works = [prefill_attention_work(length - 1, 1, query_heads, kv_heads, head_size, element_bytes) for length in lengths]
    return sum(operations for operations, _ in works), sum(moved for _, moved in works)


def compute_bound_batch(n: int, k: int, element_bytes: int, machine: Machine) -> int | None:
    """The smallest m for which [m, k] @ [k, n] is compute bound; None if there is none."""
    needed = Fraction(machine.operations) / Fraction(machine.bandwidth) * element_bytes
    # 2 m n k >= needed (m k + k n + m n), solved for m
    slope = 2 * n * k - needed * (n + k)
    return math.ceil(needed * n * k / slope) if slope > 0 else None
