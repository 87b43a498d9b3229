"""Takes the latest place where the n-gram came, not the earliest."""
FAILS = {"test_any_tokens": r"got \[.*expected", "test_the_earliest_place_wins": r"got \[20\], expected \[10\]", "test_borders_of_borders": "expected",
         "test_it_may_overlap_itself": "the earliest", "test_the_longest_ngram_wins": "max_n is 2"}


def propose(token_ids, min_n, max_n, k, max_model_len):
    total = len(token_ids)
    k = min(k, max_model_len - total)
    borders = [0] * total
    longest = last = border = 0
    for i in range(1, total):
        while border and token_ids[total - 1 - i] != token_ids[total - 1 - border]:
            border = borders[border - 1]
        border += token_ids[total - 1 - i] == token_ids[total - 1 - border]
        borders[i] = border
        if border > longest:
            longest, last = border, i
        if border == max_n:
            border = borders[border - 1]
    end = total - 1 - last + longest
    return list(token_ids[end:end + k]) if k > 0 and longest >= min_n else []
