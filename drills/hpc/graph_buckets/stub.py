"""Graph buckets: your answer. The problem is in drills/hpc/graph_buckets/README.md."""
from collections.abc import Mapping, Sequence


def default_sizes(largest: int) -> list[int]:
    """The batch sizes to capture up to `largest`: 1, 2, 4, then multiples of 8 below 256, then multiples of 16."""
    raise NotImplementedError("graph_buckets: default_sizes is not written yet")


class Dispatcher:
    """Finds the graph for a batch; `sizes` are those captured, ascending."""

    def __init__(self, sizes: Sequence[int]):
        raise NotImplementedError("graph_buckets: Dispatcher.__init__ is not written yet")

    def dispatch(self, batch: int) -> int | None:
        """The smallest captured size that holds a batch of at least 1; None if there is none: run without a graph."""
        raise NotImplementedError("graph_buckets: Dispatcher.dispatch is not written yet")


def padding(sizes: Sequence[int], histogram: Mapping[int, int]) -> int:
    """Rows computed for nobody when batches occur as often as `histogram` says, {batch size: how often}.

    Raises `ValueError` if a batch does not fit into any of `sizes`.
    """
    raise NotImplementedError("graph_buckets: padding is not written yet")


def choose_sizes(histogram: Mapping[int, int], graphs: int) -> list[int]:
    """At most `graphs` sizes, ascending, which hold all batches with the least padding. Raises `ValueError` below one graph."""
    raise NotImplementedError("graph_buckets: choose_sizes is not written yet")
