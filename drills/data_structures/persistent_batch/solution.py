"""Arrays with a row per request, which stay where they are; a request that leaves makes a hole, which the last row fills."""
import heapq

import numpy as np


class PersistentBatch:
    """The requests that run, a row each.

    Public arrays, made once and only ever written into; rows without a request contain anything:
        token_ids    int32 [max_requests, max_tokens]
        num_tokens   int32 [max_requests], how many tokens of the row count
        temperature  float32 [max_requests]
    """

    def __init__(self, max_requests: int, max_tokens: int):
        self.token_ids = np.zeros((max_requests, max_tokens), np.int32)
        self.num_tokens = np.zeros(max_requests, np.int32)
        self.temperature = np.zeros(max_requests, np.float32)
        self._requests: list[str | None] = []       # by row; None is a hole
        self._rows: dict[str, int] = {}
        self._holes: list[int] = []                 # a heap

    @property
    def num_requests(self) -> int:
        """How many requests there are, holes not counted."""
        return len(self._rows)

    def row(self, request_id: str) -> int:
        """The row of a request. Raises `KeyError`."""
        return self._rows[request_id]

    def add(self, request_id: str, token_ids: list[int], temperature: float) -> int:
        """Put a request into the lowest hole, or behind the last row; returns its row. Raises `ValueError` if all rows are taken."""
        if len(self._rows) == len(self.num_tokens):
            raise ValueError(f"all {len(self.num_tokens)} rows are taken")
        if self._holes:
            row = heapq.heappop(self._holes)
        else:
            row = len(self._requests)
            self._requests.append(None)
        self._requests[row], self._rows[request_id] = request_id, row
        self.token_ids[row, :len(token_ids)] = token_ids
        self.num_tokens[row] = len(token_ids)
        self.temperature[row] = temperature
        return row

    def append(self, request_id: str, token_id: int) -> None:
        """Add a token to a request. Raises `KeyError`."""
        row = self._rows[request_id]
        self.token_ids[row, self.num_tokens[row]] = token_id
        self.num_tokens[row] += 1

    def remove(self, request_id: str) -> int:
        """Take a request out, which leaves a hole; returns its row. No other row changes. Raises `KeyError`."""
        row = self._rows.pop(request_id)
        self._requests[row] = None
        heapq.heappush(self._holes, row)
        return row

    def condense(self) -> list[tuple[int, int]]:
        """Fill the holes: the last request moves to the lowest hole, until there is none below it.

        Returns the moves, (from, to), in their order.
        """
        moves = []
        while self._holes:
            while self._requests and self._requests[-1] is None:
                self._requests.pop()
            hole = heapq.heappop(self._holes)
            if hole < len(self._requests):
                last = len(self._requests) - 1
                self._copy(last, hole)
                self._requests[hole] = self._requests.pop()
                self._rows[self._requests[hole]] = hole
                moves.append((last, hole))
        return moves

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows, both with a request."""
        for array in (self.token_ids, self.num_tokens, self.temperature):
            array[[one, other]] = array[[other, one]]
        self._requests[one], self._requests[other] = self._requests[other], self._requests[one]
        self._rows[self._requests[one]], self._rows[self._requests[other]] = one, other

    def _copy(self, source: int, target: int) -> None:
        number = self.num_tokens[source]
        self.token_ids[target, :number] = self.token_ids[source, :number]
        self.num_tokens[target] = number
        self.temperature[target] = self.temperature[source]
