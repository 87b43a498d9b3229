"""Takes the largest top_k of the batch for all rows, as torch.topk has only one k."""
from drills.classics.sampling_filters import solution

FAILS = {"test_each_row_has_its_own_parameters": "row 0 of a mixed batch", "test_a_large_batch": "should keep"}


def thin_out(logits, temperature, top_k, top_p, min_p):
    return solution.thin_out(logits, temperature, top_k.max().expand_as(top_k), top_p, min_p)
