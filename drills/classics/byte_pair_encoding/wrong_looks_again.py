"""Looks at all pairs again after every merge: right, and quadratic."""

FAILS = {"test_long_texts_cost_little_more_than_their_length": "eight times as many would be linear"}


def encode(text, ranks):
    pieces = [bytes([byte]) for byte in text]
    while True:
        lowest, place = None, None
        for i in range(len(pieces) - 1):
            rank = ranks.get(pieces[i] + pieces[i + 1])
            if rank is not None and (lowest is None or rank < lowest):
                lowest, place = rank, i
        if place is None:
            return [ranks[piece] for piece in pieces]
        pieces[place:place + 2] = [pieces[place] + pieces[place + 1]]
