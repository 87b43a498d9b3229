"""Merges the first pair that can be merged, not the one with the lowest rank."""
FAILS = {"test_the_lowest_rank_goes_first": r"got \[b'ab', b'c'\]", "test_a_token_must_be_reached_by_merges": "bc goes first", "test_any_text": "expected",
         "test_longer_texts": "expected", "test_a_pair_that_is_gone": "expected"}


def encode(text, ranks):
    pieces = []
    for byte in text:
        pieces.append(bytes([byte]))
        while len(pieces) > 1 and pieces[-2] + pieces[-1] in ranks:
            pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [ranks[piece] for piece in pieces]
