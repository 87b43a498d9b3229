"""Evicts the node used longest ago even if others build on it: they are lost, or stay without their beginning."""
from drills.data_structures.radix_tree import solution

FAILS = {"test_a_path_of_many_nodes": "the last turn goes",
         "test_any_sequence_of_calls": "yours: (returns|raises)", "test_the_leaf_used_longest_ago_goes_first": "3 goes; that makes 1 2 a leaf",
         "test_what_others_build_on_is_not_evicted": "the leaf 3 goes"}


class RadixTree(solution.RadixTree):
    def _leaves(self):
        nodes = list(self._root.children.values())
        for node in nodes:
            nodes += node.children.values()
        return nodes
