"""The waiting queue, under either policy."""
import heapq
from collections import deque
from collections.abc import Iterator

from impl.request import Request


class FCFSQueue:
    """First come, first served; a preempted request goes back to the front.

    Mirrors `v1/core/sched/request_queue.py::FCFSRequestQueue`.
    """

    def __init__(self):
        self._requests: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def add(self, request: Request) -> None:
        self._requests.append(request)

    def put_back(self, request: Request) -> None:
        self._requests.appendleft(request)

    def peek(self) -> Request:
        return self._requests[0]

    def pop(self) -> Request:
        return self._requests.popleft()

    def remove(self, request: Request) -> None:
        self._requests.remove(request)


class PriorityQueue:
    """The smallest priority first, then the earliest arrival; a preempted request
    takes the place its priority gives it, not the front.

    Mirrors `v1/core/sched/request_queue.py::PriorityRequestQueue` and `v1/request.py::Request.__lt__`.
    """

    def __init__(self):
        self._heap: list[tuple[int, float, str, Request]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Request]:
        return (entry[-1] for entry in sorted(self._heap))

    def add(self, request: Request) -> None:
        heapq.heappush(self._heap, (request.priority, request.arrival_time, request.request_id, request))

    put_back = add

    def peek(self) -> Request:
        return self._heap[0][-1]

    def pop(self) -> Request:
        return heapq.heappop(self._heap)[-1]

    def remove(self, request: Request) -> None:
        self._heap = [entry for entry in self._heap if entry[-1] is not request]
        heapq.heapify(self._heap)
