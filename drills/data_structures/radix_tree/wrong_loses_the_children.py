"""The lower part of a split node is made anew and does not get its children: what was below is lost."""
from drills.data_structures.radix_tree import solution
from drills.data_structures.radix_tree.solution import _Node

FAILS = {"test_any_sequence_of_calls": "yours: (returns|raises)", "test_a_node_is_split_where_a_sequence_branches_off": "second split, above the first"}


class RadixTree(solution.RadixTree):
    def _split(self, node, at):
        lower = _Node(node.tokens[at:], node, node.used)
        node.tokens, node.children = node.tokens[:at], {lower.tokens[0]: lower}
        self.num_nodes += 1
        return node
