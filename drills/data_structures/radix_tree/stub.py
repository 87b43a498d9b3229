"""Radix tree: your answer. The problem is in drills/data_structures/radix_tree/README.md."""
from collections.abc import Iterator, Sequence


class RadixTree:
    """Sequences of tokens that share their beginnings. Public: `num_tokens` stored, `num_nodes` without the root."""

    def __init__(self):
        raise NotImplementedError("radix_tree: RadixTree.__init__ is not written yet")

    def match(self, tokens: Sequence[int]) -> int:
        """How many of the first tokens are in the tree. Every node of which a token matched has been used."""
        raise NotImplementedError("radix_tree: RadixTree.match is not written yet")

    def insert(self, tokens: Sequence[int]) -> int:
        """Add a sequence; returns how many of its first tokens were there already. All nodes on its path have been used.

        A node in which the sequence ends or branches off is split there; the lower part keeps its time of last use.
        """
        raise NotImplementedError("radix_tree: RadixTree.insert is not written yet")

    def evict(self, num_tokens: int) -> int:
        """Remove whole leaves, the least recently used first, until `num_tokens` are gone or none is left; returns how many."""
        raise NotImplementedError("radix_tree: RadixTree.evict is not written yet")
