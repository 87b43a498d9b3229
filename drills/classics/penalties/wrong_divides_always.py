"""Divides every logit by the repetition penalty: a negative one gets more likely."""
from drills.classics.penalties import solution

FAILS = {"test_a_negative_logit_is_multiplied": r"\[2\.0, -2\.0\]", "test_random_batches": "numbers are wrong"}


def apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties, repetition_penalties):
    for row, prompt, output, penalty in zip(logits, prompt_token_ids, output_token_ids, repetition_penalties):
        row[sorted({*prompt, *output} - {-1})] /= penalty
    return solution.apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties,
                                    repetition_penalties * 0 + 1)
