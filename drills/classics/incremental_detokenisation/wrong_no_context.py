"""Holds open characters back, and decodes what is new without the tokens before it."""
from drills.classics.incremental_detokenisation import solution
from drills.classics.incremental_detokenisation.solution import Vocabulary

FAILS = {"test_words_with_spaces": "sent 'Helloworld'", "test_the_prompt_is_context": "sent 'world'", "test_any_tokens": "sent",
         "test_a_character_over_several_tokens": "world"}


class Detokenizer(solution.Detokenizer):
    def _prefix_and_text(self):
        return "", self.vocabulary.decode(self.token_ids[self.read_offset:])
