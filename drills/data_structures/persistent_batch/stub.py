"""Persistent batch: your answer. The problem is in drills/data_structures/persistent_batch/README.md."""


class PersistentBatch:
    """The requests that run, a row each.

    Public arrays, made once and only ever written into; rows without a request contain anything:
        token_ids    int32 [max_requests, max_tokens]
        num_tokens   int32 [max_requests], how many tokens of the row count
        temperature  float32 [max_requests]
    """

    def __init__(self, max_requests: int, max_tokens: int):
        raise NotImplementedError("persistent_batch: PersistentBatch.__init__ is not written yet")

    @property
    def num_requests(self) -> int:
        """How many requests there are, holes not counted."""
        raise NotImplementedError("persistent_batch: PersistentBatch.num_requests is not written yet")

    def row(self, request_id: str) -> int:
        """The row of a request. Raises `KeyError`."""
        raise NotImplementedError("persistent_batch: PersistentBatch.row is not written yet")

    def add(self, request_id: str, token_ids: list[int], temperature: float) -> int:
        """Put a request into the lowest hole, or behind the last row; returns its row. Raises `ValueError` if all rows are taken."""
        raise NotImplementedError("persistent_batch: PersistentBatch.add is not written yet")

    def append(self, request_id: str, token_id: int) -> None:
        """Add a token to a request. Raises `KeyError`."""
        raise NotImplementedError("persistent_batch: PersistentBatch.append is not written yet")

    def remove(self, request_id: str) -> int:
        """Take a request out, which leaves a hole; returns its row. No other row changes. Raises `KeyError`."""
        raise NotImplementedError("persistent_batch: PersistentBatch.remove is not written yet")

    def condense(self) -> list[tuple[int, int]]:
        """Fill the holes: the last request moves to the lowest hole, until there is none below it.

        Returns the moves, (from, to), in their order.
        """
        raise NotImplementedError("persistent_batch: PersistentBatch.condense is not written yet")

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows, both with a request."""
        raise NotImplementedError("persistent_batch: PersistentBatch.swap is not written yet")
