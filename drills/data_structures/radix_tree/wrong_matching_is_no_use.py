"""Only inserting counts as a use: the prefix that everybody hits is evicted as the oldest."""
from drills.data_structures.radix_tree import solution

FAILS = {"test_any_sequence_of_calls": "yours: returns", "test_the_leaf_used_longest_ago_goes_first": "3 was used after 4 5"}


class RadixTree(solution.RadixTree):
    def match(self, tokens):
        return self._find(tuple(tokens))[1]
