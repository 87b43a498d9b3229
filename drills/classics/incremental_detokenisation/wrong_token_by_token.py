"""Decodes every token alone: a character over two tokens comes out as two question marks, and words lose their spaces."""
from drills.classics.incremental_detokenisation.solution import Vocabulary

FAILS = {"test_words_with_spaces": "sent 'Helloworld'", "test_the_prompt_is_context": "sent 'world'", "test_a_character_over_several_tokens": "taken back",
         "test_what_is_broken_stays_broken": "sent", "test_what_is_held_back_comes_at_the_end": "taken back", "test_any_tokens": "sent"}


class Detokenizer:
    def __init__(self, vocabulary: Vocabulary, prompt_token_ids):
        self.vocabulary = vocabulary

    def add(self, token_id):
        return self.vocabulary.decode([token_id])

    def finish(self):
        return ""
