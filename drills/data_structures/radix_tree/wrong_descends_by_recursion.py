"""Finds the leaves by recursion: a conversation of a thousand turns is a thousand nodes deep, and Python's stack is not."""
from drills.data_structures.radix_tree import solution

FAILS = {"test_a_path_of_many_nodes": "recursion"}


class RadixTree(solution.RadixTree):
    def _leaves(self, node=None):
        node = node or self._root
        if not node.children:
            yield node
        for child in node.children.values():
            yield from self._leaves(child)
