"""Machines that are not there: devices with a clock of their own, for judges that do not depend on the one they run on."""
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class Buffer:
    """Memory of a `FakeMemory`."""

    nbytes: int
    zeros: bool
    touched: bool = False


class FakeMemory:
    """A device that copies, asynchronously, with everything that deceives those who time it.

    What it does, from the constructor on:
    - bandwidth: bytes a second, read and written; that of what lies in its cache is ten times as high
    - cache_bytes: the size of its cache, in which the buffers lie that were used last
    - memory_bytes: how much can be allocated
    - asynchronous: a copy returns when it has been queued; `synchronize` waits for all
    - cold_copies: so many copies, the first ones, are slow, and so is the first use of each buffer
    - interruptions: the share of copies which take 20 times as long
    - compresses: copying zeros takes a quarter of the time
    - compile_seconds: the first copy of each length compiles a kernel first
    - jitter: by how much, relatively, a time varies
    """

    HOST = 2e-7     # seconds of any call

    def __init__(self, bandwidth: float = 1e12, cache_bytes: int = 0, memory_bytes: int = 1 << 60, asynchronous: bool = True, cold_copies: int = 0,
                 interruptions: float = 0.0, compresses: bool = False, compile_seconds: float = 0.0, jitter: float = 0.01, seed: int = 0):
        self.cache_bytes = cache_bytes
        self._bandwidth, self._memory, self._asynchronous, self._cold = bandwidth, memory_bytes, asynchronous, cold_copies
        self._lazy, self._interruptions, self._compresses = cold_copies > 0, interruptions, compresses
        self._compile, self._jitter, self._random = compile_seconds, jitter, random.Random(seed)
        self._now, self._busy_until, self._compiled = 1000.0, 0.0, set()
        self._cached: OrderedDict[Buffer, int] = OrderedDict()      # the bytes of each buffer that lie in the cache

    def clock(self) -> float:
        """Seconds."""
        self._now += self.HOST
        return self._now

    def allocate(self, nbytes: int, fill: str = "random") -> Buffer:
        """Memory, full of "random" numbers or of "zeros". Raises `MemoryError`."""
        if fill not in ("random", "zeros"):
            raise ValueError(f'fill is "random" or "zeros", not {fill!r}')
        self._memory -= nbytes
        if self._memory < 0:
            raise MemoryError(f"no room for {nbytes} bytes more")
        return Buffer(nbytes, fill == "zeros")

    def copy(self, target: Buffer, source: Buffer, nbytes: int | None = None) -> None:
        """Start to copy the first `nbytes` of source (all, if None) to target."""
        nbytes = source.nbytes if nbytes is None else nbytes
        if source is target or not 0 < nbytes <= min(source.nbytes, target.nbytes):
            raise ValueError("a copy is from one buffer to another, which both have the bytes")
        self._now += self.HOST
        if nbytes not in self._compiled:
            self._compiled.add(nbytes)
            self._now += self._compile
        self._busy_until = max(self._busy_until, self._now) + self._seconds(target, source, nbytes)
        if not self._asynchronous:
            self._now = self._busy_until

    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""
        self._now = max(self._now, self._busy_until) + self.HOST

    def _seconds(self, target: Buffer, source: Buffer, nbytes: int) -> float:
        seconds = 0.0
        for buffer in (source, target):
            hot = self._use(buffer, nbytes)
            seconds += (nbytes - hot + hot / 10) / self._bandwidth
            if self._lazy and not buffer.touched:
                seconds += 5 * nbytes / self._bandwidth
            buffer.touched = True
        if self._compresses and source.zeros:
            seconds /= 4
        target.zeros = source.zeros
        if self._cold > 0:
            self._cold -= 1
            seconds *= 3
        if self._random.random() < self._interruptions:
            seconds *= 20
        return seconds * (1 + self._jitter * self._random.uniform(-1, 1))

    def _use(self, buffer: Buffer, nbytes: int) -> int:
        """How many of the bytes come from the cache; all of them are the newest in it then."""
        held = self._cached.pop(buffer, 0)
        hot = nbytes if held >= nbytes else 0       # what misses at the beginning pushes the rest out before it is reached
        if nbytes > self.cache_bytes:       # the end has pushed out the beginning
            self._cached.clear()
            return 0
        self._cached[buffer] = nbytes
        excess = sum(self._cached.values()) - self.cache_bytes
        while excess > 0:
            oldest, held = next(iter(self._cached.items()))
            if held <= excess:
                del self._cached[oldest]
            else:
                self._cached[oldest] = held - excess
            excess -= held
        return hot


