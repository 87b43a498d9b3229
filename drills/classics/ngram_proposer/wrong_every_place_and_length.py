"""Compares at every place for every length: right, and for a long prompt slower than the model itself."""

FAILS = {"test_linear_time": "lines and comparisons"}


def propose(token_ids, min_n, max_n, k, max_model_len):
    total = len(token_ids)
    k = min(k, max_model_len - total)
    if k <= 0:
        return []
    for n in range(min(max_n, total - 1), min_n - 1, -1):
        for start in range(total - n):
            if token_ids[start:start + n] == token_ids[total - n:]:
                return token_ids[start + n:start + n + k]
    return []
