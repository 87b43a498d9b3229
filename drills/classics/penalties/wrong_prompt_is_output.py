"""Counts the tokens of the prompt for the presence and frequency penalties as well."""
from drills.classics.penalties import solution

FAILS = {"test_the_prompt_counts_for_the_repetition_penalty_only": r"token 0 was said in the prompt only", "test_random_batches": "numbers are wrong"}


def apply_penalties(logits, prompt_token_ids, output_token_ids, *penalties):
    said = [prompt + output for prompt, output in zip(prompt_token_ids, output_token_ids)]
    return solution.apply_penalties(logits, said, said, *penalties)