class FakeTensor:
    """Numbers on a `FakeGPU`: the host knows them only when it asks, and asking waits."""

    def __init__(self, gpu: "FakeGPU", values: list, ready: float):
        self._gpu, self._values, self._ready = gpu, values, ready

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> "FakeTensor":
        """One of the numbers, as a tensor: an operation on the GPU like any other."""
        return self._gpu._launch([self._values[index]], self._gpu.SMALL)

    def tolist(self) -> list:
        """The numbers, on the host. Waits until the GPU has done **everything** that was launched."""
        self._gpu.synchronize()
        self._gpu.now += self._gpu.COPY
        return list(self._values)

    def item(self):
        """The only number, on the host; waits like `tolist`."""
        if len(self) != 1:
            raise ValueError(f"a tensor of {len(self)} numbers has no item")
        return self.tolist()[0]


class Copy:
    """A copy to the host that is under way."""

    def __init__(self, gpu: "FakeGPU", values: list, end: float):
        self._gpu, self._values, self._end = gpu, values, end

    def wait(self) -> list:
        """The numbers. Waits for this copy, and for nothing that was launched after it."""
        self._gpu.now = max(self._gpu.now, self._end)
        return list(self._values)


class FakeGPU:
    """A GPU that works off what the host launches, in order, while the host goes on; and a clock for both.

    `model(tokens, positions)` gives the sampled tokens of a step.
    """

    LAUNCH, SMALL, COPY, STEP = 5e-6, 5e-6, 30e-6, 1e-3     # seconds: of a launch on the host; of work on the GPU

    def __init__(self, model):
        self._model, self._busy_until = model, None
        self.now, self.idle, self.synchronisations, self.ends = 0.0, 0.0, 0, []     # ends: when each step ended

    def _launch(self, values: list, seconds: float) -> FakeTensor:
        self.now += self.LAUNCH
        if self._busy_until is None:
            self._busy_until = self.now
        self.idle += max(0.0, self.now - self._busy_until)
        self._busy_until = max(self._busy_until, self.now) + seconds
        return FakeTensor(self, values, self._busy_until)

    def upload(self, values: list) -> FakeTensor:
        """Numbers of the host, from ordinary memory: waits for the GPU like `synchronize`."""
        self.synchronize()
        self.now += self.COPY
        return FakeTensor(self, list(values), self.now)

    def synchronize(self) -> None:
        """Wait until the GPU has done everything that was launched."""
        self.synchronisations += 1
        self.now = max(self.now, self._busy_until or 0.0)

    def forward(self, tokens: FakeTensor, positions: FakeTensor) -> FakeTensor:
        """One step of the model for the whole batch: the sampled tokens."""
        sampled = self._launch(self._model(list(tokens._values), list(positions._values)), self.STEP)
        self.ends.append(sampled._ready)
        return sampled

    def add(self, tensor: FakeTensor, number: int) -> FakeTensor:
        return self._launch([value + number for value in tensor._values], self.SMALL)

    def equal(self, tensor: FakeTensor, number: int) -> FakeTensor:
        """A mask."""
        return self._launch([value == number for value in tensor._values], self.SMALL)

    def choose(self, mask: FakeTensor, number: int, tensor: FakeTensor) -> FakeTensor:
        """The number where the mask is true, else what is in the tensor."""
        return self._launch([number if chosen else value for chosen, value in zip(mask._values, tensor._values, strict=True)], self.SMALL)

    def copy_to_host(self, tensor: FakeTensor) -> Copy:
        """Start to copy a tensor as soon as it is ready, next to other work of the GPU."""
        self.now += self.LAUNCH
        return Copy(self, list(tensor._values), max(self.now, tensor._ready) + self.COPY)


