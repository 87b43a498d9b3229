"""A table for the lookup, and for the choice: the best last bucket, given the best choice of those before."""
from collections.abc import Mapping, Sequence


def default_sizes(largest: int) -> list[int]:
    """The batch sizes to capture up to `largest`: 1, 2, 4, then multiples of 8 below 256, then multiples of 16."""
    return [size for size in [1, 2, 4, *range(8, 256, 8), *range(256, largest + 1, 16)] if size <= largest]


class Dispatcher:
    """Finds the graph for a batch; `sizes` are those captured, ascending."""

    def __init__(self, sizes: Sequence[int]):
        self.padded = []        # by batch size
        for size in sizes:
            self.padded += [size] * (size + 1 - len(self.padded))

    def dispatch(self, batch: int) -> int | None:
        """The smallest captured size that holds a batch of at least 1; None if there is none: run without a graph."""
        return self.padded[batch] if batch < len(self.padded) else None


def padding(sizes: Sequence[int], histogram: Mapping[int, int]) -> int:
    """Rows computed for nobody when batches occur as often as `histogram` says, {batch size: how often}.

    Raises `ValueError` if a batch does not fit into any of `sizes`.
    """
    dispatcher, rows = Dispatcher(sizes), 0
    for batch, count in histogram.items():
        size = dispatcher.dispatch(batch)
        if size is None:
            raise ValueError(f"no graph holds a batch of {batch}")
        rows += (size - batch) * count
    return rows


def choose_sizes(histogram: Mapping[int, int], graphs: int) -> list[int]:
    """At most `graphs` sizes, ascending, which hold all batches with the least padding. Raises `ValueError` below one graph."""
    if graphs < 1:
        raise ValueError(f"{graphs} graphs hold no batch")
    batches = sorted(histogram)
    counts, rows = [0], [0]     # of all batches below the i-th
    for batch in batches:
        counts.append(counts[-1] + histogram[batch])
        rows.append(rows[-1] + batch * histogram[batch])

    # least[i]: the padding of the first i batches with the graphs so far, and their sizes
    least = [(0, [])] + [(float("inf"), [])] * len(batches)
    for _ in range(min(graphs, len(batches))):
        extended = least[:1]
        for end in range(1, len(batches) + 1):
            size = batches[end - 1]     # the largest graph; a size between two batches only pads more
            cost, start = min((least[start][0] + size * (counts[end] - counts[start]) - (rows[end] - rows[start]), start) for start in range(end))
            extended.append((cost, least[start][1] + [size]))
        least = extended
    return least[-1][1]
