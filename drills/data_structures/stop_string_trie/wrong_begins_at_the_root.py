"""After a false start goes back to the root: a stop string that began within the false start is missed."""
from drills.data_structures.stop_string_trie import solution

FAILS = {"test_any_text": "stopped is|was shown", "test_texts_that_nearly_stop": "stopped is None|was shown",
         "test_the_one_that_is_complete_first_wins": "should be 'bc'", "test_a_stop_within_a_false_start": r"after the pieces \['a', 'a', 'a'\]"}


class StopChecker(solution.StopChecker):
    def _link(self):
        nodes = [self._root]
        for node in nodes:
            nodes += node.children.values()
            if node is not self._root:
                node.fallback = self._root
