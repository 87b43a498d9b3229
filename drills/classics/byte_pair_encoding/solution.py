"""Pieces as a linked list over the bytes, and a heap of the pairs that may be merged."""
import heapq


def encode(text: bytes, ranks: dict[bytes, int]) -> list[int]:
    """The token ids of a text: of all neighbouring pieces, the pair whose bytes together have the lowest rank is merged, until none has one.

    Of equal ranks the leftmost goes first. A token's rank is its id. Raises `KeyError` if a byte of the text has no rank.
    """
    size = len(text)
    # A piece is known by its first byte: it goes from there to right[there]. 0 <= left, right < size, or there is none.
    left, right = list(range(-1, size - 1)), list(range(1, size + 1))
    heap = []

    def offer(start: int) -> None:
        """This piece and the one to its right, if together they are a token."""
        if start >= 0 and right[start] < size:
            end = right[right[start]]
            rank = ranks.get(text[start:end])
            if rank is not None:
                heapq.heappush(heap, (rank, start, end))

    for start in range(size):
        offer(start)
    while heap:
        _, start, end = heapq.heappop(heap)
        middle = right[start]
        if middle >= size or right[middle] != end:
            continue        # one of the two was merged with somebody else meanwhile
        right[start], right[middle] = end, size + 1      # the second piece is gone, and never valid again
        if end < size:
            left[end] = start
        offer(left[start])
        offer(start)
    pieces, start = [], 0
    while start < size:
        pieces.append(ranks[text[start:right[start]]])
        start = right[start]
    return pieces
