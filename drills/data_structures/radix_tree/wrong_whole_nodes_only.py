"""Follows a node only if all its tokens match: a prefix that ends or branches off within a node is not shared."""
from drills.data_structures.radix_tree import solution

FAILS = {"test_any_sequence_of_calls": "yours: (returns|raises)", "test_a_match_may_end_within_a_node": "the first 2 match, not 0",
         "test_a_node_is_split_where_a_sequence_branches_off": "shares its first 2 tokens",
         "test_the_leaf_used_longest_ago_goes_first": "2 tokens, not 4"}


class RadixTree(solution.RadixTree):
    def _find(self, tokens):
        path, matched = [self._root], 0
        while matched < len(tokens) and (node := path[-1].children.get(tokens[matched])) and tokens[matched:matched + len(node.tokens)] == node.tokens:
            path.append(node)
            matched += len(node.tokens)
        return path, matched, len(path[-1].tokens)
