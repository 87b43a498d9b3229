"""Returns the higher of the two logsumexps instead of that of both: the output is right, until it is merged again."""
import torch

from drills.classics.merge_attention_states import solution

FAILS = {"test_two_halves": "^logsumexp, 2 keys", "test_any_order_and_number_of_parts": "^logsumexp of four parts", "test_big_logsumexps": "^logsumexp",
         "test_half_precision": "^logsumexp", "test_views_with_gaps_and_inputs_unchanged": "^logsumexp"}


def merge_attention_states(output_a, lse_a, output_b, lse_b):
    output, _ = solution.merge_attention_states(output_a, lse_a, output_b, lse_b)
    return output, torch.maximum(*(lse.masked_fill(lse == torch.inf, -torch.inf) for lse in (lse_a, lse_b)))
