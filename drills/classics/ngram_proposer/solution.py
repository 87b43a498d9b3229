"""The tokens backwards: then the suffix is a prefix, and one pass with its borders finds where it comes again."""
from collections.abc import Sequence


def propose(token_ids: Sequence[int], min_n: int, max_n: int, k: int, max_model_len: int) -> list[int]:
    """At most k tokens that followed the n-gram at the end when it came before; [] if it never did, for any n from min_n to max_n.

    The longest n-gram wins, among several places the earliest. 1 <= min_n <= max_n. With the drafts the sequence is not
    longer than max_model_len.
    """
    total = len(token_ids)
    k = min(k, max_model_len - total)
    if k <= 0:
        return []
    longest, end = _longest_match(token_ids, max_n)
    return list(token_ids[end:end + k]) if longest >= min_n else []


def _longest_match(token_ids: Sequence[int], max_n: int) -> tuple[int, int]:
    """The length, at most max_n, of the longest suffix that comes earlier as well, and where its earliest occurrence ends."""
    total = len(token_ids)
    # borders[i]: the longest beginning of the reversed tokens [0, i] that is also their end. Beyond max_n nobody asks.
    borders = [0] * min(max_n, total)
    longest, last = 0, 0
    border = 0
    for i in range(1, total):
        token = token_ids[total - 1 - i]
        while border and token != token_ids[total - 1 - border]:
            border = borders[border - 1]
        if token == token_ids[total - 1 - border]:
            border += 1
        if i < len(borders):
            borders[i] = border
        if border and border >= longest:      # as long, and further on in the reversed tokens: earlier in the tokens
            longest, last = border, i
        if border == max_n:
            border = borders[border - 1]      # the next match is again at most max_n long
    return longest, total - 1 - last + longest
