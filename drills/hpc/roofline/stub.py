"""Roofline: your answer. The problem is in drills/hpc/roofline/README.md."""
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What a machine does at most in a second."""

    operations: float
    bandwidth: float    # bytes, from and to its memory


def ridge(machine: Machine) -> float:
    """Operations per byte from which on work is compute bound."""
    raise NotImplementedError("roofline: ridge is not written yet")


def shortest_time(operations: float, moved: float, machine: Machine) -> float:
    """Seconds that the work takes at least; computing and moving `moved` bytes overlap."""
    raise NotImplementedError("roofline: shortest_time is not written yet")


def bound(operations: float, moved: float, machine: Machine) -> str:
    """Which limit holds: "compute" or "memory". Where both take as long, "compute"."""
    raise NotImplementedError("roofline: bound is not written yet")


def attained_share(operations: float, moved: float, machine: Machine, seconds: float) -> float:
    """Share of the roof that work has reached which took `seconds`."""
    raise NotImplementedError("roofline: attained_share is not written yet")


def matmul_work(m: int, n: int, k: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of [m, k] @ [k, n]; each matrix crosses the memory once."""
    raise NotImplementedError("roofline: matmul_work is not written yet")


def prefill_attention_work(computed: int, new: int, query_heads: int, kv_heads: int, head_size: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of causal attention of `new` tokens behind `computed` ones, whose keys and values are cached."""
    raise NotImplementedError("roofline: prefill_attention_work is not written yet")


def decode_attention_work(lengths: Sequence[int], query_heads: int, kv_heads: int, head_size: int, element_bytes: int) -> tuple[int, int]:
    """Operations and bytes of one decode step of requests of these `lengths`, the new token included."""
    raise NotImplementedError("roofline: decode_attention_work is not written yet")


def compute_bound_batch(n: int, k: int, element_bytes: int, machine: Machine) -> int | None:
    """The smallest m for which [m, k] @ [k, n] is compute bound; None if there is none."""
    raise NotImplementedError("roofline: compute_bound_batch is not written yet")
