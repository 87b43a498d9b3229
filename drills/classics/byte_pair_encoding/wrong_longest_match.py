"""Takes the longest token that fits, from left to right: what one expects a tokenizer to do, and it was not trained so."""

FAILS = {"test_the_lowest_rank_goes_first": r"got \[b'ab', b'c'\]", "test_a_token_must_be_reached_by_merges": "nothing leads to it",
         "test_any_text": "expected", "test_longer_texts": "expected", "test_a_pair_that_is_gone": "expected"}


def encode(text, ranks):
    longest, start, ids = max(map(len, ranks)), 0, []
    while start < len(text):
        end = next((end for end in range(min(start + longest, len(text)), start, -1) if text[start:end] in ranks), start + 1)
        ids.append(ranks[text[start:end]])
        start = end
    return ids
