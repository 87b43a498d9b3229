"""Always holds back as many characters as the longest stop string has, less one: safe, and late."""
from drills.data_structures.stop_string_trie import solution

FAILS = {"test_any_text": "must not wait", "test_texts_that_nearly_stop": "must not wait", "test_across_pieces": "must not wait",
         "test_a_stop_within_a_false_start": "must not wait",
         "test_nothing_waits_without_need": "all of it can be shown"}


class StopChecker(solution.StopChecker):
    def _show(self, text, hold):
        if hold or text is not self._held:
            hold = min(len(text), max(map(len, self._stop), default=1) - 1) if not self._include else 0
        return super()._show(text, hold)
