"""Sends whatever the text has grown by, with the replacement character of a half character at its end."""
from drills.classics.incremental_detokenisation import solution
from drills.classics.incremental_detokenisation.solution import Vocabulary

FAILS = {"test_a_character_over_several_tokens": "cannot be taken back", "test_any_tokens": "cannot be taken back"}


class Detokenizer(solution.Detokenizer):
    def add(self, token_id):
        self.token_ids.append(token_id)
        before, text = self._prefix_and_text()
        if len(text) <= len(before):
            return ""
        self.prefix_offset, self.read_offset = self.read_offset, len(self.token_ids)
        return text[len(before):]