class Stream:
    """A queue of work of a `FakeStreams`, worked off in order. Nothing waits for another stream unless it is told to."""

    def __init__(self, owner: "FakeStreams", name: str):
        self._owner, self.name, self.time = owner, name, 0.0

    def copy(self, buffer: int, chunk: int) -> None:
        """Copy a chunk from the host into a buffer."""
        self._owner._run(self, "copy", buffer, chunk)

    def compute(self, buffer: int) -> None:
        """Compute on what is in a buffer."""
        self._owner._run(self, "compute", buffer, None)

    def record(self) -> float:
        """An event: that all work queued here so far has been done."""
        return self.time

    def wait(self, event: float) -> None:
        """Work queued here from now on begins when the event has happened."""
        self.time = max(self.time, event)


class FakeStreams:
    """A copy engine and a compute engine, which work at the same time; two streams queue work for them.

    The host queues everything at once, without waiting for anything. Which work overlapped shows afterwards: `work` has
    what was done, (kind, buffer, chunk, start, end) each.
    """

    def __init__(self, copy_seconds: list[float], compute_seconds: list[float], buffers: int):
        self.buffers = buffers
        self.copies, self.computes = Stream(self, "copies"), Stream(self, "computes")
        self._seconds = {"copy": copy_seconds, "compute": compute_seconds}
        self._computed, self._free = 0, {"copy": 0.0, "compute": 0.0}
        self.work: list[tuple[str, int, int, float, float]] = []

    def _run(self, stream: Stream, kind: str, buffer: int, chunk: int | None) -> None:
        if not 0 <= buffer < self.buffers:
            raise IndexError(f"buffer {buffer} of {self.buffers}")
        if kind == "compute":       # how long it takes depends on which one it is, whatever is in the buffer
            chunk, self._computed = self._computed, self._computed + 1
        if chunk >= len(self._seconds[kind]):
            raise IndexError(f"{kind} {chunk} of {len(self._seconds[kind])}")
        start = max(stream.time, self._free[kind])
        stream.time = self._free[kind] = start + self._seconds[kind][chunk]
        self.work.append((kind, buffer, chunk, start, stream.time))


def receive_in_rounds(path: str, name: str, slots: int, slot_bytes: int, pipe) -> None:
    """The other process of the shared memory ring: each time it is asked, it receives what is there with the answer at `path`."""
    from multiprocessing import shared_memory
    from pathlib import Path

    from drills.answers import load

    memory = shared_memory.SharedMemory(name)
    try:
        reader = load(Path(path)).Reader(memory.buf, slots, slot_bytes)
        while pipe.recv():
            received = []
            while (message := reader.try_receive()) is not None:
                received.append(bytes(message))
            pipe.send(received)
    except Exception as error:
        pipe.send(error)


class Deadlock(Exception):
    """Every rank waits for another."""


class FakeRing:
    """Ranks in a ring, each a thread, which sends to the next rank and receives from the one before."""

    def __init__(self, world: int):
        self.world, self.sent = world, [0] * world      # bytes, by rank
        self.inboxes = [deque() for _ in range(world)]
        self._waiting, self._ended, self._changed = set(), set(), threading.Condition()

    def send(self, rank: int, array) -> None:
        """Returns at once; what is sent is a copy."""
        with self._changed:
            self.sent[rank] += array.nbytes
            self.inboxes[(rank + 1) % self.world].append(array.copy())
            self._changed.notify_all()

    def receive(self, rank: int):
        """Waits for the next array of the rank before. Raises `Deadlock` when none can come any more."""
        with self._changed:
            self._waiting.add(rank)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.inboxes[rank] or self._stuck())
            if not self.inboxes[rank]:
                raise Deadlock(f"rank {rank} waits for a message, and nobody is left who could send one")
            self._waiting.discard(rank)
            return self.inboxes[rank].popleft()

    def _stuck(self) -> bool:
        return len(self._ended | {rank for rank in self._waiting if not self.inboxes[rank]}) == self.world

    def run(self, function: Callable) -> list:
        """What function(rank, send, receive) returns on each rank; what one of them raises is raised here."""
        results, errors = [None] * self.world, []

        def work(rank):
            try:
                results[rank] = function(rank, lambda array: self.send(rank, array), lambda: self.receive(rank))
            except Exception as error:
                errors.append(error)
            with self._changed:
                self._waiting.discard(rank)
                self._ended.add(rank)
                self._changed.notify_all()

        threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(self.world)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Deadlock))      # the cause comes first
        return results
