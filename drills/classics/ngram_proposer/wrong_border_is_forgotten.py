"""Starts from nothing after a mismatch, as if no shorter match could be under way."""
FAILS = {"test_any_tokens": "expected", "test_borders_of_borders": "expected"}


def propose(token_ids, min_n, max_n, k, max_model_len):
    total = len(token_ids)
    k = min(k, max_model_len - total)
    if k <= 0:
        return []
    longest = last = length = 0
    for i in range(1, total):
        if length and (length == max_n or token_ids[total - 1 - i] != token_ids[total - 1 - length]):
            length = 0
        if token_ids[total - 1 - i] == token_ids[total - 1 - length]:
            length += 1
        if length and length >= longest:
            longest, last = length, i
    end = total - 1 - last + longest
    return list(token_ids[end:end + k]) if longest >= min_n else []
