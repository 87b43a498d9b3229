"""The n-gram proposer: a request will go on as it did after these words before."""
from collections.abc import Sequence


def propose(token_ids: Sequence[int], min_n: int, max_n: int, num_speculative_tokens: int, max_model_len: int) -> tuple[int, ...]:
    """The drafts for a request that has said `token_ids` (its prompt included); often none.

    They are what followed the earliest occurrence of its last n tokens, for the
    largest n from `max_n` down to `min_n` that occurs before.

    Mirrors `v1/spec_decode/ngram_proposer.py::_find_longest_matched_ngram_and_propose_tokens`,
    which finds the same in one pass, as Knuth, Morris and Pratt search a text.
    """
    num_drafts = min(num_speculative_tokens, max_model_len - len(token_ids))
    for n in range(min(max_n, len(token_ids) - 1), min_n - 1, -1):
        start = _first_occurrence(token_ids, n)
        if start is not None and num_drafts > 0:
            return tuple(token_ids[start + n:start + n + num_drafts])
    return ()


def _first_occurrence(token_ids: Sequence[int], n: int) -> int | None:
    """Where the last `n` tokens occur first; None if only at the end."""
    last = list(token_ids[len(token_ids) - n:])
    return next((start for start in range(len(token_ids) - n) if list(token_ids[start:start + n]) == last), None)
