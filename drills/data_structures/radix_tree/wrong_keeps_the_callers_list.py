"""Stores the list that it was given instead of a copy: it changes with the request."""
from drills.data_structures.radix_tree import solution
from drills.data_structures.radix_tree.solution import _Node

FAILS = {"test_the_tree_keeps_its_own_tokens": "still the first 3 match, not 1"}


class RadixTree(solution.RadixTree):
    def insert(self, tokens):
        if self.num_nodes or not tokens:
            return super().insert(tokens)
        self._root.children[tokens[0]] = _Node(tokens, self._root, self._clock)
        self.num_nodes, self.num_tokens = 1, len(tokens)
        self._use([self._root, self._root.children[tokens[0]]])
        return 0
