"""Takes the mean of both outputs, as if each part had half of the weight."""
import torch

from drills.classics.merge_attention_states import solution

FAILS = {"test_two_halves": "^output, 2 keys", "test_any_order_and_number_of_parts": "^output", "test_big_logsumexps": "^output",
         "test_empty_for_some_tokens_alone": "^output", "test_half_precision": "^output",
         "test_views_with_gaps_and_inputs_unchanged": "^output"}


def merge_attention_states(output_a, lse_a, output_b, lse_b):
    output, lse = solution.merge_attention_states(output_a, lse_a, output_b, lse_b)
    some = lse_a.isfinite().any() and lse_b.isfinite().any()
    return ((output_a.float() + output_b.float()) / 2).to(output_a.dtype) if some else output, lse
