"""Applies the repetition penalty once per occurrence: a token that was said ten times can never be said again."""
from drills.classics.penalties import solution

FAILS = {"test_the_repetition_penalty_does_not_count": "halves a logit of 8 once", "test_random_batches": "numbers are wrong",
         "test_the_prompt_counts_for_the_repetition_penalty_only": "looks at the prompt as well"}


def apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties, repetition_penalties):
    for row, prompt, output, penalty in zip(logits, prompt_token_ids, output_token_ids, repetition_penalties):
        for token in prompt + output:
            if token != -1:
                row[token] = row[token] / penalty if row[token] > 0 else row[token] * penalty
    return solution.apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties,
                                    repetition_penalties * 0 + 1)
