"""N-gram proposer: your answer. The problem is in drills/classics/ngram_proposer/README.md."""
from collections.abc import Sequence


def propose(token_ids: Sequence[int], min_n: int, max_n: int, k: int, max_model_len: int) -> list[int]:
    """At most k tokens that followed the n-gram at the end when it came before; [] if it never did, for any n from min_n to max_n.

    The longest n-gram wins, among several places the earliest. 1 <= min_n <= max_n. With the drafts the sequence is not
    longer than max_model_len.
    """
    raise NotImplementedError("ngram_proposer: propose is not written yet")
