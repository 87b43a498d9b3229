"""Merges what stands there by now if it is any token, although the rank on the heap belonged to another pair."""
import heapq

FAILS = {"test_a_pair_that_is_gone": r"got \[b'abc', b'd'\]", "test_longer_texts": "expected"}


def encode(text, ranks):
    size = len(text)
    left, right = list(range(-1, size - 1)), list(range(1, size + 1))
    heap = [(ranks[text[i:i + 2]], i) for i in range(size - 1) if text[i:i + 2] in ranks]
    heapq.heapify(heap)
    while heap:
        _, start = heapq.heappop(heap)
        middle = right[start]
        if middle >= size or text[start:right[middle]] not in ranks:
            continue
        end = right[middle]
        right[start], right[middle] = end, size + 1
        if end < size:
            left[end] = start
        for one in (left[start], start):
            if one >= 0 and right[one] < size and text[one:right[right[one]]] in ranks:
                heapq.heappush(heap, (ranks[text[one:right[right[one]]]], one))
    ids, start = [], 0
    while start < size:
        ids.append(ranks[text[start:right[start]]])
        start = right[start]
    return ids
